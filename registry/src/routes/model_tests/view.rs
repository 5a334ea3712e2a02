//! What a table has, as the model compares it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// A table of any kind.
pub(crate) trait Table {
    fn apply(&mut self, command: Command, now: Millis) -> Step<Answer>;
    fn view(&mut self) -> View;
}

/// All of a table.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) leases: BTreeMap<LeaseToken, LeaseView>,
    /// The members of each room, and the devices of each user, as the table looks them up.
    pub(crate) rooms: BTreeMap<RoomName, BTreeSet<DeviceId>>,
    pub(crate) users: BTreeMap<UserName, BTreeSet<DeviceId>>,
    /// Leases that will be seen to.
    pub(crate) due: usize,
}

#[derive(Debug)]
pub(crate) struct LeaseView {
    pub(crate) peer: Peer,
    pub(crate) ends: Millis,
    pub(crate) joined: BTreeSet<RoomName>,
    pub(crate) kept: BTreeSet<RoomName>,
    pub(crate) watched: BTreeSet<UserName>,
}

impl Table for Routes {
    fn apply(&mut self, command: Command, now: Millis) -> Step<Answer> {
        Routes::apply(self, command, now)
    }

    fn view(&mut self) -> View {
        let lease = |(token, device): (&LeaseToken, &DeviceId)| {
            let lease = self.lease(*device);
            let view = LeaseView {
                peer: lease.peer.clone(),
                ends: lease.ends,
                joined: lease.rooms.iter().cloned().collect(),
                kept: lease.kept.iter().cloned().collect(),
                watched: lease.watched.iter().cloned().collect(),
            };
            (*token, view)
        };
        let devices = |members: &BTreeSet<(UserName, DeviceId)>| members.iter().map(|(_, device)| *device).collect();
        assert_eq!(self.leases.len(), self.tokens.len());
        let mut users = BTreeMap::<_, BTreeSet<_>>::new();
        for (user, device) in self.users.iter() {
            users.entry(user.clone()).or_default().insert(*device);
        }
        View {
            leases: self.tokens.iter().map(lease).collect(),
            rooms: self
                .rooms
                .iter()
                .map(|(room, members)| (room.clone(), devices(members)))
                .collect(),
            users,
            due: self.due.len(),
        }
    }
}
