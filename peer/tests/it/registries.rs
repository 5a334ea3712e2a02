//! Several registries: one registry that is reached by several ways, each of which can break by itself.

use std::fs;

use serde_json::Value;

use crate::harness::{Peer, Registry, Relay, Site, program, wait_for};

/// A site whose registry is reached by so many relays.
struct Ways {
    site: Site,
    relays: Vec<Relay>,
}

impl Ways {
    fn new(count: usize) -> Self {
        let site = Site::new();
        let relays = (0..count).map(|_| Relay::start(site.registry.address)).collect();
        Self { site, relays }
    }

    fn address(&self, way: usize) -> String {
        self.relays[way].address.to_string()
    }

    fn list(&self) -> String {
        list(self.relays.iter().map(|relay| relay.address.to_string()))
    }

    /// Starts a peer that knows all ways, and waits until it is ready.
    fn peer(&self, name: &str) -> Peer {
        let mut peer = Peer::spawn(self.site.data.path(), &self.list(), name, &[]);
        peer.wait("ready", |event| event["event"] == "ready");
        peer
    }
}

fn list(addresses: impl IntoIterator<Item = String>) -> String {
    addresses.into_iter().collect::<Vec<_>>().join(",")
}

/// Waits until a peer has come to the registry at an address, after what it was last waited for.
fn wait_moved(peer: &mut Peer, address: &str) {
    peer.wait(&format!("the registry at {address}"), |event| {
        event["event"] == "registry" && event["state"] == "connected" && event["address"] == *address
    });
}

fn is_lost(event: &Value) -> bool {
    event["event"] == "registry" && event["state"] == "lost"
}

fn is_gone(event: &Value) -> bool {
    event["event"] == "presence" && event["online"] == false
}

/// Nobody was seen to go, and nobody was told that a registry is lost.
fn assert_unnoticed(peers: &[Peer]) {
    for peer in peers {
        let events = peer.events();
        let noticed = events.iter().find(|event| is_lost(event) || is_gone(event));
        assert!(noticed.is_none(), "{}: {}", peer.name, noticed.unwrap());
    }
}

fn status(peer: &mut Peer) -> Value {
    peer.type_line("/status");
    peer.wait("status", |event| event["event"] == "status")
}

#[test]
fn where_the_first_is_dead_the_second_is_used_at_once() {
    let mut ways = Ways::new(3);
    ways.relays[0].kill();
    let mut alice = Peer::spawn(ways.site.data.path(), &ways.list(), "alice", &[]);
    let ready = alice.wait("ready", |event| event["event"] == "ready");
    assert_eq!(ready["registry"], ways.address(1));
    alice.join("lobby");
    let mut bob = ways.site.peer("bob");
    bob.join("lobby");
    alice.see("#lobby", "bob");
    let status = wait_for("bob's link", || {
        let status = status(&mut alice);
        (status["links"][0]["link"] == "up").then_some(status)
    });
    let [first, second, third] = [0, 1, 2].map(|way| &status["registries"][way]);
    for (way, shown) in [first, second, third].into_iter().enumerate() {
        assert_eq!(shown["address"], ways.address(way));
        assert_eq!(shown["in_use"], way == 1, "{shown}");
    }
    assert_ne!(first["state"], "closed", "{first}");
    assert!(first["error"].is_string(), "{first}");
    assert!(
        first["state"] == "half_open" || first["next_try_ms"].is_u64(),
        "{first}"
    );
    assert_eq!((&second["state"], &second["error"]), (&"closed".into(), &Value::Null));
    let link = &status["links"][0];
    assert_eq!(
        (&link["user"], &link["link"]),
        (&"bob".into(), &"up".into()),
        "{status}"
    );
    assert_unnoticed(&[alice, bob]);
}

#[test]
fn a_registry_that_is_killed_is_not_noticed_and_has_its_peers_again_when_it_is_back() {
    let mut ways = Ways::new(2);
    // One that only looks on, and does not use the way that breaks.
    let mut peers = vec![ways.site.peer("watcher"), ways.peer("alice"), ways.peer("bob")];
    for peer in &mut peers {
        peer.join("lobby");
    }
    for peer in &peers {
        for other in ["watcher", "alice", "bob"].iter().filter(|name| **name != peer.name) {
            peer.see("#lobby", other);
        }
    }
    let (home, other) = (ways.address(0), ways.address(1));
    ways.relays[0].kill();
    for peer in &mut peers[1..] {
        wait_moved(peer, &other);
    }
    // Joining, finding and talking go on.
    peers[1].join("dev");
    peers[2].join("dev");
    peers[1].see("#dev", "bob");
    let id = peers[1].say("in the room");
    peers[1].wait_stored(&id, "bob");
    let mut carol = ways.peer("carol");
    peers[2].type_line("/msg carol found");
    carol.hear("found");
    peers.push(carol);
    assert_unnoticed(&peers);

    ways.relays[0].restart();
    for peer in &mut peers[1..] {
        wait_moved(peer, &home);
    }
    peers[1].type_line("/switch #lobby");
    peers[1].say("back home");
    peers[0].hear("back home");
    peers[3].join("lobby");
    peers[0].see("#lobby", "carol");
    assert_unnoticed(&peers);
    let shown = status(&mut peers[1]);
    assert_eq!(shown["registries"][0]["in_use"], true, "{shown}");
    for peer in peers {
        peer.quit();
    }
    ways.site
        .assert_same_logs(&["watcher", "alice", "bob", "carol"], "#lobby");
}

#[test]
fn what_was_asked_when_the_registry_died_is_asked_of_the_next_one() {
    let mut ways = Ways::new(2);
    let bob = ways.site.peer("bob");
    let mut alice = ways.peer("alice");
    alice.join("lobby");
    ways.relays[0].hold();
    // These are on the way when it breaks, and would have been refused or taken for said without the registry.
    alice.type_line("/msg bob hello");
    alice.type_line("/join dev");
    alice.type_line("/list");
    status(&mut alice);
    ways.relays[0].kill();
    let joined = |event: &Value, title: &str| event["event"] == "joined" && event["conversation"] == *title;
    alice.wait_all("all answers", |events| {
        let is_there = |title| events.iter().any(|event| joined(event, title));
        let listed = events
            .iter()
            .any(|event| event["event"] == "list" && event["rooms"].is_array());
        (is_there("@bob") && is_there("#dev") && listed).then_some(())
    });
    let error = alice.events().into_iter().find(|event| event["event"] == "error");
    assert_eq!(error, None);
    let mut carol = ways.site.peer("carol");
    carol.join("dev");
    carol.see("#dev", "alice");
    assert_unnoticed(&[alice, bob, carol]);
}

#[test]
fn when_all_are_gone_those_who_know_one_another_talk_on_until_one_is_back() {
    let mut ways = Ways::new(3);
    let mut peers = [ways.peer("alice"), ways.peer("bob")];
    for peer in &mut peers {
        peer.join("lobby");
    }
    peers[0].see("#lobby", "bob");
    peers[1].see("#lobby", "alice");
    for relay in &mut ways.relays {
        relay.kill();
    }
    for peer in &mut peers {
        let lost = peer.wait("the loss", is_lost);
        let reason = lost["reason"].as_str().unwrap();
        assert!((0..3).all(|way| reason.contains(&ways.address(way))), "{reason}");
    }
    peers[0].say("without a registry");
    peers[1].hear("without a registry");
    peers[0].type_line("/msg nobody");
    peers[0].error("registry_unavailable");
    let last = ways.address(2);
    ways.relays[2].restart();
    for peer in &mut peers {
        wait_moved(peer, &last);
    }
    let mut carol = ways.peer("carol");
    carol.join("lobby");
    for peer in &peers {
        carol.see("#lobby", &peer.name);
        peer.see("#lobby", "carol");
    }
    assert!(!peers.iter().any(|peer| peer.events().iter().any(is_gone)));
}

#[test]
fn one_of_another_authority_is_refused_with_a_reason_and_the_rest_is_used() {
    let mut ways = Ways::new(2);
    let foreign = Registry::start(std::time::Duration::from_secs(3_600));
    let other = foreign.address.to_string();
    // At the first meeting nobody is known: what most of them show is right, though the odd one stands first.
    let all = list([other.clone(), ways.address(0), ways.address(1)]);
    let start = || Peer::spawn(ways.site.data.path(), &all, "alice", &[]);
    let mut alice = start();
    let ready = alice.wait("ready", |event| event["event"] == "ready");
    assert_eq!(ready["registry"], ways.address(0));
    let why = alice.error("registry_untrusted");
    assert!(why.contains(&other) && why.contains("not one with the others"), "{why}");
    let known = fs::read_to_string(ways.site.data.path().join("known_registries")).unwrap();
    assert!(known.contains(&ways.address(0)) && !known.contains(&other), "{known}");
    let mut bob = ways.site.peer("bob");
    bob.join("lobby");
    alice.join("lobby");
    alice.see("#lobby", "bob");
    alice.quit();
    // Later as well, and when no other one is left.
    let mut alice = start();
    alice.wait("ready", |event| event["event"] == "ready");
    alice.error("registry_untrusted");
    for relay in &mut ways.relays {
        relay.kill();
    }
    alice.wait("the loss", is_lost);
    let status = status(&mut alice);
    assert_eq!(status["registries"][0]["in_use"], false, "{status}");
    let events = alice.events();
    let told = events.iter().filter(|event| event["code"] == "registry_untrusted");
    assert_eq!(told.count(), 1, "it is said once");
    let used = |event: &Value| event["event"] == "registry" && event["address"] == *other;
    assert!(!events.iter().any(used));
}

#[test]
fn the_list_of_the_config_file_counts() {
    let mut ways = Ways::new(2);
    ways.relays[0].kill();
    let config = tempfile::tempdir().unwrap();
    fs::create_dir(config.path().join("peerchat")).unwrap();
    let text = format!("registry = [{:?}, {:?}]\n", ways.address(0), ways.address(1));
    fs::write(config.path().join("peerchat/config.toml"), text).unwrap();
    let mut command = program();
    command.env("XDG_CONFIG_HOME", config.path());
    command
        .args(["chat", "alice", "--json", "--data"])
        .arg(ways.site.data.path());
    let mut alice = Peer::run("alice", command);
    let ready = alice.wait("ready", |event| event["event"] == "ready");
    assert_eq!(ready["registry"], ways.address(1));
    // Of several none is hosted: it would be one of another authority.
    ways.relays[1].kill();
    alice.wait("the loss", is_lost);
    alice.type_line("/list");
    alice.wait("list", |event| event["event"] == "list" && event["rooms"].is_null());
    let hosts = |event: &Value| event["event"] == "registry" && event["state"] == "hosting";
    assert!(!alice.events().iter().any(hosts));
}

#[test]
fn a_device_that_cannot_be_reached_is_left_alone_for_longer_and_longer() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let bob = peers.pop().unwrap();
    let alice = &mut peers[0];
    let is_up = |shown: &Value| shown["links"][0]["link"] == "up" && shown["links"][0]["state"] == "closed";
    wait_for("the link", || is_up(&status(alice)).then_some(()));
    bob.kill();
    wait_for("an open breaker", || {
        let shown = status(alice);
        let link = &shown["links"][0];
        assert_eq!(link["user"], "bob", "{shown}");
        (link["link"] == "down" && link["state"] == "open" && link["next_try_ms"].as_u64() > Some(500)).then_some(())
    });
    let again = site.peer("bob");
    wait_for("a closed one", || is_up(&status(alice)).then_some(()));
    again.quit();
}

#[test]
fn whichever_ways_fail_and_come_back_as_long_as_there_is_one_nobody_notices() {
    const ROUNDS: usize = 30;
    let mut ways = Ways::new(3);
    let mut peers = ["alice", "bob", "carol"].map(|name| ways.peer(name));
    for peer in &mut peers {
        peer.join("lobby");
    }
    for peer in &peers {
        for other in ["alice", "bob", "carol"].iter().filter(|name| **name != peer.name) {
            peer.see("#lobby", other);
        }
    }
    let mut is_up = [true; 3];
    let mut texts = Vec::new();
    for round in 0..ROUNDS {
        let way = fastrand::usize(..3);
        let up = is_up.iter().filter(|up| **up).count();
        match is_up[way] {
            true if up > 1 => ways.relays[way].kill(),
            true => continue,
            false => ways.relays[way].restart(),
        }
        is_up[way] = !is_up[way];
        // A room of its own each time: it is joined by way of a registry, whichever that is by then.
        let room = format!("room{round}");
        let (one, other) = (round % 3, (round + 1) % 3);
        peers[one].join(&room);
        peers[other].join(&room);
        peers[one].see(&format!("#{room}"), &peers[other].name);
        let text = format!("text {round}");
        peers[one].type_line("/switch #lobby");
        peers[one].say(&text);
        peers[other].hear(&text);
        texts.push(text);
    }
    let mut dave = ways.peer("dave");
    dave.join("lobby");
    for peer in &peers {
        peer.see("#lobby", "dave");
    }
    assert_unnoticed(&peers);
    for peer in peers {
        peer.quit();
    }
    let there = ways.site.assert_same_logs(&["alice", "bob", "carol"], "#lobby");
    crate::harness::assert_each_once(&there, &texts);
}
