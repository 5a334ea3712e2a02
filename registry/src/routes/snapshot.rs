//! The whole table as records, to be carried elsewhere and put together again. The indexes follow from the leases, so they are not in it.

use peerchat_proto::names::{RoomName, UserName};

use super::{Lease, LeaseToken, Millis, Peer, Routes, limits, sets::FewSet};

/// One lease with all that hangs on it.
#[derive(Debug, Clone)]
pub struct LeaseRecord {
    /// Its name.
    pub token: LeaseToken,
    /// Whose it is.
    pub peer: Peer,
    /// When it ends unless it is renewed.
    pub ends: Millis,
    /// Rooms that it joined.
    pub rooms: Vec<RoomName>,
    /// Rooms of the device's former lease that it has not joined yet.
    pub kept: Vec<RoomName>,
    /// Until when it may.
    pub kept_until: Millis,
    /// Whom its holder watches.
    pub watched: Vec<UserName>,
}

/// A user who is not there, and since when.
pub type OfflineRecord = (UserName, Millis);

/// Records that make no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// Two leases are of one device or have one name, or a room is in one of them twice.
    #[error("something is in it twice")]
    Doubled,
    /// There is more than a table holds.
    #[error("it has more than a table holds")]
    TooMuch,
}

impl Routes {
    /// All leases, in the order of their devices.
    pub fn records(&self) -> impl Iterator<Item = LeaseRecord> {
        self.leases.values().map(Lease::record)
    }

    /// One lease; none where there is none of this name.
    pub fn record(&self, token: LeaseToken) -> Option<LeaseRecord> {
        let device = self.holder(token).ok()?;
        Some(self.lease(device).record())
    }

    /// The users who were here and are not now.
    pub fn offline_records(&self) -> impl Iterator<Item = OfflineRecord> {
        self.offline.iter()
    }

    /// When something ends next, if nothing happens before.
    pub fn next_due(&self) -> Option<Millis> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The table that has these records.
    ///
    /// # Errors
    /// No table has them.
    pub fn restore(
        leases: impl IntoIterator<Item = LeaseRecord>,
        offline: impl IntoIterator<Item = OfflineRecord>,
    ) -> Result<Self, Damaged> {
        let mut routes = Self::new();
        for (user, since) in offline {
            routes.offline.insert(user, since);
        }
        for record in leases {
            routes.put(record)?;
        }
        if routes.leases.len() > limits::LEASES_MAX || routes.rooms.len() > limits::ROOMS_MAX {
            return Err(Damaged::TooMuch);
        }
        Ok(routes)
    }

    fn put(&mut self, record: LeaseRecord) -> Result<(), Damaged> {
        let LeaseRecord { token, peer, .. } = &record;
        let (token, peer) = (*token, peer.clone());
        if self.leases.contains_key(&peer.device) || self.tokens.contains_key(&token) {
            return Err(Damaged::Doubled);
        }
        if record.rooms.len() + record.kept.len() > limits::ROOMS_PER_LEASE_MAX
            || record.watched.len() > limits::WATCHED_PER_LEASE_MAX
        {
            return Err(Damaged::TooMuch);
        }
        for room in record.rooms.iter().chain(&record.kept) {
            let members = self.rooms.entry(room.clone()).or_default();
            if !members.insert((peer.user.clone(), peer.device)) {
                return Err(Damaged::Doubled);
            }
        }
        for user in &record.watched {
            self.watchers.insert(user.clone(), peer.device);
        }
        self.offline.remove(&peer.user);
        self.tokens.insert(token, peer.device);
        self.users.insert(peer.user.clone(), peer.device);
        let device = peer.device;
        let lease = Lease {
            token,
            peer,
            ends: record.ends,
            rooms: record.rooms.into_iter().collect(),
            kept: record.kept.into_iter().collect(),
            kept_until: record.kept_until,
            watched: record.watched.into_iter().collect(),
            due: record.ends,
        };
        self.leases.insert(device, lease);
        self.schedule(device);
        Ok(())
    }
}

impl Lease {
    fn record(&self) -> LeaseRecord {
        fn list<T: Ord + Clone>(set: &FewSet<T>) -> Vec<T> {
            set.iter().cloned().collect()
        }
        LeaseRecord {
            token: self.token,
            peer: self.peer.clone(),
            ends: self.ends,
            rooms: list(&self.rooms),
            kept: list(&self.kept),
            kept_until: self.kept_until,
            watched: list(&self.watched),
        }
    }
}
