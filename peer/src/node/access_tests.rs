//! Who may read what, and what those learn who may not.

use zeroize::Zeroizing;

use super::{
    Ask, Input, Liveness,
    event::Event,
    limits::KNOCK_WAIT_MS,
    link::{Frame, HeightsNews, Knock, LinkId, Outgoing},
    memberships::{MembershipNews, Memberships},
    private::{Invitation, Keys},
    testing::{Alice, Other, membership, room, room_name},
    types::{Conversation, DeviceId, Heights, Reader, UserName},
};

const BOB: Other = Other(1, "bob");
const CAROL: Other = Other(2, "carol");

const BOBS_OTHER: Other = Other(3, "bob");
const ALICE: Other = Other(4, "alice");

fn reader(other: Other) -> Reader {
    Reader {
        user: other.user(),
        device: other.device(),
    }
}

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

#[test]
fn a_room_is_read_by_its_members_for_as_long_as_this_peer_is_one() {
    let mut alice = Alice::among(&[BOB]);
    assert!(
        alice.node.may_read(&reader(BOBS_OTHER), &room()),
        "he can join with it as well"
    );
    let bob_may = |alice: &Alice| alice.node.may_read(&reader(BOB), &room());
    assert!(bob_may(&alice) && !alice.node.may_read(&reader(CAROL), &room()));
    alice.input(Input::RoomChanged(room_name(), CAROL.address(), Liveness::Here));
    assert!(alice.node.may_read(&reader(CAROL), &room()));
    alice.input(Input::RoomChanged(room_name(), BOB.address(), Liveness::Lost));
    assert!(bob_may(&alice), "who is lost has not left");
    alice.input(Input::RegistryDown("away".into()));
    assert!(bob_may(&alice));
    alice.input(Input::RoomChanged(room_name(), BOB.address(), Liveness::Left));
    assert!(!bob_may(&alice) && alice.node.may_read_soon(&room()));
    // Bob says over his link that he is there.
    alice.told(BOB, Heights::default());
    assert!(bob_may(&alice));
    alice.input(Input::Leave(room()));
    assert!(!bob_may(&alice) && !alice.node.may_read_soon(&room()));
}

#[test]
fn a_direct_conversation_is_read_by_its_two_users() {
    let alice = Alice::among(&[BOB, CAROL]);
    let may = |who, a, b| {
        alice
            .node
            .may_read(&reader(who), &Conversation::direct(&user(a), &user(b)))
    };
    assert!(may(BOB, "alice", "bob") && may(ALICE, "alice", "bob"));
    assert!(!may(CAROL, "alice", "bob") && !may(CAROL, "bob", "carol") && !may(BOB, "bob", "carol"));
}

fn invitation() -> Invitation {
    Invitation::new(&room_name(), Zeroizing::new([7; 16]))
}

fn private() -> Conversation {
    Conversation::Room(invitation().room())
}

/// Alice has entered a private room in which the registry names these; the second one does not answer.
fn named(others: &[Other]) -> Alice {
    let mut alice = Alice::among(&[]);
    alice.input(Input::JoinPrivate(invitation()));
    alice.input(Input::RoomJoined {
        room: Keys::of(invitation()).at_registry().clone(),
        created: false,
        members: others.iter().map(|other| other.address()).collect(),
    });
    for other in others {
        alice.link(*other);
    }
    alice
}

fn me() -> DeviceId {
    DeviceId([0xaa; 32])
}

fn proof(from: DeviceId, to: DeviceId) -> [u8; 32] {
    *Keys::of(invitation()).proof(from, to).as_bytes()
}

fn knock(alice: &mut Alice, from: Other, proof: [u8; 32], reply_wanted: bool) {
    alice.frame(
        from,
        Frame {
            knocks: vec![Knock { proof, reply_wanted }],
            ..Frame::default()
        },
    );
}

fn tell(alice: &mut Alice, from: Other) {
    let news = HeightsNews {
        conversation: private(),
        heights: Heights::default(),
        reply_wanted: false,
        left: false,
        relay_wanted: false,
    };
    alice.frame(
        from,
        Frame {
            heights: vec![news],
            ..Frame::default()
        },
    );
}

/// Somebody says that he leaves the private room.
fn leave(alice: &mut Alice, from: Other) {
    let left = HeightsNews {
        conversation: private(),
        heights: Heights::default(),
        reply_wanted: false,
        left: true,
        relay_wanted: false,
    };
    alice.frame(
        from,
        Frame {
            heights: vec![left],
            ..Frame::default()
        },
    );
}

/// How many entries she wrote.
fn said(alice: &Alice) -> usize {
    alice.count(|event| matches!(event, Event::Sent(_)))
}

fn link_of(other: Other) -> LinkId {
    LinkId(other.0.into())
}

/// What was sent to a device of the private room, apart from knocks.
fn told(alice: &Alice, to: Other) -> usize {
    let of_room = |what: &Outgoing| match what {
        Outgoing::Entry(entry) => entry.conversation == private(),
        Outgoing::Heights(news) => news.conversation == private(),
        Outgoing::Seal(conversation, _) => *conversation == private(),
        Outgoing::Ack(ack) => ack.conversation == private(),
        Outgoing::Knock(_) | Outgoing::Memberships(_) => false,
    };
    let sent = alice.sent.iter();
    sent.filter(|(link, what)| *link == link_of(to) && of_room(what))
        .count()
}

fn knocks(alice: &Alice, to: Other) -> Vec<Knock> {
    let mut knocks = Vec::new();
    for (link, what) in &alice.sent {
        if let Outgoing::Knock(knock) = what
            && *link == link_of(to)
        {
            knocks.push(*knock);
        }
    }
    knocks
}

#[test]
fn whom_only_the_registry_names_is_told_nothing_of_a_private_room() {
    let mut alice = named(&[BOB, CAROL]);
    for other in [BOB, CAROL] {
        let expected = Knock {
            proof: proof(me(), other.device()),
            reply_wanted: true,
        };
        assert_eq!(knocks(&alice, other), [expected]);
    }
    // What bob can say without the secret.
    let noise = [[7; 32], proof(me(), BOB.device()), proof(CAROL.device(), me())];
    for proof in noise {
        knock(&mut alice, BOB, proof, true);
    }
    tell(&mut alice, BOB);
    alice.now += KNOCK_WAIT_MS;
    alice.input(Input::Tick);
    alice.input(Input::Write(private(), "a plan".into()));
    alice.pass_until(10 * KNOCK_WAIT_MS);
    assert_eq!((told(&alice, BOB), said(&alice)), (0, 1));
    assert!(alice.called.is_empty(), "a call would name the room");
    assert!(!alice.node.may_read(&reader(BOB), &private()));
    assert_eq!(alice.node.who(&private()).len(), 1);

    // Bob has the secret after all.
    knock(&mut alice, BOB, proof(BOB.device(), me()), true);
    assert!(alice.node.may_read(&reader(BOB), &private()) && !alice.node.may_read(&reader(CAROL), &private()));
    assert!(
        !alice.node.may_read(&reader(BOBS_OTHER), &private()),
        "the registry says that it is his"
    );
    assert!(told(&alice, BOB) > 0, "her heights");
    assert!(!knocks(&alice, BOB).last().unwrap().reply_wanted);
    alice.input(Input::Write(private(), "another plan".into()));
    let entries = |other: Other| {
        let is_entry = |(to, what): &&(LinkId, Outgoing)| *to == link_of(other) && matches!(what, Outgoing::Entry(_));
        alice.sent.iter().filter(is_entry).count()
    };
    assert_eq!((entries(BOB), entries(CAROL), told(&alice, CAROL)), (1, 0, 0));
}

#[test]
fn entering_a_private_room_waits_for_those_who_have_the_secret() {
    let synced = |alice: &Alice| {
        alice.count(|event| matches!(event, Event::Synced { conversation, .. } if *conversation == private()))
    };
    let mut alice = named(&[BOB]);
    alice.input(Input::Write(private(), "a plan".into()));
    knock(&mut alice, BOB, proof(BOB.device(), me()), false);
    assert_eq!((synced(&alice), said(&alice)), (0, 0), "he has not told what he holds");
    tell(&mut alice, BOB);
    assert_eq!((synced(&alice), said(&alice)), (1, 1));

    // Who says nothing is not waited for long, and one who cannot be reached not at all.
    let mut alice = named(&[BOB, CAROL]);
    alice.input(Input::LinkDown(LinkId(1), "gone".into()));
    alice.pass_until(KNOCK_WAIT_MS - 1);
    assert_eq!(synced(&alice), 0);
    alice.pass_until(KNOCK_WAIT_MS);
    assert_eq!(synced(&alice), 1);
    let mut alice = named(&[BOB]);
    alice.input(Input::LinkDown(LinkId(1), "gone".into()));
    assert_eq!(synced(&alice), 1);
}

#[test]
fn who_has_left_a_private_room_must_knock_again() {
    let mut alice = named(&[BOB]);
    knock(&mut alice, BOB, proof(BOB.device(), me()), true);
    let at_registry = Keys::of(invitation()).at_registry().clone();
    leave(&mut alice, BOB);
    alice.input(Input::RoomChanged(at_registry.clone(), BOB.address(), Liveness::Left));
    assert!(!alice.node.may_read(&reader(BOB), &private()));
    let before = told(&alice, BOB);
    alice.input(Input::RoomChanged(at_registry, BOB.address(), Liveness::Here));
    alice.input(Input::Write(private(), "a plan".into()));
    assert_eq!(told(&alice, BOB), before);
    // A knock of the first time is as good as a new one: it is his own, and he has the secret.
    knock(&mut alice, BOB, proof(BOB.device(), me()), true);
    assert!(alice.node.may_read(&reader(BOB), &private()));
    alice.input(Input::Leave(private()));
    knock(&mut alice, BOB, proof(BOB.device(), me()), true);
    assert!(!alice.node.may_read(&reader(BOB), &private()), "alice is not in it");
}

#[test]
fn without_its_invitation_a_private_room_is_not_entered() {
    let mut alice = Alice::among(&[]);
    alice.input(Input::Join(invitation().room()));
    let refused = |event: &Event| matches!(event, Event::NotEntered { conversation, .. } if *conversation == private());
    assert_eq!(alice.count(refused), 1);
    let mut memberships = Memberships::default();
    memberships.set(&invitation().room(), true);
    alice.input(Input::Start(memberships));
    assert_eq!(alice.count(refused), 2);
    assert!(alice.node.invitation(&private()).is_none());
    alice.input(Input::JoinPrivate(invitation()));
    alice.input(Input::Leave(private()));
    alice.input(Input::Join(invitation().room()));
    assert_eq!(alice.count(refused), 2);
    assert_eq!(alice.node.invitation(&private()), Some(&invitation()));
}

/// What an own device is told of the private room.
fn invited(alice: &Alice, to: Other) -> Vec<MembershipNews> {
    let mut told = Vec::new();
    for (link, what) in &alice.sent {
        if let Outgoing::Memberships(news) = what
            && *link == link_of(to)
        {
            told.extend(news.iter().filter(|told| told.room == invitation().room()).cloned());
        }
    }
    told
}

#[test]
fn own_devices_and_nobody_else_get_the_invitation() {
    let mut alice = named(&[BOB]);
    alice.link(ALICE);
    let news = MembershipNews {
        invitation: Some(invitation()),
        ..membership(invitation().room(), 1, true)
    };
    assert_eq!(invited(&alice, ALICE), [news]);
    knock(&mut alice, BOB, proof(BOB.device(), me()), true);
    let to_bob = |(link, what): &&(LinkId, Outgoing)| *link == link_of(BOB) && matches!(what, Outgoing::Memberships(_));
    assert_eq!(alice.sent.iter().filter(to_bob).count(), 0);
    alice.input(Input::Leave(private()));
    let left = membership(invitation().room(), 2, false);
    assert_eq!(
        invited(&alice, ALICE).last(),
        Some(&left),
        "without a secret that is of no use"
    );
}

#[test]
fn an_own_device_is_followed_into_a_private_room_with_its_invitation() {
    let mut alice = Alice::among(&[]);
    alice.link(ALICE);
    let says = |alice: &mut Alice, invitation: Option<Invitation>| {
        let news = MembershipNews {
            invitation,
            ..membership(self::invitation().room(), 1, true)
        };
        alice.frame(
            ALICE,
            Frame {
                memberships: vec![news],
                ..Frame::default()
            },
        );
    };
    says(&mut alice, None);
    let refused = |event: &Event| matches!(event, Event::NotEntered { conversation, .. } if *conversation == private());
    assert_eq!(alice.count(refused), 1);
    // It may have lost it, and got it again.
    says(&mut alice, Some(invitation()));
    let at_registry = Keys::of(invitation()).at_registry().clone();
    assert!(alice.asked.contains(&Ask::Join(at_registry)));
    assert_eq!(alice.node.invitation(&private()), Some(&invitation()));
    // It need not knock, and hears a knock before it is told anything.
    assert!(alice.node.may_read(&reader(ALICE), &private()));
    assert_eq!(knocks(&alice, ALICE).len(), 1);
    says(&mut alice, Some(invitation()));
    assert_eq!(
        alice.asked.iter().filter(|ask| matches!(ask, Ask::Join(_))).count(),
        2,
        "once, and the lobby"
    );
}

#[test]
fn who_has_knocked_stays_in_a_private_room_whatever_the_registry_says() {
    let mut alice = named(&[BOB, CAROL]);
    for other in [BOB, CAROL] {
        knock(&mut alice, other, proof(other.device(), me()), false);
    }
    let at_registry = Keys::of(invitation()).at_registry().clone();
    alice.input(Input::RoomChanged(at_registry, BOB.address(), Liveness::Left));
    assert!(alice.node.may_read(&reader(BOB), &private()));
    alice.input(Input::Write(private(), "a plan".into()));
    alice.pass_until(10 * KNOCK_WAIT_MS);
    let is_told = |alice: &Alice, other: Other| {
        let told = |(to, what): &(LinkId, Outgoing)| *to == link_of(other) && matches!(what, Outgoing::Entry(_));
        alice.sent.iter().any(told)
    };
    assert!(is_told(&alice, BOB) && is_told(&alice, CAROL));
    // What he says himself counts.
    leave(&mut alice, BOB);
    assert!(!alice.node.may_read(&reader(BOB), &private()));
}
