//! Direct messages.

use std::{fs, path::Path};

use crate::harness::{Peer, Site, assert_each_once};

/// Whether any file below a folder contains a text.
fn is_on_disk(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_on_disk(&path, text);
        }
        let bytes = fs::read(&path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn only_the_two_show_and_hold_them() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob", "carol"]);
    let [alice, bob, carol] = &mut peers[..] else {
        unreachable!()
    };
    alice.type_line("/msg bob between us");
    assert_eq!(bob.hear("between us")["conversation"], "@alice");
    bob.type_line("/msg alice between us too");
    assert_eq!(alice.hear("between us too")["conversation"], "@bob");

    // What carol gets after these is a sign that she would have got them.
    for peer in [&mut *alice, &mut *bob] {
        peer.type_line("/switch #lobby");
        let text = format!("{} to all", peer.name);
        peer.say(&text);
    }
    for text in ["alice to all", "bob to all"] {
        carol.wait_all(text, |events| {
            events.iter().find(|event| event["text"] == *text).map(|_| ())
        });
    }
    assert!(
        carol
            .events()
            .iter()
            .all(|event| !event.to_string().contains("between us"))
    );
    assert!(
        carol
            .events()
            .iter()
            .all(|event| event["conversation"] == "#lobby" || event["conversation"].is_null())
    );

    for peer in peers {
        peer.quit();
    }
    assert!(is_on_disk(&site.folder("bob"), "between us"));
    assert!(!is_on_disk(&site.folder("carol"), "between us"));
    assert!(!site.folder("carol").join("direct").exists());
    for (name, other) in [("alice", "@bob"), ("bob", "@alice")] {
        assert_eq!(site.texts(name, other), ["between us", "between us too"]);
        site.assert_sound(name);
    }
}

#[test]
fn an_unknown_user_is_an_error_and_nothing_is_sent() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.type_line("/msg nobody are you there?");
    let error = alice.wait("an error", |event| event["event"] == "error");
    assert_eq!(error["code"], "no_such_user");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("nobody") && message.contains("not sent"), "{message}");
    alice.type_line("/switch #lobby");
    alice.say("still here");
    assert_eq!(alice.shown("#lobby"), ["still here"]);
    assert_eq!(alice.shown("@nobody"), [""; 0]);
    alice.quit();
    assert!(!is_on_disk(&site.folder("alice").join("rooms"), "are you there?"));
    assert!(!site.folder("alice").join("direct").exists());
}

/// Alice and bob have logged in, and bob is gone.
fn bob_is_away(site: &Site) -> Peer {
    let alice = site.peer("alice");
    site.peer("bob").quit();
    alice
}

/// Bob comes back, and gets without anybody typing anything what alice wrote.
fn bob_gets(site: &Site, alice: Peer, texts: &[&str]) {
    let mut bob = site.peer("bob");
    for text in texts {
        let message = bob.wait_all(text, |events| {
            events.iter().find(|event| event["text"] == **text).cloned()
        });
        assert_eq!(message["conversation"], "@alice");
        assert_eq!(message["author"], "alice");
        alice.wait_stored(message["id"].as_str().unwrap(), "bob");
    }
    bob.type_line("/msg alice got it");
    alice.wait_all("the answer", |events| {
        events.iter().find(|event| event["text"] == "got it").map(|_| ())
    });
    bob.quit();
    alice.quit();
    for (name, other) in [("alice", "@bob"), ("bob", "@alice")] {
        assert_each_once(&site.texts(name, other), texts.iter().chain(&["got it"]));
        site.assert_sound(name);
    }
}

fn write(alice: &mut Peer, text: &str) {
    alice.type_line(&format!("/msg bob {text}"));
    alice.wait(text, |event| event["event"] == "sent" && event["text"] == *text);
}

#[test]
fn who_is_offline_gets_them_when_he_is_back() {
    let site = Site::new();
    let mut alice = bob_is_away(&site);
    write(&mut alice, "one");
    write(&mut alice, "two");
    bob_gets(&site, alice, &["one", "two"]);
}

#[test]
fn who_is_offline_gets_them_though_the_sender_was_restarted() {
    let site = Site::new();
    let mut alice = bob_is_away(&site);
    write(&mut alice, "before the clean end");
    alice.quit();
    let mut alice = site.peer("alice");
    write(&mut alice, "before kill -9");
    alice.kill();
    let mut alice = site.peer("alice");
    write(&mut alice, "after kill -9");
    bob_gets(
        &site,
        alice,
        &["before the clean end", "before kill -9", "after kill -9"],
    );
}

#[test]
fn who_is_offline_gets_them_though_sender_and_registry_were_restarted() {
    let mut site = Site::new();
    let mut alice = bob_is_away(&site);
    write(&mut alice, "before the registry was killed");
    site.registry.kill();
    alice.kill();
    // Nobody at all is there to say where bob is, or that there is one.
    let mut alice = site.peer("alice");
    write(&mut alice, "without a registry");
    alice.quit();
    site.registry.restart();
    let mut alice = site.peer("alice");
    // This registry has never heard of bob.
    write(&mut alice, "with a new registry");
    bob_gets(
        &site,
        alice,
        &[
            "before the registry was killed",
            "without a registry",
            "with a new registry",
        ],
    );
}

#[test]
fn who_is_offline_gets_them_from_a_sender_who_was_away_with_him() {
    let site = Site::new();
    let mut alice = bob_is_away(&site);
    write(&mut alice, "to nobody there");
    alice.quit();
    let bob = site.peer("bob");
    let alice = site.peer("alice");
    bob.quit();
    bob_gets(&site, alice, &["to nobody there"]);
}
