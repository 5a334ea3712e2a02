//! What a watcher must be told when another table takes the place of the one that he knows.

use std::collections::BTreeMap;

use peerchat_proto::names::{RoomName, UserName};

use super::{Change, Effect, Lease, LeaseEnd, LeaseToken, Liveness, Peer, Routes};

impl Routes {
    /// What the holders of these leases, who were told all of this table, must be told to know a newer one: who came and who is lost, in
    /// their rooms and among the users they watch. Nobody who is in both is told of as lost. A lease that the newer table does not have has
    /// ended. It goes to `tell` one by one: of a large room that is new to all its members it is too much to be kept.
    ///
    /// Of rooms and users that a lease has in the newer table alone, or in the older one alone, nothing is told: the answer to the call
    /// that makes the difference will tell.
    pub fn differences(&self, newer: &Self, of: impl IntoIterator<Item = LeaseToken>, mut tell: impl FnMut(Effect)) {
        let mut compared = Compared {
            older: self,
            newer,
            users: BTreeMap::new(),
            rooms: BTreeMap::new(),
        };
        for to in of {
            let Some(device) = self.tokens.get(&to) else {
                continue;
            };
            let before = self.lease(*device);
            match newer.tokens.get(&to) {
                Some(device) => compared.tell(to, before, newer.lease(*device), &mut tell),
                None => tell(Effect::Ended {
                    lease: to,
                    peer: before.peer.clone(),
                    end: if newer.is_live(*device) {
                        LeaseEnd::Replaced
                    } else {
                        LeaseEnd::Lost
                    },
                }),
            }
        }
    }

    fn members<'a>(&'a self, room: &RoomName) -> impl Iterator<Item = &'a Peer> {
        let members = self.rooms.get(room).into_iter().flatten();
        members.map(|(_, device)| &self.lease(*device).peer)
    }
}

/// Two tables, and what is known of their differences: each room and each user is compared once, however many are told.
struct Compared<'a> {
    older: &'a Routes,
    newer: &'a Routes,
    users: BTreeMap<&'a UserName, Changes<'a>>,
    rooms: BTreeMap<&'a RoomName, Changes<'a>>,
}

/// Who went, and then who came or is shown otherwise.
type Changes<'a> = Vec<(&'a Peer, Liveness)>;

impl<'a> Compared<'a> {
    fn tell(&mut self, to: LeaseToken, before: &Lease, after: &'a Lease, tell: &mut impl FnMut(Effect)) {
        let Self {
            older,
            newer,
            users,
            rooms,
        } = self;
        for user in after.watched.iter().filter(|user| before.watched.contains(*user)) {
            let compare = || changes(older.live_peers(user), newer.live_peers(user), |_| Liveness::Lost);
            for (peer, liveness) in users.entry(user).or_insert_with(compare) {
                let (peer, liveness) = ((*peer).clone(), *liveness);
                let change = Change::Presence { peer, liveness };
                tell(Effect::Tell { to, change });
            }
        }
        for room in after.rooms.iter().filter(|room| before.rooms.contains(*room)) {
            // Who is there and is not in the room has left it.
            let gone = |peer: &Peer| match newer.is_live(peer.device) {
                true => Liveness::Left,
                false => Liveness::Lost,
            };
            let compare = || changes(older.members(room), newer.members(room), gone);
            let changes = rooms.entry(room).or_insert_with(compare).iter();
            for (peer, liveness) in changes.filter(|(peer, _)| peer.device != before.peer.device) {
                let (room, peer, liveness) = (room.clone(), (*peer).clone(), *liveness);
                let change = Change::Room { room, peer, liveness };
                tell(Effect::Tell { to, change });
            }
        }
    }
}

/// Both in the order of users and devices; `gone` says how somebody went.
fn changes<'a>(
    was: impl Iterator<Item = &'a Peer>,
    is: impl Iterator<Item = &'a Peer>,
    gone: impl Fn(&Peer) -> Liveness,
) -> Changes<'a> {
    let (mut was, mut is) = (was.peekable(), is.peekable());
    let (mut changes, mut came) = (Vec::new(), Vec::new());
    loop {
        let (is_before, is_now) = match (was.peek(), is.peek()) {
            (None, None) => break,
            (before, None) => (before.is_some(), false),
            (None, Some(_)) => (false, true),
            (Some(before), Some(now)) => {
                let (before, now) = ((&before.user, before.device), (&now.user, now.device));
                (before <= now, now <= before)
            }
        };
        let before = was.next_if(|_| is_before);
        let now = is.next_if(|_| is_now);
        match (before, now) {
            (Some(before), Some(now)) if before.is_shown_as(now) => {}
            (_, Some(now)) => came.push((now, Liveness::Here)),
            (Some(before), None) => changes.push((before, gone(before))),
            (None, None) => break,
        }
    }
    changes.append(&mut came);
    changes
}
