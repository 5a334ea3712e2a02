//! Devices that contradict themselves, and what is kept of that.

use std::{path::PathBuf, sync::Arc};

use super::{
    core::Act,
    ports::Order,
    testing::{Peer, heights, identity, open, reader, text},
};
use crate::{
    log::{Disk as _, MemoryDisk},
    net::convert,
    node::{
        Input,
        contradiction::Contradiction,
        event::Code,
        link::LinkId,
        types::{Conversation, Entry, Heights, Lamport, Seen, Seq},
        window::Pulled,
    },
    seal::{
        self, HistoryReader, Part,
        testing::{HashNotary, Pen, device, room},
    },
};

fn seen(pen: &Pen, seq: u64) -> Vec<Seen> {
    vec![Seen {
        author: pen.author,
        seq: Seq(seq),
    }]
}

/// Writes with a Lamport time of the test's choice.
fn at(pen: &mut Pen, text: &str, seen: Vec<Seen>, lamport: u64) -> Arc<Entry> {
    let mut draft = pen.draft(text, seen);
    draft.lamport = Lamport(lamport);
    let entry = convert::encode_entry(draft);
    pen.last = Some((entry.seq, entry.id));
    entry
}

impl Peer {
    /// A seal of what a pen wrote last comes over its link, and is judged.
    fn seals(&mut self, link: LinkId, pen: &Pen) {
        self.frame_of_seals(link, vec![pen.seal()]);
        self.judge();
    }

    /// Mallory's first entry is here, with its seal, and her other one comes sealed in a history that device 3 serves.
    fn shown_both(&mut self, mallory: &mut Pen, twin: &mut Pen) {
        let link = self.link(mallory);
        let one = mallory.write("one", Vec::new());
        self.frame(link, vec![one]);
        self.seals(link, mallory);
        self.input(Input::LinkDown(link, "gone".into()));
        self.link(&Pen::new(3));
        twin.write("another one", Vec::new());
        let two = twin.write("two", Vec::new());
        let pull = self.pulled_from(3, heights(&[twin]));
        let pulled = Pulled {
            entries: vec![two],
            seals: vec![twin.seal()],
            ..Pulled::default()
        };
        self.acts.clear();
        self.input(Input::History(pull, pulled));
        self.input(Input::HistoryEnd(pull, Ok(())));
    }

    /// What device `n`, which holds nothing, is given, as it comes out of its reader.
    fn served_to(&self, n: u8) -> Vec<Pulled> {
        let history = self.core.serve_history(&reader(n), &room(), &Heights::default());
        let mut history = history.unwrap().expect("there is a log");
        let mut judge = HistoryReader::new(HashNotary::shared(device(n)), &identity(n), room(), Heights::default());
        let mut found = Vec::new();
        loop {
            let part = self.core.serve_part(&room(), &mut history).unwrap();
            if part.is_empty() {
                judge.finish().unwrap();
                return found;
            }
            let part = convert::part_from_wire(convert::part_to_wire(part)).unwrap();
            found.push(judge.take(part).unwrap());
        }
    }

    /// From whom it pulls, beyond which heights.
    fn asks(&self) -> Option<(u8, Heights)> {
        self.acts.iter().rev().find_map(|act| match act {
            Act::Order(Order::Pull { device, heights, .. }) => Some((device.0[0], heights.clone())),
            _ => None,
        })
    }
}

#[test]
fn two_entries_for_one_number_in_a_conversation_that_is_new_end_nothing() {
    let (mut peer, mut mallory, twin) = (Peer::new(), Pen::new(1), Pen::new(1));
    let direct = Conversation::direct(&identity(1).user, &identity(9).user);
    let of = |pen: &Pen, text: &str, seen| {
        let mut draft = pen.draft(text, seen);
        draft.conversation = direct.clone();
        convert::encode_entry(draft)
    };
    let link = peer.link(&mallory);
    peer.frame(
        link,
        vec![of(&mallory, "one", Vec::new()), of(&twin, "another one", Vec::new())],
    );
    peer.input(Input::LinkDown(link, "closed".into()));
    let missing = seen(&mallory, 2);
    mallory.author.incarnation += 1;
    let link = peer.link(&mallory);
    peer.frame(link, vec![of(&mallory, "it names what nobody has", missing)]);
    assert!(peer.core.log(&direct).is_some());
}

#[test]
fn what_cannot_be_shown_to_others_excuses_nobody() {
    for behind in [0, 1] {
        let (mut peer, mut mallory, mut twin, mut other) = (Peer::new(), Pen::new(1), Pen::new(1), Pen::new(2));
        let link = peer.link(&mallory);
        let said = (0..=behind).map(|_| mallory.write("said", Vec::new())).collect();
        peer.frame(link, said);
        peer.frame(link, vec![twin.write("another one", Vec::new())]);
        assert_eq!(peer.notices(Code::Fork).len(), 1);
        let link = peer.link(&other);
        let names = other.write("it names what nobody has", seen(&mallory, 99));
        peer.frame(link, vec![names]);
        peer.seals(link, &other);
        assert_eq!(peer.texts().len(), 1 + behind);
    }
}

#[test]
fn a_contradiction_is_proved_to_newcomers_before_they_need_it() {
    let disk = MemoryDisk::new(1);
    let (mut peer, mut mallory, mut twin, mut other) = (open(disk.clone(), 9), Pen::new(1), Pen::new(1), Pen::new(2));
    peer.shown_both(&mut mallory, &mut twin);
    assert_eq!(peer.notices(Code::Fork).len(), 1);
    let link = peer.link(&other);
    peer.frame(link, vec![other.write("it names what nobody has", seen(&mallory, 99))]);
    peer.seals(link, &other);
    assert_eq!(peer.texts(), ["one", "it names what nobody has"]);
    // Also after a start.
    drop(peer);
    let mut server = open(disk.kill(), 9);
    for n in [7, 6] {
        let mut newcomer = open(MemoryDisk::new(n.into()), n);
        newcomer.link(&Pen::new(3));
        let pull = newcomer.pulled_from(3, heights(&[&mallory]));
        for pulled in server.served_to(4) {
            newcomer.input(Input::History(pull, pulled));
        }
        newcomer.input(Input::HistoryEnd(pull, Ok(())));
        assert_eq!(newcomer.texts(), ["one", "it names what nobody has"]);
        assert_eq!(newcomer.notices(Code::Fork).len(), 1);
        server = newcomer;
    }
}

#[test]
fn a_proof_that_comes_before_anything_else_makes_the_log_that_keeps_it() {
    let (mut server, mut mallory, mut twin, mut other) = (Peer::new(), Pen::new(1), Pen::new(1), Pen::new(2));
    server.shown_both(&mut mallory, &mut twin);
    let proof = server.served_to(4).remove(0);
    assert_eq!((proof.entries.len(), proof.contradictions.len()), (0, 1));
    let mut peer = open(MemoryDisk::new(2), 8);
    peer.link(&Pen::new(3));
    let pull = peer.pulled_from(3, heights(&[&mallory]));
    peer.input(Input::History(pull, proof));
    let link = peer.link(&other);
    peer.frame(link, vec![other.write("it names what nobody has", seen(&mallory, 99))]);
    assert_eq!(peer.texts(), ["it names what nobody has"]);
}

/// Mallory has told the peer one thing and Bob, who is device 2, another one that is later by Lamport time; he answers to that.
fn bob_was_told_something_else(is_sealed: bool) -> Peer {
    let (mut peer, mut mallory, mut twin, mut bob) = (Peer::new(), Pen::new(1), Pen::new(1), Pen::new(2));
    let link = peer.link(&mallory);
    peer.frame(link, vec![mallory.write("one", Vec::new())]);
    if is_sealed {
        peer.seals(link, &mallory);
    }
    let other = at(&mut twin, "another one", Vec::new(), 11);
    let link = peer.link(&bob);
    peer.frame(link, vec![at(&mut bob, "an answer", seen(&mallory, 1), 12)]);
    peer.seals(link, &bob);
    assert_eq!(peer.texts(), ["one"]);
    peer.now += 600;
    peer.input(Input::Tick);
    let pull = peer.pull(2).expect("he is asked what he was told");
    let (_, asked) = peer.asks().unwrap();
    assert_eq!(asked.of(&mallory.author), Seq(0));
    let notary = HashNotary::shared(device(9));
    let pulled = Pulled {
        entries: vec![other],
        seals: vec![twin.seal()],
        introductions: vec![seal::introduction(twin.certificate(), notary.as_ref()).unwrap()],
        ..Pulled::default()
    };
    peer.input(Input::History(pull, pulled));
    peer.input(Input::HistoryEnd(pull, Ok(())));
    assert_eq!(peer.texts(), ["one", "an answer"]);
    peer.frame(link, vec![at(&mut bob, "and more", Vec::new(), 13)]);
    peer.seals(link, &bob);
    assert_eq!(peer.texts().len(), 3);
    assert_eq!(peer.notices(Code::PeerMisbehaved), [""; 0]);
    peer
}

#[test]
fn who_was_told_something_else_under_the_same_number_is_not_cut_off() {
    let peer = bob_was_told_something_else(true);
    let served: Vec<_> = peer.given_to(4).iter().map(|entry| text(entry)).collect();
    assert_eq!(served, ["one", "an answer", "and more"]);
}

#[test]
fn what_only_this_peer_knows_to_be_a_contradiction_is_taken_and_not_served() {
    let peer = bob_was_told_something_else(false);
    assert_eq!(peer.given_to(4).len(), 0);
}

#[test]
fn what_names_the_other_side_of_such_a_contradiction_is_not_served_after_a_restart_either() {
    let disk = MemoryDisk::new(1);
    let mut peer = open(disk.clone(), 9);
    let (mut mallory, mut twin, mut bob) = (Pen::new(1), Pen::new(1), Pen::new(2));
    let link = peer.link(&mallory);
    peer.frame(link, vec![mallory.write("one", Vec::new())]);
    peer.input(Input::LinkDown(link, "gone".into()));
    let others = vec![
        at(&mut twin, "another one", Vec::new(), 1),
        at(&mut twin, "two", Vec::new(), 2),
    ];
    peer.link(&Pen::new(3));
    let pull = peer.pulled_from(3, heights(&[&twin]));
    let pulled = Pulled {
        entries: others,
        seals: vec![twin.seal()],
        ..Pulled::default()
    };
    peer.input(Input::History(pull, pulled));
    peer.input(Input::HistoryEnd(pull, Ok(())));
    let his = peer.link(&bob);
    peer.frame(his, vec![at(&mut bob, "an answer", seen(&mallory, 2), 3)]);
    peer.seals(his, &bob);
    assert_eq!(peer.texts(), ["one", "an answer"]);
    // Only now does she seal what she said here.
    let link = peer.link(&mallory);
    peer.seals(link, &mallory);
    let served = |peer: &Peer| -> Vec<String> { peer.given_to(4).iter().map(|entry| text(entry)).collect() };
    assert_eq!(served(&peer), ["one"]);
    assert_eq!(served(&open(disk.kill(), 9)), ["one"]);
}

#[test]
fn an_entry_whose_time_is_wrong_is_dropped_when_nothing_else_comes_out() {
    let (mut peer, mut mallory, mut bob) = (Peer::new(), Pen::new(1), Pen::new(2));
    let link = peer.link(&bob);
    peer.frame(link, vec![bob.write("one", Vec::new())]);
    let link = peer.link(&mallory);
    peer.frame(link, vec![at(&mut mallory, "too late", seen(&bob, 1), 1_000)]);
    peer.now += 600;
    peer.input(Input::Tick);
    let pull = peer.pull(1).expect("she is asked what she was told");
    peer.input(Input::HistoryEnd(pull, Ok(())));
    let talk = &peer.core.node().talks()[&room()];
    assert_eq!((talk.replica.held().len(), peer.texts().len()), (0, 1));
}

#[test]
fn one_author_is_one_proof_and_one_notice() {
    let (mut peer, mut mallory, mut twin) = (Peer::new(), Pen::new(1), Pen::new(1));
    let entries: Vec<_> = (0..100).map(|n| mallory.write(&format!("{n}"), Vec::new())).collect();
    let others: Vec<_> = (0..100)
        .map(|n| twin.write(&format!("other {n}"), Vec::new()))
        .collect();
    let link = peer.link(&mallory);
    peer.frame(link, entries);
    for other in others {
        peer.input(Input::LinkDown(link, "closed".into()));
        peer.link(&mallory);
        peer.frame(link, vec![other]);
    }
    assert_eq!(peer.notices(Code::Fork).len(), 1);
    let proofs = peer.core.disk.list(&PathBuf::from("/data/proofs")).unwrap();
    assert_eq!(proofs.len(), 1, "{proofs:?}");
}

#[test]
fn that_there_are_too_many_proofs_is_told_once() {
    let mut peer = Peer::new();
    for n in 0..70 {
        let (mut mallory, mut twin) = (Pen::new(1), Pen::new(1));
        (mallory.author.incarnation, twin.author.incarnation) = (n, n);
        let link = peer.link(&mallory);
        peer.frame(
            link,
            vec![mallory.write("one", Vec::new()), twin.write("other", Vec::new())],
        );
    }
    let told = peer.notices(Code::Fork);
    assert_eq!(told.len(), 65);
    assert!(told[64].contains("64 such proofs are kept already"), "{}", told[64]);
    let folder = PathBuf::from("/data/proofs");
    assert_eq!(peer.core.disk.list(&folder).unwrap().len(), 64);
}

#[test]
fn a_proof_shows_the_seal_that_came_with_what_was_found() {
    let (mut peer, mut mallory, mut twin) = (Peer::new(), Pen::new(1), Pen::new(1));
    peer.shown_both(&mut mallory, &mut twin);
    let folder = PathBuf::from("/data/proofs");
    let names = peer.core.disk.list(&folder).unwrap();
    let proof = peer.core.disk.bytes_of(&folder.join(&names[0])).unwrap();
    let proof = String::from_utf8(proof).unwrap();
    let (held, found) = proof.split_once("found: ").unwrap();
    for (part, pen) in [(held, &mallory), (found, &twin)] {
        assert!(part.contains(&format!("seal of: {}", pen.last.unwrap().1)), "{proof}");
    }
}

#[test]
fn a_long_proof_comes_in_pieces_and_a_false_one_is_refused() {
    let (mut peer, mut mallory, mut twin) = (Peer::new(), Pen::new(1), Pen::new(1));
    let link = peer.link(&mallory);
    peer.frame(link, vec![mallory.write("one", Vec::new())]);
    peer.seals(link, &mallory);
    peer.input(Input::LinkDown(link, "gone".into()));
    peer.link(&Pen::new(3));
    twin.write("another one", Vec::new());
    let rest: Vec<_> = (0..600).map(|n| twin.write(&format!("{n}"), Vec::new())).collect();
    let pull = peer.pulled_from(3, heights(&[&twin]));
    for part in rest.chunks(256) {
        let is_last = part.last() == rest.last();
        let pulled = Pulled {
            entries: part.to_vec(),
            seals: is_last.then(|| twin.seal()).into_iter().collect(),
            ..Pulled::default()
        };
        peer.input(Input::History(pull, pulled));
    }
    let served = peer.served_to(4);
    let whole: Vec<_> = served.iter().map(|pulled| pulled.contradictions.len()).collect();
    assert_eq!(whole, [0, 0, 1, 0]);
    let proof = &served[2].contradictions[0];
    assert_eq!((proof.author(), proof.entries.len()), (mallory.author, 600));
    // Nothing may be missing, another's or altered.
    let judge = || HistoryReader::new(HashNotary::shared(device(4)), &identity(4), room(), Heights::default());
    let mut bad = [(); 5].map(|()| (**proof).clone());
    bad[0].seal.signature[0] ^= 1;
    bad[1].other.signature[0] ^= 1;
    bad[2].entries.remove(300);
    bad[3].seal = bad[3].other.clone();
    bad[4].seal.id = rest[0].previous;
    for (n, proof) in bad.into_iter().enumerate() {
        let part = Part {
            contradictions: vec![proof],
            introductions: vec![mallory.certificate()],
            ..Part::default()
        };
        let mut judge = judge();
        assert!(judge.take(part).is_err() || judge.finish().is_err(), "{n}");
    }
}

#[test]
fn a_device_that_was_set_back_goes_on_as_another_author() {
    let mut peer = Peer::new();
    peer.input(Input::Write(room(), "one".into()));
    let own = peer.core.node().talks()[&room()].author.unwrap();
    let mut twin = Pen::new(9);
    twin.author = own;
    twin.write("another one", Vec::new());
    // The reader has judged it.
    let (seal, mut other) = (twin.seal(), twin.seal());
    other.id.0[0] ^= 1;
    peer.link(&Pen::new(3));
    let pull = peer.pulled_from(3, Heights([(Pen::new(2).author, Seq(1))].into()));
    let proof = Contradiction {
        seal,
        other,
        entries: Vec::new(),
    };
    let pulled = Pulled {
        contradictions: vec![Arc::new(proof)],
        ..Pulled::default()
    };
    peer.input(Input::History(pull, pulled));
    peer.input(Input::HistoryEnd(pull, Ok(())));
    peer.input(Input::Write(room(), "still here".into()));
    assert_ne!(peer.core.node().talks()[&room()].author, Some(own));
    assert_eq!(peer.texts(), ["one", "still here"]);
}
