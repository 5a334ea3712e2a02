//! Members who tell what they hold, and who ask, to make others work.

use super::{
    limits::TELL_PAUSE_MS,
    link::{Frame, HeightsNews, LinkId, Outgoing},
    testing::{Alice, Other, room},
    types::Heights,
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
