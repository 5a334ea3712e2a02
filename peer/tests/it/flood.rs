//! Members that would fill the others' disks and rooms, or keep them waiting for ever.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use peerchat_identity::DeviceKey;
use peerchat_proto::v1::Entry;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    harness::Site,
    wire::{Fake, Pen, author, room, seen},
    wire_server::{Parts, Script, Server, sealed},
};

#[test]
fn a_device_that_makes_authors_without_end_leaves_room_for_the_others() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    let mut fake = Fake::log_in(&site, "mallory");
    fake.join("lobby");
    let link = fake.link(alice);
    let first = |incarnation| {
        Pen::new(
            &fake.user,
            author(&fake.device, incarnation),
            room("lobby"),
            fake.origin(),
        )
        .write("spam")
    };
    let minted: Vec<Entry> = (1..=2_000).map(first).collect();
    for part in minted.chunks(250) {
        link.send(fake.sealed(part));
    }
    let told = alice.error("flooding");
    assert!(told.starts_with("mallory "), "{told}");
    // It is not thrown out: what it writes is taken more slowly, that is all.
    let held = alice.version();
    assert!((100..200).contains(&held), "{held} of {} were taken", minted.len());
    bob.say("undisturbed");
    alice.hear("undisturbed");
    let mut carol = site.peer("carol");
    let joined = carol.join("lobby")["version"].as_u64().unwrap();
    assert!(joined > held, "{joined}");
    // She holds no more of the flood than they do. Had she more, they would hear her when they have come as far.
    carol.say("here I am");
    for peer in [&mut *alice, &mut *bob] {
        peer.hear("here I am");
    }
    let flooded = |event: &&serde_json::Value| event["code"] == "flooding";
    assert_eq!(alice.events().iter().filter(flooded).count(), 1);
    carol.quit();
    for peer in peers {
        peer.quit();
    }
    for name in ["alice", "bob", "carol"] {
        site.assert_sound(name);
    }
}

/// An entry now and then, without end, and never so late that the wire would call it silence.
fn trickle(mut pen: Pen, key: Arc<DeviceKey>) -> Parts {
    let (sender, parts) = mpsc::channel(1);
    tokio::spawn(async move {
        while sender.send(Ok(sealed(&key, &pen.write("drop")))).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    Box::pin(ReceiverStream::new(parts))
}

#[test]
fn a_member_that_trickles_its_history_keeps_no_newcomer_waiting() {
    let site = Site::new();
    let mut bob = site.peer("bob");
    bob.join("lobby");
    bob.say("an old text");
    // More than anybody else, so that it is asked first.
    let key = DeviceKey::generate().unwrap();
    let device = Bytes::copy_from_slice(&key.public());
    let pen = Pen::new("mallory", author(&device, 1), room("lobby"), site.registry.origin());
    let signer = Arc::new(DeviceKey::from_pkcs8(key.pkcs8()).unwrap());
    let server = Server::start(Script {
        takes_links: false,
        heights: Some(vec![seen(pen.author.clone(), 1 << 40)]),
        history: Arc::new(move || trickle(pen.clone(), signer.clone())),
    });
    let mut fake = Fake::log_in_with(&site, "mallory", server.address, key);
    server.serve_as(&fake);
    fake.join("lobby");
    bob.see("#lobby", "mallory");
    let mut alice = site.peer("alice");
    alice.type_line("/join lobby");
    alice.wait("joined", |event| event["event"] == "joined");
    alice.type_line("here I am");
    bob.hear("here I am");
    let synced = alice.wait("synced", |event| event["event"] == "synced");
    let from = synced["from"].as_array().unwrap();
    assert!(
        from.contains(&"bob".into()) && from.contains(&"mallory".into()),
        "{synced}"
    );
    bob.say("welcome");
    alice.hear("welcome");
    alice.quit();
    let texts = site.texts("alice", "#lobby");
    let at = |text: &str| texts.iter().position(|found| found == text).unwrap();
    assert!(
        at("an old text") < at("here I am"),
        "what was said was written after what it answers"
    );
    bob.quit();
}
