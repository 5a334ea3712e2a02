//! The ids of the own entries whose acks are under way, so that an ack needs no look into the log.

use std::collections::VecDeque;

use crate::node::types::{Author, Entry, EntryId, Seq};

/// Of so many own entries per conversation the id is known without reading the log: those whose acks are under way. In a burst these are
/// what is written while a sync waits and runs at the others.
const RECENT_IDS_MAX: usize = 65_536;

/// The ids of the last own entries of a conversation, without gaps.
#[derive(Debug, Default)]
pub(super) struct RecentIds {
    author: Option<Author>,
    /// The seq of the first one.
    first: u64,
    ids: VecDeque<EntryId>,
}

impl RecentIds {
    pub(super) fn push(&mut self, entry: &Entry) {
        if self.author != Some(entry.author) || self.first + self.ids.len() as u64 != entry.seq.0 {
            *self = Self {
                author: Some(entry.author),
                first: entry.seq.0,
                ids: VecDeque::new(),
            };
        }
        if self.ids.len() == RECENT_IDS_MAX {
            self.ids.pop_front();
            self.first += 1;
        }
        self.ids.push_back(entry.id);
    }

    /// The ids from one seq to another, if all of them are here.
    pub(super) fn range(&self, author: &Author, from: Seq, upto: Seq) -> Option<Vec<(Seq, EntryId)>> {
        let known = self.first..self.first + self.ids.len() as u64;
        let all = self.author == Some(*author) && known.contains(&from.0) && known.contains(&upto.0);
        let id = |seq: u64| Some((Seq(seq), *self.ids.get((seq - self.first) as usize)?));
        all.then(|| (from.0..=upto.0).filter_map(id).collect())
    }
}
