//! The same names under two authorities: each has conversations of its own.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Peer, Registry, Site, has_seal, lasting_address, peerchat, wait_for};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A peer at a registry, and how it was told that it is in.
fn peer(data: &Path, registry: &Registry, name: &str) -> (Peer, Value) {
    let mut peer = Peer::spawn(data, &registry.address.to_string(), name, &[]);
    let ready = peer.wait("ready", |event| event["event"] == "ready");
    (peer, ready)
}

/// What `peerchat log` prints with further arguments.
fn log(data: &Path, name: &str, conversation: &str, args: &[&str]) -> String {
    let output = peerchat(data, &[&["log", conversation, "--user", name, "--json"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn heard_of(peer: &Peer, text: &str) -> bool {
    peer.events().iter().any(|event| event.to_string().contains(text))
}

#[test]
fn what_was_said_under_one_authority_is_never_given_to_a_namesake_under_another() {
    let (ours, others) = (Registry::start(DAY), Registry::start(DAY));
    let [data, bobs, strangers] = [(); 3].map(|()| TempDir::new().unwrap());
    let (mut alice, ready) = peer(data.path(), &ours, "alice");
    let first = ready["authority"].as_str().unwrap().to_owned();
    let (mut bob, _) = peer(bobs.path(), &ours, "bob");
    alice.type_line("/msg bob for our bob alone");
    bob.hear("for our bob alone");
    bob.type_line("/msg alice from our bob");
    alice.hear("from our bob");
    alice.quit();
    bob.quit();

    // Twice, since what a start has taken in must not be given by the next one.
    for n in 1..=2 {
        let (mut alice, ready) = peer(data.path(), &others, "alice");
        assert_ne!(ready["authority"], *first);
        assert!(
            ready["conversations"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| n == 2 && one == "@bob")
        );
        if n == 1 {
            let told = alice.error("other_authority");
            assert!(told.contains(&first), "{told}");
        }
        let (mut stranger, _) = peer(strangers.path(), &others, "bob");
        let text = format!("hi {n}");
        stranger.type_line(&format!("/msg alice {text}"));
        alice.hear(&text);
        let back = format!("who are you, bob? {n}");
        alice.type_line(&format!("/msg bob {back}"));
        // It is the last of all that alice has for him.
        stranger.hear(&back);
        assert!(!heard_of(&stranger, "for our bob alone") && !heard_of(&stranger, "from our bob"));
        assert!(!heard_of(&alice, "from our bob"));
        alice.quit();
        stranger.quit();
    }

    // Each has its log; the one of the last chat is meant where none is named.
    let now = log(data.path(), "alice", "@bob", &[]);
    assert!(now.contains("hi 1") && !now.contains("for our bob alone"), "{now}");
    let then = log(data.path(), "alice", "@bob", &["--authority", &first]);
    assert!(then.contains("for our bob alone") && !then.contains("hi 1"), "{then}");
    let all = peerchat(data.path(), &["verify", "--user", "alice"]);
    let said = String::from_utf8_lossy(&all.stdout).into_owned();
    assert!(all.status.success() && said.matches("@bob").count() == 2, "{said}");
    let none = peerchat(
        data.path(),
        &["log", "@bob", "--user", "alice", "--authority", "SHA256:none"],
    );
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(none.status.code() == Some(1) && said.contains(&first), "{said}");

    // And who comes back finds what was his.
    let (mut alice, ready) = peer(data.path(), &ours, "alice");
    assert_eq!(ready["authority"], *first);
    let (mut bob, _) = peer(bobs.path(), &ours, "bob");
    bob.type_line("/msg alice back again");
    alice.hear("back again");
    alice.quit();
    bob.quit();
    let now = log(data.path(), "alice", "@bob", &[]);
    assert!(now.contains("for our bob alone") && now.contains("back again") && !now.contains("hi 1"));
}

#[test]
fn who_moves_to_another_authority_is_heard_by_a_newcomer_there_and_nobody_is_blamed() {
    let (ours, others) = (Registry::start(DAY), Registry::start(DAY));
    let [data, carols] = [(); 2].map(|()| TempDir::new().unwrap());
    let names = ["alice", "bob"];
    for registry in [&ours, &others] {
        let mut peers = names.map(|name| peer(data.path(), registry, name).0);
        for peer in &mut peers {
            peer.join("lobby");
        }
        let [alice, bob] = &mut peers;
        alice.see("#lobby", "bob");
        bob.see("#lobby", "alice");
        alice.say("from alice");
        bob.hear("from alice");
        bob.say("from bob");
        let id = alice.hear("from bob")["id"].as_str().unwrap().to_owned();
        if registry.address == others.address {
            let (mut carol, _) = peer(carols.path(), registry, "carol");
            carol.join("lobby");
            for text in ["from alice", "from bob"] {
                carol.wait_all(text, |events| {
                    events.iter().find(|event| event["text"] == *text).map(|_| ())
                });
            }
            let blamed = carol.events().into_iter().find(|event| event["event"] == "error");
            assert_eq!(blamed, None);
            carol.quit();
        } else {
            wait_for("a seal of bob's", || {
                has_seal(data.path(), "alice", "lobby", &id).then_some(())
            });
        }
        for peer in peers {
            peer.quit();
        }
    }
    for name in names {
        let output = peerchat(data.path(), &["verify", "--user", name]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_registry_that_takes_the_authority_along_is_the_same_world() {
    let hosted = lasting_address().to_string();
    let data = TempDir::new().unwrap();
    let mut alice = Peer::spawn_hosting(data.path(), &hosted, "alice", &[]);
    let ready = alice.wait("ready", |event| event["event"] == "ready");
    let mut bob = Peer::spawn_hosting(data.path(), &hosted, "bob", &[]);
    bob.wait("ready", |event| event["event"] == "ready");
    alice.type_line("/msg bob at home");
    bob.hear("at home");
    bob.quit();
    alice.quit();

    // As the documents say: the office's registry begins with the folder of the hosted one.
    let mut office = Registry::start(DAY);
    office.kill();
    fs::remove_dir_all(office.folder()).unwrap();
    fs::rename(data.path().join(format!("registry@{hosted}")), office.folder()).unwrap();
    office.restart();
    let args = ["--registry-fingerprint", ready["authority"].as_str().unwrap()];
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| {
        let mut peer = Peer::spawn(data.path(), &office.address.to_string(), name, &args);
        let now = peer.wait("ready", |event| event["event"] == "ready");
        assert_eq!(now["authority"], ready["authority"]);
        peer
    });
    bob.type_line("/msg alice in the office");
    alice.hear("in the office");
    alice.quit();
    bob.quit();
    for name in ["alice", "bob"] {
        let other = if name == "alice" { "@bob" } else { "@alice" };
        let log = log(data.path(), name, other, &[]);
        assert!(
            log.contains("at home") && log.contains("in the office"),
            "{name}: {log}"
        );
    }
}

#[test]
fn what_an_earlier_version_kept_is_set_aside_and_said() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.type_line("kept");
    alice.quit();
    fs::remove_file(site.folder("alice").join("authority")).unwrap();
    let _ = fs::remove_file(site.folder("alice").join("authority-last"));
    let refused = peerchat(site.data.path(), &["log", "#lobby", "--user", "alice"]);
    assert_eq!(refused.status.code(), Some(1));
    let mut alice = site.peer("alice");
    let told = alice.error("other_authority");
    assert!(told.contains("before-authorities"), "{told}");
    alice.quit();
    assert!(site.folder("alice").join("before-authorities/rooms/lobby/log").exists());
}
