//! What a pull has brought of authors of whom the same seqs are held, until a seal says whether it is the same.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    limits::{CONTRADICTION_BYTES_MAX, CONTRADICTION_ENTRIES_MAX},
    sealing::Seal,
    types::{Author, Entry},
};

/// What has come of one author.
#[derive(Debug, Clone, Default)]
struct Run {
    entries: Vec<Arc<Entry>>,
    bytes: usize,
    /// What comes of him does not follow from what is held.
    left: bool,
}

/// What has come, by authors.
#[derive(Debug, Clone, Default)]
pub struct Found(BTreeMap<Author, Run>);

impl Found {
    /// An entry came of which the author and seq are held, or which does not follow. More than a contradiction may have is of no use.
    pub fn add(&mut self, entry: Arc<Entry>) {
        let run = self.0.entry(entry.author).or_default();
        run.bytes += entry.bytes.len();
        run.entries.push(entry);
        if run.entries.len() > CONTRADICTION_ENTRIES_MAX || run.bytes > CONTRADICTION_BYTES_MAX {
            (run.entries, run.bytes) = (Vec::new(), 0);
        }
    }

    /// Nothing more of an author is offered in this pull.
    pub fn leave(&mut self, author: Author) {
        self.0.entry(author).or_default().left = true;
    }

    /// Whether nothing more of him is.
    pub fn is_left(&self, author: &Author) -> bool {
        self.0.get(author).is_some_and(|run| run.left)
    }

    /// An entry of an author was taken: so what came before it is what is held.
    pub fn follows(&mut self, author: &Author) {
        if !self.is_left(author) {
            self.0.remove(author);
        }
    }

    /// A good seal came: hands out what it covers.
    pub fn sealed(&mut self, seal: &Seal) -> Option<Vec<Arc<Entry>>> {
        let run = self.0.get_mut(&seal.author)?;
        let covered = run.entries.partition_point(|entry| entry.seq <= seal.seq);
        let covered: Vec<_> = run.entries.drain(..covered).collect();
        run.bytes = run.entries.iter().map(|entry| entry.bytes.len()).sum();
        covered.last().is_some_and(|last| last.id == seal.id).then_some(covered)
    }
}
