//! Three registries that elect a leader, and peers at each of them: the scenarios that such a chat is known by.

use std::time::Instant;

use crate::harness::{Cluster, Peer, assert_causal, assert_unnoticed};

/// Each says something that answers what was said before, and then all write at once. Returns all texts.
fn converse(peers: &mut [Peer], when: &str) -> Vec<String> {
    const AT_ONCE: usize = 10;
    let mut all: Vec<String> = Vec::new();
    for peer in &mut *peers {
        let text = format!("{} answers, {when}", peer.name);
        if let Some(before) = all.last() {
            peer.hear(before);
        }
        peer.say(&text);
        all.push(text);
    }
    for peer in &mut *peers {
        let name = peer.name.clone();
        let texts: Vec<String> = (0..AT_ONCE).map(|n| format!("{name} {n}, {when}")).collect();
        peer.type_lines(&texts);
        all.extend(texts);
    }
    all
}

fn everybody_sees_everybody(peers: &[Peer]) {
    for peer in peers {
        for other in peers.iter().filter(|other| other.name != peer.name) {
            peer.see("#lobby", &other.name);
        }
    }
}

/// Waits until everybody holds so much.
fn wait_for_all(peers: &mut [Peer], texts: &[String]) {
    for peer in peers {
        peer.wait_version(texts.len() as u64);
    }
}

/// Waits until a peer is at the registry at an address, where it was not before.
fn wait_at(peer: &Peer, address: &str) {
    peer.wait_all(&format!("the registry at {address}"), |events| {
        let last = events.iter().rev().find(|event| event["event"] == "registry")?;
        (last["state"] == "connected" && last["address"] == *address).then_some(())
    });
}

#[test]
fn the_leader_is_killed_and_returns_and_three_peers_at_three_registries_chat_on_in_causal_order() {
    let mut cluster = Cluster::start();
    let mut peers = vec![
        cluster.peer("alice", &[1, 2, 3]),
        cluster.peer("bob", &[2, 3, 1]),
        cluster.peer("carol", &[3, 1, 2]),
    ];
    for (peer, node) in peers.iter_mut().zip(1..) {
        let ready = &peer.events()[0];
        assert_eq!(ready["registry"], cluster.address(node));
        peer.join("lobby");
    }
    everybody_sees_everybody(&peers);
    let mut texts = converse(&mut peers, "at first");
    wait_for_all(&mut peers, &texts);

    cluster.kill_node(3);
    let killed = Instant::now();
    texts.extend(converse(&mut peers, "while nobody leads"));
    cluster.wait_led(2, &[1, 2]);
    println!(
        "from kill -9 of the leader to the next one, as status tells it: {:?}",
        killed.elapsed()
    );
    // A fourth one, who knows the dead node first. Nobody has typed anything but texts.
    let mut dave = cluster.peer("dave", &[3, 2, 1]);
    dave.join("lobby");
    println!(
        "from kill -9 of the leader to a peer that has joined: {:?}",
        killed.elapsed()
    );
    dave.wait_version(texts.len() as u64);
    peers.push(dave);
    everybody_sees_everybody(&peers);
    texts.extend(converse(&mut peers, "under the next one"));
    wait_for_all(&mut peers, &texts);

    cluster.start_node(3);
    let took = cluster.wait_led(3, &[1, 2, 3]);
    println!("the one that returned leads after {took:?}");
    // Those for whom it comes first go back to it.
    for name in ["carol", "dave"] {
        let peer = peers.iter().find(|peer| peer.name == *name).unwrap();
        wait_at(peer, &cluster.address(3));
    }
    let mut eve = cluster.peer("eve", &[3]);
    eve.join("lobby");
    peers.push(eve);
    everybody_sees_everybody(&peers);
    texts.extend(converse(&mut peers, "as at first"));
    wait_for_all(&mut peers, &texts);

    assert_unnoticed(&peers);
    assert_causal(&peers, "#lobby");
    let names: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
    for peer in peers {
        peer.quit();
    }
    cluster.assert_same_logs(&names, "#lobby", &texts);
}
