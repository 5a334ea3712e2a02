//! Rooms of several peers.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Peer, Site, assert_each_once};

/// The ids of the last entries of the current conversation, as `/history` shows them.
fn history(peer: &mut Peer, count: u64) -> Vec<Value> {
    let (messages, end) = peer.replayed(&format!("/history {count}"));
    assert_eq!(end["count"], count);
    messages.iter().map(|message| message["id"].clone()).collect()
}

#[test]
fn five_who_all_write_at_once_show_the_same_in_the_same_order() {
    const EACH: usize = 50;
    let names = ["alice", "bob", "carol", "dave", "eve"];
    let site = Site::new();
    let mut peers = site.room("lobby", &names);
    for n in 0..EACH {
        for peer in &mut peers {
            let text = format!("{} {n}", peer.name);
            peer.type_line(&text);
        }
    }
    let all = (names.len() * EACH) as u64;
    for peer in &mut peers {
        peer.wait_version(all);
        let shown = peer.wait_all("all messages", |events| {
            let shown = events
                .iter()
                .filter(|event| event["event"] == "message" || event["event"] == "sent");
            let ids: Vec<String> = shown.map(|event| event["id"].as_str().unwrap().to_owned()).collect();
            (ids.len() >= all as usize).then_some(ids)
        });
        assert_eq!(shown.len() as u64, all, "nothing is shown twice");
        assert_eq!(shown.iter().collect::<BTreeSet<_>>().len() as u64, all);
    }
    // Whoever asks is shown them in the same order as everybody else, with the same version.
    let order = history(&mut peers[0], all);
    let heights = peers[0].heights();
    for peer in &mut peers[1..] {
        assert_eq!(history(peer, all), order, "{}", peer.name);
        assert_eq!(peer.heights(), heights, "{}", peer.name);
    }
    for peer in peers {
        peer.quit();
    }
    let first = site.log("alice", "#lobby");
    assert_eq!(first.lines().count() as u64, all);
    let printed = first.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(printed.map(|entry| entry["id"].clone()).collect::<Vec<_>>(), order);
    for name in names {
        assert_eq!(site.log(name, "#lobby"), first, "{name}");
        site.assert_sound(name);
    }
}

#[test]
fn two_who_write_a_thousand_each_at_once_make_the_same_log_everywhere() {
    const EACH: usize = 1_000;
    let names = ["alice", "bob", "carol"];
    let site = Site::new();
    let mut peers = site.room("lobby", &names);
    let texts = |name: &str| (0..EACH).map(|n| format!("{name} {n}")).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        for writer in &mut peers[..2] {
            scope.spawn(|| writer.type_lines(texts(&writer.name.clone())));
        }
    });
    for peer in &mut peers {
        peer.wait_version(2 * EACH as u64);
    }
    for peer in peers {
        peer.quit();
    }
    let all = site.assert_same_logs(&names, "#lobby");
    for name in &names[..2] {
        let own: Vec<&String> = all.iter().filter(|text| text.starts_with(name)).collect();
        assert_eq!(
            own,
            texts(name).iter().collect::<Vec<_>>(),
            "in the order in which {name} wrote"
        );
    }
    assert_each_once(&all, texts("alice").into_iter().chain(texts("bob")));
}

#[test]
fn what_a_script_says_and_ends_arrives_all_the_same() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    let mut robot = Peer::spawn(site.data.path(), &site.registry.address.to_string(), "robot", &[]);
    robot.type_lines(["/join lobby", "hello", "/msg alice psst"]);
    robot.quit();
    // Two conversations have no order.
    for text in ["hello", "psst"] {
        alice.wait_all(text, |events| {
            events.iter().any(|event| event["text"] == *text).then_some(())
        });
    }
}

#[test]
fn who_listens_everywhere_is_announced_where_the_registry_sees_him() {
    let site = Site::new();
    let mut alice = site.peer_with("alice", &["--listen", "0.0.0.0:0"]);
    let mut bob = site.peer_with("bob", &["--listen", "[::]:0"]);
    for peer in [&mut alice, &mut bob] {
        peer.join("lobby");
    }
    alice.see("#lobby", "bob");
    alice.say("can you hear me?");
    bob.hear("can you hear me?");
    bob.type_line("/status");
    let status = bob.wait("status", |event| event["event"] == "status");
    let address = status["links"][0]["address"].as_str().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    alice.quit();
    bob.quit();
}
