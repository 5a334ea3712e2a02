//! A member that writes more than its allowance.

use std::sync::Arc;

use super::{
    Input, LoadedLog,
    event::Code,
    limits::{
        AUTHORS_MAX, FILLING_FREE_MS, FLOOD_AUTHOR_BYTES, FLOOD_BURST_BYTES, FLOOD_LIVE_MS, FLOOD_PASSED_MAX,
        JOIN_PATIENCE_MS,
    },
    replica::AuthorLog,
    testing::{Alice, Other, room},
    types::{Author, DeviceId, Entry, Heights, Lamport, Seen, Seq},
};

const BOB: Other = Other(2, "bob");
const MALLORY: Other = Other(9, "mallory");
const CAROL: Other = Other(3, "carol");
/// Somebody gives out his entries as those of an earlier run of Alice.
const ALICE: Other = Other(0xaa, "alice");
/// So many first entries are within the allowance: the first author of a device costs no more than any entry.
const MINTED: u64 = FLOOD_BURST_BYTES / FLOOD_AUTHOR_BYTES;

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
fn what_is_not_taken_is_charged_to_nobody() {
    let mut alice = Alice::among(&[BOB, MALLORY]);
    alice.live(BOB, &BOB.chain(1, 1));
    let unheard = Seen {
        author: MALLORY.author(7),
        seq: Seq(1),
    };
    let waits = BOB.write(2, None, &[unheard]);
    let held = BOB.first(3);
    let forged = BOB.write_at(4, None, &[], Lamport(9));
    alice.told(MALLORY, MALLORY.holds(1));
    for _ in 0..2 * MINTED {
        let pull = alice.last_pull();
        alice.brings(&pull, &[waits.clone(), forged.clone(), held.clone()]);
        alice.live(BOB, &[waits.clone(), held.clone()]);
    }
    assert_eq!(alice.held_of(BOB), 2);
    assert_eq!(alice.notices(Code::Flooding), 0);
    alice.live(
        BOB,
        &(5..MINTED)
            .map(|incarnation| BOB.first(incarnation))
            .collect::<Vec<_>>(),
    );
    assert_eq!(alice.held_of(BOB), MINTED - 3, "his allowance is there");
}

#[test]
fn entries_that_have_waited_are_charged_when_they_are_taken() {
    let mut alice = Alice::among(&[BOB, MALLORY]);
    let cause = Seen {
        author: MALLORY.author(5_000),
        seq: Seq(1),
    };
    let wait = |incarnation| MALLORY.write(incarnation, None, &[cause]);
    alice.live(MALLORY, &(0..1_000).map(wait).collect::<Vec<_>>());
    assert_eq!(alice.held_of(MALLORY), 0);
    alice.live(MALLORY, &[MALLORY.first(5_000)]);
    assert_eq!(alice.held_of(MALLORY), MINTED);
    assert_eq!(alice.notices(Code::Flooding), 1);
}

#[test]
fn what_waits_for_a_flooder_is_not_pulled_again_and_again() {
    let mut alice = Alice::among(&[BOB, CAROL, MALLORY]);
    alice.live(MALLORY, &minted(0..1_000));
    let first_of = |author| Seen { author, seq: Seq(1) };
    let bobs = BOB.write(1, None, &[first_of(MALLORY.author(999))]);
    let carols = CAROL.write_at(1, None, &[first_of(BOB.author(1))], Lamport(3));
    for (who, entry) in [(BOB, &bobs), (CAROL, &carols)] {
        alice.live(who, std::slice::from_ref(entry));
    }
    let authors = [BOB.author(1), CAROL.author(1), MALLORY.author(999)];
    let mut theirs = Heights(authors.map(|author| (author, Seq(1))).into());
    for who in [BOB, CAROL] {
        alice.told(who, theirs.clone());
    }
    let mut pulls = 0;
    for second in 1..=15 {
        alice.pass_until(second * 1_000);
        for pull in alice.pulls.split_off(0) {
            pulls += 1;
            alice.brings(&pull, &[bobs.clone(), carols.clone()]);
            alice.ends(&pull);
        }
    }
    assert!(pulls <= 2, "{pulls}");
    // Somebody else's are: nothing is asked for of those.
    theirs.0.insert(CAROL.author(2), Seq(1));
    alice.told(CAROL, theirs);
    let pull = alice.last_pull();
    assert_eq!(pull.heights.of(&BOB.author(1)), Seq(u64::MAX));
    assert_eq!(pull.heights.of(&CAROL.author(2)), Seq(0));
}

#[test]
fn what_is_held_back_is_not_gone_through_with_every_input() {
    let mut alice = Alice::among(&[BOB, MALLORY]);
    alice.live(BOB, &BOB.chain(1, 3)[2..]);
    let held_at = |alice: &Alice| alice.node.talks()[&room()].sync.held_at;
    let mut looks = vec![held_at(&alice)];
    while alice.pulls.is_empty() {
        alice.pass_until(alice.now + 10);
        alice.live(MALLORY, &[MALLORY.first(alice.now)]);
        looks.push(held_at(&alice));
    }
    assert!((500..=750).contains(&alice.now), "{}", alice.now);
    looks.dedup();
    assert!(looks.len() <= 2, "{looks:?}");
}

#[test]
fn live_entries_of_a_flooder_are_pulled_together() {
    let mut alice = Alice::among(&[BOB, MALLORY]);
    let chain = MALLORY.chain(0, 1_000);
    alice.live(MALLORY, &minted(0..1_000));
    alice.pass_until(33_000);
    let mut pulls = 0;
    for entry in &chain[1..] {
        alice.live(MALLORY, std::slice::from_ref(entry));
        for pull in alice.pulls.split_off(0) {
            pulls += 1;
            let upto = entry.seq.0 as usize;
            let from = pull.heights.of(&MALLORY.author(0)).0 as usize;
            alice.brings(&pull, &chain[from..upto]);
            alice.ends(&pull);
        }
        alice.pass_until(alice.now + 5);
    }
    let most = 5_000 / FLOOD_LIVE_MS + 2;
    assert!((most / 2..=most).contains(&pulls), "{pulls}");
    assert!(
        alice.held()[&MALLORY.author(0)] > Seq(900),
        "and they come all the same"
    );
}

#[test]
fn entries_of_the_own_device_that_others_bring_are_charged_as_well() {
    let mut alice = Alice::among(&[BOB]);
    alice.told(BOB, BOB.holds(1));
    let pull = alice.last_pull();
    alice.brings(
        &pull,
        &(0..1_000)
            .map(|incarnation| ALICE.first(incarnation))
            .collect::<Vec<_>>(),
    );
    assert_eq!(alice.held_of(ALICE), MINTED);
    alice.input(Input::Write(room(), "undisturbed".into()));
    assert_eq!(alice.said(), 1);
}

#[test]
fn what_fills_a_newcomers_log_is_charged_to_nobody_for_ten_minutes() {
    let mut alice = Alice::joins(&[MALLORY]);
    alice.answer(MALLORY, MALLORY.holds(1 << 40));
    let pull = alice.last_pull();
    alice.brings(&pull, &MALLORY.chain(1, 200));
    let mut bring = |from: u64, until: u64| {
        let mut incarnation = from;
        while alice.now < until {
            alice.pass_until(alice.now + 9_000);
            let pull = alice.last_pull();
            alice.brings(&pull, &minted(incarnation..incarnation + 200));
            incarnation += 200;
        }
        alice.held_of(MALLORY) - 200
    };
    let (early, late) = (JOIN_PATIENCE_MS + 30_000, FILLING_FREE_MS + 60_000);
    assert_eq!(bring(10, early), 200 * early.div_ceil(9_000));
    let held = bring(100_000, late);
    assert!(
        (200 * (FILLING_FREE_MS / 9_000)..200 * (late / 9_000) - 400).contains(&held),
        "{held}"
    );
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
