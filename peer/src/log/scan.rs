//! Walks through a log file from its first frame to its end, in memory of fixed size.
//!
//! Where no whole frame stands, the walk goes on byte by byte until one does. Hopping over a bad frame by its length would be
//! faster and wrong: a damaged length may lead to a frame further on, and the whole frames in between would be lost.

use super::{
    blocks::{Blocks, ROOM_BYTES},
    disk::{DiskFile, IoError},
    format::{FRAME_HEAD_BYTES, HEADER_BYTES, Life, decode_frame, frame_len},
};

/// What stands at some place of a log file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole frame with these bytes of an entry.
    Frame { offset: u64, entry: &'a [u8] },
    /// No whole frame starts in these bytes. After them comes a whole frame, or the end of the file.
    Bad { offset: u64, bytes: u64, at_end: bool },
}

/// A walk through a log file.
pub(super) struct Frames<F> {
    blocks: Blocks<F>,
    life: Life,
    next: u64,
    end: u64,
    /// A block with what was left of the one before it in front. The bytes of the file begin at `from` in it.
    window: Vec<u8>,
    from: usize,
    window_start: u64,
    /// There are no more blocks.
    is_over: bool,
}

impl<F: DiskFile> Frames<F> {
    /// A walk through the first `end` bytes of the file.
    pub(super) fn new(file: &F, life: Life, end: u64) -> Self {
        let next = HEADER_BYTES as u64;
        Self {
            blocks: Blocks::new(file, next, end),
            life,
            next,
            end,
            window: Vec::new(),
            from: 0,
            window_start: next,
            is_over: false,
        }
    }

    /// What comes next; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Found<'_>>, IoError> {
        let offset = self.next;
        if offset >= self.end {
            return Ok(None);
        }
        if let Some(len) = self.whole_at(offset)? {
            self.next = offset + (FRAME_HEAD_BYTES + len) as u64;
            let start = self.place(offset) + FRAME_HEAD_BYTES;
            let entry = &self.window[start..start + len];
            return Ok(Some(Found::Frame { offset, entry }));
        }
        self.next = offset + 1;
        while self.next < self.end && self.whole_at(self.next)?.is_none() {
            self.next += 1;
        }
        Ok(Some(Found::Bad {
            offset,
            bytes: self.next - offset,
            at_end: self.next >= self.end,
        }))
    }

    /// The length of the entry whose whole frame starts at `offset`, if one does. Then the window holds it.
    fn whole_at(&mut self, offset: u64) -> Result<Option<usize>, IoError> {
        let Some(len) = frame_len(self.bytes_at(offset, FRAME_HEAD_BYTES)?) else {
            return Ok(None);
        };
        let life = self.life;
        let frame = self.bytes_at(offset, FRAME_HEAD_BYTES + len)?;
        Ok(decode_frame(life, frame).map(<[u8]>::len))
    }

    /// At least `len` bytes from `offset` on; fewer where the file ends. Nothing before `offset` is asked for any more.
    fn bytes_at(&mut self, offset: u64, len: usize) -> Result<&[u8], IoError> {
        let rest = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        while !self.is_over && self.window.len() < self.place(offset) + len.min(rest) {
            // Less than a frame, or it would be enough.
            let left = self.window.split_off(self.place(offset).min(self.window.len()));
            match self.blocks.next(std::mem::take(&mut self.window)) {
                Ok(block) => {
                    self.is_over = block.len() == ROOM_BYTES;
                    (self.window, self.from) = (block, ROOM_BYTES - left.len());
                    self.window[self.from..ROOM_BYTES].copy_from_slice(&left);
                    self.window_start = offset;
                }
                Err(error) => {
                    (self.window, self.from, self.window_start) = (left, 0, offset);
                    return Err(error);
                }
            }
        }
        Ok(self.window.get(self.place(offset)..).unwrap_or_default())
    }

    /// Where a byte of the file is in the window.
    fn place(&self, offset: u64) -> usize {
        self.from + (offset - self.window_start) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::log::{
        disk::Disk as _,
        format::{Kind, encode_frame, encode_header},
        memory::{MemoryDisk, MemoryFile},
    };

    const LIFE: Life = Life(7);

    fn file(frames: &[Vec<u8>]) -> (MemoryFile, Vec<u64>) {
        let mut bytes = encode_header(Kind::Log, LIFE).to_vec();
        let mut starts = Vec::new();
        for frame in frames {
            starts.push(bytes.len() as u64);
            encode_frame(LIFE, frame, &mut bytes);
        }
        let file = MemoryDisk::new(0).create(Path::new("/f")).unwrap();
        file.write_at(0, &bytes).unwrap();
        (file, starts)
    }

    fn walk(file: &MemoryFile) -> (Vec<u64>, Vec<(u64, u64, bool)>) {
        let mut frames = Frames::new(file, LIFE, file.len().unwrap());
        let (mut whole, mut bad) = (Vec::new(), Vec::new());
        while let Some(found) = frames.next().unwrap() {
            match found {
                Found::Frame { offset, .. } => whole.push(offset),
                Found::Bad { offset, bytes, at_end } => bad.push((offset, bytes, at_end)),
            }
        }
        (whole, bad)
    }

    #[test]
    fn a_damaged_length_that_leads_to_a_later_frame_hides_none() {
        // The length 248 becomes 504 = 248 + 8 + 248: exactly to the frame after the next.
        let (file, starts) = file(&vec![vec![9; 248]; 4]);
        file.write_at(starts[0] + 1, &[1]).unwrap();
        let (whole, bad) = walk(&file);
        assert_eq!(whole, starts[1..]);
        assert_eq!(bad, [(starts[0], 256, false)]);
    }

    #[test]
    fn a_frame_inside_a_message_is_no_frame() {
        let mut inner = Vec::new();
        encode_frame(Life(8), b"I am not from here", &mut inner);
        let (file, starts) = file(&[inner, vec![1]]);
        file.write_at(starts[0], &[0xff; 4]).unwrap();
        assert_eq!(walk(&file).0, [starts[1]]);
    }

    #[test]
    fn frames_across_the_ends_of_blocks() {
        // Blocks that are read here, and such that are read ahead.
        for count in [40, 400] {
            let frames: Vec<Vec<u8>> = (0..count).map(|n| vec![n as u8; 1 + n * 997 % 60_000]).collect();
            let (file, starts) = file(&frames);
            assert_eq!(walk(&file), (starts, vec![]));
        }
    }

    #[test]
    fn a_file_that_is_shorter_than_it_was_is_torn_there() {
        let (file, starts) = file(&vec![vec![9; 100]; 3]);
        let len = file.len().unwrap();
        file.truncate(starts[2] + 5).unwrap();
        let mut frames = Frames::new(&file, LIFE, len);
        for offset in &starts[..2] {
            assert!(matches!(frames.next(), Ok(Some(Found::Frame { offset: found, .. })) if found == *offset));
        }
        let torn = Found::Bad {
            offset: starts[2],
            bytes: 108,
            at_end: true,
        };
        assert_eq!(frames.next().unwrap(), Some(torn));
        assert_eq!(frames.next().unwrap(), None);
    }

    proptest! {
        #[test]
        fn only_what_is_hit_is_lost(
            lens in prop::collection::vec(1usize..60, 1..20), at: prop::sample::Index, flip in 1u8..,
        ) {
            let frames: Vec<Vec<u8>> = lens.iter().map(|len| vec![3; *len]).collect();
            let (file, starts) = file(&frames);
            let end = file.len().unwrap();
            let at = HEADER_BYTES as u64 + at.index((end as usize) - HEADER_BYTES) as u64;
            let mut byte = [0];
            file.read_at(at, &mut byte).unwrap();
            file.write_at(at, &[byte[0] ^ flip]).unwrap();
            let hit = starts.iter().rposition(|start| *start <= at).unwrap();
            let mut left = starts.clone();
            let lost = left.remove(hit);
            let (whole, bad) = walk(&file);
            prop_assert_eq!(whole, left);
            prop_assert_eq!(bad.len(), 1);
            prop_assert_eq!((bad[0].0, bad[0].2), (lost, hit + 1 == starts.len()));
        }

        #[test]
        fn the_tail_is_torn_at_the_last_whole_frame(lens in prop::collection::vec(1usize..60, 1..9), cut: prop::sample::Index) {
            let frames: Vec<Vec<u8>> = lens.iter().map(|len| vec![3; *len]).collect();
            let (file, starts) = file(&frames);
            let end = file.len().unwrap();
            let cut = HEADER_BYTES as u64 + cut.index((end as usize) - HEADER_BYTES) as u64;
            file.truncate(cut).unwrap();
            let kept = starts.iter().filter(|start| **start <= cut).count() - 1;
            let (whole, bad) = walk(&file);
            prop_assert_eq!(&whole[..], &starts[..kept]);
            let torn = cut - starts[kept];
            prop_assert_eq!(bad, if torn > 0 { vec![(starts[kept], torn, true)] } else { vec![] });
        }
    }
}
