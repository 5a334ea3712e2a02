//! What can go wrong with a log, and what can be wrong in one.

use std::path::PathBuf;

use super::disk::IoError;
use crate::node::{
    limits::ENTRY_BYTES_MAX,
    types::{Author, EntryError, Lamport, Seen, Seq},
};

/// Why the log did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refuses.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The file is not what was written. Opening the log anew repairs what can be repaired.
    #[error(transparent)]
    Damaged(Box<Damage>),
    /// The file was written by a newer version of Peerchat.
    #[error("{} has format version {found}; this program reads up to {known}: use a newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that is understood.
        known: u32,
    },
    /// A write or sync failed earlier: nothing more is taken until the log is opened anew.
    #[error("{} takes nothing until it is opened anew, since an earlier operation failed: {reason}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
    /// The log has as many entries as it can.
    #[error("the log has {limit} entries, which is the most that one can have")]
    Full {
        /// The limit.
        limit: u32,
    },
    /// The caller wanted to append an entry that breaks a rule.
    #[error("cannot append entry {} of {author}: {rule}", seq.0)]
    Refused {
        /// The entry's author.
        author: Author,
        /// Its seq.
        seq: Seq,
        /// The rule.
        rule: Rule,
    },
    /// The caller asked for an entry that is not here.
    #[error("the log has no entry {} of {author}", seq.0)]
    NoSuchEntry {
        /// The author.
        author: Author,
        /// The seq.
        seq: Seq,
    },
    /// The caller's state is longer than [`RESUME_STATE_BYTES_MAX`](super::RESUME_STATE_BYTES_MAX).
    #[error("the state to resume from has {found} bytes; the limit is {limit}")]
    StateTooLong {
        /// How long it is.
        found: usize,
        /// How long it may be.
        limit: usize,
    },
}

impl From<Damage> for LogError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

/// What holds for every entry of a log when it comes to the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// The seqs of an author have no gap and no entry comes twice.
    #[error("the next one of this author is {}", expected.0)]
    Contiguous {
        /// The next seq of this author.
        expected: Seq,
    },
    /// The Lamport times of an author grow.
    #[error("its Lamport time {} is not after {} of the author's previous entry", found.0, previous.0)]
    LamportGrows {
        /// That of the previous entry.
        previous: Lamport,
        /// That of this entry.
        found: Lamport,
    },
    /// What an entry's author had seen is there before it.
    #[error("it comes after entry {} of {}, which is not here", .0.seq.0, .0.author)]
    CauseFirst(Seen),
    /// An entry has at least one byte and at most [`ENTRY_BYTES_MAX`].
    #[error("it has {found} bytes; it must have 1 to {ENTRY_BYTES_MAX}")]
    Length {
        /// How many it has.
        found: usize,
    },
}

/// Something in a file that nobody wrote there, or that is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {offset}: {kind}", path.display())]
pub struct Damage {
    /// The file, by the name that it has now: where it was set aside, that one.
    pub path: PathBuf,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What.
    pub kind: DamageKind,
}

/// The kinds of damage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DamageKind {
    /// The header is not one. The frames can be read only if its other copy or the index tells the number that is part of their
    /// check sums.
    #[error("no header")]
    Header,
    /// No whole frame starts in these bytes.
    #[error("{bytes} bytes without a whole frame")]
    Frame {
        /// How many.
        bytes: u64,
    },
    /// A whole frame holds what is no entry.
    #[error("{0}")]
    NotAnEntry(EntryError),
    /// A whole frame holds another entry than the index says.
    #[error("another entry than the index says")]
    OtherEntry,
    /// A whole frame holds an entry that must not come here.
    #[error("entry {} of {author}: {rule}", seq.0)]
    OutOfPlace {
        /// The entry's author.
        author: Author,
        /// Its seq.
        seq: Seq,
        /// The rule that it breaks.
        rule: Rule,
    },
    /// An entry does not name the entry of its author that comes before it here.
    #[error("entry {} of {author} follows another entry than the one before it", seq.0)]
    Chain {
        /// The entry's author.
        author: Author,
        /// Its seq.
        seq: Seq,
    },
    /// A whole frame holds an entry of another conversation.
    #[error("entry {} of {author} is of another conversation", seq.0)]
    Misplaced {
        /// The entry's author.
        author: Author,
        /// Its seq.
        seq: Seq,
    },
    /// The index tells of entries, all of which had been synced, that are gone.
    #[error("{entries} entries that had been there are gone")]
    Missing {
        /// How many.
        entries: u64,
    },
}
