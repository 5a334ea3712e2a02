//! What a peer decides: pure code without clock, disk, network or randomness of its own.
//!
//! A peer holds a log per conversation. Own entries are pushed over the links to all members that are reachable, as they are
//! written. Whatever a member lacks for any other reason (it was away, its queue was full, the author died, a network was
//! parted) it finds out by comparing heights, and pulls: from the member with the highest version first, then from whoever holds
//! more, until nobody does. So nothing depends on a queue in memory, and a message stays owed to a member until it is in that
//! member's log.
//!
//! | file | subject |
//! |---|---|
//! | `io` | inputs and effects |
//! | `clock` | logical time |
//! | `replica`, `holdback` | which entries are taken in, and in what order |
//! | `sync` | from whom to pull |
//! | `link`, `links` | the links to other devices |
//! | `breaker`, `dials` | whether and when another end is tried, and how often an address |
//! | `frames` | what comes in over them |
//! | `heights` | who holds how much |
//! | `belonging` | under which authority all of it is |
//! | `ending` | what is done before the process ends |
//! | `access` | who may read what |
//! | `private`, `knocks` | invitations to private rooms, and who is in those |
//! | `door` | how rooms are named by those who type |
//! | `delivery`, `doubts` | who has what of ours, and who says that he has more of it |
//! | `talk` | one conversation; `rooms` is how the user enters, leaves and writes |
//! | `strangers` | what those may cost with whom the user has nothing to do |
//! | `own`, `memberships` | the user's other devices, and the rooms that all of them hold |
//! | `registries`, `moved` | which registry of a list is used, and what follows from using another one |
//! | `presence` | what the registry says |
//! | `people` | which devices users have, and whether they are trusted |
//! | `who` | the members of a conversation |
//! | `status` | how registries and links stand |
//! | `due` | when something is to be done |
//! | `pulling` | whether to pull, and from whom |
//! | `history` | what a pull brings, and how it ends |
//! | `flood`, `allowance` | how much of a device's entries is taken |
//! | `sealing`, `window` | what third parties can be given, and what is taken of what they give |
//! | `vouching` | seals and introductions as they come |
//! | `contradiction`, `found`, `forks` | devices that contradict themselves |
//!
//! [`Node::handle`] takes one [`Input`] and returns a [`Step`]: entries to append to the log, and effects that happen after that.

mod access;
#[cfg(test)]
mod access_tests;
pub mod account;
#[cfg(test)]
mod ack_tests;
mod allowance;
pub mod apart;
pub mod belonging;
pub mod breaker;
pub mod clock;
pub mod contradiction;
pub mod delivery;
mod dials;
pub mod door;
pub mod doubts;
mod due;
mod ending;
pub mod event;
pub mod flood;
#[cfg(test)]
mod flood_tests;
#[cfg(test)]
mod fork_tests;
mod forks;
pub mod found;
mod frames;
mod heights;
mod history;
pub mod holdback;
pub mod io;
mod knocks;
pub mod limits;
pub mod link;
mod links;
pub mod memberships;
mod moved;
mod notice;
mod own;
#[cfg(test)]
mod own_tests;
#[cfg(test)]
mod pace_tests;
pub mod people;
mod presence;
pub mod private;
mod pulling;
pub mod refusal;
pub mod registries;
mod relays;
pub mod replica;
mod rooms;
pub mod sealing;
pub mod status;
mod strangers;
pub mod sync;
pub mod talk;
#[cfg(test)]
mod testing;
mod time;
pub mod types;
mod vouching;
mod who;
pub mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use io::{Ask, DeliveryNews, Effect, Input, Liveness, PeerAddress, Step};
pub use time::{Millis, Now};

use dials::Dials;
use event::{Event, Line};
use flood::Flood;
use link::{LinkId, Peer};
use memberships::Memberships;
use moved::Relisting;
use people::People;
use replica::Replica;
use sealing::Sealing;
use sync::PullId;
use talk::Talk;
use types::{Author, Authority, Conversation, DeviceId, Encode, Entry, Heights, Seen, UserName, WallTime};

/// Who a node is.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
}

/// A log as it was read back from the disk.
#[derive(Debug, Default)]
pub struct LoadedLog {
    /// What is held of each author.
    pub authors: BTreeMap<Author, replica::AuthorLog>,
    /// What each author's last entry names as seen.
    pub heads_seen: BTreeMap<Author, Vec<Seen>>,
    /// What the last entries of the log name as seen.
    pub recently_seen: Heights,
    /// Up to where seals cover each author's entries.
    pub sealed: BTreeMap<Author, types::Seq>,
    /// What the log holds before the first entry without a seal; see [`Node::load_tail`].
    pub servable: Heights,
    /// The authors who contradict themselves.
    pub forked: BTreeSet<Author>,
    /// Those of them of whom there is proof.
    pub proved: BTreeSet<Author>,
    /// The own incarnation that may be gone on with.
    pub resume: Option<u64>,
}

/// A peer's decisions.
#[derive(Debug)]
pub struct Node {
    me: Identity,
    /// Under which the names of all conversations mean something; none before any registry has certified the device.
    authority: Option<Authority>,
    encode: Encode,
    rng: fastrand::Rng,
    /// Logged in at the registry; none before the first attempt has ended.
    registry_up: Option<bool>,
    /// Who is still to be named by the registry that is used now.
    relisting: Relisting,
    quitting: bool,
    peers: BTreeMap<DeviceId, Peer>,
    links: BTreeMap<LinkId, DeviceId>,
    dials: Dials,
    talks: BTreeMap<Conversation, Talk>,
    /// In which rooms the user is, at whichever device he has joined them.
    memberships: Memberships,
    /// Direct conversations that wait for the registry's word on a user, with what was written meanwhile.
    opening: BTreeMap<UserName, VecDeque<String>>,
    /// Whose the devices are, as the registry has certified.
    introduced: BTreeMap<DeviceId, UserName>,
    /// Conversations for which it is to be decided whether to pull.
    unsettled: BTreeSet<Conversation>,
    pulls: BTreeMap<PullId, Conversation>,
    turns: pulling::Turns,
    flood: Flood,
    people: People,
    /// The time of the input that is being handled.
    now: Millis,
    wall: WallTime,
    next_heights_at: Millis,
    next_pull: u64,
    /// When something is due, computed anew after something has changed that could change it.
    due: Option<Millis>,
    retime: bool,
    step: Step,
}

impl Node {
    /// A node that holds nothing yet, under an authority if there was one ever. `encode` makes entries of drafts; `seed` drives what
    /// is left to chance.
    pub fn new(me: Identity, authority: Option<Authority>, encode: Encode, seed: u64) -> Self {
        Self {
            people: People::new(me.clone()),
            me,
            authority,
            encode,
            rng: fastrand::Rng::with_seed(seed),
            registry_up: None,
            relisting: Relisting::default(),
            quitting: false,
            peers: BTreeMap::new(),
            links: BTreeMap::new(),
            dials: Dials::default(),
            talks: BTreeMap::new(),
            memberships: Memberships::default(),
            opening: BTreeMap::new(),
            introduced: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            pulls: BTreeMap::new(),
            turns: pulling::Turns::default(),
            flood: Flood::default(),
            now: Millis::default(),
            wall: WallTime::default(),
            next_heights_at: Millis::default(),
            next_pull: 0,
            due: None,
            retime: true,
            step: Step::default(),
        }
    }

    /// Gives the node a conversation as its log was read back. Before the first input only.
    pub fn load(&mut self, conversation: Conversation, log: LoadedLog) {
        let heads = log.authors.iter().map(|(author, held)| {
            let seen = log.heads_seen.get(author).map(Vec::as_slice).unwrap_or_default();
            (*author, held.height(), seen)
        });
        let frontier = clock::Frontier::rebuild(heads, &log.recently_seen);
        let mut replica = Replica::load(conversation.clone(), self.authority, log.authors, frontier);
        let mut sealing = Sealing::load(log.sealed, log.servable);
        for author in log.forked.intersection(&log.proved) {
            sealing.excuse(*author);
        }
        replica.load_forked(log.forked);
        self.talks
            .insert(conversation, Talk::new(replica, sealing, self.me.device, log.resume));
    }

    /// Gives the node, part by part, what a log holds from the first entry without a seal on. Before the first input only.
    pub fn load_tail(&mut self, conversation: &Conversation, part: &[Entry]) {
        if let Some(talk) = self.talks.get_mut(conversation) {
            for entry in part {
                talk.sealing.take(entry, Millis::default());
            }
        }
        self.advance(conversation);
    }

    /// Decides what an input leads to.
    pub fn handle(&mut self, input: Input, now: Now) -> Step {
        (self.now, self.wall) = (now.mono, now.wall);
        // On the path of a message no timer changes, unless the code that changes it says so.
        self.retime |= !matches!(
            input,
            Input::Write(..)
                | Input::Frame(..)
                | Input::Durable(..)
                | Input::History(..)
                | Input::Sealed(..)
                | Input::Judged(..)
                | Input::Tick
        );
        match input {
            Input::Start(memberships) => self.start(memberships, now),
            Input::Join(room) => self.join(room),
            Input::JoinPrivate(invitation) => self.join_private(invitation),
            Input::Open(user) => self.open(user, now),
            Input::Leave(conversation) => self.leave(&conversation),
            Input::People(wish) => self.wish(wish),
            Input::Write(conversation, text) => self.write(&conversation, text, now),
            Input::LastWords => self.last_words(now),
            Input::Quit => self.quit(),
            Input::RegistryUp {
                hosting,
                address,
                authority,
            } => self.registry_up(hosting, address, authority, now),
            Input::Notice(notice) => self.tell(Event::Notice(notice)),
            Input::RegistryDown(reason) => self.registry_down(reason),
            Input::RegistryBarred(reason) => self.registry_barred(reason),
            Input::RoomJoined { room, created, members } => self.room_joined(room, created, members, now),
            Input::RoomRefused { room, refused } => self.room_refused(room, refused, now),
            Input::Found(user, peers) => self.found(&user, peers, now),
            Input::NotFound(user) => self.not_found(&user, now),
            Input::FindFailed(user, reason) => self.find_failed(&user, &reason, now),
            Input::UserChanged(user, peer, liveness) => self.user_changed(&user, peer, liveness, now),
            Input::RoomChanged(room, peer, liveness) => self.room_changed(room, peer, liveness, now),
            Input::LinkUp(up) => self.link_up(up, now),
            Input::LinkDown(link, _) => self.link_down(link, now),
            Input::DialFailed(device) => self.dial_failed(device, now),
            Input::DialRevoked(device) => self.dial_revoked(device, now),
            Input::Frame(link, frame) => self.frame(link, frame, now),
            Input::Misbehaved(link, why) => {
                if let Some(&device) = self.links.get(&link) {
                    self.misbehaved(device, &why);
                }
            }
            Input::LinkFull(link) => self.link_full(link),
            Input::LinkDrained(link) => self.link_drained(link, now),
            Input::VersionAnswer(device, conversation, heights) => self.version_answer(device, conversation, heights),
            Input::VersionFailed(device, conversation) => self.version_failed(device, conversation),
            Input::BadAnswer(device, why) => self.misbehaved(device, &why),
            Input::History(pull, pulled) => self.history(pull, pulled, now),
            Input::HistoryEnd(pull, end) => self.history_end(pull, end, now),
            Input::Introduced(introduction) => self.introduce(introduction),
            Input::Sealed(conversation, seals) => self.sealed(&conversation, seals),
            Input::PassedSeal(conversation, author, seq) => {
                // It covers nothing, so what it is of is pulled, with a seal.
                self.talk(&conversation).sealing.settle(&author, seq);
                self.unsettled.insert(conversation);
            }
            Input::Judged(conversation, good, bad) => self.judged(&conversation, good, bad),
            Input::Forked(conversation, author, how) => self.forked(&conversation, author, how, now),
            Input::Durable(conversation, heights) => self.durable(&conversation, heights),
            Input::Salvaged(conversation, entries) => self.salvaged(&conversation, entries, now),
            Input::Stalled => self.stalled(now),
            Input::Tick => {}
        }
        self.on_time(now);
        self.settle(now);
        std::mem::take(&mut self.step)
    }

    /// Who the node is.
    pub fn me(&self) -> &Identity {
        &self.me
    }

    /// Under which authority it is.
    pub fn authority(&self) -> Option<Authority> {
        self.authority
    }

    /// The conversations that are known, with the state of each.
    pub fn talks(&self) -> &BTreeMap<Conversation, Talk> {
        &self.talks
    }

    /// In which rooms the user is.
    pub fn memberships(&self) -> &Memberships {
        &self.memberships
    }

    /// The other devices that are known.
    pub fn peers(&self) -> &BTreeMap<DeviceId, Peer> {
        &self.peers
    }

    /// Whether a device is in any conversation that is known, or is said to be, or is another one of this user.
    fn is_member(&self, device: &DeviceId) -> bool {
        self.is_own(device) || self.talks.values().any(|talk| talk.may_have(device))
    }

    fn is_online(&self, device: &DeviceId) -> bool {
        self.peers
            .get(device)
            .is_some_and(|peer| peer.listed || peer.link().is_some())
    }

    fn effect(&mut self, effect: Effect) {
        self.step.then.push(effect);
    }

    fn tell(&mut self, event: Event) {
        self.effect(Effect::Tell(event));
    }

    fn notice(&mut self, code: event::Code, message: String) {
        self.tell(Event::Notice(event::Notice { code, message }));
    }
}

/// How the screen of this user shows an entry that was just taken.
fn line(me: &Identity, entry: &Entry, replica: &Replica, version: u64) -> Line {
    let user = replica
        .authors()
        .get(&entry.author)
        .map_or_else(|| me.user.clone(), |log| log.user.clone());
    Line::of(entry, user, version)
}
