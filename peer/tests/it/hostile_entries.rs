//! What a peer that is logged in, in the room and linked can send that breaks a rule.

use bytes::Bytes;
use peerchat_proto::v1::{Ack, ByeReason, Conversation, Entry, Frame, Heights, Seen};

use crate::{
    harness::{Peer, Site, wait_for},
    wire::{Fake, Pen, author, body_of, device_of, direct, encoded, entries, room, seen},
};

/// An attack: what is sent after one good entry of `pen`, which has written nothing but that.
struct Attack {
    what: &'static str,
    /// What the victim says of it.
    why: &'static str,
    frames: fn(&Fake, &Peer, &mut Pen) -> Vec<Frame>,
}

/// A second entry that is as `change` makes it.
fn altered(pen: &mut Pen, change: impl FnOnce(&mut Entry)) -> Vec<Frame> {
    let mut entry = pen.write("bad");
    change(&mut entry);
    vec![entries(&[entry])]
}

/// A first entry of another author that is as `change` makes it.
fn first(fake: &Fake, change: impl FnOnce(&mut Entry)) -> Vec<Frame> {
    altered(
        &mut Pen::new(&fake.user, author(&fake.device, 8), room("lobby")),
        change,
    )
}

fn in_room(conversation: Conversation, heights: Vec<Seen>) -> Heights {
    Heights {
        conversation: Some(conversation),
        heights,
        ..Heights::default()
    }
}

fn heights(heights: Vec<Heights>) -> Vec<Frame> {
    vec![Frame {
        heights,
        ..Frame::default()
    }]
}

/// An author whom nobody knows.
fn nobody(n: u32) -> peerchat_proto::v1::Author {
    let mut device = vec![0xee; 28];
    device.extend(n.to_be_bytes());
    author(&device.into(), 1)
}

const LONG: usize = 64 * 1024;

const ENTRIES: [Attack; 22] = [
    Attack {
        what: "another previous entry",
        why: "does not follow from entry 1",
        frames: |_, _, pen| altered(pen, |entry| entry.previous = vec![9; 32].into()),
    },
    Attack {
        what: "no previous entry",
        why: "the entry has no previous",
        frames: |_, _, pen| altered(pen, |entry| entry.previous.clear()),
    },
    Attack {
        what: "half a previous entry",
        why: "32 bytes",
        frames: |_, _, pen| altered(pen, |entry| entry.previous.truncate(16)),
    },
    Attack {
        what: "a clock that runs ahead",
        why: "has Lamport time 1152921504606846976; its causes make it 2",
        frames: |_, _, pen| altered(pen, |entry| entry.lamport = 1 << 60),
    },
    Attack {
        what: "a clock that can go no further",
        why: "the entry's lamport is 18446744073709551615",
        frames: |_, _, pen| altered(pen, |entry| entry.lamport = u64::MAX),
    },
    Attack {
        what: "a clock that stands still",
        why: "the entry's lamport is 1",
        frames: |_, _, pen| altered(pen, |entry| entry.lamport = 1),
    },
    Attack {
        what: "two entries of one seq",
        why: "wrote two different entries with seq 1",
        frames: |fake, _, _| {
            let mut twin = fake.pen(room("lobby"));
            vec![entries(&[twin.write("bad")])]
        },
    },
    Attack {
        what: "seq 0",
        why: "the entry's seq is 0",
        frames: |_, _, pen| altered(pen, |entry| entry.seq = 0),
    },
    Attack {
        what: "an entry of another device",
        why: "it sent an entry of device",
        frames: |_, other, _| {
            let mut pen = Pen::new("bob", author(&device_of(other), 7), room("lobby"));
            vec![entries(&[pen.write("bad")])]
        },
    },
    Attack {
        what: "another user's name",
        why: "writes as bob, but it is",
        frames: |fake, _, _| first(fake, |entry| entry.user = "bob".into()),
    },
    Attack {
        what: "no user",
        why: "the entry's user",
        frames: |fake, _, _| first(fake, |entry| entry.user.clear()),
    },
    Attack {
        what: "a user in the second entry",
        why: "set at seq 1 only",
        frames: |fake, _, pen| altered(pen, |entry| entry.user = fake.user.clone()),
    },
    Attack {
        what: "a device of 31 bytes",
        why: "the entry's author is 31 bytes",
        frames: |fake, _, _| first(fake, |entry| entry.author = Some(author(&vec![1; 31].into(), 1))),
    },
    Attack {
        what: "a text over the limit",
        why: "at most 65536 bytes",
        frames: |_, _, pen| altered(pen, |entry| entry.body = Some(body_of(&"bad".repeat(LONG / 3 + 1)))),
    },
    Attack {
        what: "no body",
        why: "the entry has no body",
        frames: |_, _, pen| altered(pen, |entry| entry.body = None),
    },
    Attack {
        what: "causes out of order",
        why: "sorted by author, each once",
        frames: |_, _, pen| altered(pen, |entry| entry.seen = vec![seen(nobody(2), 1), seen(nobody(1), 1)]),
    },
    Attack {
        what: "itself as a cause",
        why: "entries of others",
        frames: |fake, _, pen| altered(pen, |entry| entry.seen = vec![seen(fake.author(), 1)]),
    },
    Attack {
        what: "too many causes",
        why: "at most 1024 authors",
        frames: |_, _, pen| {
            altered(pen, |entry| {
                entry.seen = (0..1_025).map(|n| seen(nobody(n), 1)).collect()
            })
        },
    },
    Attack {
        what: "no conversation",
        why: "the entry has no conversation",
        frames: |_, _, pen| altered(pen, |entry| entry.conversation = None),
    },
    Attack {
        what: "a room by another spelling",
        why: "the entry's conversation is \"Lobby\"",
        frames: |_, _, pen| altered(pen, |entry| entry.conversation = Some(room("Lobby"))),
    },
    Attack {
        what: "a folder for a room",
        why: "means a folder",
        frames: |_, _, pen| altered(pen, |entry| entry.conversation = Some(room(".."))),
    },
    Attack {
        what: "two users the wrong way round",
        why: "two users in order",
        frames: |_, _, pen| altered(pen, |entry| entry.conversation = Some(direct("mallory", "alice"))),
    },
];

const FRAMES: [Attack; 12] = [
    Attack {
        what: "bytes that are no entry",
        why: "are no entry",
        frames: |_, _, _| {
            vec![Frame {
                entries: vec![vec![0xff; 99].into()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "no bytes",
        why: "the entry has no",
        frames: |_, _, _| {
            vec![Frame {
                entries: vec![Bytes::new()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "257 entries",
        why: "the entry's batch is 257; it must be at most 256 entries",
        frames: |_, _, pen| vec![entries(&(0..257).map(|_| pen.write("bad")).collect::<Vec<_>>())],
    },
    Attack {
        what: "more than 256 KiB",
        why: "at most 262144 bytes",
        frames: |_, _, pen| {
            vec![entries(
                &(0..5).map(|_| pen.write(&"bad".repeat(20_000))).collect::<Vec<_>>(),
            )]
        },
    },
    Attack {
        what: "an entry longer than any can be",
        why: "the limit is 163840",
        frames: |_, _, pen| {
            // A field that is unknown is kept, so that this is an entry like others but for its length.
            let entry = [
                &encoded(&pen.write("bad"))[..],
                &[0x9a, 0x06, 0x80, 0x80, 0x10],
                &vec![0; 256 * 1024],
            ]
            .concat();
            vec![Frame {
                entries: vec![entry.into()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "more than 4 MiB",
        why: "message",
        frames: |_, _, _| {
            vec![Frame {
                entries: vec![vec![1; 5 << 20].into()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "an ack for another device",
        why: "it acked entries of another device",
        frames: |fake, _, _| {
            let ack = Ack {
                conversation: Some(room("lobby")),
                author: Some(fake.author()),
                stored: 1,
                durable: 1,
            };
            vec![Frame {
                acks: vec![ack],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "an ack for nobody",
        why: "has no",
        frames: |_, _, _| {
            vec![Frame {
                acks: vec![Ack::default()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "an author's height twice",
        why: "each author once",
        frames: |_, _, _| {
            heights(vec![in_room(
                room("lobby"),
                vec![seen(nobody(1), 1), seen(nobody(1), 2)],
            )])
        },
    },
    Attack {
        what: "heights of too many authors",
        why: "of at most 65536 authors",
        frames: |_, _, _| {
            heights(vec![in_room(
                room("lobby"),
                (0..65_537).map(|n| seen(nobody(n), 1)).collect(),
            )])
        },
    },
    Attack {
        what: "heights of too many conversations",
        why: "at most 4096",
        frames: |_, _, _| heights((0..4_097).map(|n| in_room(room(&format!("r{n}")), vec![])).collect()),
    },
    Attack {
        what: "heights of no conversation",
        why: "has no conversation",
        frames: |_, _, _| heights(vec![Heights::default()]),
    },
];

/// Everybody attacks alice in turn; bob talks with her all the time.
fn attack_all(attacks: &[Attack]) {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    for (n, attack) in attacks.iter().enumerate() {
        let what = attack.what;
        let mut fake = Fake::log_in(&site, &format!("mallory-{n}"));
        fake.join("lobby");
        let mut link = fake.link(alice);
        let mut pen = fake.pen(room("lobby"));
        link.send(entries(&[pen.write(what)]));
        link.wait_stored(&fake.author(), 1);
        for frame in (attack.frames)(&fake, bob, &mut pen) {
            link.send(frame);
        }
        let (reason, why) = link.wait_bye();
        drop(link);
        assert_eq!(reason, ByeReason::Misbehaved, "{what}: {why}");
        assert!(why.contains(attack.why), "{what}: {why}");
        let told = alice.error("peer_misbehaved");
        assert!(
            told.starts_with(&fake.user) && told.contains(attack.why),
            "{what}: {told}"
        );
        bob.say(&format!("after {what}"));
        alice.hear(&format!("after {what}"));
        // What was good before is good, and reaches all.
        alice.wait_version(2 * (n as u64 + 1));
        bob.wait_version(2 * (n as u64 + 1));
    }
    for peer in peers {
        peer.quit();
    }
    let log = site.log("alice", "#lobby");
    assert_eq!(log.lines().count(), 2 * attacks.len());
    assert!(!log.contains(":\"bad"), "{log}");
    assert_eq!(site.log("bob", "#lobby"), log);
    site.assert_sound("alice");
    site.assert_sound("bob");
}

#[test]
fn an_entry_that_breaks_a_rule_is_refused_told_and_not_kept() {
    attack_all(&ENTRIES);
}

#[test]
fn a_frame_that_breaks_a_rule_is_refused_told_and_not_kept() {
    attack_all(&FRAMES);
}

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
        let bad = Pen::new("bob", fake.author(), conversation).write("bad");
        link.send(entries(&[bad]));
        // A direct conversation of others is none of his business, so it is passed over.
        if n != 1 {
            let (_, why) = link.wait_bye();
            assert!(why.contains("writes as bob"), "{why}");
        }
        let mut pen = Pen::new(&fake.user, author(&fake.device, 9), room("lobby"));
        let mut again = fake.link(&peers[0]);
        again.send(entries(&[pen.write("under my own name")]));
        assert_eq!(peers[0].hear("under my own name")["author"], fake.user);
        again.wait_stored(&pen.author, 1);
    }
    peers[0].say("the end");
    peers[1].hear("the end");
    peers.remove(0).quit();
    assert!(!site.log("alice", "#lobby").contains(":\"bad"));
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
    let mut lost = Pen::new("mallory", author(&fake.device, 8), room("lobby")).write("bad");
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
    assert!(!site.log("alice", "#lobby").contains(":\"bad"));
    site.assert_sound("alice");
}

/// The own author of a peer in the current conversation, by what it says that it holds.
fn own_author(peer: &mut Peer) -> peerchat_proto::v1::Author {
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
