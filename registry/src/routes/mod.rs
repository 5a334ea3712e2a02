//! The lease table: who is where, and who is in which room. Pure: no clock, no randomness, no I/O. The time and the tokens come
//! in as arguments; what the others must be told comes out as [`Effect`]s. The same calls give the same answers.
//!
//! A **device** has one lease, named by a secret token. The lease ends when its device logs out, or unless it is renewed:
//! [`limits::LEASE`] after the last renewal, or [`limits::STREAM_LOST`] after its stream broke. With it the device goes out of
//! its rooms; a room that nobody is in is no more. A user may have several live devices; whose a device is was settled before.
//!
//! **Logging in again.** A peer whose stream broke, or that was started anew, logs in again with the same device. Its new lease
//! replaces the old one, and its memberships are *kept*: for [`limits::REJOIN`] it counts as a member, but is told nothing of
//! the room. Joining makes a kept membership a full one, without a word to anybody; those that are left over then are lost. So
//! a peer that reconnects and joins its rooms is not seen to leave and come, and a new process is not held for a member of
//! rooms that it does not know of. Users to watch are not kept: they are named anew on the new stream.
//!
//! What always holds: no device has two leases, no room is empty, every member has a live lease, and whoever
//! applies what it is told to the answer of its `join_room` holds the room as the table has it.

mod command;
mod differences;
pub mod limits;
mod offline;
mod sets;
mod snapshot;
mod types;
mod upkeep;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Bound,
};

use peerchat_proto::names::{RoomName, UserName};

pub use command::{Answer, Command, Query, Told};
use offline::OfflineNames;
use sets::{DevicesOf, FewSet};
pub use snapshot::{Damaged, LeaseRecord, OfflineRecord};
pub use types::{
    AttemptOutcome, Change, DeviceId, Effect, Found, Joined, LeaseEnd, LeaseToken, Liveness, Millis, Note, Page, Peer,
    Refusal, Step,
};

/// The lease table.
#[derive(Debug, Default)]
pub struct Routes {
    leases: BTreeMap<DeviceId, Lease>,
    tokens: BTreeMap<LeaseToken, DeviceId>,
    /// The live devices of every user who has one.
    users: DevicesOf,
    rooms: BTreeMap<RoomName, BTreeSet<(UserName, DeviceId)>>,
    /// Who is told of whom.
    watchers: DevicesOf,
    /// When to look at which lease next, so that time costs only what it ends.
    due: BTreeSet<(Millis, DeviceId)>,
    offline: OfflineNames,
}

/// What a device holds.
#[derive(Debug)]
struct Lease {
    token: LeaseToken,
    peer: Peer,
    ends: Millis,
    /// Rooms that this lease joined.
    rooms: FewSet<RoomName>,
    /// Rooms of the device's former lease that this one has not joined yet.
    kept: FewSet<RoomName>,
    kept_until: Millis,
    watched: FewSet<UserName>,
    /// This lease's entry in [`Routes::due`].
    due: Millis,
}

impl Routes {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a lease named `token`, which no other lease has. A device that has a lease gets a new one in its place.
    ///
    /// That the device is one of the user's is the caller's to know. Refuses with [`Refusal::LeasesFull`].
    pub fn log_in(&mut self, peer: Peer, token: LeaseToken, now: Millis) -> Step<()> {
        self.step(now, |routes, effects| {
            match routes.leases.get(&peer.device) {
                Some(former) if former.peer.user == peer.user => routes.replace(peer, token, now, effects),
                // One user per device: under another name it is somebody else who comes.
                Some(_) => {
                    routes.end(peer.device, LeaseEnd::Replaced, now, effects);
                    routes.begin(peer, token, now, effects);
                }
                None if routes.leases.len() >= limits::LEASES_MAX => return Err(Refusal::LeasesFull),
                None => routes.begin(peer, token, now, effects),
            }
            Ok(())
        })
    }

    /// Ends a lease. Those who watch its user hear that he left; those in its rooms hear that it is lost to them, as with any lease
    /// that ends, since only [`Routes::leave_room`] leaves a room.
    ///
    /// Refuses with [`Refusal::UnknownLease`].
    pub fn log_out(&mut self, token: LeaseToken, now: Millis) -> Step<()> {
        self.step(now, |routes, effects| {
            let device = routes.holder(token)?;
            routes.end(device, LeaseEnd::LoggedOut, now, effects);
            Ok(())
        })
    }

    /// Tells where a user is. As with all that only reads, whoever asks lets time pass before.
    ///
    /// Refuses with [`Refusal::UnknownLease`] or [`Refusal::UnknownUser`].
    pub fn find(&self, token: LeaseToken, user: &UserName) -> Result<Found, Refusal> {
        self.holder(token)?;
        let peers: Vec<Peer> = self.live_peers(user).cloned().collect();
        let shown = match peers.first() {
            Some(peer) => peer.user.clone(),
            None => self
                .offline
                .get(user)
                .cloned()
                .ok_or_else(|| Refusal::UnknownUser(user.clone()))?,
        };
        Ok(Found { user: shown, peers })
    }

    /// Adds the holder of a lease to a room, which is created where it is not there. Joining twice changes nothing.
    ///
    /// Refuses with [`Refusal::UnknownLease`], [`Refusal::RoomsPerLease`], [`Refusal::RoomFull`] or [`Refusal::RoomsFull`].
    pub fn join_room(&mut self, token: LeaseToken, room: &RoomName, now: Millis) -> Step<Joined> {
        self.step(now, |routes, effects| {
            let device = routes.holder(token)?;
            let is_kept = routes.lease_mut(device).kept.remove(room);
            let mut created = false;
            if is_kept {
                routes.lease_mut(device).rooms.insert(room.clone());
                routes.schedule(device);
            } else if !routes.lease(device).rooms.contains(room) {
                created = routes.enter(device, room, effects)?;
            }
            let members = routes.rooms[room]
                .iter()
                .map(|(_, device)| routes.lease(*device).peer.clone());
            Ok(Joined {
                created,
                members: members.collect(),
            })
        })
    }

    /// Takes the holder of a lease out of a room. Answers whether the room is there no longer.
    ///
    /// Refuses with [`Refusal::UnknownLease`] or [`Refusal::NotInRoom`].
    pub fn leave_room(&mut self, token: LeaseToken, room: &RoomName, now: Millis) -> Step<bool> {
        self.step(now, |routes, effects| {
            let device = routes.holder(token)?;
            let lease = routes.lease_mut(device);
            if !lease.rooms.remove(room) && !lease.kept.remove(room) {
                return Err(Refusal::NotInRoom(room.clone()));
            }
            let peer = lease.peer.clone();
            routes.schedule(device);
            Ok(routes.depart(&peer, room, Liveness::Left, effects))
        })
    }

    /// Tells at most `page` rooms, and no more than [`limits::PAGE_MAX`], in the order of their names from the first one after
    /// `after`. Unlisted ones are left out: whoever is to find one knows what it is called here.
    ///
    /// Refuses with [`Refusal::UnknownLease`].
    pub fn list_rooms(&self, token: LeaseToken, after: Option<&RoomName>, page: usize) -> Result<Page, Refusal> {
        self.holder(token)?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.rooms.range::<RoomName, _>((start, Bound::Unbounded));
        let mut rest = rest.filter(|(name, _)| !name.is_unlisted());
        let page = rest.by_ref().take(page.min(limits::PAGE_MAX));
        let rooms = page.map(|(name, members)| (name.clone(), members.len())).collect();
        let more = rest.next().is_some();
        Ok(Page { rooms, more })
    }

    /// Renews a lease, and from now on tells its holder of these users too; where they are now is told at once.
    ///
    /// Refuses with [`Refusal::UnknownLease`] or [`Refusal::WatchedFull`].
    pub fn renew(&mut self, token: LeaseToken, users: &[UserName], now: Millis) -> Step<()> {
        self.step(now, |routes, effects| {
            let device = routes.holder(token)?;
            routes.unwatched(token, users)?;
            routes.lease_mut(device).ends = now + limits::LEASE;
            routes.schedule(device);
            for user in users {
                routes.watch(device, user, effects);
            }
            Ok(())
        })
    }

    /// Whether there is a lease of this token.
    pub fn is_lease(&self, token: LeaseToken) -> bool {
        self.tokens.contains_key(&token)
    }

    /// Those of these users of whom the holder of a lease is not told yet, each once.
    ///
    /// Refuses with [`Refusal::UnknownLease`], or with [`Refusal::WatchedFull`] as [`Routes::renew`] would.
    pub fn unwatched(&self, token: LeaseToken, users: &[UserName]) -> Result<Vec<UserName>, Refusal> {
        let watched = &self.lease(self.holder(token)?).watched;
        let added: BTreeSet<&UserName> = users.iter().filter(|user| !watched.contains(*user)).collect();
        if watched.len() + added.len() > limits::WATCHED_PER_LEASE_MAX {
            return Err(Refusal::WatchedFull);
        }
        Ok(added.into_iter().cloned().collect())
    }

    /// The device and the user of a lease.
    ///
    /// Refuses with [`Refusal::UnknownLease`].
    pub fn who(&self, token: LeaseToken) -> Result<(DeviceId, UserName), Refusal> {
        let device = self.holder(token)?;
        Ok((device, self.lease(device).peer.user.clone()))
    }

    /// Whether a device has a lease.
    pub fn is_live(&self, device: DeviceId) -> bool {
        self.leases.contains_key(&device)
    }

    /// Ends the lease of a device that was revoked, and tells everybody that it is to be believed no longer.
    pub fn revoke(&mut self, device: DeviceId, now: Millis) -> Vec<Effect> {
        let mut effects = self.expire(now);
        self.end(device, LeaseEnd::Revoked, now, &mut effects);
        effects.extend(self.tokens.keys().map(|to| Effect::Tell {
            to: *to,
            change: Change::Revoked { devices: vec![device] },
        }));
        effects
    }

    /// Tells a user's live devices that another one wanted to be one of them.
    pub fn tell_attempt(
        &self,
        user: &UserName,
        device: DeviceId,
        from: IpAddr,
        outcome: AttemptOutcome,
    ) -> Vec<Effect> {
        let live = self.users.of(user).filter(|live| *live != device);
        let tell = live.map(|live| Effect::Tell {
            to: self.lease(live).token,
            change: Change::Attempt { device, from, outcome },
        });
        tell.collect()
    }

    /// Shortens a lease whose stream broke, so that a killed peer is noticed quickly. An unknown lease is no error: its
    /// device may have logged in again already.
    pub fn stream_lost(&mut self, token: LeaseToken, now: Millis) {
        if let Ok(device) = self.holder(token) {
            let lease = self.lease_mut(device);
            lease.ends = lease.ends.min(now + limits::STREAM_LOST);
            self.schedule(device);
        }
    }

    /// Renews leases at once that are told of nobody new. An unknown one is no error: it may have ended meanwhile.
    pub fn renew_many(&mut self, tokens: &[LeaseToken], now: Millis) -> Vec<Effect> {
        let effects = self.expire(now);
        for token in tokens {
            if let Ok(device) = self.holder(*token) {
                self.lease_mut(device).ends = now + limits::LEASE;
                self.schedule(device);
            }
        }
        effects
    }

    /// Ends what is over at this time: leases that were not renewed, and kept memberships that were not joined anew.
    pub fn expire(&mut self, now: Millis) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((at, device)) = self.due.first().copied()
            && at <= now
        {
            if self.lease(device).ends <= now {
                self.end(device, LeaseEnd::Lost, now, &mut effects);
            } else {
                self.drop_kept(device, &mut effects);
            }
        }
        effects
    }

    /// Lets time pass, then acts. Every call that changes something comes through here, so none ever sees a lease whose time is up.
    fn step<T>(&mut self, now: Millis, act: impl FnOnce(&mut Self, &mut Vec<Effect>) -> Result<T, Refusal>) -> Step<T> {
        let mut effects = self.expire(now);
        let answer = act(self, &mut effects);
        Step { answer, effects }
    }
}

#[cfg(test)]
mod differences_tests;
#[cfg(test)]
pub(crate) mod model_tests;
#[cfg(test)]
pub(crate) mod random;
#[cfg(test)]
mod tests;
