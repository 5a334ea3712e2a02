//! kill -9 at random points.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::Value;

use crate::harness::{Peer, Site, wait_for};

const ROUNDS: usize = 50;
const NAMES: [&str; 2] = ["alice", "bob"];

/// What was said to be in a log, by the id of the entry.
#[derive(Default)]
struct Promised {
    /// By the one who keeps it.
    stored: BTreeMap<String, BTreeSet<String>>,
}

impl Promised {
    /// Takes note of what a peer has said of its own log and of the other one's.
    fn note(&mut self, name: &str, events: &[Value]) {
        for event in events {
            let keeper = match event["event"].as_str() {
                Some("sent") => name,
                Some("delivered") => event["to"].as_str().unwrap(),
                _ => continue,
            };
            let id = event["id"].as_str().unwrap().to_owned();
            self.stored.entry(keeper.to_owned()).or_default().insert(id);
        }
    }

    /// All that was promised of somebody's log is there, once.
    fn assert_kept(&self, site: &Site, name: &str) {
        site.assert_sound(name);
        // Whoever was killed before he wrote or got anything has no log.
        let Some(promised) = self.stored.get(name) else { return };
        let log = site.log(name, "#lobby");
        let ids: Vec<String> = log
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let set: BTreeSet<String> = ids.iter().cloned().collect();
        assert_eq!(set.len(), ids.len(), "{name} has an entry twice");
        let lost: Vec<&String> = promised.difference(&set).collect();
        assert!(lost.is_empty(), "{name} has lost {lost:?}");
    }
}

/// Lets both write, and returns when a random number of events of the victim's, sent or stored, have come after these.
fn write_some(peers: &mut [Peer], victim: usize, round: usize, rng: &mut Rng) {
    let lines = rng.usize(1..=40);
    for peer in &mut *peers {
        let texts = (0..lines).map(|n| format!("{} {round} {n}", peer.name));
        let texts: Vec<String> = texts.collect();
        peer.type_lines(texts);
    }
    let kind = ["sent", "message", "delivered"][rng.usize(..3)];
    let at = rng.usize(..=lines);
    // As a sender, as a receiver, or while it waits to be acked.
    peers[victim].wait_count(kind, at, |event| event["event"] == kind && event["replayed"] != true);
}

#[test]
fn nothing_that_was_acked_is_lost_to_kill_9() {
    let seed = std::env::var("PEERCHAT_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("PEERCHAT_SEED={seed} makes the same choices again");
    let mut rng = Rng::with_seed(seed);
    let site = Site::new();
    let mut promised = Promised::default();
    let mut peers = site.room("lobby", &NAMES);
    for round in 0..ROUNDS {
        let victim = rng.usize(..2);
        write_some(&mut peers, victim, round, &mut rng);
        let both = rng.usize(..5) == 0;
        let dead: Vec<usize> = if both { vec![0, 1] } else { vec![victim] };
        for &index in &dead {
            peers[index].child.kill().unwrap();
        }
        for &index in &dead {
            peers[index].end();
        }
        for peer in &peers {
            promised.note(&peer.name, &peer.events());
        }
        for &index in &dead {
            promised.assert_kept(&site, NAMES[index]);
            peers[index] = site.peer(NAMES[index]);
        }
    }
    for peer in &mut peers {
        let text = format!("the end of {}", peer.name);
        peer.type_line(&text);
        peer.wait(&text, |event| event["event"] == "sent" && event["text"] == *text);
    }
    wait_for("the same at both", || {
        let [alice, bob] = &mut peers[..] else { unreachable!() };
        (alice.heights() == bob.heights()).then_some(())
    });
    for peer in peers {
        promised.note(&peer.name, &peer.events());
        peer.quit();
    }
    for name in NAMES {
        promised.assert_kept(&site, name);
    }
    let all = site.assert_same_logs(&NAMES, "#lobby");
    for end in ["the end of alice", "the end of bob"] {
        assert!(all.iter().any(|text| text == end), "{end}");
    }
    println!("{} entries", all.len());
}
