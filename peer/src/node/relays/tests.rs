//! Who asks whom to relay, and who is told what.

use crate::node::{
    Input, Liveness,
    limits::RELAY_AFTER_MS,
    link::{Frame, HeightsNews, LinkId, Outgoing},
    testing::{Alice, Other, room, room_name, seals},
    types::Heights,
};

const BOB: Other = Other(1, "bob");
const CAROL: Other = Other(2, "carol");
const DAVE: Other = Other(3, "dave");

/// The heights that somebody was told, as far as they say whether a relay is wanted.
fn told(alice: &Alice, other: Other) -> Vec<bool> {
    let to_him = alice.sent.iter().filter(|(link, _)| *link == LinkId(other.0.into()));
    to_him
        .filter_map(|(_, what)| match what {
            Outgoing::Heights(news) => Some(news.relay_wanted),
            _ => None,
        })
        .collect()
}

#[test]
fn who_lacks_a_link_with_a_member_that_is_there_asks_others_until_there_is_one() {
    let mut alice = Alice::among(&[BOB, CAROL]);
    alice.pass_until(RELAY_AFTER_MS);
    alice.input(Input::RoomChanged(room_name(), DAVE.address(), Liveness::Here));
    alice.pass_until(alice.now + RELAY_AFTER_MS / 2);
    assert!(!told(&alice, BOB).contains(&true), "links take a moment");
    alice.pass_until(alice.now + RELAY_AFTER_MS);
    for other in [BOB, CAROL] {
        assert_eq!(told(&alice, other).last(), Some(&true), "{}", other.1);
    }
    alice.link(DAVE);
    alice.pass_until(alice.now + 2 * RELAY_AFTER_MS);
    for other in [BOB, CAROL] {
        assert_eq!(told(&alice, other).last(), Some(&false), "{}", other.1);
    }
}

#[test]
fn where_all_have_links_nobody_is_asked() {
    let mut alice = Alice::among(&[BOB, CAROL, DAVE]);
    alice.pass_until(100_000);
    for other in [BOB, CAROL, DAVE] {
        assert!(!told(&alice, other).contains(&true), "{}", other.1);
    }
}

#[test]
fn one_who_has_asked_is_told_soon_what_others_write() {
    let mut alice = Alice::among(&[BOB, CAROL]);
    alice.pass_until(5_000);
    let news = HeightsNews {
        conversation: room(),
        heights: Heights::default(),
        reply_wanted: false,
        left: false,
        relay_wanted: true,
    };
    let heights = vec![news];
    alice.frame(
        CAROL,
        Frame {
            heights,
            ..Frame::default()
        },
    );
    alice.pass_until(alice.now + 1_000);
    let before = (told(&alice, BOB).len(), told(&alice, CAROL).len());
    let said = [BOB.first(1)];
    alice.live(BOB, &said);
    alice.input(Input::Judged(room(), seals(&said), Vec::new()));
    alice.pass_until(alice.now + 1_000);
    assert_eq!(told(&alice, CAROL).len(), before.1 + 1);
    assert_eq!(told(&alice, BOB).len(), before.0, "he has it");
}
