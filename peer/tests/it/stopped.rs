//! Peers that stop reading: the process itself, or whoever should read its stdout.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Peer, Site, assert_each_once};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];
/// The others talk in so many parts, and each writes so many messages in each.
const PARTS: usize = 3;
const EACH: usize = 1_500;
/// Long enough that one part of them is more than what may wait for one link.
const TEXT_BYTES: usize = 16 * 1024;

/// How much memory a process uses, in bytes.
fn memory(peer: &Peer) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", peer.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn texts(name: &str, part: usize) -> impl Iterator<Item = String> {
    (0..EACH).map(move |n| format!("{:<TEXT_BYTES$}.", format!("{name} {part} {n}")))
}

/// Alice and bob write, and wait until each has all that the other one wrote.
fn the_others_talk(alice: &mut Peer, bob: &mut Peer, part: usize) {
    std::thread::scope(|scope| {
        for (writer, other) in [(alice, "bob"), (bob, "alice")] {
            scope.spawn(move || {
                let texts: Vec<String> = texts(&writer.name, part).collect();
                // Not more at once than the two take in easily: only what carol does not take may pile up.
                for some in texts.chunks(50) {
                    writer.type_lines(some);
                    writer.wait_count("delivered", some.len(), |event| {
                        event["event"] == "delivered" && event["to"] == other && event["durable"] == false
                    });
                }
            });
        }
    });
}

/// Carol reads again, and gets everything.
fn carol_catches_up(site: &Site, mut peers: Vec<Peer>) {
    for peer in &mut peers {
        peer.wait_version((2 * PARTS * EACH) as u64);
    }
    for peer in peers {
        peer.quit();
    }
    let all = site.assert_same_logs(&NAMES, "#lobby");
    let written = (0..PARTS).flat_map(|part| texts("alice", part).chain(texts("bob", part)));
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
    the_others_talk(alice, bob, 0);
    // Whatever may wait for carol waits by now. What is written from here on adds next to nothing.
    let before = [memory(alice), memory(bob)];
    for part in 1..PARTS {
        the_others_talk(alice, bob, part);
    }
    let after = [memory(alice), memory(bob)];
    for (before, after) in before.into_iter().zip(after) {
        let grown = after.saturating_sub(before);
        assert!(
            grown < (PARTS - 1) * EACH * TEXT_BYTES / 2,
            "from {before} to {after} bytes"
        );
    }
    carol.signal(Signal::CONT);
    carol_catches_up(&site, peers);
}

#[test]
fn a_script_that_does_not_read_disturbs_nobody_and_misses_nothing() {
    let site = Site::new();
    let mut peers = site.room("lobby", &NAMES);
    let [alice, bob, carol] = &mut peers[..] else {
        unreachable!()
    };
    carol.set_deaf(true);
    for part in 0..PARTS {
        the_others_talk(alice, bob, part);
    }
    carol.set_deaf(false);
    carol_catches_up(&site, peers);
}
