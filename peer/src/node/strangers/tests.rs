//! What strangers and members cost a node, in inputs and effects.

use std::sync::Arc;

use super::*;
use crate::node::{
    Identity, Input, Liveness, Millis, Now, PeerAddress, Step,
    limits::LINKS_MAX,
    link::{Frame, HeightsNews, LinkUp},
    testing::AUTHORITY,
    types::{Author, Body, Draft, Encode, Entry, EntryId, Heights, Lamport, RoomName, Seq, UserName, WallTime},
};

const NOW: Now = Now {
    mono: Millis(0),
    wall: WallTime(0),
};

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn device(n: u64) -> DeviceId {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    DeviceId(bytes)
}

fn encode(draft: Draft) -> Arc<Entry> {
    let id = EntryId([1; 32]);
    let bytes = bytes::Bytes::from_static(b"entry");
    Arc::new(Entry { id, draft, bytes })
}

fn alice() -> Node {
    let me = Identity {
        user: user("alice"),
        // The greatest, so that the others are first let dial.
        device: device(u64::MAX),
    };
    Node::new(me, Some(AUTHORITY), Encode(Arc::new(encode)), 1)
}

fn link_up(node: &mut Node, n: u64, name: &str) -> Step {
    let up = LinkUp {
        link: LinkId(n),
        device: device(n),
        user: user(name),
        session: 1,
        address: "127.0.0.1:1".into(),
        dialed_by_us: false,
    };
    node.handle(Input::LinkUp(up), NOW)
}

fn link_down(node: &mut Node, n: u64) {
    node.handle(Input::LinkDown(LinkId(n), "gone".into()), NOW);
}

fn hello(conversation: Conversation) -> Frame {
    let news = HeightsNews {
        conversation,
        heights: Heights::default(),
        reply_wanted: false,
        left: false,
        relay_wanted: false,
    };
    Frame {
        heights: vec![news],
        ..Frame::default()
    }
}

fn first_words(n: u64, name: &str, conversation: Conversation) -> Frame {
    let entry = encode(Draft {
        conversation,
        author: Author {
            device: device(n),
            incarnation: 1,
        },
        seq: Seq::FIRST,
        user: Some(user(name)),
        previous: AUTHORITY.origin(),
        seen: Vec::new(),
        lamport: Lamport(1),
        sent_at: WallTime(0),
        body: Body::Text("hi".into()),
    });
    Frame {
        entries: vec![entry],
        ..Frame::default()
    }
}

fn with(name: &str) -> Conversation {
    Conversation::direct(&user("alice"), &user(name))
}

fn in_lobby(node: &mut Node) -> RoomName {
    let room = RoomName::new("lobby").unwrap();
    node.handle(Input::Join(room.clone()), NOW);
    let joined = Input::RoomJoined {
        room: room.clone(),
        created: true,
        members: Vec::new(),
    };
    node.handle(joined, NOW);
    room
}

fn in_room(node: &mut Node, room: &RoomName, n: u64, name: &str, liveness: Liveness) {
    let peer = PeerAddress {
        user: user(name),
        device: device(n),
        address: "127.0.0.1:1".into(),
    };
    node.handle(Input::RoomChanged(room.clone(), peer, liveness), NOW);
}

fn closed(step: &Step) -> Option<(LinkId, ByeReason)> {
    step.then.iter().find_map(|effect| match effect {
        Effect::Close(link, reason, _) => Some((*link, *reason)),
        _ => None,
    })
}

/// A node with as many conversations of others as there may be; their links are closed.
fn full() -> Node {
    let mut node = alice();
    for n in 1..=OPENED_BY_OTHERS_MAX as u64 {
        let name = format!("user-{n}");
        link_up(&mut node, n, &name);
        let frame = first_words(n, &name, with(&name));
        assert!(closed(&node.handle(Input::Frame(LinkId(n), frame), NOW)).is_none());
        link_down(&mut node, n);
    }
    node
}

#[test]
fn others_begin_so_many_conversations_and_the_user_as_many_as_he_likes() {
    let mut node = full();
    let many = OPENED_BY_OTHERS_MAX;
    assert_eq!((node.talks().len(), node.peers().len()), (many, many));
    for (n, frame) in [
        (5_001, hello(with("mallory"))),
        (5_002, first_words(5_002, "mallory", with("mallory"))),
    ] {
        link_up(&mut node, n, "mallory");
        let step = node.handle(Input::Frame(LinkId(n), frame), NOW);
        assert_eq!(closed(&step), Some((LinkId(n), ByeReason::TooManyConversations)));
        assert!(
            step.then
                .iter()
                .any(|effect| matches!(effect, Effect::Refused(None, _)))
        );
        assert!(step.persist.is_empty());
        assert_eq!((node.talks().len(), node.peers().len()), (many, many));
    }
    // Who is there already still gets through.
    link_up(&mut node, 7_002, "user-2");
    let words = first_words(7_002, "user-2", with("user-2"));
    let step = node.handle(Input::Frame(LinkId(7_002), words), NOW);
    assert_eq!((step.persist.len(), closed(&step)), (1, None));
    // What the user opens is his, and then counts no longer.
    node.handle(Input::Open(user("mallory")), NOW);
    node.handle(Input::Found(user("mallory"), Vec::new()), NOW);
    node.handle(Input::Open(user("user-1")), NOW);
    node.handle(Input::Found(user("user-1"), Vec::new()), NOW);
    for name in ["mallory", "carol"] {
        link_up(&mut node, 6_000 + name.len() as u64, name);
        let link = LinkId(6_000 + name.len() as u64);
        assert!(closed(&node.handle(Input::Frame(link, hello(with(name))), NOW)).is_none());
        assert!(node.talks().contains_key(&with(name)));
    }
}

#[test]
fn greetings_without_a_word_take_no_places() {
    let mut node = alice();
    let watched = |step: &Step| {
        let watch = |effect: &Effect| matches!(effect, Effect::Registry(crate::node::Ask::Watch(_)));
        step.then.iter().filter(|effect| watch(effect)).count()
    };
    let many = OPENED_BY_OTHERS_MAX as u64;
    for n in 1..=many {
        let name = format!("user-{n}");
        link_up(&mut node, n, &name);
        let step = node.handle(Input::Frame(LinkId(n), hello(with(&name))), NOW);
        assert_eq!((watched(&step), closed(&step)), (0, None));
        if n > 1 {
            link_down(&mut node, n);
        }
    }
    let up = node.handle(
        Input::RegistryUp {
            hosting: false,
            address: String::new(),
            authority: AUTHORITY,
        },
        NOW,
    );
    assert_eq!(watched(&up), 1, "the own user's other devices alone");
    link_up(&mut node, 5_000, "bob");
    let step = node.handle(Input::Frame(LinkId(5_000), first_words(5_000, "bob", with("bob"))), NOW);
    assert_eq!(
        (watched(&step), closed(&step)),
        (1, None),
        "who says something is let in"
    );
    let left: Vec<_> = node.talks().keys().cloned().collect();
    assert_eq!(left, [with("bob"), with("user-1")], "and who is still there stays");
    assert_eq!(node.peers().len(), 2);
    let up = node.handle(
        Input::RegistryUp {
            hosting: false,
            address: String::new(),
            authority: AUTHORITY,
        },
        NOW,
    );
    assert_eq!(watched(&up), 2);
}

#[test]
fn who_shares_a_room_keeps_his_link() {
    let mut node = full();
    let room = in_lobby(&mut node);
    in_room(&mut node, &room, 5_001, "bob", Liveness::Here);
    link_up(&mut node, 5_001, "bob");
    let frame = first_words(5_001, "bob", with("bob"));
    let step = node.handle(Input::Frame(LinkId(5_001), frame), NOW);
    assert_eq!((closed(&step), step.persist.len()), (None, 0));
    assert!(
        step.then
            .iter()
            .any(|effect| matches!(effect, Effect::Refused(None, _)))
    );
}

#[test]
fn a_device_with_which_nothing_is_shared_is_forgotten_with_its_link() {
    let mut node = alice();
    let room = in_lobby(&mut node);
    for n in 1..=100 {
        link_up(&mut node, n, "mallory");
        node.handle(Input::Misbehaved(LinkId(n), "noise".into()), NOW);
        link_up(&mut node, n, "mallory");
        link_down(&mut node, n);
    }
    assert!(node.peers().is_empty());
    in_room(&mut node, &room, 1, "bob", Liveness::Here);
    link_up(&mut node, 1, "bob");
    link_down(&mut node, 1);
    in_room(&mut node, &room, 1, "bob", Liveness::Lost);
    assert_eq!(node.peers().len(), 1, "a member is owed what it lacks");
    in_room(&mut node, &room, 1, "bob", Liveness::Left);
    assert!(node.peers().is_empty());
    in_room(&mut node, &room, 2, "carol", Liveness::Here);
    node.handle(Input::Leave(Conversation::Room(room)), NOW);
    assert!(node.peers().is_empty());
}

#[test]
fn a_goodbye_of_a_stranger_begins_no_conversation() {
    let mut node = alice();
    link_up(&mut node, 1, "mallory");
    let mut frame = hello(with("mallory"));
    frame.heights[0].left = true;
    node.handle(Input::Frame(LinkId(1), frame), NOW);
    assert!(node.talks().is_empty());
}

#[test]
fn a_member_gets_the_place_of_a_strangers_link() {
    let mut node = alice();
    let room = in_lobby(&mut node);
    for n in 1..=LINKS_MAX as u64 {
        link_up(&mut node, n, &format!("user-{n}"));
    }
    let step = link_up(&mut node, 5_000, "mallory");
    assert_eq!(closed(&step), Some((LinkId(5_000), ByeReason::TooManyLinks)));
    in_room(&mut node, &room, 5_001, "bob", Liveness::Here);
    let step = link_up(&mut node, 5_001, "bob");
    assert_eq!(closed(&step), Some((LinkId(1), ByeReason::TooManyLinks)));
    assert!(node.peers()[&device(5_001)].link().is_some());
}

#[test]
fn a_room_forgets_the_silent_ones_that_are_gone_when_it_is_full() {
    let mut node = alice();
    let room = in_lobby(&mut node);
    let lobby = Conversation::Room(room.clone());
    let member = |n| PeerAddress {
        user: user("mallory"),
        device: device(n),
        address: "127.0.0.1:1".into(),
    };
    let joined = Input::RoomJoined {
        room: room.clone(),
        created: false,
        members: (1..=MEMBERS_MAX as u64).map(member).collect(),
    };
    node.handle(joined, NOW);
    link_up(&mut node, 1, "mallory");
    let words = first_words(1, "mallory", lobby.clone());
    node.handle(Input::Frame(LinkId(1), words), NOW);
    link_down(&mut node, 1);
    link_up(&mut node, 2, "mallory");
    node.handle(Input::RegistryDown("gone".into()), NOW);
    assert_eq!(node.talks()[&lobby].members.len(), MEMBERS_MAX);
    in_room(&mut node, &room, 100_000, "bob", Liveness::Here);
    let left: Vec<_> = node.talks()[&lobby].members.keys().copied().collect();
    assert_eq!(
        left,
        [device(1), device(2), device(100_000)],
        "who wrote, who is there, and the new one"
    );
    assert_eq!(node.peers().len(), 3);
}

#[test]
fn refusals_are_counted_for_members_alone() {
    let mut node = alice();
    let room = in_lobby(&mut node);
    in_room(&mut node, &room, 1, "bob", Liveness::Here);
    let count = |node: &Node| {
        let who = node.who(&Conversation::Room(room.clone()));
        who.iter().find(|member| member.user == user("bob")).unwrap().refused
    };
    for n in 1..=2 {
        link_up(&mut node, 1, "bob");
        let step = node.handle(Input::Misbehaved(LinkId(1), "noise".into()), NOW);
        let is_his = |effect: &Effect| matches!(effect, Effect::Refused(Some((user, _)), _) if user.key() == "bob");
        assert!(step.then.iter().any(is_his));
        assert_eq!(count(&node), n);
    }
    node.peers.get_mut(&device(1)).unwrap().refused = u64::MAX;
    node.handle(Input::BadAnswer(device(1), "noise".into()), NOW);
    assert_eq!(count(&node), u64::MAX, "it stays there");
    let step = node.handle(Input::BadAnswer(device(7), "noise".into()), NOW);
    assert!(matches!(&step.then[..], [Effect::Refused(None, _)]));
}
