//! Peers that can dial and cannot be dialled, as behind a NAT or a firewall.

use crate::harness::{Peer, Site, wait_for};

/// Nobody listens there, and nobody can without being root.
const NOWHERE: [&str; 2] = ["--advertise", "127.0.0.1:1"];

fn link_of(peer: &mut Peer, user: &str) -> Option<serde_json::Value> {
    peer.type_line("/status");
    let status = peer.wait("the status", |event| event["event"] == "status");
    let links = status["links"].as_array()?.clone();
    links.into_iter().find(|link| link["user"] == *user)
}

#[test]
fn the_history_of_one_who_cannot_be_dialled_comes_over_its_own_link() {
    let site = Site::new();
    let mut carol = site.peer_with("carol", &NOWHERE);
    carol.join("den");
    // More than goes into one part.
    let texts: Vec<String> = (0..600).map(|n| format!("text {n}")).collect();
    carol.type_lines(&texts);
    carol.wait_version(600);
    let mut alice = site.peer("alice");
    alice.join("den");
    alice.wait_version(600);
    let mut bob = site.peer_with("bob", &["--advertise", "127.0.0.1:1"]);
    bob.join("den");
    // Two who cannot be dialled have a third one between them.
    bob.wait_version(600);
    bob.say("now");
    alice.hear("now");
    carol.hear("now");
    // It shows as soon as somebody tries.
    carol.kill();
    wait_for("a dial of carol that fails", || {
        link_of(&mut alice, "carol").filter(|link| link["link"] == "down" && link["state"] == "open")
    });
    let carol = site.peer_with("carol", &NOWHERE);
    wait_for("a word of it", || {
        let is_told = |event: &serde_json::Value| {
            event["code"] == "cannot_dial" && event["message"].as_str().is_some_and(|text| text.contains("carol"))
        };
        alice.events().iter().any(is_told).then_some(())
    });
    let link = wait_for("carol's link", || {
        link_of(&mut alice, "carol").filter(|link| link["undialable"] == true)
    });
    assert_eq!(link["link"], "up");
    for peer in [alice, bob, carol] {
        peer.quit();
    }
    site.assert_same_logs(&["alice", "bob", "carol"], "#den");
}

#[test]
fn a_newcomer_who_cannot_be_dialled_is_heard_by_all_at_once() {
    let site = Site::new();
    let mut room = site.room("lobby", &["alice", "bob"]);
    for n in 0..3 {
        let mut carol = site.peer_with(&format!("carol{n}"), &NOWHERE);
        let text = format!("hello {n}");
        carol.type_line("/join lobby");
        carol.type_line(&text);
        for peer in &mut room {
            peer.hear(&text);
        }
        carol.quit();
    }
}
