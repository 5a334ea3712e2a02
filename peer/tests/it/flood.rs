//! Members that would keep the others waiting for ever.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    harness::Site,
    wire::{Fake, Pen, author, encoded, room, seen},
    wire_server::{Parts, Script, Server},
};

/// An entry now and then, without end, and never so late that the wire would call it silence.
fn trickle(mut pen: Pen) -> Parts {
    let (sender, parts) = mpsc::channel(1);
    tokio::spawn(async move {
        while sender.send(Ok(vec![encoded(&pen.write("drop"))])).await.is_ok() {
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
    let device = Fake::device_of("mallory");
    let pen = Pen::new("mallory", author(&device, 1), room("lobby"));
    let server = Server::start(Script {
        takes_links: false,
        heights: Some(vec![seen(pen.author.clone(), 1 << 40)]),
        history: Arc::new(move || trickle(pen.clone())),
    });
    let mut fake = Fake::log_in_at(&site, "mallory", server.address);
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
