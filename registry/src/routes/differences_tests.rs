//! Tables that went apart: what a watcher is told of the differences makes him know the newer one.

use proptest::prelude::*;

use super::{
    random::{Call, Script, calls},
    *,
};
use crate::address::Address;

fn run(routes: &mut Routes, script: &mut Script, calls: &[Call]) {
    for call in calls {
        if let Some(command) = script.command(call) {
            let _ = routes.apply(command, script.now);
        }
    }
    let _ = routes.expire(script.now);
}

fn copy(routes: &Routes) -> Routes {
    Routes::restore(routes.records(), routes.offline_records()).unwrap()
}

type Shown = BTreeMap<DeviceId, (String, Address)>;

fn shown<'a>(peers: impl Iterator<Item = &'a Peer>) -> Shown {
    let shown = peers.map(|peer| (peer.device, (peer.user.shown().to_owned(), peer.address.clone())));
    shown.collect()
}

/// What a watcher knows of the rooms and users that his lease has in both tables.
fn known(of: &Routes, token: LeaseToken, other: &Routes) -> (BTreeMap<RoomName, Shown>, BTreeMap<UserName, Shown>) {
    let (Ok(device), Ok(there)) = (of.holder(token), other.holder(token)) else {
        return Default::default();
    };
    let (lease, there) = (of.lease(device), other.lease(there));
    let rooms = lease.rooms.iter().filter(|room| there.rooms.contains(*room));
    let others = |room| {
        let members = of.rooms[room].iter().filter(|(_, member)| *member != device);
        shown(members.map(|(_, member)| &of.lease(*member).peer))
    };
    let users = lease.watched.iter().filter(|user| there.watched.contains(*user));
    (
        rooms.map(|room| (room.clone(), others(room))).collect(),
        users.map(|user| (user.clone(), shown(of.live_peers(user)))).collect(),
    )
}

proptest! {
    #[test]
    fn a_table_is_the_same_after_a_journey(all in calls(120)) {
        let (mut routes, mut script) = (Routes::new(), Script::new());
        run(&mut routes, &mut script, &all);
        prop_assert_eq!(format!("{:?}", copy(&routes)), format!("{routes:?}"));
    }

    #[test]
    fn who_is_told_the_differences_knows_the_newer_table(first in calls(60), one in calls(40), other in calls(40)) {
        let (mut old, mut script) = (Routes::new(), Script::new());
        run(&mut old, &mut script, &first);
        let mut newer = copy(&old);
        run(&mut newer, &mut script.fork(2), &other);
        run(&mut old, &mut script.fork(1), &one);

        let tokens: Vec<_> = old.tokens.keys().copied().collect();
        let mut knows: BTreeMap<_, _> = tokens.iter().map(|token| (*token, known(&old, *token, &newer))).collect();
        let mut effects = Vec::new();
        old.differences(&newer, tokens.iter().copied(), |effect| effects.push(effect));
        for effect in effects {
            match effect {
                Effect::Tell { to, change: Change::Room { room, peer, liveness } } => {
                    let members = knows.get_mut(&to).unwrap().0.get_mut(&room).unwrap();
                    hear(members, &peer, liveness);
                    prop_assert!(liveness != Liveness::Lost || !newer.is_live(peer.device), "{peer:?} is in both");
                }
                Effect::Tell { to, change: Change::Presence { peer, liveness } } => {
                    hear(knows.get_mut(&to).unwrap().1.get_mut(&peer.user).unwrap(), &peer, liveness);
                    prop_assert!(liveness != Liveness::Lost || !newer.is_live(peer.device), "{peer:?} is in both");
                }
                Effect::Ended { lease, .. } => {
                    prop_assert!(!newer.is_lease(lease));
                    prop_assert!(knows.remove(&lease).is_some(), "it ends once");
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
        for token in tokens {
            match knows.remove(&token) {
                Some(knows) => prop_assert_eq!(knows, known(&newer, token, &old)),
                None => prop_assert!(!newer.is_lease(token)),
            }
        }
    }
}

fn hear(devices: &mut Shown, peer: &Peer, liveness: Liveness) {
    if liveness == Liveness::Here {
        let now = (peer.user.shown().to_owned(), peer.address.clone());
        assert_ne!(
            devices.insert(peer.device, now.clone()),
            Some(now),
            "{peer:?} came twice"
        );
    } else {
        assert!(devices.remove(&peer.device).is_some(), "{peer:?} went twice");
    }
}

#[test]
fn records_that_make_no_table_are_refused() {
    let (mut routes, mut script) = (Routes::new(), Script::new());
    run(
        &mut routes,
        &mut script,
        &[Call::LogIn { device: 1, port: 1 }, Call::Join(0, 0)],
    );
    let record = routes.records().next().unwrap();
    let doubled = Routes::restore([record.clone(), record.clone()], []);
    assert_eq!(doubled.unwrap_err(), Damaged::Doubled);
    let mut twice = record.clone();
    twice.kept = twice.rooms.clone();
    assert_eq!(Routes::restore([twice], []).unwrap_err(), Damaged::Doubled);
    let mut many = record;
    let room = |n| RoomName::new(&format!("room{n}")).unwrap();
    many.rooms = (0..=limits::ROOMS_PER_LEASE_MAX).map(room).collect();
    assert_eq!(Routes::restore([many], []).unwrap_err(), Damaged::TooMuch);
}
