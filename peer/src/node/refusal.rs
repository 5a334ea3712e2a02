//! Why an entry is not taken.

use super::{
    limits::AUTHORS_MAX,
    types::{Author, Authority, DeviceId, EntryId, Lamport, Seq, UserName},
};

/// Why an entry is not taken. But for what [`Refusal::is_misdeed`] excepts it breaks a rule that its author knew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Two different entries of one author have the same seq.
    #[error("{author} wrote two different entries with seq {seq}: {held} is held, {found} came", seq = .seq.0)]
    Fork {
        /// The author.
        author: Author,
        /// The seq.
        seq: Seq,
        /// The id of the entry that is held, and stays.
        held: EntryId,
        /// The id of the one that came later.
        found: EntryId,
    },
    /// The entry does not name its author's previous entry.
    #[error("entry {seq} of {author} does not follow from entry {before} that is held", seq = .seq.0, before = .seq.0 - 1)]
    BrokenChain {
        /// The author.
        author: Author,
        /// The seq of the entry.
        seq: Seq,
    },
    /// The author's first entry was written under another authority, or under none.
    #[error("{author} begins under the authority {found}, and this conversation is under {expected}")]
    OtherAuthority {
        /// The author.
        author: Author,
        /// Under which the conversation is.
        expected: Authority,
        /// Under which the entry says that it is.
        found: Authority,
    },
    /// Its Lamport time is not 1 + the greatest of its causes.
    #[error("entry {seq} of {author} has Lamport time {found}; its causes make it {expected}", seq = .seq.0, found = .found.0, expected = .expected.0)]
    WrongLamport {
        /// The author.
        author: Author,
        /// The seq of the entry.
        seq: Seq,
        /// What the causes make it.
        expected: Lamport,
        /// What it says.
        found: Lamport,
    },
    /// It names somebody who contradicts himself, and its Lamport time is beyond what that excuses.
    #[error("entry {seq} of {author} has Lamport time {found}, which is too far beyond {latest}", seq = .seq.0, found = .found.0, latest = .latest.0)]
    FarBeyond {
        /// The author.
        author: Author,
        /// The seq of the entry.
        seq: Seq,
        /// What it would be by what is held.
        latest: Lamport,
        /// What it says.
        found: Lamport,
    },
    /// The device belongs to another user.
    #[error("device {device} writes as {found}, but it is {held}'s")]
    OtherUser {
        /// The device.
        device: DeviceId,
        /// Whose it is known to be.
        held: UserName,
        /// Whose it says it is.
        found: UserName,
    },
    /// Somebody else writes into the direct conversation of two users.
    #[error("{0} is not one of the two in this direct conversation")]
    NotInConversation(UserName),
    /// More than [`AUTHORS_MAX`] authors.
    #[error("the conversation has {AUTHORS_MAX} authors, which is the limit")]
    TooManyAuthors,
}

impl Refusal {
    /// Whether it shows that the author broke a rule. Otherwise it may be that he holds other entries than are here.
    pub fn is_misdeed(&self) -> bool {
        !matches!(self, Self::FarBeyond { .. } | Self::TooManyAuthors)
    }
}
