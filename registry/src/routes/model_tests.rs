//! Random calls against a table, in memory or elsewhere, with watchers that know only what they are told.

pub(crate) mod view;

use proptest::prelude::*;

use super::*;
use crate::address::Address;
use view::Table;

const USERS: [&str; 3] = ["alice", "Bob", "bob"];
const ROOMS: [&str; 3] = ["lobby", "tea", "work"];

#[derive(Debug, Clone)]
pub(crate) enum Call {
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

pub(crate) fn call() -> impl Strategy<Value = Call> {
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

pub(crate) struct World<T> {
    table: T,
    now: Millis,
    /// Every token ever given, oldest first.
    given: Vec<LeaseToken>,
    beliefs: BTreeMap<LeaseToken, Belief>,
}

impl<T: Table> World<T> {
    pub(crate) fn new(table: T) -> Self {
        Self {
            table,
            now: Millis(0),
            given: Vec::new(),
            beliefs: BTreeMap::new(),
        }
    }

    fn token(&self, back: usize) -> LeaseToken {
        let at = self.given.len().checked_sub(1 + back);
        at.map_or(LeaseToken([255; 16]), |at| self.given[at])
    }

    pub(crate) fn call(&mut self, call: Call) {
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
                let step = self.table.apply(Command::LogIn { peer, token }, now);
                self.given.push(token);
                if step.answer.is_ok() {
                    self.beliefs.insert(token, Belief::default());
                }
                self.hear(step.effects);
            }
            Call::LogOut(lease) => {
                let lease = self.token(lease);
                let step = self.table.apply(Command::LogOut { lease }, now);
                self.hear(step.effects);
            }
            Call::Join(lease, room) => self.join(self.token(lease), &RoomName::new(ROOMS[room]).unwrap()),
            Call::Leave(lease, room) => {
                let (token, room) = (self.token(lease), RoomName::new(ROOMS[room]).unwrap());
                let leave = Command::LeaveRoom {
                    lease: token,
                    room: room.clone(),
                };
                let step = self.table.apply(leave, now);
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
                let renew = Command::Renew {
                    lease: token,
                    users: users.clone(),
                };
                let step = self.table.apply(renew, now);
                if step.answer.is_ok() {
                    let belief = self.beliefs.get_mut(&token).unwrap();
                    for user in users {
                        belief.users.entry(user).or_default();
                    }
                }
                self.hear(step.effects);
            }
            Call::StreamLost(lease) => {
                let lease = self.token(lease);
                let step = self.table.apply(Command::StreamLost { lease }, now);
                self.hear(step.effects);
            }
            Call::Revoke(device) => {
                let device = DeviceId([device; 32]);
                let effects = self.table.apply(Command::Revoke { device }, now).effects;
                let view = self.table.view();
                assert!(view.leases.values().all(|lease| lease.peer.device != device));
                let told = effects.iter().filter(|effect| {
                    matches!(effect, Effect::Tell { change: Change::Revoked { devices }, .. } if *devices == [device])
                });
                assert_eq!(told.count(), view.leases.len(), "everybody is told, and once");
                self.hear(effects);
            }
            Call::Attempt { device, user } => {
                let (device, user) = (DeviceId([device; 32]), UserName::new(USERS[user]).unwrap());
                let from = [127, 0, 0, 1].into();
                let attempt = Command::TellAttempt {
                    user: user.clone(),
                    device,
                    from,
                    outcome: AttemptOutcome::Refused,
                };
                let leases = self.table.view().leases;
                for effect in self.table.apply(attempt, now).effects {
                    let Effect::Tell { to, .. } = effect else {
                        panic!("{effect:?}");
                    };
                    let told = &leases[&to].peer;
                    assert!(
                        told.device != device && told.user == user,
                        "only the user's other devices are told"
                    );
                }
            }
            Call::Wait(span) => {
                self.now = now + Millis(span);
                let step = self.table.apply(Command::Expire, self.now);
                self.hear(step.effects);
            }
        }
    }

    fn join(&mut self, token: LeaseToken, room: &RoomName) {
        let join = Command::JoinRoom {
            lease: token,
            room: room.clone(),
        };
        let step = self.table.apply(join, self.now);
        self.hear(step.effects);
        if let Ok(Answer::Joined(joined)) = &step.answer {
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
                Effect::RoomCreated { .. } | Effect::RoomDismissed { .. } | Effect::Said { .. } => {}
            }
        }
    }

    pub(crate) fn check(&mut self) {
        let view = self.table.view();
        assert!(self.beliefs.keys().eq(view.leases.keys()));
        let mut devices = BTreeMap::new();
        for (token, lease) in &view.leases {
            assert!(
                devices.insert(lease.peer.device, lease).is_none(),
                "a device has one lease"
            );
            assert!(lease.ends > self.now && lease.joined.is_disjoint(&lease.kept));
            let belief = &self.beliefs[token];
            assert!(belief.rooms.keys().eq(&lease.joined));
            assert!(belief.users.keys().eq(&lease.watched));
        }
        let live: usize = view.users.values().map(BTreeSet::len).sum();
        assert_eq!(live, view.leases.len(), "a device is one user's");
        for (user, of) in &view.users {
            assert!(!of.is_empty(), "who has no device is offline");
            assert!(of.iter().all(|device| devices[device].peer.user == *user));
        }
        let memberships = view.leases.values().map(|lease| lease.joined.len() + lease.kept.len());
        assert_eq!(view.rooms.values().map(BTreeSet::len).sum::<usize>(), memberships.sum());
        for (room, members) in &view.rooms {
            assert!(!members.is_empty(), "no room is empty");
            let is_in = |device| devices[device].joined.contains(room) || devices[device].kept.contains(room);
            assert!(members.iter().all(is_in), "every member has a lease");
        }
        assert_eq!(view.due, view.leases.len());
        let nobody = BTreeSet::new();
        for belief in self.beliefs.values() {
            for (room, believed) in &belief.rooms {
                let peers = view.rooms[room].iter().map(|device| &devices[device].peer);
                assert_eq!(*believed, addresses(peers), "{room:?}");
            }
            for (user, believed) in &belief.users {
                let live = view.users.get(user).unwrap_or(&nobody);
                let peers = live.iter().map(|device| &devices[device].peer);
                assert_eq!(*believed, addresses(peers), "{user:?}");
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
        let mut world = World::new(Routes::new());
        for call in calls {
            world.call(call);
            world.check();
        }
    }
}
