//! The words of the lease table.

use std::{fmt, net::IpAddr, ops::Add, sync::Arc, time::Duration};

use peerchat_proto::names::{RoomName, UserName};

use super::limits;
use crate::address::Address;

/// A time or a span in milliseconds, counted by the caller's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// A span in whole seconds, for people.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000
    }
}

impl From<Duration> for Millis {
    fn from(span: Duration) -> Self {
        Self(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Add for Millis {
    type Output = Self;

    fn add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// A device's Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceId(pub [u8; 32]);

impl fmt::Display for DeviceId {
    /// The first bytes, enough to tell devices apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {self}")
    }
}

/// The secret that names a lease. Random, made by the caller of [`Routes::log_in`](super::Routes::log_in).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseToken(pub [u8; 16]);

impl fmt::Debug for LeaseToken {
    /// Whoever knows the token can act for the device: it is never printed whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease {:02x}…", self.0[0])
    }
}

/// A live device of a user and where it can be reached.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The user's name.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
    /// Where its ChatService can be reached.
    pub address: Address,
}

impl Peer {
    /// Whether the others would see no difference. Names that differ in case alone are equal, but not shown the same.
    pub fn is_shown_as(&self, other: &Self) -> bool {
        (self.user.shown(), self.device, &self.address) == (other.user.shown(), other.device, &other.address)
    }
}

/// Whether a device came, left, or was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It is there; told again when its address changed.
    Here,
    /// It left by its own will: the room, or, where a user is watched, the registry.
    Left,
    /// Its lease ended. Told of a room it may also have logged out: it is gone from there, and has not left.
    Lost,
}

/// What a registry says to all that share its table with it: bytes, which mean nothing to the table.
#[derive(Clone, PartialEq, Eq)]
pub struct Note(Arc<[u8]>);

impl Note {
    /// A note of these bytes; none where they are more than [`limits::NOTE_BYTES_MAX`].
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() <= limits::NOTE_BYTES_MAX).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "note of {} bytes", self.0.len())
    }
}

/// What a watcher is told.
#[derive(Debug, Clone)]
pub enum Change {
    /// A device of a watched user came or went.
    Presence {
        /// The device.
        peer: Peer,
        /// Came or went.
        liveness: Liveness,
    },
    /// Devices that are to be believed no longer.
    Revoked {
        /// Which.
        devices: Vec<DeviceId>,
    },
    /// A device that is none of the watcher's user wanted to be.
    Attempt {
        /// The device.
        device: DeviceId,
        /// From where.
        from: IpAddr,
        /// What became of it.
        outcome: AttemptOutcome,
    },
    /// A watched user has no live device.
    Offline {
        /// The user.
        user: UserName,
    },
    /// A device came into a room of the watcher or left it.
    Room {
        /// The room.
        room: RoomName,
        /// The device.
        peer: Peer,
        /// Came or went.
        liveness: Liveness,
    },
}

/// What became of a device that wanted to be one of a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It brought nothing, and was refused.
    Refused,
    /// Its password was wrong.
    WrongPassword,
    /// It waits for approval.
    Waits,
    /// It had the password, and is one now.
    Added,
}

/// Why a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// Its device logged out.
    LoggedOut,
    /// Its device logged in again and has a new lease.
    Replaced,
    /// It was not renewed in time.
    Lost,
    /// Its device was revoked.
    Revoked,
}

/// What the caller of the table does next, in this order.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Tell the holder of a lease about a change.
    Tell {
        /// Whom.
        to: LeaseToken,
        /// What.
        change: Change,
    },
    /// A lease is no more: end its stream.
    Ended {
        /// Which.
        lease: LeaseToken,
        /// Whose it was.
        peer: Peer,
        /// Why.
        end: LeaseEnd,
    },
    /// A room is there now.
    RoomCreated {
        /// Its name.
        room: RoomName,
        /// Who came into it first.
        by: UserName,
    },
    /// A room is there no longer, because nobody is in it.
    RoomDismissed {
        /// Its name.
        room: RoomName,
    },
    /// A registry that shares the table has something to say to this one, or this one to all.
    Said {
        /// What.
        note: Note,
    },
}

/// What became of a call: the answer to the caller, and what to do besides. Effects come with a refusal too: leases whose
/// time is up end before anything else happens.
#[derive(Debug)]
#[must_use = "effects must be carried out"]
pub struct Step<T> {
    /// The answer to the caller.
    pub answer: Result<T, Refusal>,
    /// What to do besides, in order.
    pub effects: Vec<Effect>,
}

impl<T> Step<T> {
    /// The same with another answer.
    pub fn map<U>(self, answer: impl FnOnce(T) -> U) -> Step<U> {
        Step {
            answer: self.answer.map(answer),
            effects: self.effects,
        }
    }
}

/// A user and the user's live devices, none where the user is offline.
#[derive(Debug, Clone)]
pub struct Found {
    /// The name as its user wrote it last.
    pub user: UserName,
    /// The live devices.
    pub peers: Vec<Peer>,
}

/// A room as its new member finds it.
#[derive(Debug, Clone)]
pub struct Joined {
    /// It was not there before.
    pub created: bool,
    /// The members, the new one among them, sorted by user and device.
    pub members: Vec<Peer>,
}

/// A page of the rooms.
#[derive(Debug, Clone)]
pub struct Page {
    /// Rooms with their numbers of members, sorted by name.
    pub rooms: Vec<(RoomName, usize)>,
    /// There are more after the last one.
    pub more: bool,
}

/// Why the table refuses a call. Nothing has changed then, but for leases whose time was up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody holds this lease.
    #[error("this lease has ended, or the registry was started anew; log in again")]
    UnknownLease,
    /// The user's name is not known.
    #[error("no user {0} is known here; mind the spelling, or wait until {0} logs in for the first time")]
    UnknownUser(UserName),
    /// The caller leaves a room in which it is not.
    #[error("you are not in room #{}; nothing to leave", .0.label())]
    NotInRoom(RoomName),
    /// [`limits::LEASES_MAX`] is reached.
    #[error(
        "the registry is full with {} peers; try again later, or use another registry",
        limits::LEASES_MAX
    )]
    LeasesFull,
    /// [`limits::ROOMS_MAX`] is reached.
    #[error(
        "the registry is full with {} rooms; join one of them, or try again later",
        limits::ROOMS_MAX
    )]
    RoomsFull,
    /// [`limits::ROOMS_PER_LEASE_MAX`] is reached.
    #[error(
        "you are in {} rooms, which is the most; leave one first",
        limits::ROOMS_PER_LEASE_MAX
    )]
    RoomsPerLease,
    /// [`limits::MEMBERS_PER_ROOM_MAX`] is reached.
    #[error(
        "room #{room} is full with {max} members; join another one, or try again later",
        room = .0.label(),
        max = limits::MEMBERS_PER_ROOM_MAX
    )]
    RoomFull(RoomName),
    /// [`limits::WATCHED_PER_LEASE_MAX`] is reached.
    #[error(
        "a peer watches at most {} users; log in again and watch fewer",
        limits::WATCHED_PER_LEASE_MAX
    )]
    WatchedFull,
}
