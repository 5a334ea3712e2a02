//! What is shown one by one, and what is history.

use std::sync::Arc;

use crate::node::{
    Input, Liveness,
    event::Event,
    testing::{Alice, Other, room_name},
    types::{Entry, Heights, Lamport, Seen},
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
