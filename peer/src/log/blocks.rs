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
pub(super) struct Blocks<F> {
    next: Next<F>,
    /// The thread that reads the blocks of a long file.
    ahead: Option<Ahead>,
}

struct Ahead {
    /// What was read. Its other end is gone after the last block.
    full: Receiver<Result<Vec<u8>, IoError>>,
    /// What is to be read into.
    empty: SyncSender<Vec<u8>>,
}

impl<F: DiskFile> Blocks<F> {
    /// Those of the bytes of `file` from one place to another.
    pub(super) fn new(file: &F, from: u64, end: u64) -> Self {
        let file = file.clone();
        let next = Next { file, at: from, end };
        let is_long = end.saturating_sub(from) >= AHEAD_BYTES;
        let ahead = is_long.then(|| Ahead::start(next.clone())).flatten();
        Self { next, ahead }
    }

    /// The next block, behind [`ROOM_BYTES`] bytes of room; nothing but the room at the end of the file. `used` is one that is not needed
    /// any more, or an empty one.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn next(&mut self, used: Vec<u8>) -> Result<Vec<u8>, IoError> {
        let Some(Ahead { full, empty }) = &self.ahead else {
            return self.next.read(used);
        };
        let _ended = empty.send(used);
        match full.recv() {
            Ok(read) => {
                let block = read?;
                self.next.at += (block.len() - ROOM_BYTES) as u64;
                Ok(block)
            }
            // After the end of the file, or the thread is gone before that: what it did not read must not be taken for missing.
            Err(_) => self.next.read(Vec::new()),
        }
    }
}

impl Ahead {
    /// None where the system has no thread.
    fn start<F: DiskFile>(next: Next<F>) -> Option<Self> {
        let ((filled, full), (empty, emptied)) = (sync_channel(BLOCKS_AHEAD), sync_channel(BLOCKS_AHEAD));
        let thread = thread::Builder::new().name("read ahead".into());
        thread.spawn(move || next.read_all(&emptied, &filled)).ok()?;
        // The other one comes when the first block is asked for.
        for _ in 1..BLOCKS_AHEAD {
            let _ended = empty.send(Vec::new());
        }
        Some(Self { full, empty })
    }
}

/// What is read next.
#[derive(Clone)]
struct Next<F> {
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
    use std::{
        io,
        path::Path,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
    };

    use super::*;
    use crate::log::{
        disk::{Disk as _, Stamp},
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
            assert_eq!(blocks.ahead.is_some(), is_long);
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

    /// A disk on which one read goes wrong.
    #[derive(Debug, Clone)]
    struct Flaky {
        file: MemoryFile,
        reads: Arc<AtomicU32>,
        wrong: u32,
        panics: bool,
    }

    impl DiskFile for Flaky {
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, IoError> {
            let is_wrong = self.reads.fetch_add(1, Ordering::Relaxed) == self.wrong;
            assert!(!(is_wrong && self.panics), "this read ends its thread");
            match is_wrong {
                true => Err(IoError::new(Path::new("/f"), "read", io::ErrorKind::Other.into())),
                false => self.file.read_at(offset, buffer),
            }
        }

        fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
            self.file.write_at(offset, bytes)
        }

        fn truncate(&self, len: u64) -> Result<(), IoError> {
            self.file.truncate(len)
        }

        fn len(&self) -> Result<u64, IoError> {
            self.file.len()
        }

        fn sync(&self) -> Result<(), IoError> {
            self.file.sync()
        }

        fn check_place(&self) -> Result<(), IoError> {
            self.file.check_place()
        }

        fn stamp(&self) -> Result<Stamp, IoError> {
            self.file.stamp()
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_end_of_the_file() {
        let len = AHEAD_BYTES as usize + BLOCK_BYTES;
        let (_, file, bytes) = file(len);
        for panics in [false, true] {
            let flaky = Flaky {
                file: file.clone(),
                reads: Arc::default(),
                wrong: 4,
                panics,
            };
            let mut blocks = Blocks::new(&flaky, 0, len as u64);
            let (mut found, mut errors) = (Vec::new(), 0);
            while found.len() < len {
                match blocks.next(Vec::new()) {
                    Ok(block) => found.extend_from_slice(&block[ROOM_BYTES..]),
                    Err(_) => errors += 1,
                }
            }
            assert!(found == bytes, "{panics}");
            assert_eq!(errors, u32::from(!panics), "what the thread did not read is read here");
        }
    }
}
