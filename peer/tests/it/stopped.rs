//! Peers that stop reading: the process itself, or whoever should read its stdout.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Peer, Site, assert_each_once};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];
/// The others talk in so many parts, and each writes so many messages in each.
const PARTS: usize = 3;
const EACH: usize = 1_100;
/// No peer can keep so many parts for a script that does not read.
const PARTS_MAX: usize = 30;

/// How two write to one another.
#[derive(Clone, Copy)]
struct Style {
    /// How long every text is.
    bytes: usize,
    /// How many go out before they are acked.
    at_once: usize,
}

/// A part of it shows in the memory of whoever keeps it. Not more at once than is taken in easily: only what a third one does
/// not take may pile up.
const LONG: Style = Style {
    bytes: 8 * 1024,
    at_once: 50,
};
/// Each comes alone, which takes the most places in a queue.
const SINGLE: Style = Style { bytes: 200, at_once: 1 };

/// How much memory a process uses, in bytes.
fn memory(peer: &Peer) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", peer.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn texts(name: &str, part: usize, style: Style) -> impl Iterator<Item = String> {
    let bytes = style.bytes;
    (0..EACH).map(move |n| format!("{:<bytes$}.", format!("{name} {part} {n}")))
}

/// Alice and bob write, and wait until each has all that the other one wrote.
fn the_others_talk(alice: &mut Peer, bob: &mut Peer, part: usize, style: Style) {
    std::thread::scope(|scope| {
        for (writer, other) in [(alice, "bob"), (bob, "alice")] {
            scope.spawn(move || {
                let texts: Vec<String> = texts(&writer.name, part, style).collect();
                for some in texts.chunks(style.at_once) {
                    writer.type_lines(some);
                    writer.wait_count("delivered", some.len(), |event| {
                        event["event"] == "delivered" && event["to"] == other && event["durable"] == false
                    });
                }
            });
        }
    });
}

/// How many of a peer's own messages carol has acked.
fn stored_at_carol(peer: &Peer) -> usize {
    let events = peer.events();
    let acks = events
        .iter()
        .filter(|event| event["event"] == "delivered" && event["to"] == "carol" && event["durable"] == false);
    acks.count()
}

/// Carol reads again, and gets everything.
fn carol_catches_up(site: &Site, mut peers: Vec<Peer>, parts: usize, style: Style) {
    for peer in &mut peers {
        peer.wait_version((2 * parts * EACH) as u64);
    }
    for peer in peers {
        peer.quit();
    }
    let all = site.assert_same_logs(&NAMES, "#lobby");
    let written = (0..parts).flat_map(|part| texts("alice", part, style).chain(texts("bob", part, style)));
    assert_each_once(&all, written);
}

#[test]
fn a_stopped_process_slows_nobody_and_catches_up() {
    let site = Site::new();
    let mut peers = site.room("lobby", &NAMES);
    let [alice, bob, carol] = &mut peers[..] else {
        unreachable!()
    };
    carol.signal(Signal::STOP);
    the_others_talk(alice, bob, 0, LONG);
    // Whatever may wait for carol waits by now. What is written from here on adds next to nothing.
    let before = [memory(alice), memory(bob)];
    for part in 1..PARTS {
        the_others_talk(alice, bob, part, LONG);
    }
    let after = [memory(alice), memory(bob)];
    for (before, after) in before.into_iter().zip(after) {
        let grown = after.saturating_sub(before);
        assert!(
            grown < (PARTS - 1) * EACH * LONG.bytes / 2,
            "from {before} to {after} bytes"
        );
    }
    carol.signal(Signal::CONT);
    carol_catches_up(&site, peers, PARTS, LONG);
}

#[test]
fn a_script_that_does_not_read_disturbs_nobody_and_misses_nothing() {
    let site = Site::new();
    let mut peers = site.room("lobby", &NAMES);
    let [alice, bob, carol] = &mut peers[..] else {
        unreachable!()
    };
    carol.set_deaf(true);
    // Her peer keeps a good deal for her. At last it takes nothing more from the others.
    let blocked = (1..=PARTS_MAX).find(|parts| {
        the_others_talk(alice, bob, parts - 1, SINGLE);
        stored_at_carol(alice) + EACH / 2 < parts * EACH
    });
    let parts = blocked.expect("carol's peer takes what she does not read");
    carol.set_deaf(false);
    carol_catches_up(&site, peers, parts, SINGLE);
}
