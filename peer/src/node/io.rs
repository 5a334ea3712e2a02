//! What can happen to a node, and what it can want done.

use std::sync::Arc;

use super::{
    contradiction::{Contradiction, Forked},
    event::{Event, Notice},
    link::{ByeReason, Frame, LinkId, LinkUp, Outgoing, Way},
    memberships::Memberships,
    people::{Deed, Wish},
    private::Invitation,
    sealing::{Introduction, Seal},
    sync::PullId,
    types::{Author, Authority, Conversation, DeviceId, Entry, Heights, RoomName, Seq, Stretches, UserName},
    window::{PullFailure, Pulled},
};

/// A device with its address, as the registry tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Whose it is.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
    /// HOST:PORT where it listens.
    pub address: String,
}

/// Whether a device came, left, or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It is there.
    Here,
    /// It left by its own will: a room for good, the registry until it is back.
    Left,
    /// Its lease ended. It has left no room.
    Lost,
}

/// Everything that can happen to a node.
#[derive(Debug)]
pub enum Input {
    /// The process starts, and this was remembered of the rooms that the user is in.
    Start(Memberships),
    /// The user wants to be in a room.
    Join(RoomName),
    /// The user wants to be in a private room, new or not.
    JoinPrivate(Invitation),
    /// The user opens the direct conversation with a user.
    Open(UserName),
    /// The user leaves a conversation.
    Leave(Conversation),
    /// The user says something.
    Write(Conversation, String),
    /// The user asks about somebody.
    People(Wish),
    /// The process is about to end: what waits is written.
    LastWords,
    /// The process ends: the links say goodbye.
    Quit,
    /// Logged in at the registry, or at another one of the list.
    RegistryUp {
        /// It runs in this process.
        hosting: bool,
        /// HOST:PORT of it.
        address: String,
        /// Whose names it gives.
        authority: Authority,
    },
    /// The registry does not answer, for this reason.
    RegistryDown(String),
    /// The registries let this device in no more, for this reason, and are asked no more.
    RegistryBarred(String),
    /// The registry has put this device into a room with these members.
    RoomJoined {
        /// The room.
        room: RoomName,
        /// It was not there before.
        created: bool,
        /// Who is in it.
        members: Vec<PeerAddress>,
    },
    /// The registry could not be asked to put this device into a room, or refuses.
    RoomRefused {
        /// The room.
        room: RoomName,
        /// Why, where it refuses; none where it cannot be reached.
        refused: Option<String>,
    },
    /// The registry knows a user, with these live devices.
    Found(UserName, Vec<PeerAddress>),
    /// The registry has never heard of a user.
    NotFound(UserName),
    /// The registry could not be asked for a user, for this reason.
    FindFailed(UserName, String),
    /// A device of a watched user came or went; no device where the user is not there at all.
    UserChanged(UserName, Option<PeerAddress>, Liveness),
    /// A device came into a room or left it.
    RoomChanged(RoomName, PeerAddress, Liveness),
    /// A link is open.
    LinkUp(LinkUp),
    /// A link is closed, for this reason.
    LinkDown(LinkId, String),
    /// A device could not be dialled.
    DialFailed(DeviceId),
    /// The device was not dialled, since it was revoked.
    DialRevoked(DeviceId),
    /// Something came in over a link.
    Frame(LinkId, Frame),
    /// What came in over a link breaks a rule, this one.
    Misbehaved(LinkId, String),
    /// A link's queue had no room for something.
    LinkFull(LinkId),
    /// A link's queue has room again.
    LinkDrained(LinkId),
    /// A member tells what it holds.
    VersionAnswer(DeviceId, Conversation, Heights),
    /// A member could not be asked what it holds.
    VersionFailed(DeviceId, Conversation),
    /// What a device answered breaks a rule, this one.
    BadAnswer(DeviceId, String),
    /// A part of a history came in, as far as it is proved to be its authors'.
    History(PullId, Pulled),
    /// A pull is over; all came, or it failed for this reason.
    HistoryEnd(PullId, Result<(), PullFailure>),
    /// A device has proved whose it is.
    Introduced(Introduction),
    /// Own entries have been sealed.
    Sealed(Conversation, Vec<Seal>),
    /// Of seals that came over links, these are good, and these, with whoever sent them, are not.
    Judged(Conversation, Vec<Seal>, Vec<(Seal, DeviceId)>),
    /// A seal of an author's entry that came over a link was passed over, as too many wait to be judged.
    PassedSeal(Conversation, Author, Seq),
    /// An author contradicts himself, as [`Effect::Compare`] has shown.
    Forked(Conversation, Author, Forked),
    /// The disk was synced: entries of these authors are durable up to these seqs.
    Durable(Conversation, Vec<(Author, Seq)>),
    /// Entries that were found behind damage in an own log.
    Salvaged(Conversation, Vec<Arc<Entry>>),
    /// Something that the user must know and that changes nothing here.
    Notice(Notice),
    /// The process has stood still for a while, such as for a user who does not read: what came meanwhile is still to be handed over.
    Stalled,
    /// Nothing but that time has passed.
    Tick,
}

/// Everything that a node can want done.
#[derive(Debug)]
pub enum Effect {
    /// Dial a device. Answered by `LinkUp`, `DialFailed` or `DialRevoked`.
    Dial(DeviceId, String),
    /// Close a link, after telling why. Answered by `LinkDown`.
    Close(LinkId, ByeReason, String),
    /// Send something over a link; `LinkFull` if its queue has no room.
    Send(LinkId, Outgoing),
    /// Ask the registry.
    Registry(Ask),
    /// Ask a member what it holds. Answered by `VersionAnswer` or `VersionFailed`.
    AskVersion(DeviceId, Way, Conversation),
    /// Pull a history. Answered by `History` any number of times, then by `HistoryEnd`.
    Pull {
        /// The pull's name.
        pull: PullId,
        /// From which device.
        device: DeviceId,
        /// How it is asked.
        way: Way,
        /// Of which conversation.
        conversation: Conversation,
        /// What is held already.
        heights: Heights,
    },
    /// Send over a link the last seal of an own author up to an entry.
    SendSeal(LinkId, Conversation, Author, Seq),
    /// Compare what came of an author with what is in the log. If it is something else, keep both, tell the user, and answer with
    /// `Forked`.
    Compare(Compare),
    /// Stop a pull: nothing that it still brings is wanted. Not answered.
    StopPull(PullId),
    /// Tell the user.
    Tell(Event),
    /// Tell the user that he is in a conversation, with its last entries.
    TellJoined {
        /// Which.
        conversation: Conversation,
        /// The room was not there before.
        created: bool,
        /// Who is in it.
        members: Vec<UserName>,
        /// The user has joined it at another device.
        by_other_device: bool,
        /// What is held: what comes later is told by itself.
        held: Heights,
    },
    /// Show the user the last ones of what was not shown as it came, so many of these.
    TellLast(Conversation, usize, Stretches),
    /// Tell the user that a member has own entries.
    TellDelivered(DeliveryNews),
    /// Note that something was refused: from this member, if it was one, and why. What members sent is counted already.
    Refused(Option<(UserName, DeviceId)>, String),
    /// Keep the invitation to a private room for the next start.
    KeepInvitation(Invitation),
    /// Do something about people.
    People(Deed),
    /// Remember for the next start in which rooms the user is.
    RememberRooms(Memberships),
}

/// Entries of one author, in order and at least one, that may contradict what is held.
#[derive(Debug)]
pub struct Compare {
    /// What came.
    pub entries: Vec<Arc<Entry>>,
    /// The good seal of the last of them; none where it came over its author's own link.
    pub seal: Option<Seal>,
    /// It was refused, and whoever sent it is blamed already.
    pub is_refused: bool,
}

/// A question to the registry. It names private rooms as the registry does; so do its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Put this device into a room.
    Join(RoomName),
    /// Take it out of a room.
    Leave(RoomName),
    /// Where is a user?
    Find(UserName),
    /// Tell when a user comes and goes.
    Watch(UserName),
}

/// A member has own entries that it had not before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryNews {
    /// The conversation.
    pub conversation: Conversation,
    /// The own author.
    pub author: Author,
    /// The first of the entries.
    pub from: Seq,
    /// The last of them.
    pub upto: Seq,
    /// Who has them.
    pub to: UserName,
    /// Synced to disk.
    pub durable: bool,
    /// How many of the others have each of them.
    pub have: usize,
    /// How many others there are.
    pub of: usize,
}

/// What an input leads to.
#[derive(Debug, Default)]
pub struct Step {
    /// Entries to append to the logs of their conversations, in this order.
    pub persist: Vec<Arc<Entry>>,
    /// Introductions to keep.
    pub introductions: Vec<Introduction>,
    /// Authors who contradict themselves, to be noted before anything is appended.
    pub forked: Vec<(Conversation, Author)>,
    /// What proves that, to be kept before anything is appended.
    pub contradictions: Vec<(Conversation, Arc<Contradiction>)>,
    /// Good seals to keep beside the logs, after the entries have been appended.
    pub seals: Vec<(Conversation, Seal)>,
    /// Seals to judge, with whoever sent them. Answered by `Judged`.
    pub judge: Vec<(Conversation, Seal, DeviceId)>,
    /// What happens after all of them have been appended.
    pub then: Vec<Effect>,
}
