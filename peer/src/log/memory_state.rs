//! What a disk in memory holds: what processes see, what is on the platter, and what lies in between.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use super::{disk::folder_of, memory::Fault};

#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) random: fastrand::Rng,
    /// How many operations there were that change something.
    pub(super) operations: u64,
    /// How many syncs there were.
    pub(super) syncs: u64,
    /// How many bytes were read of files.
    pub(super) bytes_read: u64,
    pub(super) fault: Option<(u64, Fault)>,
    pub(super) crashed: bool,
    /// How many bytes all files together may have.
    pub(super) capacity: Option<u64>,
    pub(super) files: BTreeMap<u64, Content>,
    /// What processes see.
    pub(super) names: BTreeMap<PathBuf, Node>,
    /// What is on the platter.
    pub(super) durable_names: BTreeMap<PathBuf, Node>,
    /// What happened to the names in a folder since it was synced.
    pub(super) unsynced_names: BTreeMap<PathBuf, Vec<Naming>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Folder,
    File(u64),
}

#[derive(Debug, Clone)]
pub(super) enum Naming {
    Put(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unsynced: Vec<Change>,
    /// The operation that changed it last, as processes see it and as it is on the platter.
    pub(super) changed: u64,
    pub(super) durable_changed: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// What an operation is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Fails,
}

impl State {
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|content| content.seen.len() as u64).sum()
    }

    /// Counts an operation that changes something. An error where nothing works any more.
    pub(super) fn count(&mut self) -> io::Result<Outcome> {
        self.alive()?;
        let number = self.operations;
        self.operations += 1;
        match self.fault {
            Some((at, fault)) if at == number => {
                self.crashed = fault == Fault::Crash;
                Ok(Outcome::Fails)
            }
            _ => Ok(Outcome::Done),
        }
    }

    pub(super) fn alive(&self) -> io::Result<()> {
        if self.crashed {
            return Err(io::Error::other("the simulated machine has crashed"));
        }
        Ok(())
    }

    pub(super) fn file(&mut self, number: u64) -> io::Result<&mut Content> {
        self.files
            .get_mut(&number)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Does something to names, of which a failing operation does all or nothing.
    pub(super) fn name(&mut self, naming: Naming) -> io::Result<()> {
        let outcome = self.count()?;
        if outcome == Outcome::Done || (self.crashed && self.random.bool()) {
            let folder = match &naming {
                Naming::Put(path, _) | Naming::Remove(path) | Naming::Rename(path, _) => folder_of(path).to_owned(),
            };
            naming.apply(&mut self.names);
            self.unsynced_names.entry(folder).or_default().push(naming);
        }
        outcome.into_result()
    }

    pub(super) fn lose_names(&mut self) {
        for (_, namings) in std::mem::take(&mut self.unsynced_names) {
            // A file system with a journal keeps the order of what it does in a folder.
            let kept = self.random.usize(..=namings.len());
            for naming in &namings[..kept] {
                naming.apply(&mut self.durable_names);
            }
        }
        let names = &self.durable_names;
        let is_lost = |path: &Path| {
            path.ancestors()
                .skip(1)
                .any(|folder| names.get(folder) != Some(&Node::Folder))
        };
        let lost: Vec<PathBuf> = names.keys().filter(|path| is_lost(path)).cloned().collect();
        for path in lost {
            self.durable_names.remove(&path);
        }
        self.names = self.durable_names.clone();
        let used: Vec<Node> = self.names.values().copied().collect();
        self.files.retain(|number, _| used.contains(&Node::File(*number)));
    }
}

impl Outcome {
    pub(super) fn into_result(self) -> io::Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Fails => Err(io::Error::other("simulated failure")),
        }
    }
}

impl Naming {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Put(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl Content {
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
        self.durable_changed = self.changed;
    }

    /// What a loss of power leaves: the first changes, one torn at any byte, and of the rest nothing, zeroes, garbage, or some
    /// of the later changes without the earlier ones.
    pub(super) fn lose(&mut self, random: &mut fastrand::Rng) {
        let changes = std::mem::take(&mut self.unsynced);
        let before = self.durable.clone();
        let whole = random.usize(..=changes.len());
        for change in &changes[..whole] {
            change.apply(&mut self.durable);
        }
        if let Some(Change::Write(offset, bytes)) = changes.get(whole) {
            let len = if random.bool() { 0 } else { random.usize(..=bytes.len()) };
            let torn = bytes[..len].to_vec();
            Change::Write(*offset, torn).apply(&mut self.durable);
            let rest = self.seen.len().saturating_sub(self.durable.len());
            let len = self.durable.len() + random.usize(..=rest);
            match random.u8(..5) {
                0 | 1 => {}
                2 => self.durable.resize(self.durable.len().max(len), 0),
                3 => self.durable.resize_with(self.durable.len().max(len), || random.u8(..)),
                _ => changes[whole + 1..]
                    .iter()
                    .filter(|change| matches!(change, Change::Write(..)))
                    .for_each(|change| {
                        if random.bool() {
                            change.apply(&mut self.durable);
                        }
                    }),
            }
        }
        self.seen.clone_from(&self.durable);
        if self.durable == before {
            self.changed = self.durable_changed;
        }
        self.durable_changed = self.changed;
    }
}

impl Change {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, written) => {
                if bytes.len() < offset + written.len() {
                    bytes.resize(offset + written.len(), 0);
                }
                bytes[*offset..offset + written.len()].copy_from_slice(written);
            }
            Self::Truncate(len) => bytes.truncate(*len),
        }
    }
}
