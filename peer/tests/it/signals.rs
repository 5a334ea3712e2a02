//! What the system sends to end a peer.

use rustix::process::Signal;

use crate::harness::{Peer, Site};

fn gone(peer: &mut Peer, user: &str) -> bool {
    let gone = peer.wait("the leaving", |event| {
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
        assert!(gone(&mut alice, name), "{name} left, and was not lost");
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
    assert!(gone(&mut peers[1], "alice"));
}
