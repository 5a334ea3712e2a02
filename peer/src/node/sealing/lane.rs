//! The entries of one author that cannot be served yet.

use std::collections::VecDeque;

use super::Millis;
use crate::node::types::{Entry, EntryId, Seen, Seq};

/// One of them.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) seq: Seq,
    pub(super) id: EntryId,
    pub(super) seen: Vec<Seen>,
    since: Millis,
    /// The bytes of this one and of those before it.
    upto: u64,
}

/// All of them, without gaps.
#[derive(Debug, Default)]
pub(super) struct Lane {
    queue: VecDeque<Waiting>,
    /// The bytes of those that went.
    gone: u64,
    /// The bytes of these and of those.
    bytes: u64,
    /// The bytes that are kept of these in memory.
    kept: u64,
}

/// A number of entries, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// How many they are.
    pub entries: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

impl Span {
    /// These and those.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            entries: self.entries + more.entries,
            bytes: self.bytes + more.bytes,
        }
    }

    pub(super) fn is_below(self, entries: u64, bytes: u64) -> bool {
        self.entries < entries && self.bytes < bytes
    }
}

impl Waiting {
    /// The bytes that it takes in memory.
    fn kept(&self) -> u64 {
        (size_of::<Self>() + self.seen.len() * size_of::<Seen>()) as u64
    }
}

impl Lane {
    /// The bytes that are kept of all of them in memory.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    pub(super) fn push(&mut self, entry: &Entry, now: Millis) {
        self.bytes += entry.bytes.len() as u64;
        let waiting = Waiting {
            seq: entry.seq,
            id: entry.id,
            seen: entry.seen.clone(),
            since: now,
            upto: self.bytes,
        };
        self.kept += waiting.kept();
        self.queue.push_back(waiting);
    }

    pub(super) fn pop(&mut self) {
        if let Some(waiting) = self.queue.pop_front() {
            self.gone = waiting.upto;
            self.kept -= waiting.kept();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn front(&self) -> Option<&Waiting> {
        self.queue.front()
    }

    /// Those from the nth on.
    pub(super) fn from(&self, nth: usize) -> impl Iterator<Item = &Waiting> {
        self.queue.range(nth.min(self.queue.len())..)
    }

    pub(super) fn at(&self, seq: Seq) -> Option<&Waiting> {
        let place = seq.0.checked_sub(self.front()?.seq.0)?;
        self.queue.get(usize::try_from(place).ok()?)
    }

    /// The last one.
    pub(super) fn last(&self) -> Seq {
        self.queue.back().map(|waiting| waiting.seq).unwrap_or_default()
    }

    /// The one that waits longest has waited since then.
    pub(super) fn since(&self) -> Option<Millis> {
        self.front().map(|waiting| waiting.since)
    }

    /// What comes after an entry, up to another one.
    pub(super) fn between(&self, after: Seq, upto: Seq) -> Span {
        let bytes = |seq| self.at(seq).map_or(self.gone, |waiting| waiting.upto);
        Span {
            entries: upto.0.saturating_sub(after.0),
            bytes: bytes(upto).saturating_sub(bytes(after)),
        }
    }

    /// All of them.
    pub(super) fn span(&self) -> Span {
        Span {
            entries: self.queue.len() as u64,
            bytes: self.bytes - self.gone,
        }
    }
}
