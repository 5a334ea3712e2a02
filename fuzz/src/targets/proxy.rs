//! The header of the PROXY protocol.

use std::net::SocketAddr;

use peerchat_identity::proxy::{NoHeader, Step, step};

use crate::within;

/// The longest header that is read.
const HEADER_BYTES_MAX: usize = 16 + 1_024;

/// Reads a header as it comes, and again from its own bytes.
pub fn check(data: &[u8]) {
    within(1_024, 4, data.len(), || {
        let (found, read) = reads(data);
        assert!(read <= HEADER_BYTES_MAX, "{read} bytes were read");
        if let Some(Ok(from)) = found {
            // Not one byte of what follows the header was needed.
            assert_eq!(reads(&data[..read]), (Some(Ok(from)), read));
            // Whatever is cut off, the rest is asked for, and no more.
            for cut in 0..read {
                assert!(matches!(step(&data[..cut]), Ok(Step::Read(more)) if more <= read - cut));
            }
        }
    });
}

/// What a reader finds who reads as much as he is told; none where the bytes end before. And how much he has read.
fn reads(bytes: &[u8]) -> (Option<Result<Option<SocketAddr>, NoHeader>>, usize) {
    let mut read = 0;
    loop {
        match step(&bytes[..read]) {
            Ok(Step::Read(more)) => {
                assert!(more > 0, "nothing is asked for at {read}");
                if read + more > bytes.len() {
                    return (None, read);
                }
                read += more;
            }
            Ok(Step::Done(from)) => return (Some(Ok(from)), read),
            Err(error) => return (Some(Err(error)), read),
        }
    }
}

/// Both versions, both families.
pub fn seeds() -> Vec<Vec<u8>> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let v4 = [&signature[..], &[0x21, 0x11, 0, 14], &[10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4, 0, 0], b"then"].concat();
    let v6 = [&signature[..], &[0x21, 0x21, 0, 36], &[1; 36]].concat();
    let local = [&signature[..], &[0x20, 0, 0, 0]].concat();
    vec![
        b"PROXY TCP4 192.0.2.1 192.0.2.2 5 10001\r\nthen".to_vec(),
        b"PROXY TCP6 2001:db8::1 ::1 5 10001\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        v4,
        v6,
        local,
    ]
}
