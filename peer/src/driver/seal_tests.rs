//! What seals bring where they are many, late, out of order or lost.

use std::sync::Arc;

use super::{
    core::Act,
    signer::Signer,
    testing::{Peer, heights, identity, open, part_of, reader},
};
use crate::{
    log::MemoryDisk,
    net::convert,
    node::{
        Input,
        event::Code,
        limits::{HEIGHTS_AFTER_LOSS_MS, SEAL_EVERY, SEAL_SPAN_MAX, TELL_PAUSE_MS, UNSEALED_LIVE_MAX},
        link::{Frame, HeightsNews, LinkId, Outgoing},
        sealing::Seal,
        types::{Entry, Heights, Lamport, Seen, Seq},
        window::Pulled,
    },
    seal::{
        self, HistoryReader,
        testing::{HashNotary, Pen, device, room},
    },
};

/// So many entries, each with its seal.
fn written(pen: &mut Pen, count: u64) -> Vec<(Arc<Entry>, Seal)> {
    let mut write = |n| (pen.write(&format!("text {n}"), Vec::new()), pen.seal());
    (0..count).map(&mut write).collect()
}

fn sealed(peer: &mut Peer, link: LinkId, seals: &[&Seal]) {
    peer.frame_of_seals(link, seals.iter().map(|seal| (*seal).clone()).collect());
}

/// The entries and seals of an author that a reader is given in parts, by what they cover.
fn seals_given(peer: &Peer) -> Vec<u64> {
    let mut serving = peer.core.serve_history(&reader(2), &room(), &Heights::default());
    let serving = serving.as_mut().unwrap().as_mut().unwrap();
    let mut found = Vec::new();
    loop {
        let part = peer.core.serve_part(&room(), serving).unwrap();
        if part.entries.is_empty() {
            return found;
        }
        found.extend(part.seals.iter().map(|seal| seal.seq.0));
    }
}

#[test]
fn seals_that_come_together_are_kept_at_distances_that_a_reader_can_bridge() {
    let (mut peer, mut bob) = (Peer::new(), Pen::new(1));
    let link = peer.link(&bob);
    let written = written(&mut bob, 10 * SEAL_EVERY);
    for part in written.chunks(256) {
        peer.frame(link, part.iter().map(|(entry, _)| entry.clone()).collect());
        sealed(&mut peer, link, &[&part[part.len() - 1].1]);
    }
    peer.judge();
    assert_eq!(peer.given_to(2).len() as u64, 10 * SEAL_EVERY);
    let given = seals_given(&peer);
    let steps = given
        .iter()
        .zip([0].iter().chain(&given))
        .map(|(seal, before)| seal - before);
    assert!(steps.max() < Some(2 * SEAL_EVERY), "{given:?}");
}

#[test]
fn an_older_seal_does_not_take_the_place_of_a_newer_one() {
    let (mut peer, mut bob) = (Peer::new(), Pen::new(1));
    let link = peer.link(&bob);
    let written = written(&mut bob, 12);
    peer.frame(link, written.iter().map(|(entry, _)| entry.clone()).collect());
    sealed(&mut peer, link, &[&written[11].1]);
    sealed(&mut peer, link, &[&written[9].1]);
    peer.judge();
    assert_eq!(peer.given_to(2).len(), 12);
}

#[test]
fn a_seal_that_a_later_one_has_overtaken_is_not_sent() {
    let (mut peer, mut bob) = (Peer::new(), Pen::new(1));
    let link = peer.link(&bob);
    peer.frame(link, vec![bob.write("here I am", Vec::new())]);
    let notary = HashNotary::shared(device(9));
    let mut made = Vec::new();
    for n in 0..3 {
        peer.input(Input::Write(room(), format!("text {n}")));
        let log = peer.core.log(&room()).unwrap();
        let author = log
            .heights()
            .0
            .into_keys()
            .find(|author| author.device == device(9))
            .unwrap();
        let (seq, id) = log.ids(&author, log.height(&author), log.height(&author)).unwrap()[0];
        made.push(seal::make(notary.as_ref(), &room(), author, seq, id));
    }
    peer.acts.clear();
    peer.seal();
    // As another thread does that began before.
    peer.input(Input::Sealed(room(), vec![made[1].clone()]));
    let seals = peer.acts.iter().filter_map(|act| match act {
        Act::Send(_, Outgoing::Seal(_, seal)) => Some(seal.seq.0),
        _ => None,
    });
    assert_eq!(seals.collect::<Vec<_>>(), [3]);
}

#[test]
fn a_seal_that_makes_way_while_it_is_being_given_is_given_all_the_same() {
    let (mut peer, mut bob, mut carol) = (Peer::new(), Pen::new(1), Pen::new(3));
    let (link, hers) = (peer.link(&bob), peer.link(&carol));
    let his = written(&mut bob, 130);
    let entries = |of: &[(Arc<Entry>, Seal)]| of.iter().map(|(entry, _)| entry.clone()).collect();
    for upto in [96, 106] {
        peer.frame(link, entries(&his[..upto]));
        sealed(&mut peer, link, &[&his[upto - 1].1]);
        peer.judge();
        // The first part ends between the two.
        if upto == 96 {
            let between = written(&mut carol, 155);
            peer.frame(hers, entries(&between));
            sealed(&mut peer, hers, &[&between[154].1]);
            peer.judge();
        }
    }
    let (me, notary) = (identity(2), HashNotary::shared(device(2)));
    let mut serving = peer.core.serve_history(&reader(2), &room(), &Heights::default());
    let serving = serving.as_mut().unwrap().as_mut().unwrap();
    let mut read = HistoryReader::new(notary, &me, room(), Heights::default());
    let mut count = 0;
    loop {
        let part = peer.core.serve_part(&room(), serving).unwrap();
        if part.entries.is_empty() {
            break;
        }
        count += read.take(part_of(part)).unwrap().entries.len();
        peer.frame(link, entries(&his));
        for seal in [108, 118, 130] {
            sealed(&mut peer, link, &[&his[seal - 1].1]);
            peer.judge();
        }
    }
    read.finish().unwrap();
    assert_eq!(count, 155 + 106);
}

#[test]
fn one_seal_over_too_many_entries_makes_nothing_unreadable_and_blames_nobody() {
    let (mut peer, mut mallory, mut bob) = (Peer::new(), Pen::new(1), Pen::new(3));
    let (link, his) = (peer.link(&mallory), peer.link(&bob));
    let written_by_mallory = written(&mut mallory, 8_300);
    for part in written_by_mallory.chunks(256) {
        peer.frame(link, part.iter().map(|(entry, _)| entry.clone()).collect());
    }
    sealed(&mut peer, link, &[&written_by_mallory[8_299].1]);
    let written_by_bob = written(&mut bob, 1);
    peer.frame(his, vec![written_by_bob[0].0.clone()]);
    sealed(&mut peer, his, &[&written_by_bob[0].1]);
    peer.judge();
    assert_eq!(peer.given_to(2), [written_by_bob[0].0.clone()]);
    assert_eq!(peer.core.log(&room()).unwrap().version(), UNSEALED_LIVE_MAX + 1);
    assert_eq!(peer.notices(Code::PeerMisbehaved), [""; 0]);
    // What was passed over is pulled, with the seals between.
    peer.now += 1_000;
    peer.input(Input::Tick);
    let pull = peer.pull(1).expect("it is pulled from its author");
    for part in written_by_mallory.chunks(256) {
        let pulled = Pulled {
            entries: part.iter().map(|(entry, _)| entry.clone()).collect(),
            seals: vec![part[part.len() - 1].1.clone()],
            ..Pulled::default()
        };
        peer.input(Input::History(pull, pulled));
    }
    peer.input(Input::HistoryEnd(pull, Ok(())));
    assert_eq!(peer.given_to(2).len(), 8_301);
}

#[test]
fn of_seals_that_go_out_together_all_that_a_reader_needs_are_given() {
    let (mut peer, mut bob, mut carol) = (Peer::new(), Pen::new(1), Pen::new(3));
    // So that the last two of his come in one part.
    let (hers, his) = (written(&mut carol, 1), written(&mut bob, SEAL_SPAN_MAX + 1));
    let (link, _) = (peer.link(&carol), peer.link(&bob));
    peer.frame(link, vec![hers[0].0.clone()]);
    sealed(&mut peer, link, &[&hers[0].1]);
    peer.judge();
    let pull = peer.pulled_from(1, heights(&[&bob]));
    let (most, last) = his.split_at(his.len() - 1);
    for entries in [most, last] {
        let pulled = Pulled {
            seals: vec![entries[entries.len() - 1].1.clone()],
            entries: entries.iter().map(|(entry, _)| entry.clone()).collect(),
            ..Pulled::default()
        };
        peer.input(Input::History(pull, pulled));
    }
    peer.input(Input::HistoryEnd(pull, Ok(())));
    assert_eq!(peer.given_to(2).len() as u64, SEAL_SPAN_MAX + 2);
}

#[test]
fn who_was_there_when_the_user_left_is_sent_all_seals_of_what_he_heard() {
    let mut peer = Peer::new();
    let link = peer.link(&Pen::new(1));
    let notary = HashNotary::shared(device(9));
    let mut made = Vec::new();
    for n in 0..2 {
        peer.input(Input::Write(room(), format!("text {n}")));
        let log = peer.core.log(&room()).unwrap();
        let author = log.heights().0.into_keys().next().unwrap();
        let (seq, id) = log.ids(&author, log.height(&author), log.height(&author)).unwrap()[0];
        made.push(seal::make(notary.as_ref(), &room(), author, seq, id));
    }
    peer.input(Input::Leave(room()));
    peer.acts.clear();
    for seal in made {
        // As they come from the thread that makes them.
        peer.input(Input::Sealed(room(), vec![seal]));
    }
    let sent = peer.acts.iter().filter_map(|act| match act {
        Act::Send(to, Outgoing::Seal(_, seal)) if *to == link => Some(seal.seq.0),
        _ => None,
    });
    assert_eq!(sent.collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn seals_of_what_a_log_has_lost_are_not_in_the_way_of_those_that_come_again() {
    let disk = MemoryDisk::new(1);
    let (mut peer, mut bob) = (open(disk.clone(), 9), Pen::new(1));
    let his = written(&mut bob, 300);
    let take = |peer: &mut Peer, upto: usize| {
        let link = peer.link(&Pen::new(1));
        peer.frame(link, his[..upto].iter().map(|(entry, _)| entry.clone()).collect());
        sealed(peer, link, &[&his[upto - 1].1]);
        peer.judge();
    };
    let hers = Pen::new(3).write("before", Vec::new());
    let link = peer.link(&Pen::new(3));
    peer.frame(link, vec![hers]);
    let log = peer.core.log(&room()).unwrap().folder().join("log");
    let before = disk.bytes_of(&log).unwrap().len();
    take(&mut peer, 256);
    take(&mut peer, 300);
    let disk = disk.kill();
    // The log was not synced when the power went, and the seals were.
    disk.tamper(&log, |bytes| bytes.truncate(before));
    let mut peer = open(disk.clone(), 9);
    take(&mut peer, 200);
    assert_eq!(peer.given_to(2).len(), 200);
    assert_eq!(open(disk.kill(), 9).given_to(2).len(), 200);
}

#[test]
fn the_seal_of_an_entry_that_is_held_back_is_judged_and_kept_as_long_as_that() {
    let (mut peer, mut bob, mut carol) = (Peer::new(), Pen::new(1), Pen::new(3));
    let (link, hers) = (peer.link(&bob), peer.link(&carol));
    let cause = written(&mut bob, 1).remove(0);
    let seen = Seen {
        author: bob.author,
        seq: Seq(1),
    };
    let mut draft = carol.draft("an answer", vec![seen]);
    draft.lamport = Lamport(2);
    let answer = convert::encode_entry(draft);
    carol.last = Some((answer.seq, answer.id));
    peer.frame(hers, vec![answer.clone()]);
    let stray = Seal {
        seq: Seq(1_000),
        ..carol.seal()
    };
    sealed(&mut peer, hers, &[&carol.seal(), &stray]);
    assert!(peer.core.must_judge());
    peer.judge();
    sealed(&mut peer, hers, &[&carol.seal()]);
    assert!(!peer.core.must_judge(), "it is kept, and not judged again");
    peer.frame(link, vec![cause.0.clone()]);
    sealed(&mut peer, link, &[&cause.1]);
    peer.judge();
    assert_eq!(peer.given_to(2), [cause.0, answer]);
}

#[test]
fn an_own_author_goes_on_once_what_it_named_can_be_served() {
    let (mut peer, mut bob) = (Peer::new(), Pen::new(1));
    let link = peer.link(&bob);
    peer.input(Input::Write(room(), "hello".into()));
    for n in 0..5 {
        peer.frame(link, vec![bob.write(&format!("not sealed yet {n}"), Vec::new())]);
        peer.input(Input::Write(room(), "too soon".into()));
        peer.now += 1_000;
        peer.input(Input::Write(room(), "as another author".into()));
        peer.seal();
        sealed(&mut peer, link, &[&bob.seal()]);
        peer.judge();
    }
    let heights = peer.core.log(&room()).unwrap().heights();
    let own = heights.0.keys().filter(|author| author.device == device(9));
    assert_eq!(own.count(), 2);
}

#[test]
fn heights_are_told_again_to_those_alone_who_were_told_too_little_and_not_too_often() {
    let (mut peer, mut bob, carol) = (Peer::new(), Pen::new(1), Pen::new(3));
    let (link, hers) = (peer.link(&bob), peer.link(&carol));
    let told = |peer: &Peer, to| {
        let is_told = |act: &Act| matches!(act, Act::Send(link, Outgoing::Heights(_)) if *link == to);
        peer.acts.iter().filter(|act| is_told(act)).count()
    };
    peer.frame(link, vec![bob.write("first", Vec::new())]);
    // Carol asks while the seal is under way, and not just after she was told.
    peer.now += TELL_PAUSE_MS;
    let heights = vec![HeightsNews {
        conversation: room(),
        heights: Heights::default(),
        reply_wanted: true,
        left: false,
        relay_wanted: false,
    }];
    peer.input(Input::Frame(
        hers,
        Frame {
            heights,
            ..Frame::default()
        },
    ));
    peer.acts.clear();
    for _ in 0..25 {
        // There is always one more that has no seal.
        let seal = bob.seal();
        peer.frame(link, vec![bob.write("more", Vec::new())]);
        sealed(&mut peer, link, &[&seal]);
        peer.judge();
        peer.now += 10;
        peer.input(Input::Tick);
    }
    assert_eq!((told(&peer, link), told(&peer, hers)), (0, 1));
    peer.now += HEIGHTS_AFTER_LOSS_MS;
    peer.input(Input::Tick);
    assert_eq!((told(&peer, link), told(&peer, hers)), (0, 2));
}

#[test]
fn another_thread_seals_what_was_said_and_not_before_it_is_asked_to() {
    let mut peer = Peer::new();
    let (signer, mut signed) = Signer::start(HashNotary::shared(device(9))).unwrap();
    peer.core.seal_with(signer);
    peer.input(Input::Write(room(), "hello".into()));
    peer.input(Input::Write(room(), "and more".into()));
    assert!(signed.try_recv().is_err() && peer.core.seal_elsewhere());
    peer.input(signed.blocking_recv().unwrap());
    assert!(!peer.core.must_seal());
    assert_eq!(peer.given_to(2).len(), 2);
    for n in 0..=SEAL_EVERY {
        peer.input(Input::Write(room(), format!("text {n}")));
    }
    assert!(!peer.core.seal_elsewhere(), "one seal is not enough");
}
