//! The file `introductions` in a user's folder: of every device the certificate that says whose it is.
//!
//! One certificate per device is enough for ever, so the file is only appended to. Its frames are those of a log. What a crash left
//! half-written is cut off, and of what was damaged all that is whole is kept: an introduction that is lost comes again, but only from
//! somebody who has it.

use std::path::Path;

use bytes::Bytes;

use super::{
    LogError,
    disk::{Disk, DiskFile, IoError},
    format::{
        FRAME_HEAD_BYTES, HEADER_BYTES, Header, Kind, Life, VERSION, decode_frame, decode_header, encode_frame,
        encode_header,
    },
};
use crate::node::limits::INTRODUCTION_BYTES_MAX;

/// The name of the file.
pub const INTRODUCTIONS_FILE: &str = "introductions";

/// The most bytes of such a file that are read: those of far more devices than there are authors in a conversation.
const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The introductions that a user holds.
#[derive(Debug)]
pub struct Introductions<D: Disk> {
    file: D::File,
    life: Life,
    length: u64,
}

impl<D: Disk> Introductions<D> {
    /// The introductions in a user's folder, and the certificates in them.
    ///
    /// # Errors
    /// The disk refuses, or a newer version wrote the file.
    pub fn open(disk: &D, folder: &Path) -> Result<(Self, Vec<Bytes>), LogError> {
        let path = folder.join(INTRODUCTIONS_FILE);
        let bytes = Bytes::from(disk.read_small(&path, FILE_BYTES_MAX)?.unwrap_or_default());
        let life = match decode_header(Kind::Introductions, &bytes) {
            Header::Good(life) | Header::Half(life) => life,
            Header::Newer(found) => {
                let known = VERSION;
                return Err(LogError::Newer { path, found, known });
            }
            Header::Bad => {
                let life = Life(disk.random());
                // It is synced with what is kept in it.
                disk.create(&path)?
                    .write_at(0, &encode_header(Kind::Introductions, life))?;
                life
            }
        };
        let (mut found, mut end) = frames(&bytes, life);
        let behind = salvaged(&bytes, life, end);
        if !behind.is_empty() {
            found.extend(behind);
            let mut whole = encode_header(Kind::Introductions, life).to_vec();
            for certificate in &found {
                encode_frame(life, certificate, &mut whole);
            }
            disk.replace(&path, &whole)?;
            end = whole.len();
        }
        let gone = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let file = disk.open(&path)?.ok_or_else(|| IoError::new(&path, "open", gone()))?;
        let length = end as u64;
        if file.len()? > length {
            file.truncate(length)?;
        }
        Ok((Self { file, life, length }, found))
    }

    /// Keeps a certificate of at most [`INTRODUCTION_BYTES_MAX`] bytes; a longer one is none of a registry's and is left out.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn push(&mut self, certificate: &[u8]) -> Result<(), LogError> {
        if !(1..=INTRODUCTION_BYTES_MAX).contains(&certificate.len()) {
            return Ok(());
        }
        let mut frame = Vec::with_capacity(FRAME_HEAD_BYTES + certificate.len());
        encode_frame(self.life, certificate, &mut frame);
        self.file.write_at(self.length, &frame)?;
        self.length += frame.len() as u64;
        Ok(())
    }

    /// Makes what was kept durable. Blocks for milliseconds.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self) -> Result<(), LogError> {
        Ok(self.file.sync()?)
    }
}

/// Whether the bytes of such a file can be read from, though some of them may be damaged.
pub fn is_introductions(bytes: &[u8]) -> bool {
    !matches!(decode_header(Kind::Introductions, bytes), Header::Bad)
}

/// The certificates in a user's folder that are whole. Changes nothing.
///
/// # Errors
/// The disk refuses.
pub fn read_introductions<D: Disk>(disk: &D, folder: &Path) -> Result<Vec<Bytes>, IoError> {
    let path = folder.join(INTRODUCTIONS_FILE);
    let bytes = Bytes::from(disk.read_small(&path, FILE_BYTES_MAX)?.unwrap_or_default());
    let (Header::Good(life) | Header::Half(life)) = decode_header(Kind::Introductions, &bytes) else {
        return Ok(Vec::new());
    };
    let (mut found, end) = frames(&bytes, life);
    found.extend(salvaged(&bytes, life, end));
    Ok(found)
}

/// What is whole behind a place where nothing is.
fn salvaged(bytes: &Bytes, life: Life, damaged: usize) -> Vec<Bytes> {
    let mut found = Vec::new();
    let mut at = damaged + 1;
    // A length that can be one is rare where none is meant, so this looks at each byte little more than once.
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        at += match decode_frame(life, rest) {
            Some(frame) => {
                let start = at + FRAME_HEAD_BYTES;
                found.push(bytes.slice(start..start + frame.len()));
                FRAME_HEAD_BYTES + frame.len()
            }
            None => 1,
        };
    }
    found
}

/// What the whole frames hold, and where they end.
pub(super) fn frames(bytes: &Bytes, life: Life) -> (Vec<Bytes>, usize) {
    let mut found = Vec::new();
    let mut at = HEADER_BYTES;
    while let Some(frame) = bytes.get(at..).and_then(|rest| decode_frame(life, rest)) {
        let start = at + FRAME_HEAD_BYTES;
        at = start + frame.len();
        found.push(bytes.slice(start..at));
    }
    (found, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Fault, MemoryDisk};

    fn folder() -> &'static Path {
        Path::new("/")
    }

    fn certificate(n: usize) -> Vec<u8> {
        vec![n as u8; 100 + n]
    }

    fn fill(disk: &MemoryDisk, from: usize, to: usize) -> Result<(), LogError> {
        let (mut introductions, _) = Introductions::open(disk, folder())?;
        for n in from..to {
            introductions.push(&certificate(n))?;
            if n % 4 == 3 {
                introductions.sync()?;
            }
        }
        Ok(())
    }

    #[test]
    fn what_was_kept_is_there_again_and_what_is_torn_is_cut_off() {
        let disk = MemoryDisk::new(1);
        fill(&disk, 0, 5).unwrap();
        let expected: Vec<_> = (0..5).map(|n| Bytes::from(certificate(n))).collect();
        assert_eq!(Introductions::open(&disk, folder()).unwrap().1, expected);
        assert_eq!(read_introductions(&disk, folder()).unwrap(), expected);
        let path = folder().join(INTRODUCTIONS_FILE);
        disk.tamper(&path, |bytes| bytes.truncate(bytes.len() - 3));
        assert_eq!(Introductions::open(&disk, folder()).unwrap().1, expected[..4]);
        fill(&disk, 4, 5).unwrap();
        assert_eq!(read_introductions(&disk, folder()).unwrap(), expected);
        // One that is damaged costs itself alone.
        disk.tamper(&path, |bytes| bytes[HEADER_BYTES + FRAME_HEAD_BYTES + 100 + 20] ^= 1);
        let whole = [&expected[..1], &expected[2..]].concat();
        assert_eq!(read_introductions(&disk, folder()).unwrap(), whole);
        for _ in 0..2 {
            assert_eq!(Introductions::open(&disk, folder()).unwrap().1, whole);
        }
        disk.tamper(&path, |bytes| bytes[..HEADER_BYTES].fill(0));
        assert!(Introductions::open(&disk, folder()).unwrap().1.is_empty());
    }

    #[test]
    fn a_crash_at_any_operation_leaves_what_was_kept_before_and_nothing_else() {
        let operations = {
            let disk = MemoryDisk::new(0);
            fill(&disk, 0, 10).unwrap();
            disk.operations()
        };
        for (operation, seed) in (0..operations).flat_map(|operation| (0..4).map(move |seed| (operation, seed))) {
            let disk = MemoryDisk::new(seed);
            disk.fail_at(operation, Fault::Crash);
            assert!(fill(&disk, 0, 10).is_err());
            for disk in [disk.kill(), disk.power_loss()] {
                let (mut introductions, found) = Introductions::open(&disk, folder()).unwrap();
                let expected: Vec<_> = (0..found.len()).map(|n| Bytes::from(certificate(n))).collect();
                assert_eq!(found, expected);
                introductions.push(b"one more").unwrap();
                let again = read_introductions(&disk, folder()).unwrap();
                assert_eq!(again.len(), found.len() + 1);
            }
        }
    }
}
