//! Private rooms: who has the invitation is in, and nobody else learns anything.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use peerchat::node::{
    private::{Invitation, Keys},
    types::{Conversation, RoomName, UserName},
};
use peerchat_proto::v1::{Frame, Heights, conversation::Kind};
use serde_json::Value;

use crate::{
    harness::{Peer, Site, assert_each_once},
    reading::is_refused,
    wire::{Fake, entries, room},
};

/// Makes a private room and says something in it. Returns its full title and the invitation.
fn make_room(alice: &mut Peer) -> (String, String) {
    alice.type_line("/join plans --private");
    let joined = alice.wait("joined", |event| event["event"] == "joined");
    assert_eq!(joined["created"], true);
    let title = joined["conversation"].as_str().unwrap().to_owned();
    assert!(title.starts_with("#plans:"), "{title}");
    alice.say("the first plan");
    (title, invitation(alice))
}

fn invitation(peer: &mut Peer) -> String {
    peer.type_line("/invite");
    let event = peer.wait("the invitation", |event| event["event"] == "invitation");
    event["invitation"].as_str().unwrap().to_owned()
}

/// Joins by an invitation and waits for the history. Returns the version.
fn accept(peer: &mut Peer, invitation: &str) -> u64 {
    peer.type_line(&format!("/join {invitation}"));
    let synced = peer.wait("synced", |event| event["event"] == "synced");
    synced["version"].as_u64().unwrap()
}

fn list(peer: &mut Peer) -> Value {
    peer.type_line("/list");
    peer.wait("the list", |event| event["event"] == "list")
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

/// The file with the only invitation that a user keeps.
fn invitation_file(site: &Site, name: &str) -> PathBuf {
    let found = files(&site.folder(name).join("rooms"));
    found.into_iter().find(|path| path.ends_with("invitation")).unwrap()
}

#[test]
fn an_invitation_lets_in() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    let (title, secret) = make_room(&mut alice);
    let mut bob = site.peer("bob");
    assert_eq!(accept(&mut bob, &secret), 1);
    bob.see(&title, "alice");
    bob.say("and the second");
    assert_eq!(alice.hear("and the second")["conversation"], *title);
    alice.say("and the third");
    bob.hear("and the third");
    bob.type_line("/who");
    let who = bob.wait("who", |event| event["event"] == "who");
    assert_eq!(who["members"].as_array().unwrap().len(), 2);

    // Its name is enough to go there, as long as no other room has it.
    bob.join("plans");
    bob.type_line("/switch #plans");
    bob.say("in the room that is open to all");
    bob.type_line("/leave #plans");
    bob.type_line("/switch plans");
    bob.say("back again");
    alice.hear("back again");
    assert_eq!(invitation(&mut bob), secret, "whoever is in can let others in");

    let own = list(&mut alice)["own"].clone();
    assert_eq!(
        own,
        serde_json::json!([{ "conversation": title, "version": 4, "private": true }])
    );
    for peer in [alice, bob] {
        peer.quit();
    }
    let texts = ["the first plan", "and the second", "and the third", "back again"];
    assert_each_once(&site.assert_same_logs(&["alice", "bob"], &title), texts);
    assert_each_once(&site.texts("alice", "#plans"), texts);
    assert_each_once(&site.texts("bob", &title[..11]), texts);
    assert!(!site.log("alice", &title).contains(&secret[secret.len() - 32..]));
}

#[test]
fn the_command_line_takes_an_invitation_as_well() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    let (title, secret) = make_room(&mut alice);
    let mut bob = site.peer_with("bob", &["--join", &secret]);
    bob.wait("synced", |event| event["event"] == "synced" && event["version"] == 1);
    alice.see(&title, "bob");
}

#[test]
fn without_the_invitation_nobody_finds_the_room() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    let (title, secret) = make_room(&mut alice);
    let mut carol = site.peer("carol");
    carol.join("lobby");
    let rooms = list(&mut carol)["rooms"].clone();
    assert_eq!(rooms, serde_json::json!([{ "conversation": "#lobby", "members": 1 }]));

    // Its name alone is that of another room, and its id is no key.
    assert_eq!(carol.join("plans")["version"], 0);
    carol.type_line(&format!("/join {title}"));
    assert!(carol.error("refused").contains("/invite"));

    // Of an invitation of which something was changed nothing is left, and it is not repeated.
    let last = if secret.ends_with('a') { "b" } else { "a" };
    for changed in [
        format!("{}{last}", &secret[..secret.len() - 1]),
        secret.replacen("plans", "plan", 1),
        secret[..secret.len() - 1].to_owned(),
    ] {
        carol.type_line(&format!("/join {changed}"));
        let message = carol.error("usage");
        assert!(!message.contains(&secret[20..30]), "{message}");
        // What a script types then goes nowhere, and the reason has no secret either.
        carol.type_line("to nobody");
        let message = carol.error("no_conversation");
        assert!(!message.contains(&secret[20..30]), "{message}");
    }

    // The invitation to another room of that name is good, and leads there.
    let other = Invitation::new(&RoomName::new("plans").unwrap(), Default::default());
    assert_eq!(accept(&mut carol, &other.text()), 0);
    carol.say("is anybody here?");
    alice.say("nobody came");
    assert_eq!(alice.version(), 2);
    let heard = alice.events().iter().any(|event| event.to_string().contains("carol"));
    assert!(!heard, "alice never heard of carol");
}

#[test]
fn who_is_not_in_it_reads_nothing() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    let (title, _) = make_room(&mut alice);
    let fake = Fake::log_in(&site, "mallory");
    is_refused(&fake, &alice, &room(&title[1..]));
}

/// Whether a frame tells anything of a private room.
fn tells(frame: &Frame) -> bool {
    let names = |found: &Option<peerchat_proto::v1::Conversation>| matches!(found.as_ref().and_then(|one| one.kind.as_ref()), Some(Kind::Room(name)) if name.contains(':'));
    let entry = |bytes: &bytes::Bytes| bytes.windows(6).any(|window| window == b"plans:");
    frame.entries.iter().any(entry)
        || frame.heights.iter().any(|heights| names(&heights.conversation))
        || frame.acks.iter().any(|ack| names(&ack.conversation))
}

/// Whoever runs the registry knows what that calls the room, and can say that anybody is in it.
#[test]
fn a_member_whom_only_the_registry_names_gets_nothing() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    let (title, secret) = make_room(&mut alice);
    let keys = Keys::of(Invitation::read(&secret).unwrap());
    let mut fake = Fake::log_in(&site, "mallory");
    fake.join("lobby");
    fake.join(keys.at_registry().as_str());
    let mut link = fake.link(&alice);

    // Alice knocks, and waits for a knock in vain.
    let knocks = link.wait("alice's knock", |frame| !frame.knocks.is_empty()).knocks;
    let proof = knocks[0].proof.clone();
    let mut tried = Vec::new();
    // He knocks as she did, with noise, and with nothing that she has not heard.
    for proof in [proof, vec![7; 32].into()] {
        link.send(Frame {
            knocks: vec![peerchat_proto::v1::Knock {
                proof,
                reply_wanted: true,
            }],
            ..Frame::default()
        });
    }
    // He even knows the room's id, as from a screen.
    let named = room(&title[1..]);
    link.send(Frame {
        heights: vec![Heights {
            conversation: Some(named.clone()),
            reply_wanted: true,
            ..Heights::default()
        }],
        ..Frame::default()
    });
    link.send(entries(&[fake.pen(named.clone()).write("let me in")]));
    is_refused(&fake, &alice, &named);
    alice.say("a second plan");
    assert_eq!(alice.version(), 2);

    // What alice says in the lobby comes after all that she could have said before.
    alice.join("lobby");
    alice.see("#lobby", "mallory");
    alice.say("to all");
    link.wait("the lobby's entry", |frame| {
        tried.push(frame.clone());
        !frame.entries.is_empty()
    });
    assert!(!tried.iter().any(tells), "{tried:?}");
    assert!(tried.iter().all(|frame| frame.knocks.len() <= 1));
    alice.type_line("/switch plans");
    alice.type_line("/who");
    let who = alice.wait("who", |event| event["event"] == "who");
    assert_eq!(who["members"].as_array().unwrap().len(), 1, "{who}");

    // Nor does he keep others out, or get what they ask for.
    let mut bob = site.peer("bob");
    assert_eq!(accept(&mut bob, &secret), 2);
    drop(link);
    let mut link = fake.link(&bob);
    let mut heard = Vec::new();
    link.wait("bob's knock", |frame| {
        heard.push(frame.clone());
        !frame.knocks.is_empty()
    });
    bob.say("we are two");
    bob.join("lobby");
    bob.see("#lobby", "mallory");
    bob.say("to all as well");
    link.wait("the lobby's entry", |frame| {
        heard.push(frame.clone());
        !frame.entries.is_empty()
    });
    assert!(!heard.iter().any(tells), "{heard:?}");
    alice.hear("we are two");
}

#[test]
fn the_invitation_outlasts_a_restart_and_who_was_away_catches_up() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    let (title, secret) = make_room(&mut alice);
    let mut bob = site.peer("bob");
    accept(&mut bob, &secret);
    bob.quit();
    alice.say("while bob was away");
    alice.kill();
    let mut alice = site.peer("alice");
    assert_eq!(alice.events()[0]["conversations"], serde_json::json!([title]));
    assert_eq!(invitation(&mut alice), secret);
    alice.say("after kill -9");
    let bob = site.peer("bob");
    for text in ["while bob was away", "after kill -9"] {
        bob.wait_all(text, |events| {
            events.iter().find(|event| event["text"] == *text).map(|_| ())
        });
    }
    let mut carol = site.peer("carol");
    assert_eq!(accept(&mut carol, &secret), 3);

    // It is for its owner alone, and in no other file.
    let code = &secret[secret.len() - 32..];
    for name in ["alice", "bob", "carol"] {
        let path = invitation_file(&site, name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for file in files(&site.folder(name)).into_iter().filter(|file| *file != path) {
            let bytes = fs::read(&file).unwrap();
            let found = bytes.windows(code.len()).any(|window| window == code.as_bytes());
            assert!(!found, "{} has the secret", file.display());
        }
    }
}

#[test]
fn the_members_find_one_another_when_the_registry_is_back() {
    let mut site = Site::new();
    let mut alice = site.peer("alice");
    let (title, secret) = make_room(&mut alice);
    let mut bob = site.peer("bob");
    accept(&mut bob, &secret);
    alice.see(&title, "bob");
    site.registry.kill();
    let id = bob.say("without a registry");
    bob.wait_stored(&id, "alice");
    site.registry.restart();
    // The others may be back at the registry after her.
    let mut carol = site.peer("carol");
    accept(&mut carol, &secret);
    carol.wait_version(2);
}

#[test]
fn an_invitation_that_others_can_read_is_not_used() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    let (title, _) = make_room(&mut alice);
    alice.quit();
    let path = invitation_file(&site, "alice");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut alice = site.peer("alice");
    assert!(alice.error("refused").contains("chmod 600"));
    alice.type_line(&format!("/join {title}"));
    alice.error("refused");
    alice.quit();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut alice = site.peer("alice");
    alice.type_line(&format!("/join {title}"));
    let synced = alice.wait("synced", |event| event["event"] == "synced");
    assert_eq!(
        (&synced["conversation"], &synced["version"]),
        (&title.into(), &1.into())
    );
}

#[test]
fn there_is_nothing_to_invite_to_elsewhere() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.type_line("/invite");
    assert!(alice.error("refused").contains("/join lobby"));
    let me = UserName::new("alice").unwrap();
    let notes = Conversation::direct(&me, &me);
    alice.type_line("/msg alice");
    alice.wait("joined", |event| event["conversation"] == notes.title(&me));
    alice.type_line("/invite");
    alice.error("refused");
}
