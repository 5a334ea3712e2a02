//! The bytes of a file from some place to its end, in blocks of fixed size. Of a long file the next block is read on a thread of its own
//! while the one before it is looked at: each takes about half of the time of opening a long log.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::{
    disk::{DiskFile, IoError},
    format::FRAME_BYTES_MAX,
};

/// Room in front of a block, for what is left of the one before: a part of a frame, at most.
pub(super) const ROOM_BYTES: usize = FRAME_BYTES_MAX;
/// How much of the file is in a block.
const BLOCK_BYTES: usize = 1 << 20;
/// Files with fewer bytes are read by who looks at them: he would wait for the thread longer than for the disk.
const AHEAD_BYTES: u64 = 8 << 20;
/// How many blocks there are besides the one that is looked at: one is being read, and one may have been.
const BLOCKS_AHEAD: usize = 2;

/// Blocks of a file, from the first to the last one.
pub(super) enum Blocks<F> {
    Here(Next<F>),
    Ahead {
        /// What was read. Its other end is gone after the last block.
        full: Receiver<Result<Vec<u8>, IoError>>,
        /// What is to be read into.
        empty: SyncSender<Vec<u8>>,
    },
}

impl<F: DiskFile> Blocks<F> {
    /// Those of the bytes of `file` from one place to another.
    pub(super) fn new(file: &F, from: u64, end: u64) -> Self {
        let file = file.clone();
        let next = Next { file, at: from, end };
        if end.saturating_sub(from) < AHEAD_BYTES {
            return Self::Here(next);
        }
        let here = next.clone();
        let ((filled, full), (empty, emptied)) = (sync_channel(BLOCKS_AHEAD), sync_channel(BLOCKS_AHEAD));
        let started = thread::Builder::new()
            .name("read ahead".into())
            .spawn(move || next.read_all(&emptied, &filled));
        if started.is_err() {
            return Self::Here(here);
        }
        // The other one comes when the first block is asked for.
        for _ in 1..BLOCKS_AHEAD {
            let _ended = empty.send(Vec::new());
        }
        Self::Ahead { full, empty }
    }

    /// The next block, behind [`ROOM_BYTES`] bytes of room; nothing but the room at the end of the file. `used` is one that is not needed
    /// any more, or an empty one.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn next(&mut self, used: Vec<u8>) -> Result<Vec<u8>, IoError> {
        match self {
            Self::Here(next) => next.read(used),
            Self::Ahead { full, empty } => {
                // Where this fails the thread has ended, and then it has read all.
                let _ended = empty.send(used);
                full.recv().unwrap_or_else(|_| Ok(vec![0; ROOM_BYTES]))
            }
        }
    }
}

/// What is read next.
#[derive(Clone)]
pub(super) struct Next<F> {
    file: F,
    at: u64,
    end: u64,
}

impl<F: DiskFile> Next<F> {
    fn read(&mut self, mut into: Vec<u8>) -> Result<Vec<u8>, IoError> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        into.resize(ROOM_BYTES + BLOCK_BYTES.min(left), 0);
        let read = self.file.read_at(self.at, &mut into[ROOM_BYTES..])?;
        into.truncate(ROOM_BYTES + read);
        self.at += read as u64;
        Ok(into)
    }

    /// Reads until there is no more, or nobody wants more.
    fn read_all(mut self, empty: &Receiver<Vec<u8>>, full: &SyncSender<Result<Vec<u8>, IoError>>) {
        for into in empty {
            let block = self.read(into);
            let is_last = block.as_ref().is_ok_and(|block| block.len() == ROOM_BYTES);
            if full.send(block).is_err() || is_last {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::log::{
        disk::Disk as _,
        memory::{MemoryDisk, MemoryFile},
    };

    fn file(len: usize) -> (MemoryDisk, MemoryFile, Vec<u8>) {
        let disk = MemoryDisk::new(0);
        let file = disk.create(Path::new("/f")).unwrap();
        let bytes: Vec<u8> = (0..len).map(|n| (n / 1_000) as u8).collect();
        file.write_at(0, &bytes).unwrap();
        (disk, file, bytes)
    }

    fn all(blocks: &mut Blocks<MemoryFile>) -> Result<Vec<u8>, IoError> {
        let (mut all, mut block) = (Vec::new(), Vec::new());
        loop {
            block = blocks.next(block)?;
            if block.len() == ROOM_BYTES {
                return Ok(all);
            }
            all.extend_from_slice(&block[ROOM_BYTES..]);
        }
    }

    #[test]
    fn short_and_long_files_come_whole_and_in_order() {
        let long = AHEAD_BYTES as usize + BLOCK_BYTES / 2;
        for (len, is_long) in [(10, false), (2 * BLOCK_BYTES, false), (long, true)] {
            let (_, file, bytes) = file(len);
            let mut blocks = Blocks::new(&file, 3, len as u64 - 2);
            assert_eq!(matches!(blocks, Blocks::Ahead { .. }), is_long);
            assert!(all(&mut blocks).unwrap() == bytes[3..len - 2], "{len}");
            assert!(all(&mut blocks).unwrap().is_empty(), "it stays at its end");
        }
    }

    #[test]
    fn a_file_that_ends_sooner_than_it_should_ends() {
        let len = AHEAD_BYTES as usize;
        let (_, file, bytes) = file(len);
        let mut blocks = Blocks::new(&file, 0, 2 * len as u64);
        assert!(all(&mut blocks).unwrap() == bytes);
    }
}
