//! What is refused is counted: for the member who sent it, and in one number where nobody can be named.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
};

use peerchat_proto::v1::{Frame, VersionRequest};
use serde_json::Value;

use crate::{
    harness::{DEADLINE, Peer, Site, wait_for},
    wire::{Fake, address_of, author, encoded, entries, room, seen},
    wire_server::{Script, Server, bare},
};

fn who(peer: &mut Peer) -> Value {
    peer.type_line("/who");
    peer.wait("who", |event| event["event"] == "who")
}

/// How often what a member sent was refused.
fn refused(who: &Value, user: &str) -> Option<u64> {
    let mut members = who["members"].as_array()?.iter();
    members.find(|member| member["user"] == user)?["refused"].as_u64()
}

#[test]
fn what_nobody_can_be_named_for_is_counted_in_one_number() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let alice = &mut peers[0];
    let counted = |alice: &mut Peer, count: u64, what: &str| {
        wait_for(what, || (who(alice)["refused_unknown"] == count).then_some(()));
    };
    counted(alice, 0, "nothing");

    let address = address_of(alice);
    let mut noise = TcpStream::connect(&address).unwrap();
    noise.set_read_timeout(Some(DEADLINE)).unwrap();
    noise.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _closed = noise.read_to_end(&mut Vec::new());
    counted(alice, 1, "what is no HTTP/2");

    // It is a stranger: it is logged in, and in no room.
    let fake = Fake::log_in(&site, "mallory");
    assert!(fake.try_link(alice, Frame::default()).is_err());
    counted(alice, 2, "a link without a hello");
    let mut client = fake.client(alice);
    assert!(fake.block_on(client.version(VersionRequest::default())).is_err());
    counted(alice, 3, "a call of nobody");

    let mut link = fake.link(alice);
    link.send(Frame {
        entries: vec![vec![0xff; 9].into()],
        ..Frame::default()
    });
    link.wait_bye();
    counted(alice, 4, "a stranger's frame");
    assert_eq!(refused(&who(alice), "bob"), Some(0));
    let told = alice.events().iter().any(|event| event["event"] == "error");
    assert!(!told, "strangers do not get on the screen");
}

#[test]
fn a_silent_connection_is_closed_in_time() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    let mut silent = TcpStream::connect(address_of(&alice)).unwrap();
    silent.set_read_timeout(Some(DEADLINE)).unwrap();
    // It may be reset. A timeout would be another error.
    if let Err(error) = silent.read_to_end(&mut Vec::new()) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    wait_for("the count", || (who(&mut alice)["refused_unknown"] == 1).then_some(()));
}

#[test]
fn a_members_bad_frames_are_counted_for_him() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let mut fake = Fake::log_in(&site, "mallory");
    fake.join("lobby");
    let mut pen = fake.pen(room("lobby"));
    for round in 1..=2 {
        let mut link = fake.link(&peers[0]);
        link.send(entries(&[pen.write("good")]));
        link.wait_stored(&fake.author(), round);
        link.send(Frame {
            entries: vec![vec![0xff; 9].into()],
            ..Frame::default()
        });
        link.wait_bye();
        let who = who(&mut peers[0]);
        assert_eq!(refused(&who, "mallory"), Some(round));
        assert_eq!((refused(&who, "bob"), &who["refused_unknown"]), (Some(0), &0.into()));
    }
}

#[test]
fn a_malformed_history_is_counted_for_the_member_that_served_it() {
    let site = Site::new();
    let mut bob = site.peer("bob");
    bob.join("lobby");
    bob.say("hello");
    // Its parts hold the same good entry for ever, which the node passes over.
    let mut fake = Fake::log_in(&site, "other");
    let entry = encoded(&fake.pen(room("lobby")).write("again and again"));
    let server = Server::start(Script {
        takes_links: false,
        heights: Some(vec![seen(author(&[0xff; 32].as_slice().into(), 1), 1_000)]),
        history: Arc::new(move || {
            let entry = entry.clone();
            Box::pin(tokio_stream::iter(std::iter::repeat_with(move || {
                Ok(bare(vec![entry.clone()]))
            })))
        }),
    });
    fake = Fake::log_in_at(&site, "mallory", server.address);
    server.serve_as(&fake);
    fake.join("lobby");
    bob.see("#lobby", "mallory");
    let mut alice = site.peer("alice");
    alice.join("lobby");
    wait_for("the count", || {
        refused(&who(&mut alice), "mallory").filter(|count| *count > 0)
    });
    assert_eq!(refused(&who(&mut alice), "bob"), Some(0));
}
