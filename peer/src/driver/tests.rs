//! What a peer gives on, and what it does about those who say one thing and then another.

use std::path::PathBuf;

use super::{
    core::Act,
    testing::{Peer, heights, open, reader, text},
};
use crate::{
    log::{Disk as _, MemoryDisk},
    node::{
        Input,
        event::Code,
        link::Outgoing,
        types::Seq,
        window::{BadHistory, PullFailure, Pulled},
    },
    seal::{
        self,
        testing::{HashNotary, Pen, device, room},
    },
};

#[test]
fn third_parties_are_given_what_is_sealed_and_the_author_all_that_he_wrote() {
    let (mut peer, mut bob) = (Peer::new(), Pen::new(1));
    let link = peer.link(&bob);
    let one = bob.write("one", Vec::new());
    let seal = bob.seal();
    let two = bob.write("two", Vec::new());
    peer.frame(link, vec![one.clone(), two]);
    assert!(peer.given_to(2).is_empty());
    peer.frame_of_seals(link, vec![seal]);
    assert!(peer.given_to(2).is_empty(), "nobody has judged it");
    peer.judge();
    assert_eq!(peer.given_to(2), [one]);
    let version = |of| peer.core.serve_version(&reader(of), &room());
    assert_eq!(version(2).unwrap().version(), 1);
    assert_eq!(version(1).unwrap().version(), 2);
}

#[test]
fn a_seal_that_is_not_its_authors_is_dropped_and_told() {
    let (mut peer, mut bob) = (Peer::new(), Pen::new(1));
    let link = peer.link(&bob);
    peer.frame(link, vec![bob.write("one", Vec::new())]);
    let mut seal = bob.seal();
    seal.signature[3] ^= 1;
    peer.frame_of_seals(link, vec![seal]);
    peer.judge();
    assert!(peer.given_to(2).is_empty());
    assert_eq!(peer.notices(Code::PeerMisbehaved).len(), 1);
}

#[test]
fn own_entries_are_sealed_after_a_crash_too() {
    let disk = MemoryDisk::new(1);
    let mut peer = open(disk.clone(), 9);
    for n in 0..600 {
        peer.input(Input::Write(room(), format!("text {n}")));
    }
    assert!(peer.core.must_seal() && peer.given_to(2).is_empty());
    drop(peer);
    let disk = disk.kill();
    let mut peer = open(disk.clone(), 9);
    while peer.core.must_seal() {
        peer.seal();
    }
    assert_eq!(peer.given_to(2).len(), 600);
    drop(peer);
    let peer = open(disk.kill(), 9);
    assert!(!peer.core.must_seal(), "seals are kept");
}

#[test]
fn a_burst_has_a_seal_for_every_256_entries() {
    let (mut peer, mut bob) = (Peer::new(), Pen::new(1));
    let link = peer.link(&bob);
    peer.frame(link, vec![bob.write("here I am", Vec::new())]);
    for n in 0..600 {
        peer.input(Input::Write(room(), format!("text {n}")));
    }
    peer.acts.clear();
    peer.seal();
    let seals = peer.acts.iter().filter_map(|act| match act {
        Act::Send(_, Outgoing::Seal(_, seal)) => Some(seal.seq.0),
        _ => None,
    });
    assert_eq!(seals.collect::<Vec<_>>(), [256, 512, 600]);
}

#[test]
fn who_shows_two_entries_for_one_number_is_reported_with_both() {
    for behind in [0, 1] {
        let (mut peer, mut bob, mut twin) = (Peer::new(), Pen::new(1), Pen::new(1));
        let link = peer.link(&bob);
        let one = bob.write("one", Vec::new());
        let mut entries = vec![one];
        entries.extend((0..behind).map(|_| bob.write("more", Vec::new())));
        peer.frame(link, entries);
        let other = twin.write("other", Vec::new());
        peer.frame(link, vec![other.clone()]);
        let told = peer.notices(Code::Fork);
        assert!(
            told.len() == 1 && told[0].starts_with("user-1 contradicts himself"),
            "{told:?}"
        );
        assert_eq!(peer.texts()[0], "one");
        assert!(
            peer.acts
                .iter()
                .any(|act| matches!(act, Act::Close(closed, ..) if *closed == link))
        );
        let folder = PathBuf::from("/data/proofs");
        let names = peer.core.disk.list(&folder).unwrap();
        let proof = peer.core.disk.bytes_of(&folder.join(&names[0])).unwrap();
        let proof = String::from_utf8(proof).unwrap();
        assert!(proof.contains(&format!("id: {}", other.id)), "{proof}");
        assert_eq!(proof.matches("\nentry: ").count(), 2);
        // Once is enough.
        let link = peer.link(&bob);
        peer.acts.clear();
        peer.frame(link, vec![other]);
        assert!(peer.notices(Code::Fork).is_empty());
    }
}

#[test]
fn a_fork_in_a_history_is_its_authors_and_everything_else_is_taken() {
    let (mut peer, mut bob, mut twin, mut carol) = (Peer::new(), Pen::new(1), Pen::new(1), Pen::new(2));
    let link = peer.link(&bob);
    peer.frame(link, vec![bob.write("one", Vec::new())]);
    peer.frame_of_seals(link, vec![bob.seal()]);
    peer.judge();
    peer.input(Input::LinkDown(link, "gone".into()));
    let server = Pen::new(3);
    peer.link(&server);
    twin.write("another one", Vec::new());
    let two = twin.write("two", Vec::new());
    let hers = carol.write("hers", Vec::new());
    let pull = peer.pulled_from(3, heights(&[&twin, &carol]));
    let notary = HashNotary::shared(device(9));
    let pulled = Pulled {
        entries: vec![two, hers],
        seals: vec![twin.seal(), carol.seal()],
        introductions: vec![seal::introduction(carol.certificate(), notary.as_ref()).unwrap()],
        ..Pulled::default()
    };
    peer.input(Input::History(pull, pulled));
    peer.acts.clear();
    peer.input(Input::HistoryEnd(pull, Ok(())));
    assert_eq!(peer.texts(), ["one", "hers"]);
    let talk = &peer.core.node().talks()[&room()];
    assert_eq!(
        talk.sealing.sealed(&bob.author),
        Seq(1),
        "the seal is of the other entry"
    );
    assert_eq!(peer.notices(Code::PeerMisbehaved), [""; 0]);
    assert_eq!(peer.core.node().peers()[&device(3)].refused, 0);
    peer.now += 60_000;
    peer.input(Input::Tick);
    assert_eq!(peer.pull(3), None, "more of it is of no use");
}

#[test]
fn who_serves_a_bad_history_is_told_and_left_and_another_one_is_asked() {
    let (mut peer, mut bob) = (Peer::new(), Pen::new(1));
    let one = bob.write("one", Vec::new());
    let servers = [Pen::new(2), Pen::new(3)];
    for server in &servers {
        peer.link(server);
    }
    let pull = peer.pulled_from(2, heights(&[&bob]));
    peer.input(Input::VersionAnswer(device(3), room(), heights(&[&bob])));
    peer.acts.clear();
    let why = BadHistory::FalseSeal(bob.author, Seq(1));
    peer.input(Input::HistoryEnd(pull, Err(PullFailure::Bad(why))));
    let told = peer.notices(Code::BadHistory);
    assert!(
        told.len() == 1 && told[0].starts_with("user-2 served a history of #lobby"),
        "{told:?}"
    );
    let pull = peer.pull(3).expect("another one is asked");
    peer.acts.clear();
    let notary = HashNotary::shared(device(9));
    let pulled = Pulled {
        entries: vec![one.clone()],
        seals: vec![bob.seal()],
        introductions: vec![seal::introduction(bob.certificate(), notary.as_ref()).unwrap()],
        ..Pulled::default()
    };
    peer.input(Input::History(pull, pulled));
    peer.input(Input::HistoryEnd(pull, Ok(())));
    assert_eq!(peer.texts(), ["one"]);
    assert_eq!(peer.given_to(4), [one], "what was pulled can be given on");
    bob.write("two", Vec::new());
    peer.now += 10_000;
    peer.input(Input::VersionAnswer(device(2), room(), heights(&[&bob])));
    assert_eq!(peer.pull(2), None, "it is left alone");
}

#[test]
fn an_entry_that_its_author_never_seals_keeps_nothing_else_from_being_served() {
    let (mut peer, mut mallory) = (Peer::new(), Pen::new(1));
    let link = peer.link(&mallory);
    peer.input(Input::Write(room(), "before".into()));
    peer.frame(link, vec![mallory.write("never sealed", Vec::new())]);
    // Right after it, it is named: its seal is under way as far as anybody can know.
    peer.input(Input::Write(room(), "too soon".into()));
    peer.now += 1_000;
    for n in 0..3 {
        peer.input(Input::Write(room(), format!("after {n}")));
        peer.now += 1_000;
    }
    peer.seal();
    let mut given: Vec<_> = peer.given_to(2).iter().map(|entry| text(entry)).collect();
    // What a seal covers beyond what can be served goes with it, and waits at the reader's.
    given.retain(|text| text != "too soon");
    assert_eq!(given, ["before", "after 0", "after 1", "after 2"]);
    peer.frame_of_seals(link, vec![mallory.seal()]);
    peer.judge();
    assert_eq!(peer.given_to(2).len(), 6);
}
