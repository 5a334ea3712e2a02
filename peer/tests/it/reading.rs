//! Who is given the history of a conversation, and who is not.

use peerchat_proto::v1::{Conversation, Frame, Heights};
use tonic::{Code, Status};

use crate::{
    harness::{Peer, Site, wait_for},
    wire::{Fake, direct, room},
};

/// Neither call is answered.
#[track_caller]
pub fn is_refused(fake: &Fake, by: &Peer, conversation: &Conversation) {
    let denied = |status: Status| {
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains(&fake.user), "{}", status.message());
    };
    denied(fake.ask_version(by, conversation.clone()).unwrap_err());
    denied(fake.ask_history(by, conversation.clone()).unwrap_err());
}

fn refused_unknown(peer: &mut Peer) -> u64 {
    peer.type_line("/who");
    peer.wait("who", |event| event["event"] == "who")["refused_unknown"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_room_is_read_by_those_who_are_in_it() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    peers[0].say("for those who are here");
    peers[1].hear("for those who are here");
    let mut fake = Fake::log_in(&site, "mallory");
    for peer in &peers {
        is_refused(&fake, peer, &room("lobby"));
        is_refused(&fake, peer, &room("elsewhere"));
    }
    wait_for("the count", || (refused_unknown(&mut peers[0]) == 4).then_some(()));

    // A newcomer need not wait until the members have heard of him: his call does.
    fake.join("lobby");
    for peer in &peers {
        assert_eq!(fake.ask_version(peer, room("lobby")).unwrap(), 1);
        assert_eq!(fake.ask_history(peer, room("lobby")).unwrap(), 1);
    }
    fake.leave("lobby");
    peers[0].wait("mallory's leaving", |event| {
        event["event"] == "presence" && event["left"] == true
    });
    is_refused(&fake, &peers[0], &room("lobby"));

    // Where the registry cannot say it, a link does.
    let link = fake.link(&peers[0]);
    link.send(Frame {
        heights: vec![Heights {
            conversation: Some(room("lobby")),
            ..Heights::default()
        }],
        ..Frame::default()
    });
    assert_eq!(fake.ask_version(&peers[0], room("lobby")).unwrap(), 1);
    assert_eq!(refused_unknown(&mut peers[0]), 6);
}

#[test]
fn who_has_left_a_room_serves_nobody() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    peers[0].say("while we were here");
    peers[1].hear("while we were here");
    let mut fake = Fake::log_in(&site, "carol");
    fake.join("lobby");
    assert_eq!(fake.ask_version(&peers[0], room("lobby")).unwrap(), 1);
    peers[0].type_line("/leave");
    peers[0].wait("left", |event| event["event"] == "left");
    is_refused(&fake, &peers[0], &room("lobby"));
    // Bob judges its seal a moment after he has it.
    wait_for("bob to serve it", || {
        (fake.ask_version(&peers[1], room("lobby")).unwrap() == 1).then_some(())
    });
}

#[test]
fn members_who_are_offline_are_members() {
    let mut site = Site::new();
    let peers = site.room("lobby", &["alice", "bob"]);
    let mut fake = Fake::log_in(&site, "carol");
    fake.join("lobby");
    assert_eq!(fake.ask_version(&peers[0], room("lobby")).unwrap(), 0);
    site.registry.kill();
    peers[0].wait_all("the loss", |events| {
        events.iter().find(|event| event["state"] == "lost").map(|_| ())
    });
    assert_eq!(fake.ask_version(&peers[0], room("lobby")).unwrap(), 0);
}

#[test]
fn a_direct_conversation_is_read_by_its_two_users() {
    let site = Site::new();
    let (mut alice, mut bob) = (site.peer("alice"), site.peer("bob"));
    alice.type_line("/msg bob between us");
    bob.hear("between us");
    let fake = Fake::log_in(&site, "mallory");
    for peer in [&alice, &bob] {
        is_refused(&fake, peer, &direct("alice", "bob"));
    }
    bob.type_line("/msg alice and back");
    alice.hear("and back");
}
