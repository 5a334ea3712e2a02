//! What a proxy says of whom it connects: the header of the PROXY protocol, versions 1 and 2, as HAProxy's specification has it. Pure: it
//! says how many bytes may be read next, so that none is read that belongs to what follows the header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// With what a header of version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2 up to its length.
const BINARY_HEAD_BYTES: usize = 16;

/// Version 2 of the protocol, with its two commands: the proxy speaks for itself, or for a caller.
const LOCAL: u8 = 0x20;
const PROXIED: u8 = 0x21;

/// How a caller has come.
const UNKNOWN: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The most bytes after that. Addresses need 36, and proxies add little.
const BINARY_REST_BYTES_MAX: usize = 1_024;

/// With what a header of version 1 begins, and the most bytes that it may have.
const WORD: &[u8; 6] = b"PROXY ";
const LINE_BYTES_MAX: usize = 107;

/// The shortest of all: `PROXY UNKNOWN` and the end of its line.
const SHORTEST: usize = 15;

/// What to do after some bytes were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read so many more, all of which belong to the header.
    Read(usize),
    /// That was all. From where the caller has connected to the proxy; none where the proxy speaks for itself, or does not say it.
    Done(Option<SocketAddr>),
}

/// It is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoHeader {
    /// It does not begin as one.
    #[error("it does not begin with a header of the PROXY protocol; is `proxy_protocol on` missing there?")]
    Missing,
    /// It is too long.
    #[error("its header of the PROXY protocol is longer than it may be")]
    TooLong,
    /// It breaks a rule.
    #[error("its header of the PROXY protocol is damaged")]
    Damaged,
}

/// What to do after these bytes of a header. Whatever is read, it ends within 1,040 of them.
///
/// # Errors
/// [`NoHeader`].
pub fn step(read: &[u8]) -> Result<Step, NoHeader> {
    let may_be = |start: &[u8]| read.starts_with(start) || start.starts_with(read);
    if !may_be(SIGNATURE) && !may_be(WORD) {
        Err(NoHeader::Missing)
    } else if read.len() < SHORTEST {
        Ok(Step::Read(SHORTEST - read.len()))
    } else if read.starts_with(SIGNATURE) {
        binary(read)
    } else {
        line(read)
    }
}

fn line(read: &[u8]) -> Result<Step, NoHeader> {
    if let Some(line) = read.strip_suffix(b"\r\n") {
        let line = std::str::from_utf8(line).map_err(|_| NoHeader::Damaged)?;
        return source(line).map(Step::Done);
    }
    // Of the end of a line at least one byte is missing, or two.
    let missing = if read.ends_with(b"\r") { 1 } else { 2 };
    match read.len() + missing {
        ..=LINE_BYTES_MAX => Ok(Step::Read(missing)),
        _ => Err(NoHeader::TooLong),
    }
}

fn source(line: &str) -> Result<Option<SocketAddr>, NoHeader> {
    let mut words = line.split(' ').skip(1);
    let family = words.next().ok_or(NoHeader::Damaged)?;
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let mut next = || words.next().ok_or(NoHeader::Damaged);
    let (from, to) = (next()?, next()?);
    let (from_port, _to_port) = (port(next()?)?, port(next()?)?);
    let is_more = words.next().is_some();
    let address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        _ => None,
    };
    match (address(from), address(to), is_more) {
        (Some(from), Some(_), false) => Ok(Some(SocketAddr::new(from, from_port))),
        _ => Err(NoHeader::Damaged),
    }
}

fn port(text: &str) -> Result<u16, NoHeader> {
    // A number is written one way only.
    let port: u16 = text.parse().map_err(|_| NoHeader::Damaged)?;
    if port.to_string() == text {
        Ok(port)
    } else {
        Err(NoHeader::Damaged)
    }
}

fn binary(read: &[u8]) -> Result<Step, NoHeader> {
    let Some((head, rest)) = read.split_at_checked(BINARY_HEAD_BYTES) else {
        return Ok(Step::Read(BINARY_HEAD_BYTES - read.len()));
    };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > BINARY_REST_BYTES_MAX {
        return Err(NoHeader::TooLong);
    }
    if rest.len() < length {
        return Ok(Step::Read(length - rest.len()));
    }
    let is_local = match head[12] {
        LOCAL => true,
        PROXIED => false,
        _ => return Err(NoHeader::Damaged),
    };
    if is_local {
        return Ok(Step::Done(None));
    }
    let port = |at: usize| Some(u16::from_be_bytes(*rest.get(at..)?.first_chunk()?));
    // Both addresses, then both ports.
    let from = match head[13] {
        TCP_OVER_IPV4 => ip::<4>(rest).zip(port(8)).zip(port(10)),
        TCP_OVER_IPV6 => ip::<16>(rest).zip(port(32)).zip(port(34)),
        // The proxy does not say it.
        UNKNOWN => return Ok(Step::Done(None)),
        _ => None,
    };
    let ((from, from_port), _to_port) = from.ok_or(NoHeader::Damaged)?;
    Ok(Step::Done(Some(SocketAddr::new(from, from_port))))
}

fn ip<const BYTES: usize>(bytes: &[u8]) -> Option<IpAddr>
where
    IpAddr: From<[u8; BYTES]>,
{
    Some(IpAddr::from(*bytes.first_chunk::<BYTES>()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads as one who has these bytes before him: what comes of it, and how many were read.
    fn reads(bytes: &[u8]) -> (Result<Option<SocketAddr>, NoHeader>, usize) {
        let mut read = 0;
        loop {
            match step(&bytes[..read]) {
                Ok(Step::Read(0)) => panic!("nothing is asked for at {read}"),
                Ok(Step::Read(more)) if read + more <= bytes.len() => read += more,
                Ok(Step::Read(_)) => return (Err(NoHeader::Missing), read),
                Ok(Step::Done(from)) => return (Ok(from), read),
                Err(error) => return (Err(error), read),
            }
        }
    }

    fn binary_header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn binary_of(from: SocketAddr, more: &[u8]) -> Vec<u8> {
        let ports = [from.port().to_be_bytes(), [0, 1]].concat();
        let (family, addresses) = match from.ip() {
            IpAddr::V4(ip) => (TCP_OVER_IPV4, [ip.octets(), [127, 0, 0, 1]].concat()),
            IpAddr::V6(ip) => (TCP_OVER_IPV6, [ip.octets(), [1; 16]].concat()),
        };
        binary_header(PROXIED, family, &[&addresses[..], &ports, more].concat())
    }

    fn line_of(from: SocketAddr) -> Vec<u8> {
        let (family, to) = match from.ip() {
            IpAddr::V4(_) => ("TCP4", "127.0.0.1"),
            IpAddr::V6(_) => ("TCP6", "::1"),
        };
        format!("PROXY {family} {} {to} {} 10001\r\n", from.ip(), from.port()).into_bytes()
    }

    #[test]
    fn a_proxy_that_does_not_say_it_is_taken_for_the_caller() {
        for header in [
            &b"PROXY UNKNOWN\r\n"[..],
            b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
            &binary_header(LOCAL, UNKNOWN, &[]),
            &binary_header(LOCAL, TCP_OVER_IPV4, &[0; 12]),
            &binary_header(PROXIED, UNKNOWN, &[7; 100]),
        ] {
            let then = [header, b"\x16\x03\x01"].concat();
            assert_eq!(reads(&then), (Ok(None), header.len()), "{header:?}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let longest = format!("PROXY UNKNOWN {}", "x".repeat(LINE_BYTES_MAX));
        for (bytes, error) in [
            (&b"\x16\x03\x01 a TLS handshake begins so"[..], NoHeader::Missing),
            (b"GET / HTTP/1.1\r\n\r\n", NoHeader::Missing),
            (b"PROXYTCP4 1.2.3.4 5.6.7.8 1 2\r\n", NoHeader::Missing),
            (b"\r\n\r\n\0\r\nQUIT\r etc.", NoHeader::Missing),
            (longest.as_bytes(), NoHeader::TooLong),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", NoHeader::Damaged),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", NoHeader::Damaged),
            (b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", NoHeader::Damaged),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", NoHeader::Damaged),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", NoHeader::Damaged),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", NoHeader::Damaged),
            (b"PROXY TCP4 ::1 ::1 1 2\r\n", NoHeader::Damaged),
            (b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", NoHeader::Damaged),
            (b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", NoHeader::Damaged),
            (b"PROXY TCP4 1.2.3.4 \xff.6.7.8 1 2\r\n", NoHeader::Damaged),
            (&binary_header(0x22, TCP_OVER_IPV4, &[0; 12]), NoHeader::Damaged),
            (&binary_header(0x11, TCP_OVER_IPV4, &[0; 12]), NoHeader::Damaged),
            (&binary_header(PROXIED, TCP_OVER_IPV4, &[0; 11]), NoHeader::Damaged),
            (&binary_header(PROXIED, TCP_OVER_IPV6, &[0; 35]), NoHeader::Damaged),
            (&binary_header(PROXIED, 0x12, &[0; 12]), NoHeader::Damaged),
            (&binary_header(PROXIED, 0x31, &[0; 216]), NoHeader::Damaged),
            (
                &binary_header(PROXIED, TCP_OVER_IPV4, &[0; BINARY_REST_BYTES_MAX + 1]),
                NoHeader::TooLong,
            ),
        ] {
            assert_eq!(reads(bytes).0, Err(error), "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        /// Of what follows a header nothing is read.
        #[test]
        fn a_header_is_read_to_its_end_and_no_further(
            from: SocketAddr,
            more in prop::collection::vec(any::<u8>(), 0..900),
            then in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            // A scope is nothing that a header can say.
            let from = SocketAddr::new(from.ip(), from.port());
            for header in [line_of(from), binary_of(from, &more)] {
                let bytes = [&header[..], &then].concat();
                prop_assert_eq!(reads(&bytes), (Ok(Some(from)), header.len()));
                for cut in 0..header.len() {
                    prop_assert!(matches!(step(&header[..cut]), Ok(Step::Read(more)) if more <= header.len() - cut));
                }
            }
        }

        #[test]
        fn nothing_makes_the_reader_fall_or_read_on(
            start in prop::sample::select(vec![Vec::new(), WORD.to_vec(), SIGNATURE.to_vec()]),
            rest in prop::collection::vec(any::<u8>(), 0..2_000),
        ) {
            let bytes = [start, rest].concat();
            let (_, read) = reads(&bytes);
            prop_assert!(read <= BINARY_HEAD_BYTES + BINARY_REST_BYTES_MAX);
        }
    }
}
