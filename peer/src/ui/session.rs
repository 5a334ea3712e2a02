//! What the user interface remembers: which conversation is current, which are open, and what was not read yet. Pure; the
//! prompt, the plain mode and the JSON mode share it.

mod learn;
mod place;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    command::{self, Command, Spec},
    secret,
};
use crate::{
    driver::request::Request,
    node::{
        door::Door,
        event::{Line, Notice},
        private::Invitation,
        types::{Conversation, EntryId, RoomName, UserName},
    },
};

/// The most hits that `/search` shows: the latest.
pub const SEARCH_HITS_MAX: usize = 50;

/// The most unread lines of a conversation that are kept to be shown at the next `/switch`. Of more only the number is kept,
/// and `/switch` asks the log for them.
const UNREAD_LINES_MAX: usize = 100;

/// The most bytes of text among them.
const UNREAD_BYTES_MAX: usize = 256 * 1024;

/// The most names that completion offers of each kind; further ones are not learnt.
const NAMES_MAX: usize = 10_000;

/// The state of a user interface.
#[derive(Debug)]
pub struct Session {
    me: UserName,
    /// Lines come from a script or a file: nobody looks at the prompt before he types the next one.
    unattended: bool,
    current: Option<Conversation>,
    /// What has failed, where for that reason no conversation is current.
    failed: Option<String>,
    /// Asked for and not answered yet; what is written there meanwhile waits at the driver.
    opening: BTreeSet<Conversation>,
    open: BTreeSet<Conversation>,
    /// Direct conversations that are not open, in which there is something: from the other user, or from another own device.
    heard: BTreeSet<Conversation>,
    unread: BTreeMap<Conversation, Unread>,
    members: BTreeMap<Conversation, BTreeMap<UserName, Standing>>,
    rooms: BTreeSet<RoomName>,
    users: BTreeSet<UserName>,
    waiting: BTreeMap<Conversation, usize>,
    /// Counts the changes of what completion offers.
    names_changed: u64,
    delivery: BTreeMap<Conversation, Delivery>,
}

/// What came into a conversation while another one was current.
#[derive(Debug, Default)]
pub struct Unread {
    /// How many lines.
    pub count: usize,
    /// The lines, unless there are too many. Those that the user wrote at another device are among them, and are not counted.
    pub lines: VecDeque<Line>,
    bytes: usize,
    /// There were too many.
    is_cut: bool,
}

impl Unread {
    /// Whether `lines` holds all of them.
    pub fn is_whole(&self) -> bool {
        !self.is_cut
    }
}

/// What is known of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not known to be away.
    Here,
    /// Gone, and has not left: he gets what he missed when he is back.
    Away,
}

/// How far the last own entry of a conversation got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    id: EntryId,
    stored: BTreeSet<UserName>,
    durable: BTreeSet<UserName>,
    of: usize,
}

impl Delivery {
    /// How many of how many others have it in their logs.
    pub fn stored(&self) -> (usize, usize) {
        (self.stored.len(), self.of.max(self.stored.len()))
    }

    /// Whether it is on the disks of all others.
    pub fn is_done(&self) -> bool {
        self.of > 0 && self.durable.len() >= self.of
    }

    /// Whether `user` has it.
    pub fn has(&self, user: &UserName) -> bool {
        self.stored.contains(user)
    }
}

/// What a typed line leads to.
#[derive(Debug, Default)]
pub struct Typed {
    /// What to ask of the peer, in this order.
    pub requests: Vec<Request>,
    /// What to tell the user at once.
    pub show: Option<Show>,
}

/// Something to tell that the peer need not be asked for.
#[derive(Debug)]
pub enum Show {
    /// The line is a mistake.
    Notice(Notice),
    /// An explanation of one command, or of all.
    Help(Option<&'static Spec>),
    /// A conversation is current now, and this was not read yet.
    Switched(Conversation, Unread),
}

impl Session {
    /// The state of a start, for the user `me`.
    pub fn new(me: UserName) -> Self {
        Self {
            me,
            unattended: false,
            current: None,
            failed: None,
            opening: BTreeSet::new(),
            open: BTreeSet::new(),
            heard: BTreeSet::new(),
            unread: BTreeMap::new(),
            members: BTreeMap::new(),
            rooms: BTreeSet::new(),
            users: BTreeSet::new(),
            waiting: BTreeMap::new(),
            names_changed: 0,
            delivery: BTreeMap::new(),
        }
    }

    /// The same where lines do not come from a person.
    pub fn unattended(me: UserName) -> Self {
        Self {
            unattended: true,
            ..Self::new(me)
        }
    }

    /// Whether lines do not come from a person.
    pub fn is_unattended(&self) -> bool {
        self.unattended
    }

    /// The own user.
    pub fn me(&self) -> &UserName {
        &self.me
    }

    /// The conversation that a text goes to.
    pub fn current(&self) -> Option<&Conversation> {
        self.current.as_ref()
    }

    /// Whether `conversation` is the one that is shown.
    pub fn is_current(&self, conversation: &Conversation) -> bool {
        self.current.as_ref() == Some(conversation)
    }

    /// The conversations that the user is in.
    pub fn open(&self) -> impl Iterator<Item = &Conversation> {
        self.open.iter().chain(self.opening.difference(&self.open))
    }

    /// Every room that was heard of.
    pub fn rooms(&self) -> &BTreeSet<RoomName> {
        &self.rooms
    }

    /// Every other user that was heard of.
    pub fn users(&self) -> &BTreeSet<UserName> {
        &self.users
    }

    /// How many lines of each other conversation were not read yet.
    pub fn unread(&self) -> impl Iterator<Item = (&Conversation, usize)> {
        self.unread
            .iter()
            .filter(|(_, unread)| unread.count > 0)
            .map(|(conversation, unread)| (conversation, unread.count))
    }

    /// The other members of the current conversation.
    pub fn others(&self) -> impl Iterator<Item = (&UserName, Standing)> {
        let members = self.current.as_ref().and_then(|current| self.members.get(current));
        let members = members.into_iter().flatten().map(|(user, standing)| (user, *standing));
        members.filter(|(user, _)| **user != self.me)
    }

    /// How far the last own entry of the current conversation got; none if nothing was written since the start.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.delivery.get(self.current.as_ref()?)
    }

    /// How many texts were typed that are not in the own log yet.
    pub fn waiting(&self) -> usize {
        self.waiting.values().sum()
    }

    /// A number that is another one when rooms, users or open conversations have changed.
    pub fn names_changed(&self) -> u64 {
        self.names_changed
    }

    /// What a typed line leads to.
    pub fn typed(&mut self, line: &str) -> Typed {
        match command::read(line).and_then(|command| self.act(command)) {
            Ok(typed) => typed,
            Err(notice) => self.mistaken(line, notice),
        }
    }

    /// What follows from asking to be in a room.
    pub fn join(&mut self, door: Door) -> Typed {
        let (room, request) = match door {
            Door::Name(room) => (room.clone(), Request::Join(room)),
            Door::Invitation(invitation) => (invitation.room(), Request::JoinPrivate(invitation)),
        };
        self.rooms.insert(room.clone());
        self.enter(Conversation::Room(room));
        asks([request])
    }

    fn act(&mut self, command: Command) -> Result<Typed, Notice> {
        Ok(match command {
            Command::Nothing => Typed::default(),
            Command::Text(text) => {
                let conversation = self.needs_current()?;
                asks([self.write(conversation, text)])
            }
            Command::Join(door) => self.join(door),
            Command::Create(name) => {
                let invitation = Invitation::new(&name, secret::fresh()?);
                self.join(Door::Invitation(invitation))
            }
            Command::Invite => asks([Request::Invite(self.needs_current()?)]),
            Command::Msg { user, text } => self.msg(user, text),
            Command::Leave(target) => {
                let conversation = match target {
                    Some(target) => self.find_open(target)?,
                    None => self.needs_current()?,
                };
                self.forget(&conversation);
                asks([Request::Leave(conversation)])
            }
            Command::Switch(target) => {
                let conversation = self.find(target)?;
                if let Some(user) = self.to_be_opened(&conversation) {
                    return Ok(self.msg(user, None));
                }
                let unread = self.unread.remove(&conversation).unwrap_or_default();
                self.current = Some(conversation.clone());
                Typed {
                    requests: vec![Request::Current(conversation.clone())],
                    show: Some(Show::Switched(conversation, unread)),
                }
            }
            Command::List => asks([Request::List]),
            Command::Status => asks([Request::Status]),
            Command::Account(ask) => asks([Request::Account(ask)]),
            Command::Who => asks([Request::Who(self.needs_current()?)]),
            Command::History(last) => asks([Request::History {
                conversation: self.needs_current()?,
                last,
            }]),
            Command::Search(text) => asks([Request::Search {
                conversation: self.needs_current()?,
                text,
                last: SEARCH_HITS_MAX,
            }]),
            Command::People(wish) => asks([Request::People(wish)]),
            Command::Version => asks([Request::Version(self.needs_current()?)]),
            Command::Help(spec) => Typed {
                requests: Vec::new(),
                show: Some(Show::Help(spec)),
            },
            Command::Quit => asks([Request::Quit]),
        })
    }

    /// `/msg USER` is answered by `Joined` each time, and with it by the last entries; with a text only where these were not shown.
    fn msg(&mut self, user: UserName, text: Option<String>) -> Typed {
        let conversation = Conversation::direct(&self.me, &user);
        let known = self.is_in(&conversation) && !self.unread.contains_key(&conversation);
        self.enter(conversation.clone());
        let mut requests = Vec::new();
        if !known || text.is_none() {
            requests.push(Request::Open(user));
        }
        if let Some(text) = text {
            requests.push(self.write(conversation, text));
        }
        Typed { requests, show: None }
    }

    fn write(&mut self, conversation: Conversation, text: String) -> Request {
        *self.waiting.entry(conversation.clone()).or_default() += 1;
        Request::Write { conversation, text }
    }

    /// A text that was typed is in the log, or was refused.
    fn written(&mut self, conversation: &Conversation) {
        if let Some(waiting) = self.waiting.get_mut(conversation) {
            *waiting = waiting.saturating_sub(1);
        }
    }

    /// What is typed next goes there, whether or not the peer has answered by then.
    fn enter(&mut self, conversation: Conversation) {
        if !self.open.contains(&conversation) {
            self.opening.insert(conversation.clone());
        }
        // The answer shows it.
        self.unread.remove(&conversation);
        self.current = Some(conversation);
        self.names_changed += 1;
    }

    /// The user with whom a conversation is that the other one has begun.
    fn to_be_opened(&self, conversation: &Conversation) -> Option<UserName> {
        match conversation {
            Conversation::Direct(pair) if !self.is_in(conversation) => Some(pair.other(&self.me).clone()),
            _ => None,
        }
    }

    /// Whether a line asked for a conversation, or a text for it waits.
    pub(super) fn awaits(&self, conversation: &Conversation) -> bool {
        let waiting = self.waiting.get(conversation).copied().unwrap_or_default();
        self.opening.contains(conversation) || waiting > 0
    }

    /// Whether the user has asked to be in a conversation and was not answered yet.
    pub(super) fn is_opening(&self, conversation: &Conversation) -> bool {
        self.opening.contains(conversation)
    }

    fn is_in(&self, conversation: &Conversation) -> bool {
        self.open.contains(conversation) || self.opening.contains(conversation)
    }

    fn forget(&mut self, conversation: &Conversation) {
        self.open.remove(conversation);
        self.opening.remove(conversation);
        self.heard.remove(conversation);
        self.unread.remove(conversation);
        self.members.remove(conversation);
        self.delivery.remove(conversation);
        self.waiting.remove(conversation);
        self.names_changed += 1;
        // No other conversation takes its place by itself: what is typed next would go to people whom it was not meant for.
        if self.is_current(conversation) {
            self.current = None;
            self.failed = None;
        }
    }
}

fn asks<const N: usize>(requests: [Request; N]) -> Typed {
    Typed {
        requests: requests.into(),
        show: None,
    }
}

#[cfg(test)]
mod tests;
