//! Without a registry, and with a new one.

use std::fs;

use crate::harness::{Peer, Site, lasting_address, wait_for};

#[test]
fn without_the_registry_all_go_on_and_with_a_new_one_others_can_join() {
    let mut site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob", "carol"]);
    let [alice, bob, carol] = &mut peers[..] else {
        unreachable!()
    };
    alice.type_line("/msg bob direct, before");
    bob.hear("direct, before");

    site.registry.kill();
    for peer in [&mut *alice, &mut *bob, &mut *carol] {
        peer.wait_registry("lost");
    }
    bob.type_line("/msg alice direct, without a registry");
    alice.hear("direct, without a registry");
    // Those two have never talked, but they know one another from the room.
    carol.type_line("/msg alice the first one, without a registry");
    alice.hear("the first one, without a registry");
    bob.type_line("/switch #lobby");
    bob.say("in the room, without a registry");
    for peer in [&mut *alice, &mut *carol] {
        peer.hear("in the room, without a registry");
    }

    site.registry.restart();
    // Nobody does anything: whoever comes now finds those who are there, and they him.
    let mut dave = site.peer("dave");
    dave.join("lobby");
    for name in ["alice", "bob", "carol"] {
        dave.see("#lobby", name);
    }
    for peer in [&*alice, &*bob, &*carol] {
        peer.see("#lobby", "dave");
    }
    dave.wait_version(1);
    dave.say("hello from dave");
    for peer in [&mut *alice, &mut *bob, &mut *carol] {
        peer.hear("hello from dave");
    }
    dave.type_line("/msg carol directly");
    carol.hear("directly");
    dave.quit();
    for peer in peers {
        peer.quit();
    }
    let names = ["alice", "bob", "carol", "dave"];
    let texts = ["in the room, without a registry", "hello from dave"];
    assert_eq!(site.assert_same_logs(&names, "#lobby"), texts);
    assert_eq!(
        site.texts("alice", "@bob"),
        ["direct, before", "direct, without a registry"]
    );
}

#[test]
fn a_peer_that_starts_without_a_registry_is_found_when_there_is_one() {
    let mut site = Site::new();
    site.registry.kill();
    let mut alice = site.peer("alice");
    // Under no authority yet she is nobody, and what she writes waits.
    assert!(alice.events()[0]["authority"].is_null());
    alice.type_line("/join lobby");
    let told = alice.error("registry_unavailable");
    assert!(told.contains("what you write waits"), "{told}");
    alice.type_line("is anybody there?");
    site.registry.restart();
    alice.wait("joined", |event| event["event"] == "joined");
    let mut bob = site.peer("bob");
    bob.join("lobby");
    bob.wait_version(1);
    alice.see("#lobby", "bob");
    alice.quit();
    bob.quit();
    site.assert_same_logs(&["alice", "bob"], "#lobby");
}

/// Whether a peer hosts the registry now, as far as it has said.
fn hosts(peer: &Peer) -> Option<bool> {
    let events = peer.events();
    let last = events.iter().rev().find(|event| event["event"] == "registry")?;
    (last["state"] != "lost").then(|| last["state"] == "hosting")
}

/// Waits until every peer is logged in and one of them hosts the registry. Returns which.
fn wait_for_host(peers: &[Peer]) -> usize {
    wait_for("one host", || {
        let hosting: Option<Vec<bool>> = peers.iter().map(hosts).collect();
        let hosting = hosting?;
        let hosts = hosting.iter().filter(|hosts| **hosts).count();
        assert!(hosts <= 1, "{hosts} host at one address");
        hosting.iter().position(|hosts| *hosts)
    })
}

/// Of three peers that start at once one hosts the registry. When it `ends`, another one does, and newcomers find all.
fn takeover(end: fn(Peer)) {
    let site = Site::new();
    let registry = lasting_address().to_string();
    let start = |name: &str| Peer::spawn_hosting(site.data.path(), &registry, name, &["--join", "lobby"]);
    let mut peers: Vec<Peer> = ["alice", "bob", "carol"].map(start).into();
    let mut names: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
    let everybody_sees = |peers: &[Peer]| {
        for peer in peers {
            for other in peers.iter().filter(|other| other.name != peer.name) {
                peer.see("#lobby", &other.name);
            }
        }
    };
    wait_for_host(&peers);
    everybody_sees(&peers);
    for newcomer in ["dave", "eve"] {
        let host = wait_for_host(&peers);
        end(peers.remove(host));
        let text = format!("before {newcomer}");
        peers[0].say(&text);
        wait_for_host(&peers);
        let mut new = start(newcomer);
        new.wait("joined", |event| event["event"] == "joined");
        for peer in &peers {
            new.see("#lobby", &peer.name);
            peer.see("#lobby", newcomer);
        }
        new.wait_version(peers[0].version());
        names.push(newcomer.to_owned());
        peers.push(new);
    }
    let last = peers[0].say("all are here");
    for other in &peers[1..] {
        peers[0].wait_stored(&last, &other.name);
    }
    let there: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
    for peer in peers {
        peer.quit();
    }
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    let texts = site.assert_same_logs(&there, "#lobby");
    assert_eq!(texts, ["before dave", "before eve", "all are here"]);
}

#[test]
fn when_the_host_of_the_registry_quits_another_takes_over() {
    takeover(Peer::quit);
}

#[test]
fn when_the_host_of_the_registry_is_killed_another_takes_over() {
    takeover(|host| {
        host.kill();
    });
}

#[test]
fn nobody_hosts_where_another_registry_was_met() {
    let mut site = Site::new();
    let registry = site.registry.address.to_string();
    let start = |name: &str| {
        let mut peer = Peer::spawn_hosting(site.data.path(), &registry, name, &[]);
        peer.wait("ready", |event| event["event"] == "ready");
        peer
    };
    let mut gus = start("gus");
    gus.wait_registry("connected");
    site.registry.kill();
    gus.wait_registry("lost");
    // One that finds it away from the start says why it does not take its place.
    let mut hal = Peer::spawn_hosting(site.data.path(), &registry, "hal", &[]);
    let lost = hal.wait("the reason", |event| event["event"] == "registry");
    assert_eq!(lost["state"], "lost", "{lost}");
    let reason = lost["reason"].as_str().unwrap();
    assert!(reason.contains("another registry was met at this address"), "{reason}");
    site.registry.restart();
    for peer in [&mut gus, &mut hal] {
        peer.wait_registry("connected");
    }
    gus.quit();
    hal.quit();
}

/// The authority of a registry that was hosted is there, and its accounts are not. Nobody is given a name by it, and whoever hosted it goes on.
#[test]
fn a_hosted_registry_without_its_accounts_is_named_and_not_begun_anew() {
    let site = Site::new();
    let registry = lasting_address().to_string();
    let start = || {
        let mut peer = Peer::spawn_hosting(site.data.path(), &registry, "alice", &[]);
        peer.wait("ready", |event| event["event"] == "ready");
        peer
    };
    let mut alice = start();
    alice.wait_registry("hosting");
    alice.quit();
    let folder = site.data.path().join(format!("registry@{registry}"));
    fs::remove_file(folder.join("accounts.sqlite")).unwrap();
    let mut alice = start();
    let lost = alice.wait("the reason", |event| event["event"] == "registry");
    assert_eq!(lost["state"], "lost", "{lost}");
    let reason = lost["reason"].as_str().unwrap();
    for part in ["had 1 account", "has none", "accounts.begun away"] {
        assert!(reason.contains(part), "{reason}");
    }
    // Whom she knows she can talk to all the same.
    alice.type_line("/help");
    alice.wait("help", |event| event["event"] == "help");
    // As it is said, so it is done.
    fs::remove_file(folder.join("accounts.begun")).unwrap();
    alice.wait_registry("hosting");
    alice.quit();
}
