//! Who may read what, and what those learn who may not.

use zeroize::Zeroizing;

use super::{
    Input, Liveness,
    event::Event,
    limits::KNOCK_WAIT_MS,
    link::{Frame, HeightsNews, Knock, Outgoing},
    private::{Invitation, Keys},
    testing::{Alice, Other, room, room_name},
    types::{Conversation, DeviceId, Heights, UserName},
};

const BOB: Other = Other(1, "bob");
const CAROL: Other = Other(2, "carol");

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

#[test]
fn a_room_is_read_by_its_members_for_as_long_as_this_peer_is_one() {
    let mut alice = Alice::among(&[BOB]);
    let bob_may = |alice: &Alice| alice.node.may_read(&user("Bob"), &room());
    assert!(bob_may(&alice) && !alice.node.may_read(&user("carol"), &room()));
    alice.input(Input::RoomChanged(room_name(), CAROL.address(), Liveness::Here));
    assert!(alice.node.may_read(&user("carol"), &room()));
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
            .may_read(&user(who), &Conversation::direct(&user(a), &user(b)))
    };
    assert!(may("bob", "alice", "bob") && may("alice", "alice", "bob"));
    assert!(!may("carol", "alice", "bob") && !may("carol", "bob", "carol") && !may("bob", "bob", "carol"));
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
    };
    alice.frame(
        from,
        Frame {
            heights: vec![news],
            ..Frame::default()
        },
    );
}

/// What was sent to a device of the private room, apart from knocks.
fn told(alice: &Alice, to: Other) -> usize {
    let of_room = |what: &Outgoing| match what {
        Outgoing::Entry(entry) => entry.conversation == private(),
        Outgoing::Heights(news) => news.conversation == private(),
        Outgoing::Ack(ack) => ack.conversation == private(),
        Outgoing::Knock(_) => false,
    };
    let sends = alice.sends.iter();
    sends
        .filter(|(device, what)| *device == to.device() && of_room(what))
        .count()
}

fn knocks(alice: &Alice, to: Other) -> Vec<Knock> {
    let mut knocks = Vec::new();
    for (device, what) in &alice.sends {
        if let Outgoing::Knock(knock) = what
            && *device == to.device()
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
    assert_eq!((told(&alice, BOB), alice.sent()), (0, 1));
    assert!(alice.asked.is_empty(), "a call would name the room");
    assert!(!alice.node.may_read(&user("bob"), &private()));
    assert_eq!(alice.node.who(&private()).len(), 1);

    // Bob has the secret after all.
    knock(&mut alice, BOB, proof(BOB.device(), me()), true);
    assert!(alice.node.may_read(&user("bob"), &private()) && !alice.node.may_read(&user("carol"), &private()));
    assert!(told(&alice, BOB) > 0, "her heights");
    assert!(!knocks(&alice, BOB).last().unwrap().reply_wanted);
    alice.input(Input::Write(private(), "another plan".into()));
    let entries = |other: Other| {
        let is_entry = |(to, what): &&(DeviceId, Outgoing)| *to == other.device() && matches!(what, Outgoing::Entry(_));
        alice.sends.iter().filter(is_entry).count()
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
    assert_eq!((synced(&alice), alice.sent()), (0, 0), "he has not told what he holds");
    tell(&mut alice, BOB);
    assert_eq!((synced(&alice), alice.sent()), (1, 1));

    // Who says nothing is not waited for long, and one who cannot be reached not at all.
    let mut alice = named(&[BOB, CAROL]);
    alice.input(Input::LinkDown(super::link::LinkId(1), "gone".into()));
    alice.pass_until(KNOCK_WAIT_MS - 1);
    assert_eq!(synced(&alice), 0);
    alice.pass_until(KNOCK_WAIT_MS);
    assert_eq!(synced(&alice), 1);
    let mut alice = named(&[BOB]);
    alice.input(Input::LinkDown(super::link::LinkId(1), "gone".into()));
    assert_eq!(synced(&alice), 1);
}

#[test]
fn who_has_left_a_private_room_must_knock_again() {
    let mut alice = named(&[BOB]);
    knock(&mut alice, BOB, proof(BOB.device(), me()), true);
    let at_registry = Keys::of(invitation()).at_registry().clone();
    alice.input(Input::RoomChanged(at_registry.clone(), BOB.address(), Liveness::Left));
    assert!(!alice.node.may_read(&user("bob"), &private()));
    let before = told(&alice, BOB);
    alice.input(Input::RoomChanged(at_registry, BOB.address(), Liveness::Here));
    alice.input(Input::Write(private(), "a plan".into()));
    assert_eq!(told(&alice, BOB), before);
    // A knock of the first time is as good as a new one: it is his own, and he has the secret.
    knock(&mut alice, BOB, proof(BOB.device(), me()), true);
    assert!(alice.node.may_read(&user("bob"), &private()));
    alice.input(Input::Leave(private()));
    knock(&mut alice, BOB, proof(BOB.device(), me()), true);
    assert!(!alice.node.may_read(&user("bob"), &private()), "alice is not in it");
}

#[test]
fn without_its_invitation_a_private_room_is_not_entered() {
    let mut alice = Alice::among(&[]);
    alice.input(Input::Join(invitation().room()));
    let refused = |event: &Event| matches!(event, Event::NotEntered { conversation, .. } if *conversation == private());
    assert_eq!(alice.count(refused), 1);
    alice.input(Input::Start(vec![invitation().room()]));
    assert_eq!(alice.count(refused), 2);
    assert!(alice.node.invitation(&private()).is_none());
    alice.input(Input::JoinPrivate(invitation()));
    alice.input(Input::Leave(private()));
    alice.input(Input::Join(invitation().room()));
    assert_eq!(alice.count(refused), 2);
    assert_eq!(alice.node.invitation(&private()), Some(&invitation()));
}
