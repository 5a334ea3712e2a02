//! Members who say that they hold more of the own entries than there are here: some lie, and some do not.

use std::collections::BTreeSet;

use crate::node::{
    Input, LoadedLog,
    contradiction::Forked,
    event::Code,
    limits::OWN_DOUBTED_MAX,
    link::{Frame, HeightsNews, LinkId},
    replica::AuthorLog,
    testing::{Alice, Other, room},
    types::{Author, Heights, Seq},
    window::PullFailure,
};

const ALICE: Other = Other(0xaa, "alice");
const BOB: Other = Other(1, "bob");
const MALLORY: Other = Other(9, "mallory");
/// As whom she wrote before.
const EARLIER: u64 = 7;

fn writes(alice: &mut Alice) -> Author {
    alice.input(Input::Write(room(), "text".into()));
    alice.node.talks()[&room()].author.unwrap()
}

/// As how many authors she has written.
fn authors(alice: &Alice) -> usize {
    let own: BTreeSet<_> = alice
        .held()
        .into_keys()
        .filter(|author| author.device == ALICE.device())
        .collect();
    own.len()
}

/// She has written two entries and may go on after them, as far as her disk knows.
fn set_back(others: &[Other]) -> Alice {
    let chain = ALICE.chain(EARLIER, 2);
    let held = AuthorLog {
        user: ALICE.user(),
        lamports: chain.iter().map(|entry| entry.lamport).collect(),
        head: chain[1].id,
    };
    let log = LoadedLog {
        authors: [(ALICE.author(EARLIER), held)].into(),
        resume: Some(EARLIER),
        ..LoadedLog::default()
    };
    let mut alice = Alice::joins_with(log, others);
    for other in others {
        alice.answer(*other, Heights::default());
        alice.link(*other);
    }
    alice
}

fn claims(alice: &mut Alice, from: Other, author: Author) {
    let beyond = alice.held().get(&author).copied().unwrap_or_default().next();
    alice.told(from, Heights([(author, beyond)].into()));
}

#[test]
fn who_lies_about_own_entries_is_found_out_and_not_believed_again() {
    let mut alice = Alice::among(&[BOB, MALLORY]);
    let first = writes(&mut alice);
    claims(&mut alice, MALLORY, first);
    let pull = alice.last_pull();
    assert_eq!(pull.from, MALLORY.device(), "what he says he holds is lacking");
    let second = writes(&mut alice);
    assert_ne!(first, second, "it might be so");
    assert_eq!(alice.notices(Code::PeerMisbehaved), 0);
    alice.ends(&pull);
    assert_eq!(alice.notices(Code::PeerMisbehaved), 1);
    for _ in 0..10 {
        alice.unlink(MALLORY);
        alice.link(MALLORY);
        let author = writes(&mut alice);
        claims(&mut alice, MALLORY, author);
        claims(&mut alice, MALLORY, first);
        assert_eq!(writes(&mut alice), author);
    }
    assert_eq!(authors(&alice), 2);
}

#[test]
fn the_author_is_gone_on_with_when_a_claim_turns_out_to_be_false() {
    let mut alice = set_back(&[MALLORY]);
    claims(&mut alice, MALLORY, ALICE.author(EARLIER));
    let permitted = |alice: &Alice| alice.node.talks()[&room()].permitted(ALICE.device());
    assert_eq!(permitted(&alice), None);
    let pull = alice.last_pull();
    alice.ends(&pull);
    assert_eq!(permitted(&alice), Some(EARLIER));
    assert_eq!(writes(&mut alice), ALICE.author(EARLIER));
}

#[test]
fn many_who_lie_and_never_give_what_they_claim_cost_few_authors() {
    let liars: Vec<_> = (10..110).map(|n| Other(n, "mallory")).collect();
    let mut alice = Alice::among(&liars);
    for liar in &liars {
        let author = writes(&mut alice);
        claims(&mut alice, *liar, author);
        if let Some(pull) = alice.pulls.last().cloned() {
            alice.input(Input::HistoryEnd(pull.id, Err(PullFailure::Broken("gone".into()))));
        }
        writes(&mut alice);
    }
    assert!(authors(&alice) <= OWN_DOUBTED_MAX + 1, "{}", authors(&alice));
}

#[test]
fn whose_disk_was_set_back_writes_as_another_one_before_and_after_that_is_shown() {
    let mut alice = set_back(&[BOB]);
    let chain = ALICE.chain(EARLIER, 4);
    alice.told(BOB, Heights([(ALICE.author(EARLIER), Seq(4))].into()));
    let meanwhile = writes(&mut alice);
    assert_ne!(meanwhile, ALICE.author(EARLIER));
    let pull = alice.last_pull();
    assert_eq!(pull.heights.of(&ALICE.author(EARLIER)), Seq(2));
    alice.brings(&pull, &chain[2..]);
    alice.ends(&pull);
    assert_eq!(alice.notices(Code::PeerMisbehaved), 0);
    assert_eq!(alice.held()[&ALICE.author(EARLIER)], Seq(4));
    assert_eq!(writes(&mut alice), meanwhile);
    assert_eq!(authors(&alice), 2);
}

#[test]
fn who_was_told_by_nobody_learns_it_from_what_comes() {
    let mut alice = set_back(&[BOB]);
    let chain = ALICE.chain(EARLIER, 4);
    alice.told(BOB, BOB.holds(1));
    let pull = alice.last_pull();
    // One that does not follow from what is here is as good: it was written.
    alice.brings(&pull, &chain[3..]);
    assert_ne!(writes(&mut alice), ALICE.author(EARLIER));
}

#[test]
fn another_process_is_not_to_blame_for_what_the_one_before_it_said() {
    let mut alice = set_back(&[BOB]);
    claims(&mut alice, BOB, ALICE.author(EARLIER));
    let broken = alice.last_pull();
    alice.unlink(BOB);
    alice.input(Input::HistoryEnd(broken.id, Err(PullFailure::Broken("gone".into()))));
    alice.now += 10_000;
    // Its machine has lost power, and the link has another name.
    alice.link_as(BOB, 200);
    alice.input(Input::Frame(
        LinkId(200),
        Frame {
            heights: vec![HeightsNews {
                conversation: room(),
                heights: BOB.holds(1),
                reply_wanted: false,
                left: false,
                relay_wanted: false,
            }],
            ..Frame::default()
        },
    ));
    alice.pass_until(20_000);
    let pull = alice.last_pull();
    assert_ne!(pull.id, broken.id);
    alice.brings(&pull, &BOB.chain(1, 1));
    alice.ends(&pull);
    assert_eq!(alice.notices(Code::PeerMisbehaved), 0);
    assert_eq!(writes(&mut alice), ALICE.author(EARLIER));
}

#[test]
fn who_told_the_truth_is_not_to_blame_when_the_own_author_is_proved_to_contradict_himself() {
    let mut alice = set_back(&[BOB]);
    let own = writes(&mut alice);
    claims(&mut alice, BOB, own);
    let pull = alice.last_pull();
    alice.input(Input::Forked(room(), own, Forked::Sealed));
    alice.ends(&pull);
    alice.answer(BOB, BOB.holds(1));
    alice.pass_until(10_000);
    let next = alice.last_pull();
    assert_ne!(pull.id, next.id);
    alice.brings(&next, &[BOB.first(1)]);
    alice.ends(&next);
    assert_eq!((alice.held_of(BOB), alice.notices(Code::PeerMisbehaved)), (1, 0));
}
