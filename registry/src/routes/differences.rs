//! What a watcher must be told when another table takes the place of the one that he knows.

use std::collections::BTreeMap;

use peerchat_proto::names::RoomName;

use super::{Change, DeviceId, Effect, Lease, LeaseEnd, LeaseToken, Liveness, Peer, Routes};

impl Routes {
    /// What those who were told all of this table must be told to know a newer one: who came and who is lost, in their rooms and among the
    /// users they watch. Nobody who is in both is told of as lost. A lease that the newer table does not have has ended.
    ///
    /// Of rooms and users that a lease has in the newer table alone, or in the older one alone, nothing is told: the answer to the call
    /// that makes the difference will tell.
    pub fn differences(&self, newer: &Self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (token, device) in &self.tokens {
            let before = self.lease(*device);
            match newer.tokens.get(token) {
                Some(device) => self.differences_for(*token, before, newer, newer.lease(*device), &mut effects),
                None => effects.push(Effect::Ended {
                    lease: *token,
                    peer: before.peer.clone(),
                    end: if newer.is_live(*device) {
                        LeaseEnd::Replaced
                    } else {
                        LeaseEnd::Lost
                    },
                }),
            }
        }
        effects
    }

    fn differences_for(&self, to: LeaseToken, before: &Lease, newer: &Self, after: &Lease, effects: &mut Vec<Effect>) {
        for user in after.watched.iter().filter(|user| before.watched.contains(*user)) {
            let was = self.live_peers(user).map(|peer| (peer.device, peer)).collect();
            let is = newer.live_peers(user).map(|peer| (peer.device, peer)).collect();
            for (peer, is_here) in changes(&was, &is) {
                let liveness = if is_here { Liveness::Here } else { Liveness::Lost };
                let peer = peer.clone();
                let change = Change::Presence { peer, liveness };
                effects.push(Effect::Tell { to, change });
            }
        }
        for room in after.rooms.iter().filter(|room| before.rooms.contains(*room)) {
            let was = self.others_in(room, before.peer.device);
            let is = newer.others_in(room, before.peer.device);
            for (peer, is_here) in changes(&was, &is) {
                // Who is there and is not in the room has left it.
                let liveness = match is_here {
                    true => Liveness::Here,
                    false if newer.is_live(peer.device) => Liveness::Left,
                    false => Liveness::Lost,
                };
                let (room, peer) = (room.clone(), peer.clone());
                let change = Change::Room { room, peer, liveness };
                effects.push(Effect::Tell { to, change });
            }
        }
    }

    fn others_in(&self, room: &RoomName, own: DeviceId) -> BTreeMap<DeviceId, &Peer> {
        let members = self.rooms.get(room).into_iter().flatten();
        let others = members.filter(|(_, device)| *device != own);
        others.map(|(_, device)| (*device, &self.lease(*device).peer)).collect()
    }
}

/// Who went, and then who came or is shown otherwise.
fn changes<'a>(was: &BTreeMap<DeviceId, &'a Peer>, is: &BTreeMap<DeviceId, &'a Peer>) -> Vec<(&'a Peer, bool)> {
    let went = was
        .iter()
        .filter(|(device, peer)| is.get(device).is_none_or(|now| now.user != peer.user));
    let came = is
        .iter()
        .filter(|(device, peer)| !was.get(device).is_some_and(|before| before.is_shown_as(peer)));
    let went = went.map(|(_, peer)| (*peer, false));
    went.chain(came.map(|(_, peer)| (*peer, true))).collect()
}
