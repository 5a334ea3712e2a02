//! Devices that were met, and what users compare.

use std::fs;

use serde_json::Value;

use crate::harness::{Peer, Site, wait_for};

/// What `/verify` answers, once there was a link.
fn verify(peer: &mut Peer, user: &str) -> Value {
    wait_for(&format!("{user} is met"), || {
        peer.type_line(&format!("/verify {user}"));
        let answer = peer.wait("an answer", |event| {
            event["event"] == "verify" || event["event"] == "error" && event["code"] == "not_met"
        });
        (answer["event"] == "verify").then_some(answer)
    })
}

/// How far a member of the current room is trusted.
fn trust(peer: &mut Peer, user: &str) -> Value {
    peer.type_line("/who");
    let who = peer.wait("who", |event| event["event"] == "who");
    let mut members = who["members"].as_array().unwrap().iter();
    members.find(|member| member["user"] == *user).unwrap()["trust"].clone()
}

fn new_devices(peer: &Peer) -> Vec<Value> {
    let mut events = peer.events();
    events.retain(|event| event["event"] == "new_device");
    events
}

/// A user is back in the room without anything of his data: as another device.
fn back_without_data(site: &Site, peer: Peer) -> Peer {
    let name = peer.name.clone();
    peer.quit();
    fs::remove_dir_all(site.folder(&name)).unwrap();
    let mut peer = site.second_device(&name, site.data.path());
    peer.join("lobby");
    peer
}

fn restarted(site: &Site, peer: Peer) -> Peer {
    let name = peer.name.clone();
    peer.quit();
    let mut peer = site.peer(&name);
    peer.join("lobby");
    peer
}

#[test]
fn both_sides_compare_the_same_words() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob", "carol"]);
    let [alice, bob, carol] = &mut peers[..] else {
        unreachable!()
    };
    let (here, there) = (verify(alice, "bob"), verify(bob, "Alice"));
    assert_eq!(here["words"].as_array().unwrap().len(), 12);
    assert_eq!(here["words"], there["words"]);
    let devices = here["devices"].as_array().unwrap();
    assert_eq!((devices.len(), &devices[0]["user"]), (2, &Value::from("alice")));
    assert!(devices[0]["first_met"].is_null() && devices[1]["first_met"].is_string());
    assert_ne!(here["words"], verify(alice, "carol")["words"]);
    assert_ne!(here["words"], verify(carol, "bob")["words"]);
    carol.type_line("/verify zoe");
    assert!(carol.error("not_met").contains("you have not met zoe"));
    for peer in peers {
        assert!(new_devices(&peer).is_empty(), "the first contact is silent");
        peer.quit();
    }
}

#[test]
fn a_new_device_is_announced_to_all_who_met_its_user() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "carol", "bob"]);
    let mut bob = peers.pop().unwrap();
    let [old, _] = [0, 1].map(|n| verify(&mut peers[n], "bob")["devices"][1]["device"].clone());
    // The text shows later that the old device wrote, too.
    bob.say("from the old device");
    peers.iter_mut().for_each(|peer| drop(peer.hear("from the old device")));
    // Carol has met him in an earlier run.
    let carol = restarted(&site, peers.pop().unwrap());
    let alice = peers.pop().unwrap();
    let mut bob = back_without_data(&site, bob);
    let mut peers = [alice, carol];
    for peer in &mut peers {
        let told = peer.wait("bob's new device", |event| event["event"] == "new_device");
        let known = (&told["user"], &told["known"], &told["trusted"]);
        assert_eq!(known, (&"bob".into(), &1.into(), &false.into()));
        assert_ne!(told["device"], old);
    }
    // Both remember it.
    let [mut alice, mut carol] = peers.map(|peer| restarted(&site, peer));
    let words = verify(&mut alice, "bob")["words"].clone();
    verify(&mut carol, "bob");
    for peer in [&alice, &carol] {
        assert!(new_devices(peer).is_empty(), "{} is told twice", peer.name);
    }
    // Bob has never met the device that he lost, so Alice forgets it; then both know the same.
    let there = verify(&mut bob, "alice");
    assert_ne!(words, there["words"]);
    let own = there["devices"].as_array().unwrap();
    let lost = own.iter().find(|known| known["device"] == old).unwrap();
    assert_eq!((&lost["user"], &lost["counts"]), (&"bob".into(), &false.into()));
    alice.type_line(&format!("/untrust bob {}", &old.as_str().unwrap()[..12]));
    let forgot = alice.wait("forgotten", |event| event["event"] == "forgot_device");
    assert_eq!((&forgot["device"], &forgot["known"]), (&old, &1.into()));
    assert_eq!(verify(&mut alice, "bob")["words"], there["words"]);
    for peer in [alice, bob, carol] {
        peer.quit();
    }
}

#[test]
fn trust_outlives_a_kill_and_does_not_cover_a_new_device() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let (bob, mut alice) = (peers.pop().unwrap(), peers.pop().unwrap());
    let device = verify(&mut alice, "bob")["devices"][1]["device"].clone();
    assert!(trust(&mut alice, "bob").is_null());
    alice.type_line("/trust bob");
    let trusted = alice.wait("trusted", |event| event["event"] == "trusted");
    assert_eq!(trusted["devices"], Value::from(vec![device]));
    assert_eq!(trust(&mut alice, "bob"), "trusted");
    // What was told is on the disk.
    alice.kill();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.see("#lobby", "bob");
    assert_eq!(trust(&mut alice, "bob"), "trusted");
    assert_eq!(verify(&mut alice, "bob")["trusted"], true);

    let bob = back_without_data(&site, bob);
    let told = alice.wait("bob's new device", |event| event["event"] == "new_device");
    assert_eq!((&told["known"], &told["trusted"]), (&1.into(), &true.into()));
    assert_eq!(trust(&mut alice, "bob"), "new_device");
    assert_eq!(verify(&mut alice, "bob")["trusted"], false);
    let mut alice = restarted(&site, alice);
    alice.see("#lobby", "bob");
    assert_eq!(trust(&mut alice, "bob"), "new_device");
    alice.type_line("/untrust bob");
    let trusted = alice.wait("not trusted", |event| event["event"] == "trusted");
    assert!(trusted["devices"].as_array().unwrap().is_empty());
    assert!(trust(&mut alice, "bob").is_null());
    for peer in [alice, bob] {
        peer.quit();
    }
}

#[test]
fn who_has_lost_whom_he_trusts_is_told() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    verify(&mut peers[0], "bob");
    let (bob, alice) = (peers.pop().unwrap(), peers.remove(0));
    alice.quit();
    let file = site.folder("alice").join("people.json");
    assert!(file.exists());
    fs::write(&file, "{\"people\":[{\"user\":").unwrap();
    let mut alice = site.peer("alice");
    assert!(alice.error("trust_lost").contains("people.json is damaged"));
    // She meets him anew.
    alice.join("lobby");
    verify(&mut alice, "bob");
    alice.quit();
    assert!(fs::read_to_string(&file).unwrap().contains("bob"));
    bob.quit();
}
