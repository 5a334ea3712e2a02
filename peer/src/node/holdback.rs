//! Entries that came before what they depend on. Each waits under the first cause that is missing; when that one is taken, it is
//! looked at again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Millis,
    limits::{HOLD_BACK_BYTES_MAX, HOLD_BACK_MAX},
    sealing::Seal,
    types::{Author, DeviceId, Entry, Seen, Seq},
};

/// An entry that waits.
#[derive(Debug, Clone)]
pub struct Held {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Who sent it; none where it was salvaged from the own disk.
    pub from: Option<DeviceId>,
    /// It came on its author's link, as opposed to in a history.
    pub live: bool,
    /// Since when it waits.
    pub since: Millis,
    /// A good seal of it that came before it could be taken.
    pub seal: Option<Box<Seal>>,
}

/// The entries of a conversation that wait for a cause.
#[derive(Debug, Default)]
pub struct HoldBack {
    held: BTreeMap<(Author, Seq), Held>,
    /// cause → the entries that wait for it
    waiting: BTreeMap<(Author, Seq), Vec<(Author, Seq)>>,
    bytes: usize,
}

/// There is no room for a further entry: what is held must be dropped and pulled again in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl HoldBack {
    /// Lets an entry wait for `cause`. An entry that waits already stays as it is.
    ///
    /// # Errors
    /// [`Full`] at [`HOLD_BACK_MAX`] entries or [`HOLD_BACK_BYTES_MAX`] bytes.
    pub fn hold(&mut self, mut held: Held, cause: Seen) -> Result<(), Full> {
        let key = (held.entry.author, held.entry.seq);
        if self.held.contains_key(&key) {
            return Ok(());
        }
        let bytes = self.bytes + held.entry.bytes.len();
        if self.held.len() >= HOLD_BACK_MAX || bytes > HOLD_BACK_BYTES_MAX {
            return Err(Full);
        }
        self.bytes = bytes;
        // The bytes are a part of the frame in which they came, which would be kept whole.
        let entry = Arc::make_mut(&mut held.entry);
        entry.bytes = Bytes::copy_from_slice(&entry.bytes);
        self.held.insert(key, held);
        self.waiting.entry((cause.author, cause.seq)).or_default().push(key);
        Ok(())
    }

    /// The entries that waited for this one, which now must be looked at again.
    pub fn release(&mut self, author: Author, seq: Seq) -> Vec<Held> {
        let released = self.waiting.remove(&(author, seq)).unwrap_or_default();
        released.into_iter().filter_map(|key| self.take(key)).collect()
    }

    /// Takes out the entries that name anything of an author.
    pub fn release_all_that_name(&mut self, author: &Author) -> Vec<Held> {
        let names = |held: &Held| held.entry.seen.iter().any(|cause| cause.author == *author);
        self.take_all(names)
    }

    /// What waits.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    /// Drops every entry for which `drop` says so.
    pub fn drain(&mut self, drop: impl FnMut(&Held) -> bool) {
        self.take_all(drop);
    }

    fn take_all(&mut self, mut take: impl FnMut(&Held) -> bool) -> Vec<Held> {
        let taken = self.held.iter().filter(|(_, held)| take(held));
        let keys: Vec<_> = taken.map(|(key, _)| *key).collect();
        if keys.is_empty() {
            return Vec::new();
        }
        for waiting in self.waiting.values_mut() {
            waiting.retain(|key| keys.binary_search(key).is_err());
        }
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        keys.into_iter().filter_map(|key| self.take(key)).collect()
    }

    /// Whether what a seal is of waits here, and has no good one yet.
    pub fn lacks(&self, seal: &Seal) -> bool {
        let held = self.held.get(&(seal.author, seal.seq));
        held.is_some_and(|held| held.entry.id == seal.id && held.seal.is_none())
    }

    /// Keeps a good seal with its entry, if that waits here.
    pub fn seal(&mut self, seal: Seal) {
        if let Some(held) = self.held.get_mut(&(seal.author, seal.seq))
            && held.entry.id == seal.id
        {
            held.seal = Some(Box::new(seal));
        }
    }

    /// The entry that has waited longest, of those for which `counts` says so.
    pub fn oldest(&self, counts: impl Fn(&Held) -> bool) -> Option<&Held> {
        self.held
            .values()
            .filter(|held| counts(held))
            .min_by_key(|held| held.since)
    }

    /// The entries for which `is_root` says so, and those that wait for one of these.
    pub fn depends_on(&self, is_root: impl Fn(&Held) -> bool) -> BTreeSet<(Author, Seq)> {
        let roots = self.held.iter().filter(|(_, held)| is_root(held));
        let mut reached: Vec<_> = roots.map(|(key, _)| *key).collect();
        let mut found = BTreeSet::new();
        while let Some(key) = reached.pop() {
            if found.insert(key) {
                reached.extend(self.waiting.get(&key).into_iter().flatten());
            }
        }
        found
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn take(&mut self, key: (Author, Seq)) -> Option<Held> {
        let held = self.held.remove(&key)?;
        self.bytes -= held.entry.bytes.len();
        Some(held)
    }
}
