//! What the system sends to end a peer.

use rustix::process::Signal;

use crate::harness::{Peer, Site};

/// Waits until somebody is gone; true if he left, false if he is away and still a member.
fn left(peer: &mut Peer, user: &str) -> bool {
    let gone = peer.wait("the going", |event| {
        event["event"] == "presence" && event["user"] == *user && event["online"] == false
    });
    gone["left"] == true
}

#[test]
fn a_signal_ends_a_peer_in_order_and_the_others_see_it_at_once() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let mut alice = peers.remove(0);
    for (name, signal) in [("carol", Signal::TERM), ("dave", Signal::INT), ("eve", Signal::HUP)] {
        let mut peer = site.peer(name);
        peer.join("lobby");
        peer.see("#lobby", "alice");
        alice.see("#lobby", name);
        let text = format!("{name} was here");
        peer.say(&text);
        alice.hear(&text);
        peer.signal(signal);
        assert!(!left(&mut alice, name), "{name} is away, and has not left");
        let status = peer.end();
        assert_eq!(status.code(), Some(0), "{name}");
        assert_eq!(peer.events().last().unwrap()["event"], "bye");
        assert_eq!(peer.stderr(), "");
        assert!(site.texts(name, "#lobby").contains(&text));
    }
    alice.quit();
}

#[test]
fn a_signal_while_the_registry_is_dead_ends_a_peer_as_well() {
    let mut site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    site.registry.kill();
    for peer in &mut peers {
        peer.wait("the loss", |event| {
            event["event"] == "registry" && event["state"] == "lost"
        });
    }
    peers[0].say("before the end");
    peers[0].signal(Signal::TERM);
    assert!(peers[0].end().success());
    peers[1].hear("before the end");
    assert!(!left(&mut peers[1], "alice"));
}

#[test]
fn who_quits_is_offline_and_who_leaves_is_gone() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob", "carol"]);
    let (mut carol, mut bob, mut alice) = (peers.remove(2), peers.remove(1), peers.remove(0));
    carol.type_line("/leave");
    assert!(left(&mut alice, "carol"));
    bob.type_line("/quit");
    assert!(!left(&mut alice, "bob"));
    assert!(bob.end().success());
    alice.type_line("/who");
    let who = alice.wait("who", |event| event["event"] == "who");
    let members: Vec<(&str, bool)> = who["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| (member["user"].as_str().unwrap(), member["online"] == true))
        .collect();
    assert_eq!(members, [("alice", true), ("bob", false)]);
    alice.say("for bob");
    let mut bob = site.peer("bob");
    bob.hear("for bob");
    for peer in [alice, bob, carol] {
        peer.quit();
    }
}
