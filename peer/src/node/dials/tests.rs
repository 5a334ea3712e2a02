//! How often one address is dialled.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::node::{
    Input, Liveness, PeerAddress,
    limits::{CALL_MS_MAX, DIAL_YIELD_MS, REDIAL_MS_MAX},
    talk::Stage,
    testing::{Alice, Other, room_name},
    types::{RoomName, UserName},
};

const BOB: Other = Other(1, "bob");

/// One of many devices that say that they are at one address.
fn claimed(n: u16) -> PeerAddress {
    let mut device = [7; 32];
    device[..2].copy_from_slice(&n.to_be_bytes());
    PeerAddress {
        user: UserName::new(&format!("user{n}")).unwrap(),
        device: DeviceId(device),
        address: "10.0.0.1:22".into(),
    }
}

/// Lets time pass to then, where no dial ever succeeds and each takes a moment to fail.
fn dials_in_vain(alice: &mut Alice, then: u64) {
    while alice.now < then {
        let before = alice.dialled.len();
        let next = (alice.now + 10).min(then);
        alice.pass_until(next);
        let tried: Vec<DeviceId> = alice.dialled[before..].to_vec();
        for device in tried {
            alice.input(Input::DialFailed(device));
        }
    }
}

#[test]
fn an_address_that_hundreds_of_devices_name_is_dialled_as_often_as_one() {
    let members: Vec<PeerAddress> = (0..200).map(claimed).collect();
    let mut alice = Alice::joins(&[]);
    for peer in members {
        alice.input(Input::RoomChanged(room_name(), peer, Liveness::Here));
    }
    dials_in_vain(&mut alice, 5_000);
    let most = |ms: u64| usize::try_from(DIALS_AT_ONCE + ms / DIAL_AGAIN_MS).unwrap();
    let found = alice.dialled.len();
    assert!((5..=most(5_000)).contains(&found), "{found}");
    // Each of them has its turn, so one that is there is reached.
    dials_in_vain(&mut alice, 300_000);
    let tried: BTreeSet<DeviceId> = alice.dialled.iter().copied().collect();
    assert_eq!(tried.len(), 200);
    assert!(alice.dialled.len() <= most(300_000));
}

#[test]
fn calls_of_those_who_are_asked_what_they_hold_count_as_well() {
    let mut alice = Alice::joins(&[]);
    let room = RoomName::new("tea").unwrap();
    alice.input(Input::Join(room.clone()));
    let members = (0..200).map(claimed).collect();
    alice.input(Input::RoomJoined {
        room,
        created: false,
        members,
    });
    alice.pass_until(1);
    let found = u64::try_from(alice.called.len() + alice.dialled.len()).unwrap();
    assert_eq!(found, DIALS_AT_ONCE - FOR_LINKS);
    // Who was dialled in vain is waited for no longer, and neither is who is not dialled for now, after a while.
    let then = alice.now + CALL_MS_MAX;
    dials_in_vain(&mut alice, then);
    let room = alice.node.talks().values().find(|talk| talk.members.len() == 200);
    assert_eq!(room.map(|talk| talk.stage == Stage::Open), Some(true));
}

#[test]
fn who_was_asked_what_it_holds_is_waited_for_though_it_takes_no_links() {
    let mut alice = Alice::joins(&[]);
    let room = RoomName::new("tea").unwrap();
    alice.input(Input::Join(room.clone()));
    let members = vec![BOB.address()];
    alice.input(Input::RoomJoined {
        room,
        created: false,
        members,
    });
    alice.pass_until(1);
    assert_eq!(alice.called.len(), 1);
    alice.input(Input::DialFailed(BOB.device()));
    alice.pass_until(2);
    let room = alice.node.talks().values().find(|talk| talk.members.len() == 1);
    assert_eq!(room.map(|talk| talk.stage == Stage::Open), Some(false));
}

#[test]
fn a_device_that_is_back_after_a_long_time_is_dialled_at_once() {
    let mut alice = Alice::joins(&[]);
    alice.input(Input::RoomChanged(room_name(), BOB.address(), Liveness::Here));
    dials_in_vain(&mut alice, 20 * REDIAL_MS_MAX);
    alice.input(Input::RoomChanged(room_name(), BOB.address(), Liveness::Lost));
    let before = alice.dialled.len();
    alice.input(Input::RoomChanged(room_name(), BOB.address(), Liveness::Here));
    alice.pass_until(alice.now + DIAL_YIELD_MS);
    assert_eq!(alice.dialled.len(), before + 1);
}

#[test]
fn one_address_is_one_however_it_is_written_and_free_again_when_it_works() {
    let mut dials = Dials::default();
    let now = Millis(1_000);
    let ways = ["127.0.0.1:80", "[::ffff:127.0.0.1]:80", "[::ffff:7f00:1]:80"];
    let taken = (0..30).filter(|n| dials.take(ways[n % ways.len()], now, 0)).count();
    assert_eq!(taken as u64, DIALS_AT_ONCE);
    assert!(dials.take("127.0.0.1:81", now, 0) && dials.take("HOST:80", now, 0));
    assert_eq!(dials.next(ways[0], now, 0), now.plus(DIAL_AGAIN_MS));
    dials.works(ways[1]);
    assert_eq!(dials.next(ways[0], now, 0), now);
}

#[test]
fn of_more_addresses_than_are_remembered_none_is_dialled_before_there_is_room() {
    let mut dials = Dials::default();
    for n in 0..DIALLED_ADDRESSES_MAX {
        assert!(dials.take(&format!("h{n}:1"), Millis(0), 0));
    }
    assert!(!dials.take("other:1", Millis(0), 0));
    let at = dials.next("other:1", Millis(0), 0);
    assert!(at > Millis(0) && dials.take("other:1", at, 0));
    assert_eq!(dials.whole_at.len(), 1);
}

proptest! {
    /// Whoever asks whenever: in no stretch of time is more let through than the allowance and what has come back of it, and when it is
    /// said to be time, it is.
    #[test]
    fn never_more_than_the_allowance(steps in prop::collection::vec((0_u64..800, 0..=FOR_LINKS), 1..300)) {
        let (mut dials, mut now, mut taken) = (Dials::default(), Millis(0), Vec::new());
        for (passed, more) in steps {
            now = now.plus(passed);
            let may = dials.next("h:1", now, more) == now;
            prop_assert_eq!(dials.take("h:1", now, more), may);
            taken.extend(may.then_some(now));
            let next = dials.next("h:1", now, more);
            let mut later = Dials { whole_at: dials.whole_at.clone(), ..Dials::default() };
            prop_assert!(later.take("h:1", next, more));
        }
        for (n, from) in taken.iter().enumerate() {
            for (m, to) in taken.iter().enumerate().skip(n) {
                let count = (m - n + 1) as u64;
                prop_assert!(count <= DIALS_AT_ONCE + to.since(*from) / DIAL_AGAIN_MS);
            }
        }
    }
}
