//! A disk in memory that can crash at every operation, for tests and for the simulation.
//!
//! It knows two states of everything: what processes see, and what has reached the platter. In between lie the operations
//! that were not synced. [`MemoryDisk::kill`] is the end of the process: everything written is there. [`MemoryDisk::power_loss`]
//! is the end of the machine: of what was not synced, a part has happened. Names of files are a thing of their own: a synced
//! file whose folder was not synced can be gone.
//!
//! Every operation that changes something has a number. [`MemoryDisk::fail_at`] lets one of them fail, with part of its effect;
//! the same seed fails the same way.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    disk::{Disk, DiskFile, IoError, Stamp, folder_of},
    memory_state::{Change, Content, Naming, Node, Outcome, State},
};

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It alone fails. A write may be done in part; of a failed sync nothing reaches the platter, and no later sync makes up
    /// for it unless the bytes are written again (what Linux does).
    Error,
    /// It may be done in part, and nothing works after it: the process or the machine is gone.
    Crash,
}

/// The disk. A clone is the same disk.
#[derive(Debug, Clone)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// An open file of a [`MemoryDisk`].
#[derive(Debug, Clone)]
pub struct MemoryFile {
    disk: MemoryDisk,
    number: u64,
    path: Arc<PathBuf>,
}

impl MemoryDisk {
    /// An empty disk. The same seed gives the same failures and the same images after a crash.
    pub fn new(seed: u64) -> Self {
        let root = BTreeMap::from([(PathBuf::from("/"), Node::Folder)]);
        Self::of(State {
            random: fastrand::Rng::with_seed(seed),
            operations: 0,
            syncs: 0,
            bytes_read: 0,
            fault: None,
            crashed: false,
            capacity: None,
            files: BTreeMap::new(),
            names: root.clone(),
            durable_names: root,
            unsynced_names: BTreeMap::new(),
        })
    }

    /// How many operations there were that change something.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many syncs of files and folders there were.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// How many bytes were read of files.
    pub fn bytes_read(&self) -> u64 {
        self.state().bytes_read
    }

    /// Lets the operation with this number fail; the first one has number 0.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().fault = Some((operation, fault));
    }

    /// Lets all files together have at most this many bytes; none for no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// How many bytes all files together have.
    pub fn bytes(&self) -> u64 {
        self.state().bytes()
    }

    /// Whether a fault of kind [`Fault::Crash`] has happened.
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// The disk as the next process finds it after this one was killed: everything written is there, synced or not.
    pub fn kill(&self) -> Self {
        let mut state = self.state().clone();
        state.fault = None;
        state.crashed = false;
        Self::of(state)
    }

    /// The disk as the next process finds it after a loss of power: of what was not synced, a part is there.
    pub fn power_loss(&self) -> Self {
        let mut state = self.state().clone();
        state.fault = None;
        state.crashed = false;
        state.lose_names();
        let State { files, random, .. } = &mut state;
        for content in files.values_mut() {
            content.lose(random);
        }
        Self::of(state)
    }

    /// Changes the bytes of a file from outside, as a failing disk or a user does; durable at once.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let operations = state.operations;
        if let Some(Node::File(number)) = state.names.get(path).copied()
            && let Some(content) = state.files.get_mut(&number)
        {
            change(&mut content.seen);
            content.durable.clone_from(&content.seen);
            content.unsynced.clear();
            // Outside of the count of operations, which starts at 0.
            content.changed = u64::MAX - operations;
            content.durable_changed = content.changed;
        }
    }

    /// Goes on in the randomness, so that the next image after a crash is another one.
    pub fn random_steps(&self, steps: u32) {
        let mut state = self.state();
        for _ in 0..steps {
            state.random.u64(..);
        }
    }

    /// The bytes of a file as processes see them.
    pub fn bytes_of(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        match state.names.get(path) {
            Some(Node::File(number)) => state.files.get(number).map(|content| content.seen.clone()),
            _ => None,
        }
    }

    fn of(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryFile {
    fn with<T>(&self, action: &'static str, work: impl FnOnce(&mut State, u64) -> io::Result<T>) -> Result<T, IoError> {
        work(&mut self.disk.state(), self.number).map_err(|source| IoError::new(&self.path, action, source))
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, IoError> {
        self.with("read", |state, number| {
            state.alive()?;
            let seen = &state.file(number)?.seen;
            let rest = seen.get(size(offset)..).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            buffer[..len].copy_from_slice(&rest[..len]);
            state.bytes_read += len as u64;
            Ok(len)
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.with("write to", |state, number| {
            let outcome = state.count()?;
            let grows = (offset + bytes.len() as u64).saturating_sub(state.file(number)?.seen.len() as u64);
            let room = state
                .capacity
                .map_or(u64::MAX, |capacity| capacity.saturating_sub(state.bytes()));
            let operations = state.operations;
            let (done, result) = if outcome == Outcome::Fails {
                let part = state.random.usize(..=bytes.len());
                (part, Err(io::Error::other("simulated failure")))
            } else if grows > room {
                let part = bytes.len().saturating_sub(size(grows - room));
                (part, Err(io::Error::from(io::ErrorKind::StorageFull)))
            } else {
                (bytes.len(), Ok(()))
            };
            let content = state.file(number)?;
            if done > 0 {
                content.change(Change::Write(size(offset), bytes[..done].to_vec()));
                content.changed = operations;
            }
            result
        })
    }

    fn truncate(&self, len: u64) -> Result<(), IoError> {
        self.with("shorten", |state, number| {
            let outcome = state.count()?;
            let operations = state.operations;
            let happens = outcome == Outcome::Done || (state.crashed && state.random.bool());
            let content = state.file(number)?;
            if happens {
                content.change(Change::Truncate(size(len)));
                content.changed = operations;
            }
            outcome.into_result()
        })
    }

    fn len(&self) -> Result<u64, IoError> {
        self.with("examine", |state, number| {
            state.alive()?;
            Ok(state.file(number)?.seen.len() as u64)
        })
    }

    fn sync(&self) -> Result<(), IoError> {
        self.with("sync", |state, number| {
            state.syncs += 1;
            let outcome = state.count()?;
            let (crashed, happens) = (state.crashed, state.random.bool());
            let has_place = state.names.get(&*self.path) == Some(&Node::File(number));
            let content = state.file(number)?;
            match outcome {
                Outcome::Done => content.sync(),
                Outcome::Fails if crashed && happens => content.sync(),
                Outcome::Fails if crashed => {}
                Outcome::Fails => content.unsynced.clear(),
            }
            outcome.into_result()?;
            if has_place { Ok(()) } else { Err(gone()) }
        })
    }

    fn check_place(&self) -> Result<(), IoError> {
        self.with("use", |state, number| {
            let has_place = state.names.get(&*self.path) == Some(&Node::File(number));
            if has_place { Ok(()) } else { Err(gone()) }
        })
    }

    fn stamp(&self) -> Result<Stamp, IoError> {
        self.with("examine", |state, number| {
            state.alive()?;
            Ok(Stamp {
                inode: number,
                changed: i128::from(state.file(number)?.changed),
            })
        })
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    fn open(&self, path: &Path) -> Result<Option<MemoryFile>, IoError> {
        let state = self.state();
        state.alive().map_err(|source| IoError::new(path, "open", source))?;
        Ok(match state.names.get(path) {
            Some(Node::File(number)) => Some(MemoryFile {
                disk: self.clone(),
                number: *number,
                path: Arc::new(path.to_owned()),
            }),
            _ => None,
        })
    }

    fn create(&self, path: &Path) -> Result<MemoryFile, IoError> {
        if let Some(file) = self.open(path)? {
            file.truncate(0)?;
            return Ok(file);
        }
        let mut state = self.state();
        let error = |source| IoError::new(path, "create", source);
        if state.names.get(folder_of(path)) != Some(&Node::Folder) {
            return Err(error(io::Error::from(io::ErrorKind::NotFound)));
        }
        // Numbers of inodes are not used again here, as they are not as long as files live.
        let number = state.operations;
        state.files.insert(
            number,
            Content {
                changed: number,
                ..Content::default()
            },
        );
        state
            .name(Naming::Put(path.to_owned(), Node::File(number)))
            .map_err(error)?;
        Ok(MemoryFile {
            disk: self.clone(),
            number,
            path: Arc::new(path.to_owned()),
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        let mut state = self.state();
        let error = |source| IoError::new(from, "rename", source);
        if !state.names.contains_key(from) {
            return Err(error(io::Error::from(io::ErrorKind::NotFound)));
        }
        state
            .name(Naming::Rename(from.to_owned(), to.to_owned()))
            .map_err(error)
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        let mut state = self.state();
        if !state.names.contains_key(path) && !state.crashed {
            return Ok(());
        }
        state
            .name(Naming::Remove(path.to_owned()))
            .map_err(|source| IoError::new(path, "remove", source))
    }

    fn list(&self, folder: &Path) -> Result<Vec<String>, IoError> {
        let state = self.state();
        state.alive().map_err(|source| IoError::new(folder, "list", source))?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect())
    }

    fn make_folder(&self, folder: &Path) -> Result<bool, IoError> {
        let mut state = self.state();
        let error = |source| IoError::new(folder, "create", source);
        state.alive().map_err(error)?;
        if state.names.get(folder) == Some(&Node::Folder) {
            return Ok(false);
        }
        if state.names.get(folder_of(folder)) != Some(&Node::Folder) {
            return Err(error(io::Error::from(io::ErrorKind::NotFound)));
        }
        state
            .name(Naming::Put(folder.to_owned(), Node::Folder))
            .map_err(error)?;
        Ok(true)
    }

    fn sync_folder(&self, folder: &Path) -> Result<(), IoError> {
        let mut state = self.state();
        state.syncs += 1;
        let error = |source| IoError::new(folder, "sync", source);
        let outcome = state.count().map_err(error)?;
        if outcome == Outcome::Done || (state.crashed && state.random.bool()) {
            for naming in state.unsynced_names.remove(folder).unwrap_or_default() {
                naming.apply(&mut state.durable_names);
            }
        }
        outcome.into_result().map_err(error)
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.state().names.get(path) == Some(&Node::Folder)
    }

    fn random(&self) -> u64 {
        self.state().random.u64(..)
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "it is no longer where it was")
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
