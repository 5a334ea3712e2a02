//! What comes into the ledger of a node, and what comes out.

use std::sync::Arc;

use super::{
    super::{
        election::Role,
        term::{NodeId, Term},
    },
    log::{Entry, Place, Proposal},
};

/// A change, as bytes that mean nothing here.
pub type Change = Arc<[u8]>;

/// By which name the caller knows what he has proposed. No two proposals of one life of a node have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What nodes say to each other. Who says it is proved by the connection. `term` is always the leadership that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// I am to lead: take nothing of an earlier term any more, and say what you have.
    Prepare {
        /// My term.
        term: Term,
        /// In which life I say so: a node whose disk was lost may repeat a term, and must not lead under it twice.
        life: u64,
    },
    /// I take nothing of an earlier term any more.
    Promise {
        /// Whose leader was promised that.
        term: Term,
        /// I have forgotten nothing that I ever said.
        is_member: bool,
        /// In which life I say so.
        life: u64,
        /// Where my log ends.
        end: Place,
    },
    /// No node has anything: the cluster begins, and you are a member of it.
    Begin {
        /// My term.
        term: Term,
        /// If that is still the life in which you have said that you have nothing.
        life: u64,
    },
    /// Give me what comes after this.
    Fetch {
        /// Under which leadership.
        term: Term,
        /// Up to here I have the same as you.
        after: u64,
        /// The state of which I have a part already, and up to which byte.
        part: Option<(Place, u64)>,
    },
    /// This is what a leader that was not up to date lacks.
    Lend {
        /// Its term.
        term: Term,
        /// Where the entry before the first of these is.
        prev: Place,
        /// Without a gap.
        entries: Vec<Entry>,
    },
    /// I lead, and this is what comes next.
    Append {
        /// My term.
        term: Term,
        /// Where the entry before the first of these is.
        prev: Place,
        /// Without a gap; there may be none.
        entries: Vec<Entry>,
        /// Up to here it is committed.
        commit: u64,
        /// Up to here all nodes have applied it.
        floor: u64,
        /// The first slot of your proposals that I have not taken.
        taken: u64,
    },
    /// A part of the state after all entries up to a place, which are kept no longer.
    Part {
        /// Under which leadership.
        term: Term,
        /// After which entry.
        at: Place,
        /// Where in the state this part begins.
        offset: u64,
        /// How long the whole state is.
        total: u64,
        /// The part.
        bytes: Vec<u8>,
    },
    /// Up to here I have what the leader has.
    Stored {
        /// The leader's term.
        term: Term,
        /// Up to here.
        matched: u64,
        /// It counts: I have forgotten nothing that I ever said.
        is_member: bool,
        /// Up to here I have applied it.
        applied: u64,
    },
    /// Proposals that were made here, each with a slot of its own. A slot is used once in a leadership.
    Hand {
        /// To the leader of this term, and no other.
        term: Term,
        /// By ascending slot.
        proposals: Vec<(u64, Proposal)>,
    },
    /// Your leadership is over, or was somebody's before: you, when you still had your disk.
    Stale {
        /// The one that I have promised to follow.
        term: Term,
    },
    /// I may have forgotten something: what have you promised?
    Ask {
        /// To be repeated in the answer.
        nonce: u64,
    },
    /// This.
    Told {
        /// Of the question.
        nonce: u64,
        /// I take nothing of an earlier term.
        promised: Term,
        /// I have forgotten nothing that I ever said.
        is_member: bool,
        /// The term under which I lead now, and where my log ends.
        leads: Option<(Term, u64)>,
    },
}

/// What happens to a node.
#[derive(Debug, Clone)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The election has decided.
    Role(Role),
    /// Another node says something.
    Message {
        /// Who.
        from: NodeId,
        /// What.
        message: Message,
    },
    /// A change is wanted. It is answered by [`Output::Apply`] or [`Output::Refused`].
    Propose {
        /// To be in the answer.
        ticket: Ticket,
        /// What.
        change: Change,
    },
    /// The state that [`Output::TakeSnapshot`] has asked for.
    Snapshot {
        /// After which entry: the last that was applied when it was taken. More may have been since.
        at: Place,
        /// The state.
        state: Change,
    },
    /// The operator says that what this node has is to count, whatever was lost. What only lost disks had is then given up.
    Force,
}

/// What is to be done, in the order in which it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// This is to be on disk before anything that follows is done, but for more of the same: several in a row may be synced at once.
    Persist(Record),
    /// Something is to be said to another node. It may be lost.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// A change is committed. Its place is to be kept together with what it does, so that no restart repeats it.
    Apply {
        /// Its place, one after that of the last one.
        at: Place,
        /// The change; none at the beginning of a leadership.
        change: Option<Change>,
        /// It was proposed here, in this life of the node.
        ticket: Option<Ticket>,
    },
    /// The state becomes this one, as if all changes up to a place had been applied. Place and state are to be kept together.
    Install {
        /// Of the last change that is in it.
        at: Place,
        /// The state.
        state: Change,
    },
    /// A proposal made here has come to nothing.
    Refused {
        /// Which.
        ticket: Ticket,
        /// Why.
        why: Refusal,
    },
    /// Another node needs the state: [`Input::Snapshot`] is wanted.
    TakeSnapshot,
    /// There has been this term. The election must know, or it might choose leaders whom nobody follows.
    Seen(Term),
}

/// A change of what is on disk. All of it makes [`Kept`](super::Kept).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Nothing of an earlier term is taken any more.
    Promise(Term),
    /// The node has forgotten nothing that it ever said.
    Member,
    /// The log goes on.
    Append(Vec<Entry>),
    /// The log ends at this index.
    Cut(u64),
    /// What is up to this place is no longer kept.
    Drop(Place),
    /// The log is empty, and goes on after this place.
    Reset(Place),
    /// There is no log, and the node has forgotten what was in it.
    Forget,
}

/// Why a proposal has come to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody led, so nobody has taken it.
    #[error("no registry leads the cluster now")]
    NoLeader,
    /// It was not stored by a majority in time. It may yet be: whoever proposes it again must bear that it was applied.
    #[error("too few registries of the cluster can be reached now")]
    NoMajority,
    /// Its leader was followed by another one that knows nothing of it. It never will be applied.
    #[error("the registry that led the cluster was lost meanwhile")]
    Superseded,
    /// [`Limits::pending`](super::Limits::pending) others wait. It never will be applied.
    #[error("too much waits to be stored by the cluster")]
    Busy,
    /// More than [`CHANGE_MAX`](super::CHANGE_MAX) bytes.
    #[error("the change is too large")]
    TooLarge,
}

impl Refusal {
    /// The proposal never will be applied.
    pub fn is_final(self) -> bool {
        self != Self::NoMajority
    }
}
