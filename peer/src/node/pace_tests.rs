//! Members that drag out a pull.

use super::{
    Input,
    event::{Event, ReplayReason},
    limits::{JOIN_PATIENCE_MS, PULL_MS_MAX, PULL_SLOW_MS_MAX, PULL_WINDOW_MS},
    testing::{Alice, Other, room},
};

const BOB: Other = Other(2, "bob");
const MALLORY: Other = Other(9, "mallory");

fn synced(alice: &Alice) -> usize {
    alice.count(|event| matches!(event, Event::Synced { .. }))
}

/// Mallory brings one entry every 4.9 s from what he has not brought yet, until the time is over or the pull is stopped.
fn trickle(alice: &mut Alice, until: u64) {
    let pull = alice.last_pull();
    assert_eq!(pull.from, MALLORY.device());
    let from = alice.held_of(MALLORY) as usize;
    for entry in MALLORY.chain(1, from + 100).into_iter().skip(from) {
        alice.pass_until((alice.now + 4_900).min(until));
        if alice.stopped.contains(&pull.id) || alice.now == until {
            return;
        }
        alice.brings(&pull, &[entry]);
    }
}

#[test]
fn who_trickles_his_history_is_left_and_the_others_are_asked() {
    let mut alice = Alice::joins(&[BOB, MALLORY]);
    alice.input(Input::Write(room(), "here I am".into()));
    alice.answer(BOB, BOB.holds(10));
    alice.answer(MALLORY, MALLORY.holds(1 << 40));
    let trickled = alice.last_pull();
    trickle(&mut alice, JOIN_PATIENCE_MS);
    assert_eq!(alice.stopped, [trickled.id]);
    assert!(alice.held_of(MALLORY) > 0, "what he brought is kept");
    assert!(alice.now <= 2 * PULL_WINDOW_MS, "{}", alice.now);
    let pull = alice.last_pull();
    assert_eq!(pull.from, BOB.device());
    // What still comes of the stopped one is passed over.
    let held = alice.held();
    alice.brings(&trickled, &MALLORY.chain(1, 50));
    alice.ends(&trickled);
    assert_eq!(alice.held(), held);
    alice.brings(&pull, &BOB.chain(1, 10));
    alice.ends(&pull);
    assert_eq!((alice.wrote(), synced(&alice)), (1, 1));
    assert_eq!(alice.held_of(BOB), 10);
}

#[test]
fn who_trickles_is_asked_again_ever_more_rarely() {
    let mut alice = Alice::joins(&[MALLORY]);
    alice.answer(MALLORY, MALLORY.holds(1 << 40));
    let mut waits = Vec::new();
    for _ in 0..9 {
        let pulls = alice.pulls.len();
        trickle(&mut alice, u64::MAX);
        let stopped = alice.now;
        while alice.pulls.len() == pulls {
            alice.pass_until(alice.now + 100);
        }
        waits.push(alice.now - stopped);
    }
    assert!(waits.is_sorted(), "{waits:?}");
    assert!(waits[0] < 6_000, "{waits:?}");
    let last = waits[8];
    assert!((PULL_SLOW_MS_MAX / 2..=PULL_SLOW_MS_MAX).contains(&last), "{waits:?}");
}

#[test]
fn joining_ends_after_its_patience_and_pulling_goes_on() {
    let mut alice = Alice::joins(&[MALLORY]);
    alice.input(Input::Write(room(), "here I am".into()));
    alice.answer(MALLORY, MALLORY.holds(1 << 40));
    // Fast enough, and without an end.
    let chain = MALLORY.chain(1, 30_000);
    let mut parts = chain.chunks(256);
    while alice.now < JOIN_PATIENCE_MS - 1_000 {
        let pull = alice.last_pull();
        alice.brings(&pull, parts.next().unwrap());
        alice.pass_until(alice.now + 1_000);
    }
    assert_eq!((alice.wrote(), synced(&alice)), (0, 0));
    assert!(alice.pulls.len() > 1, "it was planned anew after {PULL_MS_MAX} ms");
    alice.pass_until(JOIN_PATIENCE_MS);
    assert_eq!((alice.wrote(), synced(&alice)), (1, 1));
    let pull = alice.last_pull();
    let held = alice.held_of(MALLORY);
    alice.brings(&pull, parts.next().unwrap());
    assert_eq!(alice.held_of(MALLORY), held + 256, "it goes on");
    let shown = alice.count(|event| matches!(event, Event::Message(_)));
    assert_eq!(shown, 0, "it is history, which is not shown one by one");
}

#[test]
fn a_member_whose_history_has_no_end_lets_the_others_have_their_turn() {
    let mut alice = Alice::joins(&[BOB, MALLORY]);
    alice.answer(BOB, BOB.holds(10));
    alice.answer(MALLORY, MALLORY.holds(1 << 40));
    let chain = MALLORY.chain(1, 20_000);
    let mut parts = chain.chunks(256);
    let endless = alice.last_pull();
    while alice.stopped.is_empty() {
        alice.brings(&endless, parts.next().unwrap());
        alice.pass_until(alice.now + 1_000);
    }
    assert!(alice.now <= PULL_MS_MAX + PULL_WINDOW_MS, "{}", alice.now);
    let pull = alice.last_pull();
    assert_eq!(pull.from, BOB.device());
    alice.brings(&pull, &BOB.chain(1, 10));
    alice.ends(&pull);
    assert_eq!(alice.last_pull().from, MALLORY.device(), "and then it goes on at once");
}

#[test]
fn leaving_a_room_stops_its_pull() {
    let mut alice = Alice::joins(&[BOB]);
    alice.answer(BOB, BOB.holds(10));
    let pull = alice.last_pull();
    alice.input(Input::Leave(room()));
    assert_eq!(alice.stopped, [pull.id]);
    let replays = alice.count(|event| matches!(event, Event::Replay(replay) if replay.why == ReplayReason::Synced));
    assert_eq!(replays, 0);
}
