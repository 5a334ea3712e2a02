//! Who is known, and what is told of new devices.

use super::*;
use crate::node::{
    Input, LoadedLog,
    event::{Code, Event},
    testing::{Alice, Other, room},
};

const BOB: Other = Other(1, "bob");
const BOB_TOO: Other = Other(2, "bob");
const EVE: Other = Other(6, "eve");
const EVE_TOO: Other = Other(7, "eve");
const ALICE_TOO: Other = Other(9, "alice");
const AT: WallTime = WallTime(0);

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn people() -> People {
    People::new(Identity {
        user: user("alice"),
        device: DeviceId([0xaa; 32]),
    })
}

fn device(number: usize) -> DeviceId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    DeviceId(id)
}

#[test]
fn the_first_device_is_his_and_further_ones_are_new() {
    let (mut people, bob) = (people(), user("bob"));
    assert_eq!(people.meet(&bob, device(1), AT), Met::First);
    assert_eq!(people.meet(&bob, device(1), AT), Met::Again);
    let new = |known, trusted| Met::New { known, trusted };
    assert_eq!(people.meet(&bob, device(2), AT), new(1, false));
    people.set_trusted(&bob, Some(AT));
    assert_eq!(people.trust(&bob), Trust::Whole);
    assert_eq!(people.meet(&user("BOB"), device(3), AT), new(2, true));
    assert_eq!(people.trust(&bob), Trust::NewDevice);
    people.forget(&bob, device(3));
    assert_eq!(people.trust(&bob), Trust::Whole);
    // Who is known without any device is known all the same.
    people.forget(&bob, device(1));
    people.forget(&bob, device(2));
    assert_eq!(people.trust(&bob), Trust::None);
    assert_eq!(people.meet(&bob, device(4), AT), new(0, false));
    assert_eq!(
        people.meet(&user("alice"), device(5), AT),
        new(1, false),
        "the own device counts"
    );
}

#[test]
fn of_too_many_devices_the_one_goes_that_was_not_met_for_long() {
    let (mut people, bob) = (people(), user("bob"));
    people.meet(&bob, device(0), AT);
    people.set_trusted(&bob, Some(AT));
    for number in 1..DEVICES_OF_USER_MAX {
        people.meet(&bob, device(number), AT);
    }
    people.meet(&bob, device(1), AT);
    people.meet(&bob, device(100), AT);
    assert_eq!(people.devices_of(&bob).len(), DEVICES_OF_USER_MAX);
    for (number, met) in [(0, true), (1, true), (2, false), (100, true)] {
        assert_eq!(people.meet(&bob, device(number), AT) == Met::Again, met, "{number}");
    }
    // Where all are trusted one of them goes as well, and the new one is not taken for trusted.
    people.set_trusted(&bob, Some(AT));
    people.meet(&bob, device(101), AT);
    assert_eq!(people.devices_of(&bob).len(), DEVICES_OF_USER_MAX);
    assert_eq!(people.trust(&bob), Trust::NewDevice);
}

#[test]
fn of_too_many_users_the_one_goes_who_was_not_met_for_long() {
    let mut people = people();
    let name = |number: usize| user(&format!("user{number}"));
    people.meet(&user("alice"), device(0), AT);
    for number in 1..PEOPLE_MAX {
        people.meet(&name(number), device(number), AT);
    }
    people.set_trusted(&name(1), Some(AT));
    assert_eq!(people.meet(&name(9_999), device(9_999), AT), Met::First);
    assert!(people.knows(&name(1)) && !people.knows(&name(2)) && people.knows(&name(3)));
    assert!(people.known.contains_key(&user("alice")), "the own devices stay");
    for number in 0..10_000 {
        people.set_trusted(&name(number), Some(AT));
    }
    assert_eq!(people.meet(&name(2), device(2), AT), Met::NoRoom);
    assert_eq!(people.known.len(), PEOPLE_MAX);
}

/// What Alice was told of new devices.
fn announced(alice: &Alice) -> Vec<(String, DeviceId, usize, bool)> {
    let news = alice.events.iter().filter_map(|event| match event {
        Event::People(News::NewDevice {
            user,
            device,
            known,
            trusted,
        }) => Some((user.to_string(), *device, *known, *trusted)),
        _ => None,
    });
    news.collect()
}

fn wish(alice: &mut Alice, wish: Wish) {
    alice.input(Input::People(wish));
}

/// What Alice would compare with Bob.
fn compared(alice: &mut Alice) -> Comparison {
    wish(alice, Wish::Verify(user("bob")));
    match alice.deeds.last() {
        Some(Deed::Compare(comparison)) => comparison.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_device_is_told_once() {
    let mut alice = Alice::among(&[BOB]);
    assert_eq!(announced(&alice), [], "the first contact is silent");
    assert_eq!(alice.deeds, [Deed::Remember { at_once: false }]);
    for _ in 0..2 {
        alice.link(BOB_TOO);
        alice.unlink(BOB_TOO);
    }
    assert_eq!(announced(&alice), [("bob".into(), BOB_TOO.device(), 1, false)]);
    alice.link(ALICE_TOO);
    let own = ("alice".into(), ALICE_TOO.device(), 1, false);
    assert_eq!(announced(&alice).last(), Some(&own), "the own user's at once");
}

#[test]
fn a_stranger_is_met_when_he_shares_a_conversation() {
    let mut alice = Alice::among(&[BOB]);
    alice.link(EVE);
    alice.link(EVE_TOO);
    assert!(!alice.node.people().knows(&user("eve")));
    for other in [EVE, EVE_TOO] {
        alice.live(other, &[other.first(1)]);
    }
    assert_eq!(announced(&alice), [("eve".into(), EVE_TOO.device(), 1, false)]);
    // What only stands in a log was not met.
    let log = LoadedLog::default();
    let mut alice = Alice::joins_with(log, &[BOB]);
    wish(&mut alice, Wish::Verify(user("bob")));
    assert_eq!((alice.notices(Code::NotMet), alice.deeds.len()), (1, 0));
}

#[test]
fn trust_is_for_the_devices_that_were_compared() {
    let mut alice = Alice::among(&[BOB]);
    let trust = |alice: &Alice| alice.node.who(&room()).last().unwrap().trust;
    assert_eq!(trust(&alice), Trust::None);
    let comparison = compared(&mut alice);
    assert!(!comparison.trusted && comparison.devices.len() == 2);
    // Another device comes between looking and trusting: that was not looked at.
    alice.link(BOB_TOO);
    wish(&mut alice, Wish::Trust(user("bob")));
    assert_eq!((alice.notices(Code::Refused), trust(&alice)), (1, Trust::None));
    alice.unlink(BOB_TOO);
    wish(&mut alice, Wish::Forget(user("bob"), "02".into()));
    wish(&mut alice, Wish::Trust(user("bob")));
    let trusted = News::Trusted(user("bob"), vec![BOB.device()]);
    assert_eq!(alice.events.last(), Some(&Event::People(trusted)));
    assert_eq!(alice.deeds.last(), Some(&Deed::Remember { at_once: true }));
    assert_eq!(trust(&alice), Trust::Whole);
    assert!(compared(&mut alice).trusted);
    alice.link(BOB_TOO);
    assert_eq!(
        announced(&alice).last(),
        Some(&("bob".into(), BOB_TOO.device(), 1, true))
    );
    assert_eq!(trust(&alice), Trust::NewDevice);
    wish(&mut alice, Wish::Untrust(user("bob")));
    assert_eq!(
        alice.events.last(),
        Some(&Event::People(News::Trusted(user("bob"), Vec::new())))
    );
    assert_eq!(trust(&alice), Trust::None);
    wish(&mut alice, Wish::Untrust(user("zoe")));
    wish(&mut alice, Wish::Trust(user("zoe")));
    wish(&mut alice, Wish::Verify(user("alice")));
    assert_eq!(alice.notices(Code::NotMet), 3);
}

#[test]
fn only_a_device_that_is_gone_is_forgotten() {
    let mut alice = Alice::among(&[BOB, BOB_TOO]);
    let forget = |alice: &mut Alice, start: &str| wish(alice, Wish::Forget(user("bob"), start.into()));
    forget(&mut alice, "01");
    assert_eq!(alice.notices(Code::Refused), 1, "it is there");
    forget(&mut alice, "0");
    assert_eq!(alice.notices(Code::Usage), 1, "which of the two?");
    forget(&mut alice, "aa");
    assert_eq!(alice.notices(Code::NotMet), 1, "the own one is not Bob's");
    alice.live(BOB, &[BOB.first(1)]);
    alice.unlink(BOB);
    forget(&mut alice, "0101");
    let (user, device, known) = (user("bob"), BOB.device(), 1);
    assert_eq!(
        alice.events.last(),
        Some(&Event::People(News::Forgot { user, device, known }))
    );
    // Now it was only heard of.
    let comparison = compared(&mut alice);
    let counts: Vec<_> = comparison
        .devices
        .iter()
        .map(|known| (known.device.0[0], known.counts))
        .collect();
    assert_eq!(counts, [(0xaa, true), (2, true), (1, false)]);
    alice.link(BOB);
    assert_eq!(announced(&alice).len(), 2, "it is announced when it is back");
}
