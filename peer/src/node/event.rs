//! What a peer tells its user. The screen, the JSON mode and the page show these; nothing below them prints.

use std::collections::BTreeMap;

pub use super::notice::{Code, Notice};
use super::{
    account::AccountNews,
    people::{News, Trust},
    private::Invitation,
    status::{LinkStatus, RegistryStatus},
    types::{
        Author, Authority, Body, Conversation, DeviceId, Entry, EntryId, Heights, Lamport, RoomName, Seq, UserName,
        WallTime,
    },
};

/// One thing to tell the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The peer runs; the first event of all.
    Ready(Ready),
    /// The user is in a conversation: the answer to a request to join or open it. `replay` holds its last entries.
    Joined(Joined),
    /// An entry of somebody else came in, or one that the user wrote at another device.
    Message(Line),
    /// An entry that the user wrote here is in the own log.
    Sent(Line),
    /// A member has an own entry in its log.
    Delivered(Delivered),
    /// A user came or went.
    Presence(Presence),
    /// A request for a range of the log is answered, in canonical order.
    Replay(Replay),
    /// The answer to a request for a version.
    Version {
        /// Of which conversation.
        conversation: Conversation,
        /// How much is held, per author.
        heights: Heights,
        /// Whose these authors are.
        users: BTreeMap<Author, UserName>,
    },
    /// History arrives.
    Progress {
        /// Of which conversation.
        conversation: Conversation,
        /// From whom.
        from: UserName,
        /// How many entries have come.
        have: u64,
        /// How many are to come in all.
        of: u64,
    },
    /// What the members held when the conversation was joined has been pulled and merged.
    Synced {
        /// Which conversation.
        conversation: Conversation,
        /// Its version now.
        version: u64,
        /// From whom entries were pulled; nobody if the own log lacked nothing.
        from: Vec<UserName>,
        /// How many entries were pulled.
        pulled: u64,
    },
    /// The answer to a request about the account.
    Account(AccountNews),
    /// The user is in a room no longer, by his own will.
    Left {
        /// Which.
        conversation: Conversation,
        /// He has left it at another device.
        by_other_device: bool,
    },
    /// The answer to a request for an invitation.
    Invitation {
        /// To which private room.
        conversation: Conversation,
        /// What others enter it with.
        invitation: Invitation,
    },
    /// A conversation that the user asked for, or was in, cannot be entered: he is not in it.
    NotEntered {
        /// Which conversation.
        conversation: Conversation,
        /// Why.
        notice: Notice,
    },
    /// Who is in a conversation that was entered, or taken up again at a start, so that the screen can say it. Scripts ask.
    Members {
        /// Which conversation.
        conversation: Conversation,
        /// Its members, sorted by name.
        members: Vec<Member>,
    },
    /// The answer to a question who is there.
    Who {
        /// Of which conversation.
        conversation: Conversation,
        /// Its members, sorted by name.
        members: Vec<Member>,
        /// How often something was refused for which no member can be named.
        refused_unknown: u64,
    },
    /// The answer to a question what there is.
    List {
        /// The own conversations with their versions, sorted.
        own: Vec<(Conversation, u64)>,
        /// The rooms at the registry with their numbers of members; none if it cannot be reached.
        rooms: Option<Vec<(RoomName, u32)>>,
    },
    /// Something about somebody: a new device, or an answer.
    People(News),
    /// The way to the registry changed.
    Registry(RegistryState),
    /// The answer to a question how registries and links stand.
    Status {
        /// The registries, in the order of the list.
        registries: Vec<RegistryStatus>,
        /// The links that are open or wanted, sorted by user.
        links: Vec<LinkStatus>,
    },
    /// A request failed, or something happened that the user should know.
    Notice(Notice),
    /// The peer ends in order; the last event of all.
    Bye,
}

/// The peer runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The own user.
    pub user: UserName,
    /// The own device.
    pub device: DeviceId,
    /// HOST:PORT where the peer listens.
    pub listen: String,
    /// HOST:PORT of the registry that is in use; where none is, of the first one.
    pub registry: String,
    /// Under which authority the user is; none before any registry has let this device in.
    pub authority: Option<Authority>,
    /// No earlier start with this data folder was let in anywhere, or came to a conversation: the user is new here.
    pub first_start: bool,
    /// The conversations that are there from earlier runs.
    pub conversations: Vec<Conversation>,
    /// The conversation that was current when the last run ended.
    pub current: Option<Conversation>,
}

/// The user is in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Which conversation.
    pub conversation: Conversation,
    /// The room was not there before.
    pub created: bool,
    /// How many entries are held.
    pub version: u64,
    /// Who is in it, the own user included, sorted.
    pub members: Vec<UserName>,
    /// The last entries in canonical order.
    pub replay: Vec<Line>,
    /// The user has joined it at another device.
    pub by_other_device: bool,
}

/// An entry as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its conversation.
    pub conversation: Conversation,
    /// Its id.
    pub id: EntryId,
    /// The user who wrote it.
    pub user: UserName,
    /// The device and incarnation that wrote it.
    pub author: Author,
    /// Its number among the author's.
    pub seq: Seq,
    /// Its Lamport time.
    pub lamport: Lamport,
    /// The version of the conversation with it. In a replay, the version now.
    pub version: u64,
    /// The author's wall clock.
    pub sent_at: WallTime,
    /// What it says; none where this version does not know its kind.
    pub text: Option<String>,
}

impl Line {
    /// How an entry is shown: as written by `user`, in a conversation of this version.
    pub fn of(entry: &Entry, user: UserName, version: u64) -> Self {
        Self {
            conversation: entry.conversation.clone(),
            id: entry.id,
            user,
            author: entry.author,
            seq: entry.seq,
            lamport: entry.lamport,
            version,
            sent_at: entry.sent_at,
            text: match &entry.body {
                Body::Text(text) => Some(text.clone()),
                Body::Unknown => None,
            },
        }
    }
}

/// A member has an own entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The conversation.
    pub conversation: Conversation,
    /// The own entry.
    pub id: EntryId,
    /// Its number.
    pub seq: Seq,
    /// Who has it.
    pub to: UserName,
    /// It was synced to disk there, not only written.
    pub durable: bool,
    /// How many of the others have it now, durably if `durable`.
    pub have: usize,
    /// How many others there are now.
    pub of: usize,
}

/// A user came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Who.
    pub user: UserName,
    /// Came or went.
    pub online: bool,
    /// The room that he came into or left; the direct conversation if he is one's partner.
    pub conversation: Conversation,
    /// He left the room, where `online` is false; otherwise he is still one of it, and gets what is said when he is back.
    pub left: bool,
}

/// Entries of the log in canonical order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Their conversation.
    pub conversation: Conversation,
    /// Why they are shown.
    pub why: ReplayReason,
    /// The entries.
    pub lines: Vec<Line>,
    /// There are more that are not shown: earlier ones in a history, earlier hits in a search.
    pub more: bool,
}

/// Why entries of the log are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayReason {
    /// The user asked for the last ones.
    History,
    /// The user searched for this text.
    Search(String),
    /// A newcomer's log was filled: these are the last ones.
    Synced,
    /// They were said under other authorities, and the user has taken them along.
    Earlier,
    /// The user is back in the conversation that was current: these are the last ones from before. For the screen only: a script
    /// is told an entry when it comes, and has had these.
    Start,
}

/// Somebody in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserName,
    /// It is the own user.
    pub me: bool,
    /// Has a live link (or is the own user).
    pub online: bool,
    /// How many of his devices are there, this one included.
    pub devices: usize,
    /// How many entries the member is known to hold, where that is known.
    pub version: Option<u64>,
    /// How often what the member sent broke the protocol and was refused.
    pub refused: u64,
    /// How far the user is trusted.
    pub trust: Trust,
}

/// The way to the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryState {
    /// This process hosts it now, since nothing listened there.
    Hosting {
        /// HOST:PORT of it.
        address: String,
    },
    /// Logged in, possibly at another one than before.
    Connected {
        /// HOST:PORT of it.
        address: String,
    },
    /// It does not answer. Known peers can still be talked to.
    Lost {
        /// What happened.
        reason: String,
    },
    /// This device is let in no more, and does not try again. For scripts it is the same as a lost one.
    Barred {
        /// Why, and what can be done.
        reason: String,
    },
}
