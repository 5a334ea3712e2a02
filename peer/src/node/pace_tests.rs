//! Members that drag out a pull.

use super::{
    Input, Liveness,
    event::{Event, ReplayReason},
    limits::{
        JOIN_PATIENCE_MS, JOIN_RETRY_MS, PULL_FIRST_MS, PULL_MS_MAX, PULL_SLOW_MS_MAX, PULL_WINDOW_ENTRIES,
        PULL_WINDOW_MS,
    },
    testing::{Alice, Other, room},
    types::{Conversation, Heights, RoomName},
    window::PullFailure,
};

const BOB: Other = Other(2, "bob");
const CAROL: Other = Other(3, "carol");
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
fn the_only_one_who_holds_something_is_asked_again_before_joining_ends() {
    let mut alice = Alice::joins(&[BOB]);
    alice.input(Input::Write(room(), "here I am".into()));
    alice.answer(BOB, BOB.holds(1_000));
    let chain = BOB.chain(1, 1_000);
    // Nothing comes, then something and no more, and nothing again.
    for (nth, brings) in [0, 10, 0].into_iter().enumerate() {
        assert_eq!(alice.pulls.len(), nth + 1);
        let pull = alice.last_pull();
        if brings > 0 {
            alice.brings(&pull, &chain[..brings]);
            alice.pass_until(alice.now + PULL_WINDOW_MS);
            assert_eq!(alice.stopped, [pull.id]);
        } else {
            alice.input(Input::HistoryEnd(pull.id, Err(PullFailure::Broken("broken".into()))));
        }
        assert_eq!((alice.said(), synced(&alice)), (0, 0));
        alice.pass_until(alice.now + JOIN_RETRY_MS);
    }
    alice.pass_until(alice.now + PULL_FIRST_MS);
    assert_eq!((alice.said(), synced(&alice)), (1, 1), "and then joining ends");
    // The rest is history all the same.
    while alice.pulls.len() == 4 {
        alice.pass_until(alice.now + 1_000);
    }
    let pull = alice.last_pull();
    alice.brings(&pull, &chain[10..]);
    assert_eq!(alice.held_of(BOB), 1_000);
    assert_eq!(alice.count(|event| matches!(event, Event::Message(_))), 0);
}

#[test]
fn a_long_history_is_no_fault_of_its_member() {
    let mut alice = Alice::joins(&[BOB]);
    alice.answer(BOB, BOB.holds(100_000));
    let chain = BOB.chain(1, 40_000);
    let mut parts = chain.chunks(256);
    while alice.pulls.len() < 5 {
        let pull = alice.last_pull();
        alice.brings(&pull, parts.next().unwrap());
        alice.pass_until(alice.now + 1_000);
    }
    assert_eq!(
        alice.replays, 1,
        "the last entries, when joining had lasted for long enough"
    );
    let shown = |alice: &Alice| alice.count(|event| matches!(event, Event::Message(_)));
    alice.link(CAROL);
    alice.live(CAROL, &CAROL.chain(1, 3));
    assert_eq!(shown(&alice), 3, "what is said now does not wait");
    let pulls = alice.pulls.len();
    alice.pass_until(alice.now + PULL_FIRST_MS);
    while alice.pulls.len() == pulls {
        assert!(alice.now < 200_000, "a first hiccup");
        alice.pass_until(alice.now + 100);
    }
    let pull = alice.last_pull();
    alice.brings(&pull, parts.next().unwrap());
    alice.ends(&pull);
    assert_eq!(alice.replays, 3, "it was interrupted, and is over");
}

#[test]
fn nobody_is_too_slow_for_a_process_that_stood_still() {
    let mut alice = Alice::joins(&[BOB]);
    alice.answer(BOB, BOB.holds(1_000));
    let pull = alice.last_pull();
    let chain = BOB.chain(1, 1_000);
    alice.brings(&pull, &chain[..10]);
    alice.now += 3 * PULL_WINDOW_MS;
    alice.input(Input::Stalled);
    alice.brings(&pull, &chain[10..]);
    alice.ends(&pull);
    assert!(alice.stopped.is_empty());
    assert_eq!((alice.held_of(BOB), synced(&alice)), (1_000, 1));
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

#[test]
fn half_a_part_in_a_window_is_fast_enough() {
    let mut alice = Alice::joins(&[BOB]);
    alice.answer(BOB, BOB.holds(10_000));
    let pull = alice.last_pull();
    let chain = BOB.chain(1, 3 * PULL_WINDOW_ENTRIES);
    for part in chain.chunks(PULL_WINDOW_ENTRIES) {
        alice.pass_until(alice.now + PULL_WINDOW_MS - 1);
        alice.brings(&pull, part);
    }
    assert!(alice.stopped.is_empty());
    alice.pass_until(alice.now + 2 * PULL_WINDOW_MS);
    assert_eq!(alice.stopped, [pull.id]);
}

#[test]
fn of_many_conversations_with_one_member_two_are_pulled_at_a_time_and_all_have_their_turn() {
    let mut alice = Alice::joins(&[BOB]);
    alice.answer(BOB, Heights::default());
    let rooms: Vec<RoomName> = (0..5).map(|n| RoomName::new(&format!("room-{n}")).unwrap()).collect();
    let talk = |n: usize| Conversation::Room(rooms[n].clone());
    for room in &rooms {
        alice.enters(room.clone(), &[BOB]);
        let answer = Input::VersionAnswer(BOB.device(), Conversation::Room(room.clone()), BOB.holds(1));
        alice.input(answer);
    }
    let begun =
        |alice: &Alice| -> Vec<Conversation> { alice.pulls.iter().map(|pull| pull.conversation.clone()).collect() };
    assert_eq!(begun(&alice), [talk(0), talk(1)]);
    // One that breaks is begun anew after the others, one that is left makes room, and the end of a third one does.
    let broken = alice.pulls[0].clone();
    alice.input(Input::HistoryEnd(broken.id, Err(PullFailure::Broken("broken".into()))));
    alice.input(Input::Leave(talk(1)));
    assert_eq!(begun(&alice), [0, 1, 2, 3].map(talk));
    assert_eq!(synced(&alice), 1, "whoever waits for his turn is not in yet");
    let third = alice.pulls[2].clone();
    alice.ends(&third);
    assert_eq!(begun(&alice), [0, 1, 2, 3, 4].map(talk));
    assert!(alice.pulls.iter().all(|pull| pull.from == BOB.device()));
}

#[test]
fn what_waits_for_something_that_one_who_has_left_alone_has_is_dropped() {
    let mut alice = Alice::among(&[BOB, CAROL]);
    let [bobs, carols] = [BOB, CAROL].map(|other| other.chain(1, 2));
    alice.live(BOB, &bobs[1..]);
    alice.live(CAROL, &carols[1..]);
    let held = |alice: &Alice| alice.node.talks()[&room()].replica.held().len();
    assert_eq!(held(&alice), 2);
    let left = RoomName::new("lobby").unwrap();
    alice.input(Input::RoomChanged(left, BOB.address(), Liveness::Left));
    assert_eq!(held(&alice), 1, "what carol said waits on");
}
