//! A hundred rounds in which a registry of a cluster is killed, ended or stopped while peers chat, come and go.

use std::{thread, time::Duration};

use fastrand::Rng;
use rustix::process::Signal;

use crate::harness::{Cluster, Peer, assert_causal, has_seal, wait_for};

const ROUNDS: usize = 100;
const NODES: [u8; 3] = [1, 2, 3];
/// Those who stay.
const STAYING: [&str; 3] = ["alice", "bob", "carol"];
/// Those who come and go.
const GOING: [&str; 3] = ["dave", "eve", "frank"];

/// What happens to a node in a round.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// kill -9
    Killed,
    /// SIGTERM
    Ended,
    /// SIGSTOP, for less than what makes others take it for dead, or for more.
    Stopped,
}

struct World {
    cluster: Cluster,
    rng: Rng,
    staying: Vec<Peer>,
    going: Vec<Peer>,
    /// All that was said in the room.
    texts: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let cluster = Cluster::start();
        let mut world = Self {
            staying: Vec::new(),
            going: Vec::new(),
            texts: Vec::new(),
            rng: Rng::with_seed(seed),
            cluster,
        };
        for name in STAYING {
            let peer = world.come(name);
            world.staying.push(peer);
        }
        world.check_members();
        world
    }

    /// Starts a peer that knows the nodes in any order, and puts it into the room.
    fn come(&mut self, name: &str) -> Peer {
        let mut nodes = NODES;
        self.rng.shuffle(&mut nodes);
        let mut peer = self.cluster.peer(name, &nodes);
        peer.join("lobby");
        peer
    }

    /// One of those who come and go comes, or leaves the room and ends, or is killed.
    fn come_or_go(&mut self) {
        let name = GOING[self.rng.usize(..GOING.len())];
        let there = self.going.iter().position(|peer| peer.name == *name);
        let Some(there) = there else {
            let peer = self.come(name);
            self.going.push(peer);
            return;
        };
        let mut peer = self.going.remove(there);
        match self.rng.u8(..3) {
            0 => {
                peer.type_line("/leave");
                peer.wait("left", |event| event["event"] == "left");
                peer.quit();
            }
            1 => peer.quit(),
            _ => {
                self.check_texts();
                self.wait_passed_on(&peer);
                peer.kill();
            }
        }
    }

    /// Waits until somebody who stays can pass on what a peer said last: until its seal is there, which follows a moment after it. Without
    /// that it would be with those who have it until its author is back, and nobody who comes could get it.
    fn wait_passed_on(&self, peer: &Peer) {
        let events = peer.events();
        let Some(last) = events.iter().rfind(|event| event["event"] == "sent") else {
            return;
        };
        wait_for("the seal of the last text", || {
            let has_seal =
                |name: &&&str| has_seal(self.cluster.data.path(), name, "lobby", last["id"].as_str().unwrap());
            STAYING.iter().find(has_seal)
        });
    }

    /// Everybody who is there says something.
    fn talk(&mut self, round: usize) {
        for peer in self.staying.iter_mut().chain(&mut self.going) {
            for n in 0..self.rng.usize(1..=3) {
                let text = format!("{} {round} {n}", peer.name);
                // In the own log before anything else happens to it: from then on it must not be lost.
                peer.say(&text);
                self.texts.push(text);
            }
        }
    }

    /// Everybody who stays has all that was said.
    fn check_texts(&mut self) {
        let version = self.texts.len() as u64;
        for peer in self.staying.iter_mut().chain(&mut self.going) {
            peer.wait_version(version);
        }
    }

    fn round(&mut self, round: usize) {
        let node = NODES[self.rng.usize(..NODES.len())];
        let fault = [Fault::Killed, Fault::Killed, Fault::Ended, Fault::Stopped][self.rng.usize(..4)];
        match fault {
            Fault::Killed => self.cluster.kill_node(node),
            Fault::Ended => self.cluster.stop_node(node),
            Fault::Stopped => self.cluster.signal_node(node, Signal::STOP),
        }
        if self.rng.bool() {
            self.talk(round);
        }
        if matches!(fault, Fault::Stopped) {
            // What is said does not wait for it, who comes might; so it goes on before.
            thread::sleep(Duration::from_millis(self.rng.u64(..2_000)));
            self.cluster.signal_node(node, Signal::CONT);
        }
        self.come_or_go();
        self.talk(round + ROUNDS);
        if !matches!(fault, Fault::Stopped) {
            self.cluster.start_node(node);
        }
        // In some rounds the next one begins before the cluster is whole again.
        if self.rng.bool() {
            self.cluster.wait_led(3, &NODES);
        }
        self.check_texts();
    }

    /// Each node knows exactly those as members who are there, in the end: who was killed has a lease for a while.
    fn check_members(&self) {
        let names = self.staying.iter().chain(&self.going).map(|peer| peer.name.as_str());
        self.cluster.wait_members("lobby", &names.collect());
    }
}

#[test]
fn whichever_registry_fails_no_message_is_lost_and_in_the_end_all_know_who_is_there() {
    let seed = std::env::var("PEERCHAT_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("PEERCHAT_SEED={seed} makes the same choices again");
    let mut world = World::new(seed);
    let begun = std::time::Instant::now();
    for round in 0..ROUNDS {
        world.round(round);
        assert_causal(&world.staying, "#lobby");
    }
    println!(
        "{ROUNDS} rounds with {} texts took {:?}",
        world.texts.len(),
        begun.elapsed()
    );
    world.cluster.wait_led(3, &NODES);
    world.check_members();
    // Whoever was away comes once more, and gets what he has missed.
    for name in GOING {
        if !world.going.iter().any(|peer| peer.name == *name) {
            let peer = world.come(name);
            world.going.push(peer);
        }
    }
    world.check_texts();
    for node in NODES {
        assert!(
            !world.cluster.log(node).contains("panicked"),
            "{}",
            world.cluster.log(node)
        );
    }
    for peer in world.staying.into_iter().chain(world.going) {
        peer.quit();
    }
    let names: Vec<&str> = STAYING.into_iter().chain(GOING).collect();
    world.cluster.assert_same_logs(&names, "#lobby", &world.texts);
}
