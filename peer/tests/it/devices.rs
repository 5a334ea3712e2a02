//! One user at several devices.

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Peer, Site, log_in, wait_for};

/// Alice at two devices, of which the second has its data elsewhere, and bob.
struct Devices {
    site: Site,
    elsewhere: TempDir,
}

impl Devices {
    fn new() -> Self {
        Self {
            site: Site::new(),
            elsewhere: TempDir::new().unwrap(),
        }
    }

    fn second(&self) -> Peer {
        self.site.second_device("alice", self.elsewhere.path())
    }

    /// Both of alice's devices hold the same of a conversation. Returns the texts.
    fn assert_same(&self, conversation: &str) -> Vec<String> {
        let log = self.site.log("alice", conversation);
        assert_eq!(log, log_in(self.elsewhere.path(), "alice", conversation));
        self.site.assert_sound("alice");
        self.site.texts("alice", conversation)
    }
}

fn is(event: &Value, kind: &str, conversation: &str) -> bool {
    event["event"] == *kind && event["conversation"] == *conversation
}

/// Waits until a device has followed another one into a room, or out of it.
fn follows(peer: &mut Peer, kind: &str, room: &str) {
    peer.wait(&format!("{kind} {room}"), |event| {
        is(event, kind, room) && event["by_other_device"] == true
    });
}

/// Waits until an entry is here, whatever earlier waits have seen. Returns it.
fn has(peer: &Peer, conversation: &str, text: &str) -> Value {
    peer.wait_all(text, |events| {
        let is_it = |event: &&Value| is(event, "message", conversation) && event["text"] == *text;
        events.iter().find(is_it).cloned()
    })
}

/// Waits until bob sees alice once, with two devices.
fn sees_both(bob: &mut Peer) {
    wait_for("alice with two devices", || {
        bob.type_line("/who");
        let who = bob.wait("who", |event| event["event"] == "who");
        let members = who["members"].as_array().unwrap().iter();
        let members: Vec<_> = members
            .map(|member| (member["user"].as_str(), member["devices"].as_u64()))
            .collect();
        (members == [(Some("alice"), Some(2)), (Some("bob"), Some(1))]).then_some(())
    });
}

#[test]
fn what_is_written_at_one_device_is_at_the_other_and_is_ones_own() {
    let devices = Devices::new();
    let mut peers = devices.site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    let mut second = devices.second();
    follows(&mut second, "joined", "#lobby");
    second.wait("synced", |event| is(event, "synced", "#lobby"));

    let to_all = alice.say("to all");
    assert_eq!(has(&second, "#lobby", "to all")["author"], "alice");
    has(bob, "#lobby", "to all");
    alice.type_line("/msg bob to bob");
    assert_eq!(has(bob, "@alice", "to bob")["author"], "alice");
    assert_eq!(has(&second, "@bob", "to bob")["author"], "alice");
    alice.type_line("/msg alice milk");
    assert_eq!(has(&second, "@alice", "milk")["author"], "alice");
    // Nobody is there called carol any more, and the other device has what she will get.
    devices.site.peer("carol").quit();
    second.type_line("/msg carol to carol");
    assert_eq!(has(alice, "@carol", "to carol")["author"], "alice");
    second.type_line("/msg bob from elsewhere");
    let sent = second.wait("sent", |event| {
        event["event"] == "sent" && event["text"] == "from elsewhere"
    });
    second.wait_stored(sent["id"].as_str().unwrap(), "bob");
    assert_eq!(has(alice, "@bob", "from elsewhere")["author"], "alice");
    // What bob answers is at both.
    bob.type_line("/msg alice to both");
    for device in [&*alice, &second] {
        assert_eq!(has(device, "@bob", "to both")["author"], "bob");
    }

    // Users are counted and not devices, and what the own ones have is told to nobody.
    alice.wait_stored(&to_all, "bob");
    for device in [&*alice, &second] {
        let events = device.events();
        let delivered: Vec<_> = events.iter().filter(|event| event["event"] == "delivered").collect();
        assert!(
            delivered.iter().all(|event| event["to"] == "bob" && event["of"] == 1),
            "{delivered:?}"
        );
    }
    bob.type_line("/switch #lobby");
    sees_both(bob);

    second.quit();
    for peer in peers {
        peer.quit();
    }
    assert_eq!(devices.assert_same("#lobby"), ["to all"]);
    assert_eq!(devices.assert_same("@bob"), ["to bob", "from elsewhere", "to both"]);
    assert_eq!(devices.assert_same("@alice"), ["milk"]);
    assert_eq!(devices.assert_same("@carol"), ["to carol"]);
    assert_eq!(
        devices.site.texts("bob", "@alice"),
        ["to bob", "from elsewhere", "to both"]
    );
}

#[test]
fn a_device_that_was_off_takes_up_what_was_changed_meanwhile() {
    let devices = Devices::new();
    let mut peers = devices.site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    let mut second = devices.second();
    follows(&mut second, "joined", "#lobby");
    second.quit();

    alice.say("before leaving");
    alice.type_line("/leave");
    alice.wait("left", |event| {
        is(event, "left", "#lobby") && event["by_other_device"] == false
    });
    alice.join("tea");
    alice.say("in tea");
    alice.type_line("/msg alice milk");
    bob.type_line("/msg alice while you were away");
    has(alice, "@bob", "while you were away");

    let mut second = devices.second();
    follows(&mut second, "left", "#lobby");
    second.wait_all("tea", |events| {
        let joined = |event: &&Value| is(event, "joined", "#tea") && event["by_other_device"] == true;
        events.iter().find(joined).map(drop)
    });
    has(&second, "#tea", "in tea");
    has(&second, "@alice", "milk");
    has(&second, "@bob", "while you were away");
    second.type_line("/list");
    let list = second.wait("list", |event| event["event"] == "list");
    let own: Vec<_> = list["own"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| own["conversation"].clone())
        .collect();
    assert_eq!(own, ["#tea", "@alice", "@bob"]);
    // The first one is away now; the second goes on, and it takes that up.
    peers.remove(0).quit();
    second.type_line("/switch #tea");
    second.say("alone in tea");
    second.type_line("/leave");
    second.join("lobby");
    let mut alice = devices.site.peer("alice");
    follows(&mut alice, "left", "#tea");
    follows(&mut alice, "joined", "#lobby");
    alice.wait("synced", |event| is(event, "synced", "#lobby"));
    alice.quit();
    second.quit();
    peers.remove(0).quit();
    assert_eq!(devices.assert_same("#lobby"), ["before leaving"]);
    assert_eq!(devices.assert_same("@alice"), ["milk"]);
    assert_eq!(devices.assert_same("@bob"), ["while you were away"]);
}

#[test]
fn a_user_is_there_while_any_of_his_devices_is_and_leaves_with_all_of_them() {
    let devices = Devices::new();
    let mut peers = devices.site.room("lobby", &["alice", "bob"]);
    let mut second = devices.second();
    follows(&mut second, "joined", "#lobby");
    sees_both(&mut peers[1]);
    // One goes and comes, and the user was there all the time.
    peers.remove(0).quit();
    let bob = &mut peers[0];
    let sent = bob.say("to one");
    bob.wait_stored(&sent, "alice");
    let mut alice = devices.site.peer("alice");
    has(&alice, "#lobby", "to one");
    second.type_line("/leave lobby");
    follows(&mut alice, "left", "#lobby");
    let about =
        |event: &Value| event["event"] == "presence" && event["user"] == "alice" && event["conversation"] == "#lobby";
    let told = bob.wait_all("alice's leaving", |events| {
        let told: Vec<_> = events.iter().filter(|event| about(event)).cloned().collect();
        let left = told.iter().any(|event| event["left"] == true);
        left.then_some(told)
    });
    let away: Vec<_> = told.iter().filter(|event| event["online"] == false).collect();
    assert_eq!(away.len(), 1, "{told:?}");
    // Both are gone from it, and nothing that is said there reaches them.
    bob.say("to nobody");
    bob.type_line("/who");
    let who = bob.wait("who", |event| event["event"] == "who");
    assert_eq!(who["members"].as_array().unwrap().len(), 1);
    alice.quit();
    second.quit();
    peers.remove(0).quit();
    assert_eq!(devices.assert_same("#lobby"), ["to one"]);
}

#[test]
fn devices_that_are_linked_go_on_without_a_registry() {
    let mut devices = Devices::new();
    let mut alice = devices.site.peer("alice");
    let mut second = devices.second();
    alice.join("lobby");
    follows(&mut second, "joined", "#lobby");
    devices.site.registry.kill();
    for device in [&mut alice, &mut second] {
        device.wait_registry("lost");
    }
    alice.join("tea");
    follows(&mut second, "joined", "#tea");
    alice.say("without a registry");
    has(&second, "#tea", "without a registry");
    second.type_line("/msg alice milk");
    has(&alice, "@alice", "milk");
    second.type_line("/leave tea");
    follows(&mut alice, "left", "#tea");
    alice.quit();
    second.quit();
    assert_eq!(devices.assert_same("#tea"), ["without a registry"]);
    assert_eq!(devices.assert_same("@alice"), ["milk"]);
}

#[test]
fn a_private_room_is_followed_with_its_invitation() {
    let devices = Devices::new();
    let mut alice = devices.site.peer("alice");
    let mut second = devices.second();
    alice.type_line("/join plans --private");
    let joined = alice.wait("joined", |event| event["event"] == "joined");
    let title = joined["conversation"].as_str().unwrap().to_owned();
    follows(&mut second, "joined", &title);
    let invitation = |peer: &mut Peer| {
        peer.type_line(&format!("/switch {title}"));
        peer.type_line("/invite");
        peer.wait("the invitation", |event| event["event"] == "invitation")["invitation"].clone()
    };
    let secret = invitation(&mut alice);
    assert_eq!(invitation(&mut second), secret);
    alice.say("from the first");
    has(&second, &title, "from the first");
    second.say("from the second");
    has(&alice, &title, "from the second");

    // Bob is let in by what either has, and it is kept for the next start.
    second.quit();
    let mut second = devices.second();
    assert_eq!(invitation(&mut second), secret);
    let mut bob = devices.site.peer("bob");
    bob.type_line(&format!("/join {}", secret.as_str().unwrap()));
    bob.wait("synced", |event| is(event, "synced", &title) && event["version"] == 2);
    second.say("after a restart");
    has(&bob, &title, "after a restart");
    has(&alice, &title, "after a restart");
    for peer in [alice, second, bob] {
        peer.quit();
    }
    assert_eq!(devices.assert_same(&title).len(), 3);
    assert_eq!(devices.site.texts("bob", &title).len(), 3);
}
