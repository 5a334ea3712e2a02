//! Random calls against the table, with watchers that know only what they are told.

use proptest::prelude::*;

use super::*;
use crate::address::Address;

const USERS: [&str; 3] = ["alice", "Bob", "bob"];
const ROOMS: [&str; 3] = ["lobby", "tea", "work"];

#[derive(Debug, Clone)]
enum Call {
    LogIn { device: u8, user: usize, port: u16 },
    LogOut(usize),
    Join(usize, usize),
    Leave(usize, usize),
    Renew(usize, Vec<usize>),
    StreamLost(usize),
    Revoke(u8),
    Attempt { device: u8, user: usize },
    Wait(u64),
}

fn call() -> impl Strategy<Value = Call> {
    // Leases are picked by their place among the newest ones, so that most calls hit a live one and some a stale one.
    let lease = 0..5_usize;
    prop_oneof![
        3 => (0..4_u8, 0..USERS.len(), 1..3_u16).prop_map(|(device, user, port)| Call::LogIn { device, user, port }),
        1 => lease.clone().prop_map(Call::LogOut),
        4 => (lease.clone(), 0..ROOMS.len()).prop_map(|(lease, room)| Call::Join(lease, room)),
        1 => (lease.clone(), 0..ROOMS.len()).prop_map(|(lease, room)| Call::Leave(lease, room)),
        3 => (lease.clone(), prop::collection::vec(0..USERS.len(), 0..3)).prop_map(|(lease, users)| Call::Renew(lease, users)),
        1 => lease.prop_map(Call::StreamLost),
        1 => (0..5_u8).prop_map(Call::Revoke),
        1 => (0..5_u8, 0..USERS.len()).prop_map(|(device, user)| Call::Attempt { device, user }),
        3 => (0..6_000_u64).prop_map(Call::Wait),
    ]
}

/// What the holder of a lease believes from the answers and changes that it was given.
#[derive(Default)]
struct Belief {
    rooms: BTreeMap<RoomName, BTreeMap<DeviceId, Address>>,
    users: BTreeMap<UserName, BTreeMap<DeviceId, Address>>,
}

struct World {
    routes: Routes,
    now: Millis,
    /// Every token ever given, oldest first.
    given: Vec<LeaseToken>,
    beliefs: BTreeMap<LeaseToken, Belief>,
}

impl World {
    fn new() -> Self {
        Self {
            routes: Routes::new(),
            now: Millis(0),
            given: Vec::new(),
            beliefs: BTreeMap::new(),
        }
    }

    fn token(&self, back: usize) -> LeaseToken {
        let at = self.given.len().checked_sub(1 + back);
        at.map_or(LeaseToken([255; 16]), |at| self.given[at])
    }

    fn call(&mut self, call: Call) {
        let now = self.now;
        match call {
            Call::LogIn { device, user, port } => {
                let mut token = LeaseToken([0; 16]);
                token.0[..8].copy_from_slice(&(self.given.len() as u64).to_be_bytes());
                let peer = Peer {
                    user: UserName::new(USERS[user]).unwrap(),
                    device: DeviceId([device; 32]),
                    address: Address::new(&format!("127.0.0.1:{port}"), None).unwrap(),
                };
                let step = self.routes.log_in(peer, token, now);
                self.given.push(token);
                if step.answer.is_ok() {
                    self.beliefs.insert(token, Belief::default());
                }
                self.hear(step.effects);
            }
            Call::LogOut(lease) => {
                let step = self.routes.log_out(self.token(lease), now);
                self.hear(step.effects);
            }
            Call::Join(lease, room) => self.join(self.token(lease), &RoomName::new(ROOMS[room]).unwrap()),
            Call::Leave(lease, room) => {
                let (token, room) = (self.token(lease), RoomName::new(ROOMS[room]).unwrap());
                let step = self.routes.leave_room(token, &room, now);
                self.hear(step.effects);
                if step.answer.is_ok() {
                    self.beliefs.get_mut(&token).unwrap().rooms.remove(&room);
                }
            }
            Call::Renew(lease, users) => {
                let users: Vec<UserName> = users
                    .into_iter()
                    .map(|user| UserName::new(USERS[user]).unwrap())
                    .collect();
                let token = self.token(lease);
                let step = self.routes.renew(token, &users, now);
                if step.answer.is_ok() {
                    let belief = self.beliefs.get_mut(&token).unwrap();
                    for user in users {
                        belief.users.entry(user).or_default();
                    }
                }
                self.hear(step.effects);
            }
            Call::StreamLost(lease) => self.routes.stream_lost(self.token(lease), now),
            Call::Revoke(device) => {
                let device = DeviceId([device; 32]);
                let effects = self.routes.revoke(device, now);
                assert!(!self.routes.is_live(device));
                let told = effects.iter().filter(|effect| {
                    matches!(effect, Effect::Tell { change: Change::Revoked { devices }, .. } if *devices == [device])
                });
                assert_eq!(told.count(), self.routes.tokens.len(), "everybody is told, and once");
                self.hear(effects);
            }
            Call::Attempt { device, user } => {
                let (device, user) = (DeviceId([device; 32]), UserName::new(USERS[user]).unwrap());
                let from = [127, 0, 0, 1].into();
                let effects = self.routes.tell_attempt(&user, device, from, AttemptOutcome::Refused);
                for effect in effects {
                    let Effect::Tell { to, .. } = effect else {
                        panic!("{effect:?}");
                    };
                    let (told, of) = self.routes.who(to).unwrap();
                    assert!(told != device && of == user, "only the user's other devices are told");
                }
            }
            Call::Wait(span) => {
                self.now = now + Millis(span);
                let effects = self.routes.expire(self.now);
                self.hear(effects);
            }
        }
    }

    fn join(&mut self, token: LeaseToken, room: &RoomName) {
        let step = self.routes.join_room(token, room, self.now);
        self.hear(step.effects);
        if let Ok(joined) = &step.answer {
            let members = joined
                .members
                .iter()
                .map(|peer| (peer.device, peer.address.clone()))
                .collect();
            self.beliefs
                .get_mut(&token)
                .unwrap()
                .rooms
                .insert(room.clone(), members);
        }
    }

    fn hear(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Tell { to, change } => {
                    let belief = self.beliefs.get_mut(&to).expect("only live leases are told");
                    match change {
                        Change::Presence { peer, liveness } => {
                            let devices = belief.users.get_mut(&peer.user).expect("only watched users are told");
                            apply(devices, &peer, liveness, true);
                        }
                        Change::Revoked { .. } | Change::Attempt { .. } => {}
                        Change::Offline { user } => assert!(belief.users[&user].is_empty()),
                        Change::Room { room, peer, liveness } => {
                            let members = belief.rooms.get_mut(&room).expect("only own rooms are told");
                            apply(members, &peer, liveness, false);
                        }
                    }
                }
                Effect::Ended { lease, .. } => drop(self.beliefs.remove(&lease).expect("a lease ends once")),
                Effect::RoomCreated { .. } | Effect::RoomDismissed { .. } => {}
            }
        }
    }

    fn check(&self) {
        let routes = &self.routes;
        assert_eq!(
            self.beliefs.keys().collect::<Vec<_>>(),
            routes.tokens.keys().collect::<Vec<_>>()
        );
        assert_eq!(
            routes.users.iter().count(),
            routes.leases.len(),
            "a device is one user's"
        );
        let mut users = routes.users.iter();
        assert!(users.all(|(user, device)| routes.lease(*device).peer.user == *user));
        assert!(
            routes.rooms.values().all(|members| !members.is_empty()),
            "no room is empty"
        );
        let members = routes.rooms.values().flatten();
        assert!(
            members.clone().all(|(_, device)| routes.leases.contains_key(device)),
            "every member has a lease"
        );
        let memberships: usize = routes
            .leases
            .values()
            .map(|lease| lease.rooms.len() + lease.kept.len())
            .sum();
        assert_eq!(members.count(), memberships);
        assert_eq!(routes.due.len(), routes.leases.len());
        assert!(
            routes
                .leases
                .values()
                .all(|lease| lease.ends > self.now && !lease.rooms.iter().any(|room| lease.kept.contains(room)))
        );
        for (token, belief) in &self.beliefs {
            let lease = routes.lease(routes.tokens[token]);
            assert_eq!(
                belief.rooms.keys().collect::<Vec<_>>(),
                lease.rooms.iter().collect::<Vec<_>>()
            );
            for (room, believed) in &belief.rooms {
                let peers = routes.rooms[room].iter().map(|(_, device)| &routes.lease(*device).peer);
                assert_eq!(*believed, addresses(peers), "{room:?}");
            }
            assert_eq!(
                belief.users.keys().collect::<Vec<_>>(),
                lease.watched.iter().collect::<Vec<_>>()
            );
            for (user, believed) in &belief.users {
                assert_eq!(*believed, addresses(routes.live_peers(user)), "{user:?}");
            }
        }
    }
}

fn addresses<'a>(peers: impl Iterator<Item = &'a Peer>) -> BTreeMap<DeviceId, Address> {
    peers.map(|peer| (peer.device, peer.address.clone())).collect()
}

/// Nobody is told that a device went which was not there, or came that was there all the same: that would be a flap.
fn apply(devices: &mut BTreeMap<DeviceId, Address>, peer: &Peer, liveness: Liveness, may_repeat: bool) {
    let former = match liveness {
        Liveness::Here => devices.insert(peer.device, peer.address.clone()),
        Liveness::Left | Liveness::Lost => {
            assert!(devices.remove(&peer.device).is_some(), "{peer:?} went twice");
            None
        }
    };
    let renamed = USERS
        .iter()
        .filter(|name| UserName::new(name).unwrap() == peer.user)
        .count()
        > 1;
    assert!(
        may_repeat || renamed || former.as_ref() != Some(&peer.address),
        "{peer:?} came twice"
    );
}

proptest! {
    #[test]
    fn beliefs_built_from_changes_equal_the_table(calls in prop::collection::vec(call(), 1..200)) {
        let mut world = World::new();
        for call in calls {
            world.call(call);
            world.check();
        }
    }
}
