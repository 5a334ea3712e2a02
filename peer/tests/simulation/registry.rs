//! The simulated registry: it knows who is where, forgets everything when it is lost, and is slow to see that somebody is gone.

use std::collections::{BTreeMap, BTreeSet};

use peerchat::node::{
    Ask, Input, Liveness, PeerAddress,
    types::{EntryId, RoomName, UserName},
};

use crate::{
    peer::SimPeer,
    world::{AUTHORITY, Happening, Who, World},
};

/// How long a lease lasts.
const LEASE_MS: u64 = 15_000;

/// What the registry knows.
#[derive(Debug, Default)]
pub struct SimRegistry {
    pub down: bool,
    /// What was written since it went down.
    pub said_without: BTreeSet<EntryId>,
    /// Who is logged in, with which life.
    pub live: BTreeMap<Who, u64>,
    rooms: BTreeMap<RoomName, BTreeSet<Who>>,
    watched: BTreeMap<Who, BTreeSet<UserName>>,
    known: BTreeSet<UserName>,
}

impl World {
    fn place(&self, who: Who) -> PeerAddress {
        let peer = &self.peers[who];
        PeerAddress {
            user: peer.user.clone(),
            device: peer.device,
            address: SimPeer::address(who),
        }
    }

    /// Where the live devices of a user are.
    fn places(&self, user: &UserName) -> Vec<PeerAddress> {
        let live = self.registry.live.keys().copied();
        live.filter(|who| self.peers[*who].user == *user)
            .map(|who| self.place(who))
            .collect()
    }

    fn hear(&mut self, who: Who, input: Input) {
        let life = self.peers[who].lives;
        let ms = self.rng.u64(1..20);
        self.after(
            ms,
            Happening::Input {
                who,
                life,
                input: Box::new(input),
            },
        );
    }

    /// A peer logs in, if it runs and the registry answers.
    pub fn register(&mut self, who: Who) {
        let Some(life) = self.peers[who].life() else { return };
        if self.registry.down {
            return self.hear(who, Input::RegistryDown("it is down".into()));
        }
        self.registry.live.insert(who, life);
        self.registry.known.insert(self.peers[who].user.clone());
        self.hear(
            who,
            Input::RegistryUp {
                hosting: false,
                address: String::new(),
                authority: AUTHORITY,
            },
        );
        let (user, place) = (self.peers[who].user.clone(), self.place(who));
        self.tell_watchers(&user, place, Liveness::Here);
    }

    fn tell_watchers(&mut self, user: &UserName, place: PeerAddress, liveness: Liveness) {
        let watchers: Vec<_> = self
            .registry
            .watched
            .iter()
            .filter(|(_, users)| users.contains(user))
            .map(|w| *w.0)
            .collect();
        for watcher in watchers {
            self.hear(watcher, Input::UserChanged(user.clone(), Some(place.clone()), liveness));
        }
    }

    pub fn ask_registry(&mut self, who: Who, ask: Ask) {
        if self.registry.down || !self.registry.live.contains_key(&who) {
            return match ask {
                Ask::Join(room) => self.hear(who, Input::RoomRefused { room, refused: None }),
                Ask::Find(user) => self.hear(who, Input::FindFailed(user, "it is down".into())),
                Ask::Leave(_) | Ask::Watch(_) => {}
            };
        }
        match ask {
            Ask::Join(room) => {
                let outsider = self.outsider();
                let members = self.registry.rooms.entry(room.clone()).or_default();
                let created = members.is_empty();
                if room.is_unlisted() {
                    members.insert(outsider);
                }
                let others: Vec<_> = members.iter().copied().filter(|other| *other != who).collect();
                members.insert(who);
                let members = others
                    .iter()
                    .map(|other| self.place(*other))
                    .chain([self.place(who)])
                    .collect();
                self.hear(
                    who,
                    Input::RoomJoined {
                        room: room.clone(),
                        created,
                        members,
                    },
                );
                for other in others {
                    let place = self.place(who);
                    self.hear(other, Input::RoomChanged(room.clone(), place, Liveness::Here));
                }
            }
            Ask::Leave(room) => {
                let members = self.registry.rooms.entry(room.clone()).or_default();
                members.remove(&who);
                for other in members.clone() {
                    let place = self.place(who);
                    self.hear(other, Input::RoomChanged(room.clone(), place, Liveness::Left));
                }
            }
            Ask::Find(user) => {
                let places = self.places(&user);
                let input = if places.is_empty() && !self.registry.known.contains(&user) {
                    Input::NotFound(user)
                } else {
                    Input::Found(user, places)
                };
                self.hear(who, input);
            }
            Ask::Watch(user) => {
                self.registry.watched.entry(who).or_default().insert(user.clone());
                for place in self.places(&user) {
                    self.hear(who, Input::UserChanged(user.clone(), Some(place), Liveness::Here));
                }
            }
        }
    }

    /// A peer is gone; the registry finds out when its lease ends.
    pub fn lease_will_end(&mut self, who: Who) {
        let life = self.peers[who].lives;
        self.after(LEASE_MS, Happening::LeaseEnds { who, life });
    }

    pub fn lease_ends(&mut self, who: Who, life: u64) {
        if self.registry.live.get(&who) != Some(&life) {
            return;
        }
        self.registry.live.remove(&who);
        self.registry.watched.remove(&who);
        let place = self.place(who);
        let rooms: Vec<_> = self
            .registry
            .rooms
            .iter_mut()
            .filter_map(|(room, members)| members.remove(&who).then(|| (room.clone(), members.clone())))
            .collect();
        for (room, members) in rooms {
            for other in members {
                self.hear(other, Input::RoomChanged(room.clone(), place.clone(), Liveness::Lost));
            }
        }
        let user = self.peers[who].user.clone();
        self.tell_watchers(&user, place, Liveness::Lost);
    }

    /// The registry is lost with all that it knew.
    pub fn lose_registry(&mut self) {
        self.registry = SimRegistry {
            down: true,
            ..SimRegistry::default()
        };
        for who in 0..self.peers.len() {
            if self.peers[who].core.is_some() {
                self.hear(who, Input::RegistryDown("it is down".into()));
            }
        }
    }

    /// The registry is back, and the peers notice.
    pub fn restore_registry(&mut self) {
        if !std::mem::take(&mut self.registry.down) {
            return;
        }
        for who in 0..self.peers.len() {
            self.register(who);
        }
    }
}
