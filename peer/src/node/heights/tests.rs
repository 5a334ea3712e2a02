//! Members who tell what they hold, and who ask, to make others work.

use std::time::{Duration, Instant};

use crate::node::{
    Input, Liveness, PeerAddress,
    event::Event,
    limits::{HEIGHTS_EVERY_MS, KNOCK_WAIT_MS, TELL_PAUSE_MS},
    link::{Ack, Frame, HeightsNews, LinkId, Outgoing},
    testing::{Alice, Other, room, room_name, seals},
    types::{Author, Conversation, DeviceId, Heights, RoomName, Seq, UserName},
};

const BOB: Other = Other(1, "bob");
const MALLORY: Other = Other(9, "mallory");

/// How often somebody was told heights.
fn told(alice: &Alice, other: Other) -> usize {
    let is_told =
        |(link, what): &&(LinkId, Outgoing)| *link == LinkId(other.0.into()) && matches!(what, Outgoing::Heights(_));
    alice.sent.iter().filter(is_told).count()
}

fn asks(left: bool) -> HeightsNews {
    HeightsNews {
        conversation: room(),
        heights: Heights::default(),
        reply_wanted: true,
        left,
        relay_wanted: false,
    }
}

#[test]
fn who_asks_for_heights_again_and_again_is_told_them_at_a_pace() {
    let mut alice = Alice::among(&[BOB, MALLORY]);
    alice.pass_until(10 * TELL_PAUSE_MS);
    let before = told(&alice, MALLORY);
    for _ in 0..16 {
        let heights = (0..4_096).map(|n| asks(n % 4 == 0)).collect();
        let frame = Frame {
            heights,
            ..Frame::default()
        };
        alice.frame(MALLORY, frame);
    }
    assert_eq!(told(&alice, MALLORY), before + 1, "at once, and once");
    alice.pass_until(20 * TELL_PAUSE_MS);
    assert_eq!(told(&alice, MALLORY), before + 2, "what he asked for meanwhile");
    // Others are not kept waiting for that.
    let before = told(&alice, BOB);
    alice.frame(
        BOB,
        Frame {
            heights: vec![asks(false)],
            ..Frame::default()
        },
    );
    assert_eq!(told(&alice, BOB), before + 1);
}

#[test]
fn who_leaves_and_comes_back_again_and_again_is_told_heights_at_a_pace() {
    let mut alice = Alice::among(&[MALLORY]);
    alice.pass_until(10 * TELL_PAUSE_MS);
    let before = told(&alice, MALLORY);
    for n in 0..1_000 {
        let heights = vec![asks(n % 2 == 0)];
        alice.frame(
            MALLORY,
            Frame {
                heights,
                ..Frame::default()
            },
        );
    }
    alice.pass_until(20 * TELL_PAUSE_MS);
    assert!(
        told(&alice, MALLORY) <= before + 2,
        "{}",
        told(&alice, MALLORY) - before
    );
}

/// A room of many, and an own text of which they may tell that they have it.
fn crowd() -> Alice {
    let mut alice = Alice::among(&[MALLORY]);
    for n in 0..300_u32 {
        let mut device = [1; 32];
        device[..4].copy_from_slice(&n.to_be_bytes());
        let user = UserName::new(&format!("user-{n}")).unwrap();
        let member = PeerAddress {
            user,
            device: DeviceId(device),
            address: "peer:1".into(),
        };
        alice.input(Input::RoomChanged(room_name(), member, Liveness::Here));
    }
    (0..256).for_each(|_| alice.input(Input::Write(room(), "text".into())));
    alice
}

#[test]
fn an_ack_that_says_nothing_new_costs_next_to_nothing() {
    let mut alice = crowd();
    let author = alice.node.talks()[&room()].author.unwrap();
    let ack = |seq| Ack {
        conversation: room(),
        author,
        stored: Seq(seq),
        durable: Seq(0),
    };
    let mut take = |acks: Vec<Ack>| {
        let start = Instant::now();
        alice.frame(
            MALLORY,
            Frame {
                acks,
                ..Frame::default()
            },
        );
        start.elapsed()
    };
    let news = take((1..=256).map(ack).collect());
    // The best of some, since the machine may be busy with something else.
    let nothing = (0..5).map(|_| take(vec![ack(256); 256])).min();
    assert!(
        nothing.unwrap_or(Duration::MAX) < news / 20,
        "{nothing:?}, news: {news:?}"
    );
}

#[test]
fn who_has_left_is_asked_again_for_a_seal_that_did_not_come() {
    let mut alice = Alice::among(&[BOB]);
    let bobs = vec![BOB.first(1)];
    let last = seals(&bobs);
    alice.frame(
        BOB,
        Frame {
            entries: bobs,
            ..Frame::default()
        },
    );
    alice.frame(
        BOB,
        Frame {
            heights: vec![asks(true)],
            ..Frame::default()
        },
    );
    let asked = told(&alice, BOB);
    alice.pass_until(alice.now + 2 * HEIGHTS_EVERY_MS);
    assert!(told(&alice, BOB) > asked, "his answer may have found a queue full");
    alice.input(Input::Judged(room(), last, Vec::new()));
    let asked = told(&alice, BOB);
    alice.pass_until(alice.now + 2 * HEIGHTS_EVERY_MS);
    assert_eq!(told(&alice, BOB), asked);
}

#[test]
fn who_says_nothing_over_its_link_delays_joining_as_long_as_a_call_would() {
    let mut alice = Alice::among(&[BOB]);
    let other = RoomName::new("other").unwrap();
    alice.enters(other.clone(), &[BOB]);
    let is_in = |alice: &Alice| {
        let is_it = |event: &Event| matches!(event, Event::Synced { conversation, .. } if *conversation == Conversation::Room(other.clone()));
        alice.count(is_it) == 1
    };
    alice.pass_until(alice.now + KNOCK_WAIT_MS - 1);
    assert!(!is_in(&alice), "it may still answer");
    alice.pass_until(alice.now + 1);
    assert!(is_in(&alice));
}

#[test]
fn that_a_device_holds_nothing_of_an_author_is_not_kept() {
    let mut alice = Alice::among(&[BOB]);
    let author = |incarnation| Author {
        device: BOB.device(),
        incarnation,
    };
    alice.told(BOB, Heights((1..=1_000).map(|n| (author(n), Seq(0))).collect()));
    let kept = |alice: &Alice| alice.node.peers[&BOB.device()].heights[&room()].0.len();
    assert_eq!(kept(&alice), 0);
    alice.answer(BOB, Heights((1..=1_000).map(|n| (author(n), Seq(n % 2))).collect()));
    assert_eq!(kept(&alice), 500);
}
