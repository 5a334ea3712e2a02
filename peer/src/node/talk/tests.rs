//! What is shown one by one, and what is history.

use std::{ops::RangeInclusive, sync::Arc};

use crate::node::{
    Input, Liveness,
    event::Event,
    limits::PULL_AGAIN_MS,
    testing::{Alice, Other, Pulled, room, room_name},
    types::{Entry, Heights, Lamport, Seen, Stretches},
    window::PullFailure,
};

const BOB: Other = Other(2, "bob");
const CAROL: Other = Other(3, "carol");

/// An entry of Carol's that names this one of Bob's.
fn answer(question: &Entry) -> Arc<Entry> {
    let seen = Seen {
        author: question.author,
        seq: question.seq,
    };
    CAROL.write_at(1, None, &[seen], Lamport(question.lamport.0 + 1))
}

fn shown(alice: &Alice) -> usize {
    alice.count(|event| matches!(event, Event::Message(_)))
}

#[test]
fn an_answer_to_what_is_not_shown_yet_is_shown_with_it() {
    let mut alice = Alice::joins(&[]);
    for other in [BOB, CAROL] {
        alice.input(Input::RoomChanged(room_name(), other.address(), Liveness::Here));
        alice.link(other);
    }
    alice.told(BOB, BOB.holds(60));
    let (pull, chain) = (alice.last_pull(), BOB.chain(1, 60));
    alice.brings(&pull, &chain[..50]);
    alice.live(CAROL, &[answer(&chain[40])]);
    assert_eq!((alice.held_of(BOB), alice.held_of(CAROL), shown(&alice)), (50, 1, 0));
    alice.brings(&pull, &chain[50..]);
    alice.ends(&pull);
    assert_eq!((shown(&alice), alice.replays), (0, 1));
}

/// Alice is in the room alone when Bob comes, who holds so much of his own.
fn bob_comes_with(count: u64) -> (Alice, Pulled) {
    let mut alice = Alice::joins(&[]);
    alice.input(Input::RoomChanged(room_name(), BOB.address(), Liveness::Here));
    alice.link(BOB);
    alice.told(BOB, BOB.holds(count));
    let pull = alice.last_pull();
    (alice, pull)
}

/// Which of Bob's entries she was shown together, each time.
fn shown_together(alice: &Alice) -> Vec<RangeInclusive<u64>> {
    let bobs = |(_, stretches): &(usize, Stretches)| stretches.get(&BOB.author(1)).cloned();
    let seqs = alice.shown_last.iter().filter_map(bobs);
    seqs.map(|seqs| seqs.start().0..=seqs.end().0).collect()
}

#[test]
fn what_an_own_text_answers_is_shown_before_it_also_while_a_history_comes() {
    let (mut alice, pull) = bob_comes_with(60);
    let chain = BOB.chain(1, 60);
    alice.brings(&pull, &chain[..50]);
    alice.input(Input::Write(room(), "so that is what you mean".into()));
    let sent = alice.events.iter().position(|event| matches!(event, Event::Sent(_)));
    assert_eq!(alice.shown_last.first().map(|(before, _)| *before), sent);
    alice.brings(&pull, &chain[50..]);
    alice.ends(&pull);
    assert_eq!(shown_together(&alice), [1..=50, 51..=60]);
}

#[test]
fn what_was_shown_or_left_out_with_a_part_of_a_history_is_not_shown_with_the_rest() {
    let (mut alice, pull) = bob_comes_with(200);
    let chain = BOB.chain(1, 200);
    alice.brings(&pull, &chain[..100]);
    alice.input(Input::HistoryEnd(pull.id, Err(PullFailure::Broken("broken".into()))));
    assert_eq!(shown_together(&alice), [1..=100]);
    alice.pass_until(PULL_AGAIN_MS);
    let again = alice.last_pull();
    assert_ne!(again.id, pull.id);
    alice.brings(&again, &chain[100..]);
    alice.ends(&again);
    assert_eq!(shown_together(&alice), [1..=100, 101..=200]);
}

#[test]
fn what_was_said_since_nobody_held_anything_is_no_history() {
    let mut alice = Alice::among(&[BOB, CAROL]);
    alice.unlink(BOB);
    let chain = BOB.chain(1, 60);
    alice.live(CAROL, &[answer(&chain[59])]);
    let held = [BOB.holds(60), CAROL.holds(1)]
        .into_iter()
        .flat_map(|heights| heights.0);
    alice.told(CAROL, Heights(held.collect()));
    let pull = alice.last_pull();
    alice.brings(&pull, &chain);
    alice.ends(&pull);
    assert_eq!((shown(&alice), alice.replays), (61, 0), "she is shown all of it");
}
