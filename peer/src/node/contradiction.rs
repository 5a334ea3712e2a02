//! What proves to anybody that an author contradicts himself.

use std::sync::Arc;

use super::{
    limits::{CONTRADICTION_BYTES_MAX, CONTRADICTION_ENTRIES_MAX},
    sealing::Seal,
    types::{Author, Conversation, Entry, Seq},
};

/// Two seals of one author that no chain joins. He alone can make it, so whoever has it need not be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// A seal.
    pub seal: Seal,
    /// Another one, of the same or a later seq.
    pub other: Seal,
    /// The entries that lead to `other` from the seq after that of `seal` on.
    pub entries: Vec<Arc<Entry>>,
}

impl Contradiction {
    /// Whose it is.
    pub fn author(&self) -> Author {
        self.seal.author
    }

    /// How many entries it needs.
    pub fn needs(&self) -> u64 {
        self.other.seq.0.saturating_sub(self.seal.seq.0)
    }

    /// How many bytes its entries have.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes.len()).sum()
    }

    /// Whether it has more than it may.
    pub fn is_too_long(&self) -> bool {
        self.needs() > CONTRADICTION_ENTRIES_MAX as u64 || self.bytes() > CONTRADICTION_BYTES_MAX
    }

    /// Whether its author contradicts himself, if both seals are good.
    pub fn holds(&self, conversation: &Conversation) -> bool {
        let (seal, other) = (&self.seal, &self.other);
        let is_whole = self.entries.len() as u64 == self.needs() && !self.is_too_long();
        if seal.author != other.author || !(Seq::FIRST..=other.seq).contains(&seal.seq) || !is_whole {
            return false;
        }
        let (mut seq, mut before) = (seal.seq, None);
        for entry in &self.entries {
            seq = seq.next();
            let is_next = entry.author == seal.author && entry.seq == seq && entry.conversation == *conversation;
            if !is_next || before.is_some_and(|before| before != entry.previous) {
                return false;
            }
            before = Some(entry.id);
        }
        match self.entries.first() {
            Some(first) => before == Some(other.id) && first.previous != seal.id,
            None => seal.id != other.id,
        }
    }
}

/// How it has come out that an author contradicts himself.
#[derive(Debug)]
pub enum Forked {
    /// He wrote two entries with this seq over his own link. Nobody else can be shown that.
    Live(Seq),
    /// His seal covers something else than is held, and that has none: only this peer knows that it is his.
    Sealed,
    /// There is proof.
    Proved(Arc<Contradiction>),
}
