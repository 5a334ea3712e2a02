//! What changes a log: appending, syncing, closing.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Log, LogError, Position, Rule,
    birth::Birth,
    disk::{Disk, DiskFile, IoError},
    format::{FRAME_HEAD_BYTES, HEADER_BYTES, RECORD_BYTES, encode_frame, encode_record},
    index::{AuthorNo, Index, LOG_ENTRIES_MAX},
    resume::{self, Resume},
};
use crate::node::{
    limits::ENTRY_BYTES_MAX,
    types::{Author, Draft, Entry, Lamport, Seen, Seq},
};

/// How many bytes of memory a log keeps for what is appended next: a burst of short messages fits in, and is given none anew each time.
const FRAMES_KEPT_BYTES: usize = 64 * 1024;

/// A sync that any thread can run while the log goes on. Must be run, and its outcome handed to [`Log::finish_sync`]; until then
/// no other sync begins.
#[derive(Debug)]
#[must_use]
pub struct SyncTask<D: Disk> {
    file: D::File,
    path: PathBuf,
    birth: Option<Birth<D>>,
    /// How long the file is at least.
    length: u64,
    /// How many entries the log has.
    entries: u32,
    /// How many of them are not durable yet.
    new_entries: u32,
}

/// Takes the permit to resume from the disk, durably, as [`Log::begin_authoring`] does.
#[derive(Debug)]
#[must_use]
pub struct ReleaseTask<D: Disk> {
    disk: D,
    folder: PathBuf,
}

impl<D: Disk> ReleaseTask<D> {
    /// Does it. Blocks for milliseconds, and on a slow disk for seconds.
    ///
    /// # Errors
    /// What the disk says.
    pub fn run(&self) -> Result<(), IoError> {
        resume::remove(&self.disk, &self.folder)
    }
}

/// What came of a sync.
#[derive(Debug)]
#[must_use]
pub struct SyncOutcome {
    entries: u32,
    result: Result<(), IoError>,
}

impl<D: Disk> SyncTask<D> {
    /// How many entries become durable by it.
    pub fn new_entries(&self) -> u32 {
        self.new_entries
    }

    /// Syncs. Blocks for milliseconds, and on a slow disk for seconds.
    pub fn run(self) -> SyncOutcome {
        let birth = || self.birth.as_ref().map_or(Ok(()), Birth::sync);
        SyncOutcome {
            entries: self.entries,
            result: self
                .file
                .sync()
                .and_then(|()| check_length(&self.file, &self.path, |found| found >= self.length))
                .and_then(|()| birth()),
        }
    }
}

impl<D: Disk> Log<D> {
    /// Appends entries, in their order, in one write. When this returns they are stored. On a rule that one of them breaks,
    /// none is appended and the log stays usable.
    ///
    /// # Errors
    /// [`LogError::Refused`] or [`LogError::Full`]: nothing happened. Anything else: the log has failed.
    pub fn append(&mut self, entries: &[Arc<Entry>]) -> Result<(), LogError> {
        self.usable()?;
        if entries.is_empty() {
            return Ok(());
        }
        if entries.len() > (LOG_ENTRIES_MAX - self.index.len()) as usize {
            return Err(LogError::Full { limit: LOG_ENTRIES_MAX });
        }
        let mut coming = Coming::new(&self.index);
        for entry in entries {
            coming
                .add(&entry.draft, entry.bytes.len())
                .map_err(|rule| LogError::Refused {
                    author: entry.author,
                    seq: entry.seq,
                    rule,
                })?;
        }
        self.begin_authoring()?;
        if self.durable == self.index.len() && self.syncing.is_none() {
            // What is written after this is looked after by the sync to come.
            self.file
                .check_place()
                .and_then(|()| check_length(&self.file, &self.path(), |found| found == self.length))
                .map_err(fail(&mut self.failed))?;
        }
        self.frames.clear();
        for entry in entries {
            encode_frame(self.life, &entry.bytes, &mut self.frames);
        }
        let written = self.file.write_at(self.length, &self.frames);
        self.frames.shrink_to(FRAMES_KEPT_BYTES);
        written.map_err(fail(&mut self.failed))?;
        for entry in entries {
            self.index.push(&entry.author, self.length, entry.lamport);
            self.length += (FRAME_HEAD_BYTES + entry.bytes.len()) as u64;
        }
        Ok(())
    }

    /// Takes the permit to resume from the disk, durably, so that a crash after it cannot lead to the same seq twice. To be
    /// called before the first own entry is made; [`Log::append`] calls it too, so it cannot be forgotten.
    ///
    /// # Errors
    /// The disk refuses: the log has failed.
    pub fn begin_authoring(&mut self) -> Result<(), LogError> {
        self.usable()?;
        if self.permit {
            resume::remove(&self.disk, &self.folder).map_err(fail(&mut self.failed))?;
            self.permit = false;
        }
        Ok(())
    }

    /// The permit to resume, to be taken from the disk on any thread; none where there is none. Until the outcome was handed to
    /// [`Log::finish_release`], [`Log::append`] takes it from the disk itself.
    pub fn begin_release(&self) -> Option<ReleaseTask<D>> {
        let may = self.permit && self.failed.is_none();
        may.then(|| ReleaseTask {
            disk: self.disk.clone(),
            folder: self.folder.clone(),
        })
    }

    /// Takes note that the permit is gone.
    ///
    /// # Errors
    /// The disk refuses: the log has failed.
    pub fn finish_release(&mut self, outcome: Result<(), IoError>) -> Result<(), LogError> {
        outcome.map_err(fail(&mut self.failed))?;
        self.permit = false;
        Ok(())
    }

    /// Begins to make durable what is stored; none where everything is durable, a sync is under way or the log has failed.
    pub fn begin_sync(&mut self) -> Option<SyncTask<D>> {
        if self.failed.is_some() || self.syncing.is_some() || self.durable == self.index.len() {
            return None;
        }
        self.syncing = Some(self.index.len());
        Some(SyncTask {
            file: self.file.clone(),
            path: self.path(),
            birth: self.birth.clone(),
            length: self.length,
            entries: self.index.len(),
            new_entries: self.index.len() - self.durable,
        })
    }

    /// Takes note of what came of a sync. Returns the authors of whom more is durable now than before, with how much, sorted.
    ///
    /// # Errors
    /// The disk refuses: the log has failed. What is durable is not known; nothing more may be acknowledged.
    pub fn finish_sync(&mut self, outcome: SyncOutcome) -> Result<Vec<(Author, Seq)>, LogError> {
        if self.syncing == Some(outcome.entries) {
            self.syncing = None;
        }
        self.usable()?;
        outcome.result.map_err(fail(&mut self.failed))?;
        if outcome.entries <= self.durable {
            // Overtaken by `Log::sync`.
            return Ok(Vec::new());
        }
        let new = self.durable..outcome.entries;
        let mut records = Vec::with_capacity(new.len() * RECORD_BYTES);
        let mut last = BTreeMap::new();
        for position in new.clone().map(Position) {
            let record = self.index.record(position);
            encode_record(self.life, position, record, &mut records);
            last.insert(record.author, position);
        }
        let at = (HEADER_BYTES + self.durable as usize * RECORD_BYTES) as u64;
        self.index_file
            .write_loose_at(at, &records)
            .map_err(fail(&mut self.failed))?;
        self.durable = outcome.entries;
        if let Some(birth) = self.birth.take() {
            birth.end().map_err(fail(&mut self.failed))?;
        }
        let mut grown: Vec<(Author, Seq)> = last
            .into_iter()
            .map(|(number, position)| (*self.index.author(AuthorNo(number)), self.index.seq(position)))
            .collect();
        grown.sort_unstable();
        Ok(grown)
    }

    /// Makes everything durable here and now. Blocks for milliseconds.
    ///
    /// # Errors
    /// As [`Log::finish_sync`].
    pub fn sync(&mut self) -> Result<Vec<(Author, Seq)>, LogError> {
        self.usable()?;
        // A sync that is under way covers less than this one, and its outcome changes nothing when it comes.
        self.syncing = None;
        match self.begin_sync() {
            Some(task) => self.finish_sync(task.run()),
            None => Ok(Vec::new()),
        }
    }

    /// Ends in order: makes everything durable and writes the permit to go on with the same incarnation, if the caller has one.
    ///
    /// # Errors
    /// The disk refuses or the state is too long. There is no permit then, and what was durable before still is.
    pub fn close(mut self, permit: Option<&Resume>) -> Result<(), LogError> {
        self.sync()?;
        if let Some(permit) = permit {
            resume::write(&self.disk, &self.folder, permit, self.length, &self.file)?;
        }
        Ok(())
    }

    /// An error if an earlier operation failed.
    fn usable(&self) -> Result<(), LogError> {
        match &self.failed {
            Some(reason) => Err(LogError::Failed {
                path: self.path(),
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// Sees to it that nobody else writes to a log: a file that was copied over it while it is open has its name and is another one.
fn check_length<F: DiskFile>(file: &F, path: &Path, is_right: impl Fn(u64) -> bool) -> Result<(), IoError> {
    match is_right(file.len()?) {
        true => Ok(()),
        false => {
            let text = "something else than this peer has changed it; start again, and what is whole in it is kept";
            Err(IoError::new(path, "use", io::Error::other(text)))
        }
    }
}

/// Notes a failure of the disk for good.
fn fail(failed: &mut Option<String>) -> impl FnOnce(IoError) -> LogError {
    |error| {
        *failed = Some(error.to_string());
        LogError::Io(error)
    }
}

/// What the log will hold once some entries are appended, for judging the next one.
pub(super) struct Coming<'a> {
    index: &'a Index,
    heads: BTreeMap<Author, (Seq, Lamport)>,
}

impl<'a> Coming<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self {
            index,
            heads: BTreeMap::new(),
        }
    }

    fn head(&self, author: &Author) -> (Seq, Lamport) {
        let known = || (self.index.height(author), self.index.last_lamport(author));
        self.heads.get(author).copied().unwrap_or_else(known)
    }

    /// Adds the next entry, whose encoding has `bytes` bytes, or says which rule it breaks.
    pub(super) fn add(&mut self, draft: &Draft, bytes: usize) -> Result<(), Rule> {
        if !(1..=ENTRY_BYTES_MAX).contains(&bytes) {
            return Err(Rule::Length { found: bytes });
        }
        let (height, previous) = self.head(&draft.author);
        if draft.seq != height.next() {
            return Err(Rule::Contiguous {
                expected: height.next(),
            });
        }
        if draft.lamport <= previous {
            return Err(Rule::LamportGrows {
                previous,
                found: draft.lamport,
            });
        }
        let waits = |seen: &&Seen| self.head(&seen.author).0 < seen.seq && !self.index.forked.contains(&seen.author);
        if let Some(seen) = draft.seen.iter().find(waits) {
            return Err(Rule::CauseFirst(*seen));
        }
        self.heads.insert(draft.author, (draft.seq, draft.lamport));
        Ok(())
    }
}
