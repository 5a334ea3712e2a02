//! What a linked peer can claim that is well-formed and not true.

use peerchat_proto::v1::{Ack, Author, Frame, Seen};

use crate::{
    attack::{heights, in_room, nobody},
    harness::{Peer, Site, wait_for},
    wire::{Fake, Pen, author, device_of, direct, entries, room, seen},
};

#[test]
fn nobody_writes_under_another_users_name() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    for (n, conversation) in [room("lobby"), direct("alice", "bob"), direct("alice", "mallory-2")]
        .into_iter()
        .enumerate()
    {
        let mut fake = Fake::log_in(&site, &format!("mallory-{n}"));
        fake.join("lobby");
        let mut link = fake.link(&peers[0]);
        let bad = Pen::new("bob", fake.author(), conversation, fake.origin()).write("bad");
        link.send(entries(&[bad]));
        // A direct conversation of others is none of his business, so it is passed over.
        if n != 1 {
            let (_, why) = link.wait_bye();
            assert!(why.contains("writes as bob"), "{why}");
        }
        let mut pen = Pen::new(&fake.user, author(&fake.device, 9), room("lobby"), fake.origin());
        let mut again = fake.link(&peers[0]);
        again.send(fake.sealed(&[pen.write("under my own name")]));
        assert_eq!(peers[0].hear("under my own name")["author"], fake.user);
        again.wait_stored(&pen.author, 1);
    }
    peers[0].say("the end");
    peers[1].hear("the end");
    peers.remove(0).quit();
    assert!(!site.log("alice", "#lobby").contains("\"text\":\"bad"));
    assert!(!site.folder("alice").join("direct").exists());
}

#[test]
fn what_is_not_shared_is_passed_over() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    peers[1].join("secret");
    let mut fake = Fake::log_in(&site, "mallory");
    fake.join("lobby");
    fake.join("secret");
    let mut link = fake.link(&peers[0]);
    for conversation in [
        room("secret"),
        room("nowhere"),
        direct("alice", "bob"),
        direct("bob", "carol"),
    ] {
        link.send(entries(&[fake.pen(conversation.clone()).write("bad")]));
        for frame in heights(vec![in_room(conversation, vec![seen(nobody(1), 5)])]) {
            link.send(frame);
        }
    }
    let mut pen = fake.pen(room("lobby"));
    link.send(entries(&[pen.write("good")]));
    peers[0].hear("good");
    link.wait_stored(&fake.author(), 1);
    peers.remove(0).quit();
    let mut folders: Vec<_> = site
        .folder("alice")
        .join("rooms")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    folders.sort();
    assert_eq!(folders, ["lobby"]);
    assert!(!site.folder("alice").join("direct").exists());
}

#[test]
fn what_lacks_a_cause_is_not_shown_before_it() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    let mut fake = Fake::log_in(&site, "mallory");
    fake.join("lobby");
    let mut link = fake.link(alice);
    let mut pen = fake.pen(room("lobby"));
    let [one, two, three] = ["one", "two", "three"].map(|text| pen.write(text));
    let mut lost = Pen::new("mallory", author(&fake.device, 8), room("lobby"), fake.origin()).write("bad");
    (lost.seen, lost.lamport) = (vec![seen(nobody(1), 3)], 4);
    link.send(entries(&[lost, three, one]));
    alice.hear("one");
    bob.say("meanwhile");
    alice.hear("meanwhile");
    assert_eq!(alice.version(), 2);
    link.send(entries(&[two]));
    alice.hear("two");
    alice.hear("three");
    link.wait_stored(&fake.author(), 3);
    assert_eq!(alice.version(), 4);
    assert!(!alice.events().iter().any(|event| event["text"] == "bad"));
    for peer in peers {
        peer.quit();
    }
    assert!(!site.log("alice", "#lobby").contains("\"text\":\"bad"));
    site.assert_sound("alice");
}

/// The own author of a peer in the current conversation, by what it says that it holds.
fn own_author(peer: &mut Peer) -> Author {
    let device = device_of(peer);
    peer.type_line("/version");
    let version = peer.wait("version", |event| event["event"] == "version");
    let hex: String = device.iter().map(|byte| format!("{byte:02x}")).collect();
    let own = version["heights"]
        .as_object()
        .unwrap()
        .keys()
        .find_map(|author| author.strip_prefix(&format!("{hex}-")).map(str::to_owned));
    author(&device, u64::from_str_radix(&own.unwrap(), 16).unwrap())
}

#[test]
fn an_ack_of_what_was_not_written_yet_says_nothing() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    let mut fake = Fake::log_in(&site, "mallory");
    fake.join("lobby");
    let link = fake.link(alice);
    alice.see("#lobby", "mallory");
    let one = alice.say("one");
    let own = own_author(alice);
    for incarnation in [own.incarnation, own.incarnation ^ 1] {
        let ack = Ack {
            conversation: Some(room("lobby")),
            author: Some(author(&own.device, incarnation)),
            stored: u64::MAX,
            durable: u64::MAX,
        };
        link.send(Frame {
            acks: vec![ack],
            ..Frame::default()
        });
    }
    alice.wait("the ack", |event| {
        event["event"] == "delivered" && event["to"] == "mallory" && event["id"] == *one
    });
    let two = alice.say("two");
    bob.hear("two");
    alice.wait("the ack", |event| {
        event["event"] == "delivered" && event["to"] == "bob" && event["id"] == *two
    });
    alice.version();
    let acked =
        |event: &serde_json::Value| event["event"] == "delivered" && event["to"] == "mallory" && event["id"] == *two;
    assert!(!alice.events().iter().any(acked));
}

#[test]
fn absurd_heights_keep_nobody_from_chatting_and_joining() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    alice.say("before");
    bob.hear("before");
    let own = own_author(alice);
    let mut fake = Fake::log_in(&site, "mallory");
    fake.join("lobby");
    let link = fake.link(alice);
    let mut all: Vec<Seen> = (0..9).map(|n| seen(nobody(n), u64::MAX)).collect();
    // The victim's own author: as if its disk had been put back to an older state.
    all.push(seen(own.clone(), u64::MAX));
    all.sort_by_key(|seen| seen.author.as_ref().unwrap().device.clone());
    for frame in heights(vec![in_room(room("lobby"), all)]) {
        link.send(frame);
    }
    alice.see("#lobby", "mallory");
    wait_for("the heights", || {
        alice.type_line("/who");
        let who = alice.wait("who", |event| event["event"] == "who");
        let mallory = who["members"]
            .as_array()
            .unwrap()
            .iter()
            .find(|member| member["user"] == "mallory")
            .cloned();
        (mallory?["version"] == u64::MAX).then_some(())
    });
    alice.say("after");
    bob.hear("after");
    let mut carol = site.peer("carol");
    assert_eq!(carol.join("lobby")["version"], 2);
    carol.say("joined");
    alice.hear("joined");
    bob.hear("joined");
    carol.quit();
    for peer in peers {
        peer.quit();
    }
    let log = site.log("alice", "#lobby");
    for name in ["alice", "bob", "carol"] {
        assert_eq!(site.log(name, "#lobby"), log);
        site.assert_sound(name);
    }
}
