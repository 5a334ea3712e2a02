//! The bytes of `log` and `index`, as `docs/log-format.md` has them. Pure: no file is touched here.
//!
//! No function here fails badly on any input: what is no header, frame or record is said to be none.

use super::Position;
use crate::node::{limits::ENTRY_BYTES_MAX, types::Lamport};

/// The version of the format that this code writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// The length of one copy of a header.
const HEADER_COPY: usize = 24;
/// The length of the header of either file: two copies, so that a damaged one loses nothing.
pub(super) const HEADER_BYTES: usize = 2 * HEADER_COPY;
/// What stands before the bytes of an entry: its length and a check sum.
pub(super) const FRAME_HEAD_BYTES: usize = 8;
/// The longest frame.
pub(super) const FRAME_BYTES_MAX: usize = FRAME_HEAD_BYTES + ENTRY_BYTES_MAX;
/// The length of a record of the index.
pub(super) const RECORD_BYTES: usize = 24;

/// Which file a header belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The entries.
    Log,
    /// Where they are.
    Index,
    /// What proves that they are their authors'.
    Seals,
    /// Whose the authors' devices are.
    Introductions,
    /// What proves that one of them contradicts himself.
    Contradiction,
}

impl Kind {
    fn magic(self) -> &'static [u8; 8] {
        match self {
            Self::Log => b"PEERLOG\n",
            Self::Index => b"PEERIDX\n",
            Self::Seals => b"PEERSEL\n",
            Self::Introductions => b"PEERINT\n",
            Self::Contradiction => b"PEERCON\n",
        }
    }
}

/// A random number that a log gets when it is made. It is part of every check sum in the log and in its index, so bytes of
/// another file, or bytes that somebody put into a message because they look like a frame, never pass for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life(pub(super) u64);

/// What a file's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// Both copies are good.
    Good(Life),
    /// One copy is good.
    Half(Life),
    /// A good header of a newer version.
    Newer(u32),
    /// None.
    Bad,
}

/// The header of a file.
pub(super) fn encode_header(kind: Kind, life: Life) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    for copy in header.chunks_exact_mut(HEADER_COPY) {
        copy[..8].copy_from_slice(kind.magic());
        copy[8..12].copy_from_slice(&VERSION.to_le_bytes());
        copy[12..20].copy_from_slice(&life.0.to_le_bytes());
        let sum = crc32c::crc32c(&copy[..20]);
        copy[20..].copy_from_slice(&sum.to_le_bytes());
    }
    header
}

/// What the first bytes of a file say; there may be fewer than [`HEADER_BYTES`].
pub(super) fn decode_header(kind: Kind, bytes: &[u8]) -> Header {
    let copy = |from: usize| {
        let copy = bytes.get(from..from + HEADER_COPY)?;
        let good = copy[..8] == *kind.magic() && u32_at(copy, 20)? == crc32c::crc32c(&copy[..20]);
        good.then_some(())?;
        Some((u32_at(copy, 8)?, Life(u64_at(copy, 12)?)))
    };
    match (copy(0), copy(HEADER_COPY)) {
        (Some((version, _)), _) | (None, Some((version, _))) if version > VERSION => Header::Newer(version),
        (Some((_, a)), Some((_, b))) if a == b => Header::Good(a),
        (Some((_, life)), _) | (None, Some((_, life))) => Header::Half(life),
        (None, None) => Header::Bad,
    }
}

/// Appends the frame of an entry's bytes, of which there are 1 to [`ENTRY_BYTES_MAX`], to `into`.
pub(super) fn encode_frame(life: Life, entry: &[u8], into: &mut Vec<u8>) {
    debug_assert!((1..=ENTRY_BYTES_MAX).contains(&entry.len()), "checked by the writer");
    let len = (entry.len() as u32).to_le_bytes();
    into.extend_from_slice(&len);
    into.extend_from_slice(&frame_sum(life, len, entry).to_le_bytes());
    into.extend_from_slice(entry);
}

/// The length of the entry in the frame that starts with `head`, if it can be one.
pub(super) fn frame_len(head: &[u8]) -> Option<usize> {
    let len = u32_at(head, 0)? as usize;
    (1..=ENTRY_BYTES_MAX).contains(&len).then_some(len)
}

/// The entry in the frame at the start of `bytes`, if a whole one is there.
pub(super) fn decode_frame(life: Life, bytes: &[u8]) -> Option<&[u8]> {
    let len = frame_len(bytes)?;
    let entry = bytes.get(FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + len)?;
    let sum = u32_at(bytes, 4)?;
    (frame_sum(life, (len as u32).to_le_bytes(), entry) == sum).then_some(entry)
}

fn frame_sum(life: Life, len: [u8; 4], entry: &[u8]) -> u32 {
    let mut start = [0; 12];
    start[..8].copy_from_slice(&life.0.to_le_bytes());
    start[8..].copy_from_slice(&len);
    crc32c::crc32c_append(crc32c::crc32c(&start), entry)
}

/// An item of the index: where an entry is and how it sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// Where its frame starts in `log`, in bytes.
    pub(super) offset: u64,
    /// Its Lamport time.
    pub(super) lamport: Lamport,
    /// Its author, as the number of authors that have an entry before it in the log.
    pub(super) author: u32,
}

/// Appends a record to `into`.
pub(super) fn encode_record(life: Life, position: Position, record: Record, into: &mut Vec<u8>) {
    let start = into.len();
    into.extend_from_slice(&record.offset.to_le_bytes());
    into.extend_from_slice(&record.lamport.0.to_le_bytes());
    into.extend_from_slice(&record.author.to_le_bytes());
    let sum = record_sum(life, position, &into[start..]);
    into.extend_from_slice(&sum.to_le_bytes());
}

/// The record at the start of `bytes`, if a good one for `position` is there.
pub(super) fn decode_record(life: Life, position: Position, bytes: &[u8]) -> Option<Record> {
    let content = bytes.get(..20)?;
    (record_sum(life, position, content) == u32_at(bytes, 20)?).then_some(())?;
    Some(Record {
        offset: u64_at(bytes, 0)?,
        lamport: Lamport(u64_at(bytes, 8)?),
        author: u32_at(bytes, 16)?,
    })
}

fn record_sum(life: Life, position: Position, content: &[u8]) -> u32 {
    let mut start = [0; 12];
    start[..8].copy_from_slice(&life.0.to_le_bytes());
    start[8..].copy_from_slice(&position.0.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&start), content)
}

/// The number at `offset`, little-endian.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

/// The number at `offset`, little-endian.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIFE: Life = Life(0x0123_4567_89ab_cdef);

    #[test]
    fn the_format_is_what_the_document_says() {
        let mut frame = Vec::new();
        encode_frame(LIFE, b"hello", &mut frame);
        let sum = crc32c::crc32c(b"\xef\xcd\xab\x89\x67\x45\x23\x01\x05\0\0\0hello");
        assert_eq!(frame, [b"\x05\0\0\0", &sum.to_le_bytes()[..], b"hello"].concat());
        let header = encode_header(Kind::Log, LIFE);
        assert_eq!(&header[..20], b"PEERLOG\n\x01\0\0\0\xef\xcd\xab\x89\x67\x45\x23\x01");
        assert_eq!(header[20..24], crc32c::crc32c(&header[..20]).to_le_bytes());
        assert_eq!(header[..24], header[24..]);
    }

    #[test]
    fn a_header_survives_the_damage_of_one_copy() {
        let good = encode_header(Kind::Index, LIFE);
        assert_eq!(decode_header(Kind::Index, &good), Header::Good(LIFE));
        assert_eq!(decode_header(Kind::Log, &good), Header::Bad);
        for at in 0..HEADER_BYTES {
            let mut bad = good;
            bad[at] ^= 1;
            assert_eq!(decode_header(Kind::Index, &bad), Header::Half(LIFE));
        }
        assert_eq!(decode_header(Kind::Index, &good[..47]), Header::Half(LIFE));
        assert_eq!(decode_header(Kind::Index, &good[..23]), Header::Bad);
    }

    #[test]
    fn a_newer_version_is_no_damage() {
        let mut copy = encode_header(Kind::Log, LIFE)[..20].to_vec();
        copy[8] = 2;
        let sum = crc32c::crc32c(&copy);
        copy.extend(sum.to_le_bytes());
        assert_eq!(decode_header(Kind::Log, &copy), Header::Newer(2));
    }

    proptest! {
        #[test]
        fn frames_and_records_come_back(
            entry in prop::collection::vec(any::<u8>(), 1..400), rest in prop::collection::vec(any::<u8>(), 0..9),
            life: u64, offset: u64, lamport: u64, author: u32, position: u32,
        ) {
            let mut bytes = Vec::new();
            encode_frame(Life(life), &entry, &mut bytes);
            bytes.extend(&rest);
            prop_assert_eq!(decode_frame(Life(life), &bytes), Some(&entry[..]));
            prop_assert_eq!(decode_frame(Life(!life), &bytes), None);
            let record = Record { offset, lamport: Lamport(lamport), author };
            let mut bytes = Vec::new();
            encode_record(Life(life), Position(position), record, &mut bytes);
            prop_assert_eq!(bytes.len(), RECORD_BYTES);
            prop_assert_eq!(decode_record(Life(life), Position(position), &bytes), Some(record));
            prop_assert_eq!(decode_record(Life(life), Position(position ^ 1), &bytes), None);
        }

        #[test]
        fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), life: u64) {
            prop_assert_eq!(decode_frame(Life(life), &bytes), None);
            prop_assert_eq!(decode_record(Life(life), Position(0), &bytes), None);
            prop_assert_eq!(decode_header(Kind::Log, &bytes), Header::Bad);
        }

        #[test]
        fn no_changed_byte_passes(
            entry in prop::collection::vec(any::<u8>(), 1..100), at: prop::sample::Index, flip in 1u8..,
        ) {
            let mut bytes = Vec::new();
            encode_frame(LIFE, &entry, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(decode_frame(LIFE, &bytes), None);
        }
    }
}
