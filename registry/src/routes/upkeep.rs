//! How the indexes of the table are kept in step with its leases, and who is told of it.

use peerchat_proto::names::{RoomName, UserName};

use super::{
    Change, DeviceId, Effect, Lease, LeaseEnd, LeaseToken, Liveness, Millis, Peer, Refusal, Routes, limits,
    sets::FewSet,
};

impl Routes {
    /// The device that holds the lease of this token.
    pub(super) fn holder(&self, token: LeaseToken) -> Result<DeviceId, Refusal> {
        self.tokens.get(&token).copied().ok_or(Refusal::UnknownLease)
    }

    pub(super) fn lease(&self, device: DeviceId) -> &Lease {
        self.leases
            .get(&device)
            .expect("every index names devices with a lease")
    }

    pub(super) fn lease_mut(&mut self, device: DeviceId) -> &mut Lease {
        self.leases
            .get_mut(&device)
            .expect("every index names devices with a lease")
    }

    /// The live devices of a user.
    pub(super) fn live_peers(&self, user: &UserName) -> impl Iterator<Item = &Peer> {
        self.users.of(user).map(|device| &self.lease(device).peer)
    }

    /// Starts the lease of a device that has none.
    pub(super) fn begin(&mut self, peer: Peer, token: LeaseToken, now: Millis, effects: &mut Vec<Effect>) {
        let ends = now + limits::LEASE;
        let lease = Lease {
            token,
            peer: peer.clone(),
            ends,
            rooms: FewSet::default(),
            kept: FewSet::default(),
            kept_until: now,
            watched: FewSet::default(),
            due: ends,
        };
        self.offline.remove(&peer.user);
        self.due.insert((ends, peer.device));
        self.tokens.insert(token, peer.device);
        self.users.insert(peer.user.clone(), peer.device);
        self.leases.insert(peer.device, lease);
        self.tell_watchers(&peer, Liveness::Here, effects);
    }

    /// Puts a new lease in the place of the one that the same device of the same user has.
    pub(super) fn replace(&mut self, peer: Peer, token: LeaseToken, now: Millis, effects: &mut Vec<Effect>) {
        self.unwatch_all(peer.device);
        let lease = self.lease_mut(peer.device);
        let former_token = std::mem::replace(&mut lease.token, token);
        let former = std::mem::replace(&mut lease.peer, peer.clone());
        lease.ends = now + limits::LEASE;
        lease.kept.append(&mut lease.rooms);
        lease.kept_until = now + limits::REJOIN;
        let kept = lease.kept.clone();

        self.tokens.remove(&former_token);
        self.tokens.insert(token, peer.device);
        self.schedule(peer.device);
        let is_same = former.is_shown_as(&peer);
        effects.push(Effect::Ended {
            lease: former_token,
            peer: former,
            end: LeaseEnd::Replaced,
        });
        if !is_same {
            self.tell_watchers(&peer, Liveness::Here, effects);
            for room in kept.iter() {
                self.tell_room(room, &peer, Liveness::Here, effects);
            }
        }
    }

    /// Ends a lease with all that hangs on it.
    pub(super) fn end(&mut self, device: DeviceId, end: LeaseEnd, now: Millis, effects: &mut Vec<Effect>) {
        self.unwatch_all(device);
        let Some(lease) = self.leases.remove(&device) else {
            return;
        };
        self.tokens.remove(&lease.token);
        self.due.remove(&(lease.due, device));
        let peer = lease.peer;
        effects.push(Effect::Ended {
            lease: lease.token,
            peer: peer.clone(),
            end,
        });
        // Whoever logs out has not left his rooms: he is owed what is said there, and joins them again when he is back.
        let mut rooms = lease.rooms;
        rooms.append(&mut { lease.kept });
        for room in rooms.iter() {
            self.depart(&peer, room, Liveness::Lost, effects);
        }
        if self.users.remove(&peer.user, device) {
            self.offline.insert(peer.user.clone(), now);
        }
        let liveness = if end == LeaseEnd::Lost {
            Liveness::Lost
        } else {
            Liveness::Left
        };
        self.tell_watchers(&peer, liveness, effects);
    }

    /// Ends the memberships of a device's former lease that it did not take up again.
    pub(super) fn drop_kept(&mut self, device: DeviceId, effects: &mut Vec<Effect>) {
        let lease = self.lease_mut(device);
        let kept = std::mem::take(&mut lease.kept);
        let peer = lease.peer.clone();
        self.schedule(device);
        for room in kept.iter() {
            self.depart(&peer, room, Liveness::Lost, effects);
        }
    }

    /// Makes a device a member of a room in which it is not. Answers whether the room was created.
    pub(super) fn enter(
        &mut self,
        device: DeviceId,
        room: &RoomName,
        effects: &mut Vec<Effect>,
    ) -> Result<bool, Refusal> {
        let lease = self.lease(device);
        let peer = lease.peer.clone();
        if lease.rooms.len() + lease.kept.len() >= limits::ROOMS_PER_LEASE_MAX {
            return Err(Refusal::RoomsPerLease);
        }
        let created = match self.rooms.get(room) {
            Some(members) if members.len() >= limits::MEMBERS_PER_ROOM_MAX => {
                return Err(Refusal::RoomFull(room.clone()));
            }
            Some(_) => false,
            None if self.rooms.len() >= limits::ROOMS_MAX => return Err(Refusal::RoomsFull),
            None => true,
        };
        let members = self.rooms.entry(room.clone()).or_default();
        members.insert((peer.user.clone(), device));
        self.lease_mut(device).rooms.insert(room.clone());
        if created {
            effects.push(Effect::RoomCreated {
                room: room.clone(),
                by: peer.user.clone(),
            });
        }
        self.tell_room(room, &peer, Liveness::Here, effects);
        Ok(created)
    }

    /// Takes a device out of the room's members, after its lease forgot the room. Answers whether the room is dismissed.
    pub(super) fn depart(
        &mut self,
        peer: &Peer,
        room: &RoomName,
        liveness: Liveness,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(members) = self.rooms.get_mut(room) else {
            return false;
        };
        members.remove(&(peer.user.clone(), peer.device));
        let is_empty = members.is_empty();
        if is_empty {
            self.rooms.remove(room);
            effects.push(Effect::RoomDismissed { room: room.clone() });
        } else {
            self.tell_room(room, peer, liveness, effects);
        }
        is_empty
    }

    /// Lets a device hear of a user from now on, and tells where the user is now.
    pub(super) fn watch(&mut self, device: DeviceId, user: &UserName, effects: &mut Vec<Effect>) {
        self.watchers.insert(user.clone(), device);
        let lease = self.lease_mut(device);
        lease.watched.insert(user.clone());
        let to = lease.token;
        let before = effects.len();
        effects.extend(self.live_peers(user).map(|peer| Effect::Tell {
            to,
            change: Change::Presence {
                peer: peer.clone(),
                liveness: Liveness::Here,
            },
        }));
        if effects.len() == before {
            let user = self.offline.get(user).unwrap_or(user).clone();
            effects.push(Effect::Tell {
                to,
                change: Change::Offline { user },
            });
        }
    }

    /// Brings [`Routes::due`] in step with a lease whose times or kept rooms changed.
    pub(super) fn schedule(&mut self, device: DeviceId) {
        let lease = self.lease_mut(device);
        let former = lease.due;
        lease.due = if lease.kept.is_empty() {
            lease.ends
        } else {
            lease.ends.min(lease.kept_until)
        };
        let due = lease.due;
        self.due.remove(&(former, device));
        self.due.insert((due, device));
    }

    fn unwatch_all(&mut self, device: DeviceId) {
        let watched = self
            .leases
            .get_mut(&device)
            .map(|lease| std::mem::take(&mut lease.watched));
        for user in watched.into_iter().flatten() {
            self.watchers.remove(&user, device);
        }
    }

    /// Tells those who watch the user of `peer`.
    fn tell_watchers(&self, peer: &Peer, liveness: Liveness, effects: &mut Vec<Effect>) {
        effects.extend(self.watchers.of(&peer.user).map(|watcher| Effect::Tell {
            to: self.lease(watcher).token,
            change: Change::Presence {
                peer: peer.clone(),
                liveness,
            },
        }));
    }

    /// Tells the members of a room, but for `peer` itself and for those who did not join it with their present lease: the
    /// answer to their joining will tell them.
    fn tell_room(&self, room: &RoomName, peer: &Peer, liveness: Liveness, effects: &mut Vec<Effect>) {
        let members = self.rooms.get(room).into_iter().flatten();
        let others = members.filter(|(_, device)| *device != peer.device);
        let leases = others.map(|(_, device)| self.lease(*device));
        effects.extend(
            leases
                .filter(|lease| lease.rooms.contains(room))
                .map(|lease| Effect::Tell {
                    to: lease.token,
                    change: Change::Room {
                        room: room.clone(),
                        peer: peer.clone(),
                        liveness,
                    },
                }),
        );
    }
}
