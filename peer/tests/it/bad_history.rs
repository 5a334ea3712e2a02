//! Members that answer nothing when they are asked what they hold, or something that they should not.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use peerchat_identity::DeviceKey;
use peerchat_proto::v1::{Entry, HistoryRequest, HistoryResponse, Seen, VersionRequest};
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::Status;

use crate::{
    harness::{Peer, Site},
    wire::{Fake, Pen, author, encoded, room, seen},
    wire_server::{Parts, Script, Server, bare, sealed},
};

/// How many entries the honest member has.
const ENTRIES: usize = 10;

/// A site with a room in which bob has said something.
fn site() -> (Site, Peer) {
    let site = Site::new();
    let mut bob = site.peer("bob");
    bob.join("lobby");
    for n in 0..ENTRIES {
        bob.say(&format!("text {n}"));
    }
    (site, bob)
}

/// What bob serves and says that he holds, as one learns who joins and leaves.
fn of_bob(fake: &mut Fake, bob: &Peer) -> (HistoryResponse, Vec<Seen>) {
    fake.join("lobby");
    let mut client = fake.client(bob);
    let version = VersionRequest {
        conversation: Some(room("lobby")),
    };
    let request = HistoryRequest {
        conversation: Some(room("lobby")),
        heights: Vec::new(),
    };
    let held = fake.block_on(async {
        let heights = client.version(version).await.unwrap().into_inner().heights;
        let mut parts = client.history(request).await.unwrap().into_inner();
        let mut history = HistoryResponse::default();
        while let Some(part) = parts.message().await.unwrap() {
            history.entries.extend(part.entries);
            history.seals.extend(part.seals);
            history.introductions.extend(part.introductions);
        }
        (history, heights)
    });
    fake.leave("lobby");
    held
}

/// Alice joins, gets all from bob, and talks with him; nothing that is bad is kept.
fn joins_all_the_same(site: &Site, bob: &mut Peer, what: &str) -> Peer {
    let version = bob.version();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.wait_version(version);
    alice.say("here I am");
    bob.hear("here I am");
    bob.say("welcome");
    alice.hear("welcome");
    let log = site.log("bob", "#lobby");
    assert_eq!(site.log("alice", "#lobby"), log, "{what}");
    assert!(!log.contains("\"text\":\"bad"), "{what}");
    site.assert_sound("alice");
    alice
}

fn silence() -> Parts {
    Box::pin(tokio_stream::pending())
}

#[test]
fn members_that_answer_nothing_delay_joining_by_the_deadline_and_no_more() {
    let (site, mut bob) = site();
    // One whose system takes connections and whose process does nothing with them, and one that takes calls and answers none.
    let stopped = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = Server::start(Script {
        takes_links: true,
        heights: None,
        history: Arc::new(silence),
    });
    let addresses = [("stopped", stopped.local_addr().unwrap()), ("silent", silent.address)];
    let mut fakes = addresses.map(|(name, address)| Fake::log_in_at(&site, name, address));
    silent.serve_as(&fakes[1]);
    for fake in &mut fakes {
        fake.join("lobby");
        bob.see("#lobby", &fake.user);
    }
    bob.say("undisturbed");
    joins_all_the_same(&site, &mut bob, "silence").quit();
    bob.quit();
}

#[test]
fn a_member_that_stops_in_its_history_delays_joining_by_the_deadline_and_no_more() {
    let (site, mut bob) = site();
    let mut asker = Fake::log_in(&site, "asker");
    let (history, mut heights) = of_bob(&mut asker, &bob);
    heights.push(seen(author(&[0xff; 32].as_slice().into(), 1), 1_000));
    let start = bare(history.entries[..3].to_vec());
    let server = Server::start(Script {
        takes_links: false,
        heights: Some(heights),
        history: Arc::new(move || Box::pin(tokio_stream::once(Ok(start.clone())).chain(silence()))),
    });
    let mut fake = Fake::log_in_at(&site, "mallory", server.address);
    server.serve_as(&fake);
    fake.join("lobby");
    joins_all_the_same(&site, &mut bob, "it stops").quit();
    bob.quit();
}

#[test]
fn a_history_over_a_slow_link_is_asked_for_once() {
    let site = Site::new();
    let key = DeviceKey::generate().unwrap();
    let device = Bytes::copy_from_slice(&key.public());
    let mut pen = Pen::new("bob", author(&device, 1), room("lobby"), site.registry.origin());
    let long = "slow ".repeat(8_000);
    let all: Vec<_> = (0..3).map(|_| sealed(&key, &pen.write(&long))).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start(Script {
        takes_links: false,
        heights: Some(vec![seen(pen.author.clone(), 3)]),
        history: Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let parts = tokio_stream::iter(all.clone()).then(|part| async {
                // Longer than a call that is answered once may take.
                tokio::time::sleep(Duration::from_secs(6)).await;
                Ok(part)
            });
            Box::pin(parts)
        }),
    });
    let mut fake = Fake::log_in_with(&site, "bob", server.address, key);
    server.serve_as(&fake);
    fake.join("lobby");
    let mut alice = site.peer("alice");
    assert_eq!(alice.join("lobby")["version"], 3);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    alice.quit();
}

/// What is made of the honest member's entries.
type Make = fn(Vec<Bytes>) -> Parts;

fn parts(parts: impl IntoIterator<Item = Result<Vec<Bytes>, Status>, IntoIter: Send + 'static>) -> Parts {
    Box::pin(tokio_stream::iter(parts.into_iter().map(|part| part.map(bare))))
}

fn altered(entry: &Bytes, change: impl FnOnce(&mut Entry)) -> Bytes {
    let mut altered = Entry::decode(entry.clone()).unwrap();
    change(&mut altered);
    encoded(&altered)
}

/// An entry in another conversation that an honest author could have written.
fn elsewhere() -> Bytes {
    let author = author(&[0x11; 32].as_slice().into(), 1);
    encoded(&Pen::new("bob", author, room("elsewhere"), [0; 32]).write("bad"))
}

const HISTORIES: [(&str, Make); 14] = [
    ("nothing at all", |_| parts([])),
    ("an error at once", |_| parts([Err(Status::internal("no"))])),
    ("an end half-way", |entries| parts([Ok(entries[..5].to_vec())])),
    ("an error half-way", |entries| {
        parts([Ok(entries[..5].to_vec()), Err(Status::unavailable("gone"))])
    }),
    ("another previous entry", |mut entries| {
        entries[4] = altered(&entries[4], |entry| entry.previous = vec![7; 32].into());
        parts([Ok(entries)])
    }),
    ("another clock", |mut entries| {
        entries[4] = altered(&entries[4], |entry| entry.lamport += 1_000);
        parts([Ok(entries)])
    }),
    ("bytes that are no entry", |mut entries| {
        entries[4] = vec![0xff; 50].into();
        parts([Ok(entries)])
    }),
    ("an entry cut off", |mut entries| {
        let half = entries[4].len() / 2;
        entries[4].truncate(half);
        parts([Ok(entries)])
    }),
    ("an entry of another conversation", |mut entries| {
        entries.insert(4, elsewhere());
        parts([Ok(entries)])
    }),
    ("a gap", |mut entries| {
        entries.remove(4);
        parts([Ok(entries)])
    }),
    ("the last one first", |mut entries| {
        entries.reverse();
        parts([Ok(entries)])
    }),
    ("more than a batch", |entries| {
        parts([Ok(vec![entries[0].clone(); 257])])
    }),
    ("the same for ever", |entries| {
        parts(std::iter::repeat_with(move || Ok(entries.clone())))
    }),
    ("nothing for ever", |_| parts(std::iter::repeat_with(|| Ok(Vec::new())))),
];

#[test]
fn a_bad_history_is_left_and_the_rest_comes_from_others() {
    for (what, make) in HISTORIES {
        let (site, mut bob) = site();
        let mut asker = Fake::log_in(&site, "asker");
        let (history, mut heights) = of_bob(&mut asker, &bob);
        let HistoryResponse { entries, seals, .. } = history;
        assert_eq!((entries.len(), seals.is_empty()), (ENTRIES, false));
        // More than anybody else, so that it is asked first.
        heights.push(seen(author(&[0xff; 32].as_slice().into(), 1), 1_000));
        let server = Server::start(Script {
            takes_links: false,
            heights: Some(heights),
            history: Arc::new(move || make(entries.clone())),
        });
        let mut fake = Fake::log_in_at(&site, "mallory", server.address);
        server.serve_as(&fake);
        fake.join("lobby");
        bob.see("#lobby", "mallory");
        let alice = joins_all_the_same(&site, &mut bob, what);
        // Who broke a rule is told, and nobody else; whose history ended without one broke none.
        let broke = !["nothing at all", "an error at once", "an error half-way"].contains(&what);
        let told: Vec<_> = alice
            .events()
            .into_iter()
            .filter(|event| event["event"] == "error")
            .collect();
        assert_eq!(told.len(), usize::from(broke), "{what}: {told:?}");
        for told in told {
            assert_eq!(told["code"], "bad_history", "{what}");
            assert!(
                told["message"].as_str().unwrap().starts_with("mallory served"),
                "{what}"
            );
        }
        alice.quit();
        bob.quit();
    }
}

#[test]
fn a_history_with_any_byte_altered_is_refused_and_who_served_it_is_told() {
    const ROUNDS: usize = 6;
    let (site, mut bob) = site();
    let mut asker = Fake::log_in(&site, "asker");
    for round in 0..ROUNDS {
        let (mut altered, mut heights) = of_bob(&mut asker, &bob);
        heights.push(seen(author(&[0xff; 32].as_slice().into(), 1), 1_000));
        let seal = altered.seals.len() - 1;
        let seal = &mut altered.seals[seal];
        // At the start, in the middle and at the end of what is proved, and of what proves it.
        let (bytes, at) = match round {
            0 => (&mut altered.entries[0], 3),
            1 => (&mut altered.entries[5], 80),
            2 => (&mut altered.entries[ENTRIES - 1], usize::MAX),
            3 => (&mut seal.signature, 0),
            4 => (&mut seal.id, 31),
            _ => (&mut altered.introductions[0], 50),
        };
        let mut changed = bytes.to_vec();
        let at = at.min(changed.len() - 1);
        changed[at] ^= 1;
        *bytes = changed.into();
        let server = Server::start(Script {
            takes_links: false,
            heights: Some(heights),
            history: Arc::new(move || Box::pin(tokio_stream::once(Ok(altered.clone())))),
        });
        let user = format!("mallory-{round}");
        let mut fake = Fake::log_in_at(&site, &user, server.address);
        server.serve_as(&fake);
        fake.join("lobby");
        bob.see("#lobby", &user);
        let mut alice = site.peer(&format!("alice-{round}"));
        alice.join("lobby");
        alice.wait_version(bob.version());
        let told: Vec<_> = alice
            .events()
            .into_iter()
            .filter(|event| event["code"] == "bad_history")
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect();
        let [told] = &told[..] else { panic!("{round}: {told:?}") };
        assert!(told.starts_with(&format!("{user} served")), "{told}");
        alice.quit();
        assert_eq!(site.log(&format!("alice-{round}"), "#lobby"), site.log("bob", "#lobby"));
        site.assert_sound(&format!("alice-{round}"));
    }
    bob.quit();
}
