//! What is known of users' devices: which of them were met, and whether the user has compared them with their owner.
//!
//! A device is *met* when there is a link with it, which proves whose it is; what only stands in a log was *heard of*. The first device
//! of a user is taken for his, as ssh takes a host's first key; every further one is announced. Only those count with whom the user
//! has to do: a stranger's name costs nothing to make up, and many of them would push out those who matter.

mod acts;
pub mod compare;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Identity,
    limits::{DEVICES_OF_USER_MAX, PEOPLE_MAX},
    types::{DeviceId, UserName, WallTime},
};
pub use compare::Comparison;

/// What the user asks about somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Show what to compare. Answered by [`News::Compared`].
    Verify(UserName),
    /// The comparison was right. Answered by [`News::Trusted`].
    Trust(UserName),
    /// Take that back. Answered by [`News::Trusted`] with no devices.
    Untrust(UserName),
    /// Forget a device that is gone, the one whose id starts like this. Answered by [`News::Forgot`].
    Forget(UserName, String),
}

/// What the user is told about somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A user who is known is there with a device that was never met. Of the own user: somebody is logged in elsewhere.
    NewDevice {
        /// Whose.
        user: UserName,
        /// Which.
        device: DeviceId,
        /// How many others of his are known.
        known: usize,
        /// Any of those was trusted.
        trusted: bool,
    },
    /// What both sides have to compare.
    Compared(Comparison, compare::Words),
    /// These devices of a user are trusted now, and no others of his.
    Trusted(UserName, Vec<DeviceId>),
    /// A device does not count as the user's any longer.
    Forgot {
        /// Whose it was.
        user: UserName,
        /// Which.
        device: DeviceId,
        /// How many of his are known still.
        known: usize,
    },
}

/// What is to be done about people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Compute the words of a comparison, which takes a while, and tell them.
    Compare(Comparison),
    /// Keep what is known for the next start.
    Remember {
        /// Before the user is told anything more; otherwise soon.
        at_once: bool,
    },
}

/// How far a user is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Not at all: nothing was compared, or that was taken back.
    None,
    /// All his devices were compared.
    Whole,
    /// He was trusted, and came with another device after that.
    NewDevice,
}

/// A device that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub id: DeviceId,
    /// When it was first met.
    pub first_met: WallTime,
    /// When it was last met.
    pub last_met: WallTime,
    /// It was compared.
    pub trusted: bool,
}

/// A user who was met.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// His devices, the one that was met the longest ago first.
    devices: Vec<Device>,
    /// When the user last said that the comparison was right, as long as that counts for any device.
    trusted_at: Option<WallTime>,
    /// The devices that the user was last shown to compare, in this run.
    compared: Option<BTreeSet<DeviceId>>,
    /// Of two users the one with the greater number was met last.
    turn: u64,
}

impl Person {
    /// A user as he was remembered, with his devices in the order in which they were last met; none where that cannot be.
    pub fn remembered(devices: Vec<Device>, trusted_at: Option<WallTime>) -> Option<Self> {
        let ids: BTreeSet<DeviceId> = devices.iter().map(|device| device.id).collect();
        let fits = ids.len() == devices.len() && devices.len() <= DEVICES_OF_USER_MAX;
        fits.then(|| Self {
            devices,
            trusted_at,
            ..Self::default()
        })
    }

    /// His devices, the one that was met the longest ago first.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// When he was last trusted.
    pub fn trusted_at(&self) -> Option<WallTime> {
        self.trusted_at
    }

    fn is_trusted(&self) -> bool {
        self.devices.iter().any(|device| device.trusted)
    }

    /// Where he has as many devices as are kept, the one goes that was met the longest ago; a trusted one only where all are. Should
    /// it come back, it is announced.
    fn make_room(&mut self) {
        if self.devices.len() >= DEVICES_OF_USER_MAX {
            let goes = self.devices.iter().position(|device| !device.trusted).unwrap_or(0);
            self.devices.remove(goes);
        }
    }
}

/// What it means that a device was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// It was known.
    Again,
    /// So far nothing was known of its user.
    First,
    /// Its user was known without it.
    New {
        /// With how many others.
        known: usize,
        /// Any of them was trusted.
        trusted: bool,
    },
    /// As many users are known as may be, all of them trusted: nothing is kept of this one.
    NoRoom,
}

/// The users who were met, with their devices.
#[derive(Debug)]
pub struct People {
    me: Identity,
    known: BTreeMap<UserName, Person>,
    last_turn: u64,
    changes: u64,
}

impl People {
    /// Nobody was met.
    pub fn new(me: Identity) -> Self {
        Self {
            me,
            known: BTreeMap::new(),
            last_turn: 0,
            changes: 0,
        }
    }

    /// What was remembered, those who were met the longest ago first; none where that cannot be.
    pub fn remembered(me: Identity, people: Vec<(UserName, Person)>) -> Option<Self> {
        let (count, mut known) = (people.len(), BTreeMap::new());
        for (turn, (user, mut person)) in (1..).zip(people) {
            // The own device is no other one, though an earlier run of another device may have met it.
            person.devices.retain(|device| device.id != me.device);
            person.turn = turn;
            known.insert(user, person);
        }
        let fits = known.len() == count && count <= PEOPLE_MAX;
        fits.then(|| Self {
            known,
            last_turn: count as u64,
            ..Self::new(me)
        })
    }

    /// Those who were met, the one whose meeting is the longest ago first.
    pub fn all(&self) -> Vec<(&UserName, &Person)> {
        let mut all: Vec<_> = self.known.iter().collect();
        all.sort_by_key(|(_, person)| person.turn);
        all
    }

    /// A number that is another one when anything has changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether anything is known of a user. Of the own one there always is.
    pub fn knows(&self, user: &UserName) -> bool {
        *user == self.me.user || self.known.contains_key(user)
    }

    /// The devices of a user that count, the own device included.
    pub fn devices_of(&self, user: &UserName) -> BTreeSet<DeviceId> {
        let met = self.known.get(user).into_iter().flat_map(|person| &person.devices);
        let own = (*user == self.me.user).then_some(self.me.device);
        met.map(|device| device.id).chain(own).collect()
    }

    /// How far a user is trusted.
    pub fn trust(&self, user: &UserName) -> Trust {
        match self.known.get(user) {
            Some(person) if !person.is_trusted() => Trust::None,
            Some(person) if person.devices.iter().all(|device| device.trusted) => Trust::Whole,
            Some(_) => Trust::NewDevice,
            None => Trust::None,
        }
    }

    /// Takes note that there is a link with a device, which is another one than the own.
    pub fn meet(&mut self, user: &UserName, device: DeviceId, at: WallTime) -> Met {
        let is_first = !self.known.contains_key(user);
        if is_first && !self.make_room(user) {
            return Met::NoRoom;
        }
        self.changes += 1;
        self.last_turn += 1;
        let person = self.known.entry(user.clone()).or_default();
        person.turn = self.last_turn;
        if let Some(place) = person.devices.iter().position(|known| known.id == device) {
            let mut known = person.devices.remove(place);
            known.last_met = at;
            person.devices.push(known);
            return Met::Again;
        }
        let (known, trusted) = (person.devices.len(), person.is_trusted());
        person.make_room();
        person.devices.push(Device {
            id: device,
            first_met: at,
            last_met: at,
            trusted: false,
        });
        match (is_first, *user == self.me.user) {
            (_, true) => Met::New {
                known: known + 1,
                trusted,
            },
            (true, false) => Met::First,
            (false, false) => Met::New { known, trusted },
        }
    }

    /// Where as many users are known as may be, the one goes who was met the longest ago and is not trusted; false where there is none.
    fn make_room(&mut self, user: &UserName) -> bool {
        let is_full = self.known.len() >= PEOPLE_MAX && *user != self.me.user;
        if !is_full {
            return true;
        }
        let others = self.known.iter().filter(|(known, _)| **known != self.me.user);
        let untrusted = others.filter(|(_, person)| !person.is_trusted());
        let goes = untrusted.min_by_key(|(_, person)| person.turn);
        let goes = goes.map(|(user, _)| user.clone());
        goes.is_some_and(|user| self.known.remove(&user).is_some())
    }

    /// Takes note of what the user was shown to compare.
    fn compared(&mut self, user: &UserName) {
        let devices = self.devices_of(user);
        if let Some(person) = self.known.get_mut(user) {
            person.compared = Some(devices);
        }
    }

    /// Whether the devices of a user are other ones than those that were last shown in this run.
    fn has_changed_since_compared(&self, user: &UserName) -> bool {
        let compared = self.known.get(user).and_then(|person| person.compared.as_ref());
        compared.is_some_and(|compared| *compared != self.devices_of(user))
    }

    /// Trusts all devices of a user that are known, or none of them.
    fn set_trusted(&mut self, user: &UserName, trusted: Option<WallTime>) {
        let Some(person) = self.known.get_mut(user) else {
            return;
        };
        self.changes += 1;
        person.trusted_at = trusted;
        for device in &mut person.devices {
            device.trusted = trusted.is_some();
        }
    }

    /// Forgets a device. Its user stays known even without one, so that the next is announced.
    fn forget(&mut self, user: &UserName, device: DeviceId) {
        let Some(person) = self.known.get_mut(user) else {
            return;
        };
        self.changes += 1;
        person.devices.retain(|known| known.id != device);
        if !person.is_trusted() {
            person.trusted_at = None;
        }
    }
}
