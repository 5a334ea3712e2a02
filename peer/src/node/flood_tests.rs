//! A member that writes more than its allowance.

use std::sync::Arc;

use super::{
    Input, LoadedLog,
    event::Code,
    limits::{AUTHORS_MAX, FLOOD_AUTHOR_BYTES, FLOOD_BURST_BYTES, FLOOD_PASSED_MAX},
    replica::AuthorLog,
    testing::{Alice, Other, room},
    types::{Author, DeviceId, Entry, Heights, Lamport, Seen, Seq},
};

const BOB: Other = Other(2, "bob");
const MALLORY: Other = Other(9, "mallory");
/// So many first entries are within the allowance.
const MINTED: u64 = FLOOD_BURST_BYTES / FLOOD_AUTHOR_BYTES - 1;

/// Mallory's first entries as many authors.
fn minted(authors: std::ops::Range<u64>) -> Vec<Arc<Entry>> {
    authors.map(|incarnation| MALLORY.first(incarnation)).collect()
}

/// Alice, at whom Mallory has used up his allowance; bob is there as well.
fn flooded() -> Alice {
    let mut alice = Alice::among(&[BOB, MALLORY]);
    alice.live(MALLORY, &minted(0..1_000));
    alice
}

#[test]
fn who_writes_without_end_is_taken_up_to_his_allowance_and_told_of_once() {
    let mut alice = flooded();
    assert_eq!(alice.held_of(MALLORY), MINTED);
    assert_eq!(alice.notices(Code::Flooding), 1);
    assert_eq!(alice.notices(Code::PeerMisbehaved), 0, "he is not refused for good");
    assert!(alice.pulls.is_empty(), "nor pulled from by and by");
    alice.live(BOB, &BOB.chain(1, 100));
    assert_eq!(alice.held_of(BOB), 100, "the others go on");
}

#[test]
fn what_was_passed_over_is_pulled_when_the_allowance_is_back_and_no_faster() {
    let mut alice = flooded();
    let mut pulls = 0;
    for second in 1..=1_800 {
        alice.pass_until(second * 1_000);
        // He writes on all the time, which keeps nobody from what is lacking.
        alice.live(MALLORY, &minted(1_000 + second..1_010 + second));
        while alice.pulls.len() > pulls {
            let pull = alice.pulls[pulls].clone();
            pulls += 1;
            assert_eq!(pull.from, MALLORY.device());
            let lacking: Vec<_> = minted(0..1_000)
                .into_iter()
                .filter(|entry| pull.heights.of(&entry.author) < entry.seq)
                .collect();
            alice.brings(&pull, &lacking);
            alice.ends(&pull);
        }
        // One author costs 16 s.
        assert!(alice.held_of(MALLORY) <= MINTED + second / 16 + 1);
    }
    let held = alice.held_of(MALLORY);
    assert!(alice.held().keys().all(|author| author.incarnation < 1_000));
    assert!(held > MINTED + 50, "{held}");
    assert_eq!(alice.notices(Code::Flooding), 1, "the same flood goes on");
}

#[test]
fn what_others_hold_is_pulled_without_the_flooders_entries() {
    let mut alice = flooded();
    let mut theirs = Heights(minted(0..1_000).iter().map(|entry| (entry.author, entry.seq)).collect());
    alice.told(BOB, theirs.clone());
    alice.pass_until(2_000);
    assert!(alice.pulls.is_empty(), "bob has nothing else");
    theirs.0.insert(BOB.author(1), Seq(5));
    alice.told(BOB, theirs.clone());
    let pull = alice.last_pull();
    for author in theirs.0.keys().filter(|author| author.device == MALLORY.device()) {
        assert_eq!(pull.heights.of(author), Seq(u64::MAX));
    }
    assert_eq!(pull.heights.of(&BOB.author(1)), Seq(0));
    // One of his entries names one that was not wanted: nobody has done anything wrong.
    let mut chain = BOB.chain(1, 4);
    let seen = Seen {
        author: MALLORY.author(999),
        seq: Seq(1),
    };
    chain.push(BOB.write(1, Some(&chain[3]), &[seen]));
    alice.brings(&pull, &chain);
    alice.ends(&pull);
    assert_eq!(alice.held_of(BOB), 4);
    assert_eq!(alice.node.talks()[&room()].replica.held().len(), 1, "it waits");
    assert_eq!(alice.notices(Code::PeerMisbehaved), 0);
    let again = alice.last_pull();
    alice.brings(&again, &chain[4..]);
    alice.ends(&again);
    let pulls = alice.pulls.len();
    alice.pass_until(alice.now + 4_900);
    assert_eq!(alice.pulls.len(), pulls, "what was of no use is not repeated at once");
}

#[test]
fn a_pull_that_brings_nothing_but_a_flood_is_stopped() {
    let mut alice = flooded();
    alice.told(BOB, BOB.holds(5));
    let pull = alice.last_pull();
    // New authors of Mallory, of whom bob has not told.
    let flood = minted(2_000..2_000 + 2 * FLOOD_PASSED_MAX);
    alice.brings(&pull, &flood);
    assert_eq!(alice.stopped, [pull.id]);
    assert_eq!(alice.held_of(MALLORY), MINTED);
    let before = alice.pulls.len();
    alice.pass_until(4_000);
    assert_eq!(alice.pulls.len(), before, "not at once again");
    alice.pass_until(6_000);
    assert_eq!(alice.last_pull().from, BOB.device());
}

#[test]
fn a_full_room_refuses_a_text_that_would_need_a_new_author() {
    let author = |n: usize| Author {
        device: DeviceId([7; 32]),
        incarnation: n as u64,
    };
    let full = |count: usize| {
        let held = |n| AuthorLog {
            user: BOB.user(),
            lamports: vec![Lamport(1)],
            head: BOB.first(n as u64).id,
        };
        LoadedLog {
            authors: (0..count).map(|n| (author(n), held(n))).collect(),
            ..LoadedLog::default()
        }
    };
    for (count, refused) in [(AUTHORS_MAX, 2), (AUTHORS_MAX - 1, 0)] {
        let mut alice = Alice::joins_with(full(count), &[]);
        for text in ["one", "two"] {
            alice.input(Input::Write(room(), text.into()));
        }
        assert_eq!(alice.notices(Code::Refused), refused, "of {count} authors");
        assert_eq!(alice.wrote(), 2 - refused);
    }
}
