//! A user's other devices, in inputs and effects.

use super::{
    Ask, Input, Liveness, Node,
    event::{Code, Event},
    limits::{OWN_DEVICES_MAX, TELL_AT_ONCE_MAX, TELL_PAUSE_MS},
    link::{Ack, Frame, HeightsNews, LinkId, Outgoing},
    talk::Stage,
    testing::{Alice, Other, membership, room},
    types::{Conversation, DeviceId, Heights, RoomName, Seq, UserName},
};

const OWN: Other = Other(1, "alice");
const OWN_TOO: Other = Other(2, "Alice");
const BOB: Other = Other(11, "bob");
const BOBS_OTHER: Other = Other(12, "bob");

fn with(name: &str) -> Conversation {
    Conversation::direct(&UserName::new("alice").unwrap(), &UserName::new(name).unwrap())
}

fn tea() -> RoomName {
    RoomName::new("tea").unwrap()
}

impl Alice {
    fn comes(&mut self, other: Other) {
        self.input(Input::UserChanged(other.user(), Some(other.address()), Liveness::Here));
    }

    /// She opens the conversation with a user, and nobody has anything of it.
    fn opens(&mut self, user: UserName, devices: &[Other]) {
        let conversation = with(user.key());
        self.input(Input::Open(user.clone()));
        if user != self.node.me().user {
            let places = devices.iter().map(|device| device.address()).collect();
            self.input(Input::Found(user, places));
        }
        let members: Vec<_> = self.node.talks()[&conversation].members.keys().copied().collect();
        for device in members {
            self.input(Input::VersionFailed(device, conversation.clone()));
        }
    }

    fn says(&mut self, conversation: Conversation, text: &str) {
        self.input(Input::Write(conversation, text.into()));
    }

    fn told_memberships(&mut self, from: Other, stamp: u64, is_in: bool) {
        self.frame(
            from,
            Frame {
                memberships: vec![membership(tea(), stamp, is_in)],
                ..Frame::default()
            },
        );
    }

    fn acked(&mut self, from: Other, conversation: &Conversation, stored: u64) {
        let author = self.node.talks()[conversation].author.unwrap();
        let ack = Ack {
            conversation: conversation.clone(),
            author,
            stored: Seq(stored),
            durable: Seq(0),
        };
        self.frame(
            from,
            Frame {
                acks: vec![ack],
                ..Frame::default()
            },
        );
    }

    /// To which devices entries went, in this order, since the last call.
    fn entries_sent(&mut self) -> Vec<u64> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.filter(|(_, what)| matches!(what, Outgoing::Entry(_)))
            .map(|(link, _)| link.0)
            .collect()
    }

    /// What was told of memberships, and to whom, since the last call.
    fn memberships_sent(&mut self) -> Vec<(u64, String, u64, bool)> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        let news = sent.flat_map(|(link, what)| {
            let news = match what {
                Outgoing::Memberships(news) => news,
                _ => Vec::new(),
            };
            news.into_iter().map(move |told| {
                (
                    link.0,
                    told.room.to_string(),
                    told.membership.stamp,
                    told.membership.is_in,
                )
            })
        });
        news.collect()
    }

    fn stage_of_tea(&self) -> Option<&Stage> {
        let talk = self.node.talks().get(&Conversation::Room(tea()));
        talk.map(|talk| &talk.stage)
    }
}

#[test]
fn own_devices_are_watched_and_dialled_though_nothing_is_shared() {
    let mut alice = Alice::joins(&[]);
    let me = alice.node.me().user.clone();
    assert!(alice.asked.contains(&Ask::Watch(me)));
    alice.comes(OWN);
    alice.pass_until(1_000);
    assert_eq!(alice.dialled, [OWN.device()]);
    for n in 1..=3 {
        alice.input(Input::DialFailed(OWN.device()));
        alice.pass_until(n * 20_000);
    }
    assert_eq!(alice.dialled.len(), 4, "again and again");
    // The registry is lost, and with it its word; the device is dialled all the same.
    alice.input(Input::RegistryDown("gone".into()));
    alice.input(Input::DialFailed(OWN.device()));
    alice.pass_until(80_000);
    assert_eq!(alice.dialled.len(), 5);
}

#[test]
fn what_is_written_directly_goes_to_both_users_devices() {
    let mut alice = Alice::among(&[]);
    for other in [OWN, BOB, BOBS_OTHER] {
        alice.comes(other);
        alice.link(other);
    }
    alice.opens(BOB.user(), &[BOB]);
    alice.entries_sent();
    alice.says(with("bob"), "to bob");
    assert_eq!(alice.entries_sent(), [1, 11, 12]);
    // Notes to oneself go to the own ones alone.
    alice.opens(OWN.user(), &[]);
    alice.says(with("alice"), "milk");
    assert_eq!(alice.entries_sent(), [1]);
    // So does what is said to somebody who is not there.
    alice.opens(UserName::new("carol").unwrap(), &[]);
    alice.says(with("carol"), "later");
    assert_eq!(alice.entries_sent(), [1]);
}

#[test]
fn an_own_device_is_told_of_a_conversation_that_is_opened_and_tells_of_its_own() {
    let mut alice = Alice::among(&[]);
    alice.comes(OWN);
    alice.link(OWN);
    alice.sent.clear();
    alice.opens(BOB.user(), &[BOB]);
    let told = |(link, what): &(LinkId, Outgoing)| {
        *link == LinkId(1) && matches!(what, Outgoing::Heights(news) if news.conversation == with("bob"))
    };
    assert!(alice.sent.iter().any(told));
    // One that it holds is known here from now on, and what is in it is pulled.
    let heights = Heights([(OWN.author(1), Seq(3))].into());
    let news = HeightsNews {
        conversation: with("carol"),
        heights: heights.clone(),
        reply_wanted: false,
        left: false,
        relay_wanted: false,
    };
    alice.frame(
        OWN,
        Frame {
            heights: vec![news],
            ..Frame::default()
        },
    );
    assert!(alice.node.talks().contains_key(&with("carol")));
    assert!(alice.asked.contains(&Ask::Watch(UserName::new("carol").unwrap())));
    assert_eq!(alice.last_pull().from, OWN.device());
}

#[test]
fn an_own_message_from_another_device_is_shown_as_own_and_nobody_is_told_who_has_what() {
    let mut alice = Alice::among(&[]);
    alice.comes(OWN);
    alice.link(OWN);
    alice.live(OWN, &[OWN.write_in(with("bob"), 1, None, &[])]);
    let lines = alice.events.iter().filter_map(|event| match event {
        Event::Message(line) => Some(line),
        _ => None,
    });
    let users: Vec<_> = lines
        .map(|line| (line.user.clone(), line.conversation.clone()))
        .collect();
    assert_eq!(users, [(OWN.user(), with("bob"))]);
    alice.opens(OWN.user(), &[]);
    alice.says(with("alice"), "milk");
    assert!(
        !alice.node.owes_nothing(),
        "it waits for an own device as for any other"
    );
    alice.acked(OWN, &with("alice"), 1);
    assert!(alice.node.owes_nothing());
    assert_eq!(alice.delivered, []);
}

#[test]
fn a_user_has_what_one_of_his_devices_has_and_that_is_told_once() {
    let mut alice = Alice::among(&[BOB, BOBS_OTHER]);
    for n in 1..=3 {
        alice.says(room(), &format!("{n}"));
    }
    alice.acked(BOB, &room(), 2);
    alice.acked(BOBS_OTHER, &room(), 3);
    alice.acked(BOB, &room(), 3);
    let told: Vec<_> = alice
        .delivered
        .iter()
        .map(|news| (news.from.0, news.upto.0, news.have, news.of))
        .collect();
    assert_eq!(told, [(1, 2, 1, 1), (3, 3, 1, 1)]);
}

#[test]
fn a_user_comes_with_his_first_device_goes_with_his_last_and_leaves_with_the_last_of_all() {
    let mut alice = Alice::joins(&[]);
    let room_name = RoomName::new("lobby").unwrap();
    let change = |other: Other, liveness| Input::RoomChanged(room_name.clone(), other.address(), liveness);
    let told = |alice: &mut Alice| -> Vec<_> {
        let told = std::mem::take(&mut alice.events)
            .into_iter()
            .filter_map(|event| match event {
                Event::Presence(presence) => Some((presence.online, presence.left)),
                _ => None,
            });
        told.collect()
    };
    alice.input(change(BOB, Liveness::Here));
    assert_eq!(told(&mut alice), [(true, false)]);
    alice.input(change(BOBS_OTHER, Liveness::Here));
    let who = alice.node.who(&room());
    let devices: Vec<_> = who.iter().map(|member| (member.user.shown(), member.devices)).collect();
    assert_eq!(devices, [("alice", 1), ("bob", 2)]);
    alice.input(change(BOB, Liveness::Lost));
    assert_eq!(told(&mut alice), []);
    alice.input(change(BOBS_OTHER, Liveness::Left));
    assert_eq!(told(&mut alice), [(false, false)], "the one that is lost has not left");
    alice.input(change(BOBS_OTHER, Liveness::Here));
    alice.input(change(BOB, Liveness::Left));
    assert_eq!(told(&mut alice), [(true, false)]);
    alice.input(change(BOBS_OTHER, Liveness::Left));
    assert_eq!(told(&mut alice), [(false, true)]);
    // Of the own ones nothing is told.
    for liveness in [Liveness::Here, Liveness::Left, Liveness::Here, Liveness::Lost] {
        alice.input(change(OWN, liveness));
    }
    assert_eq!(told(&mut alice), []);
}

#[test]
fn a_room_that_is_joined_or_left_at_one_device_is_so_at_all() {
    let mut alice = Alice::among(&[]);
    for own in [OWN, OWN_TOO] {
        alice.comes(own);
        alice.link(own);
    }
    let lobby = |link| (link, "lobby".to_owned(), 1, true);
    assert_eq!(alice.memberships_sent(), [lobby(1), lobby(2)], "with the link");
    alice.told_memberships(OWN, 1, true);
    assert!(alice.asked.contains(&Ask::Join(tea())));
    assert_eq!(alice.memberships_sent(), [(2, "tea".into(), 1, true)], "passed on");
    alice.input(Input::RoomRefused {
        room: tea(),
        refused: None,
    });
    // It says itself that it is there.
    alice.input(Input::VersionFailed(OWN.device(), Conversation::Room(tea())));
    assert_eq!(alice.stage_of_tea(), Some(&Stage::Open));
    let joined = [(room(), false), (Conversation::Room(tea()), true)];
    assert_eq!(alice.joined, joined, "the second one by another device");
    alice.told_memberships(OWN, 1, true);
    assert_eq!(alice.memberships_sent(), [], "it is known");

    alice.input(Input::Leave(Conversation::Room(tea())));
    assert_eq!(
        alice.memberships_sent(),
        [(1, "tea".into(), 2, false), (2, "tea".into(), 2, false)]
    );
    alice.told_memberships(OWN_TOO, 1, true);
    assert_eq!(alice.stage_of_tea(), Some(&Stage::Closed), "that is older");
    alice.told_memberships(OWN, 3, true);
    assert!(matches!(alice.stage_of_tea(), Some(Stage::Asking(_))));
    alice.told_memberships(OWN, 4, false);
    assert_eq!(alice.stage_of_tea(), Some(&Stage::Closed));
    let left = |event: &Event| {
        matches!(
            event,
            Event::Left {
                by_other_device: true,
                ..
            }
        )
    };
    assert_eq!(alice.count(left), 1);
    assert_eq!(alice.asked.last(), Some(&Ask::Leave(tea())));
}

#[test]
fn nobody_else_says_in_which_rooms_the_user_is() {
    let mut alice = Alice::among(&[BOB]);
    alice.told_memberships(BOB, 9, true);
    assert_eq!(alice.notices(Code::PeerMisbehaved), 1);
    assert_eq!(alice.stage_of_tea(), None);
    // Nor is anybody told.
    assert_eq!(alice.memberships_sent(), []);
}

#[test]
fn a_room_that_the_registry_refuses_is_joined_at_no_device() {
    let mut alice = Alice::among(&[]);
    alice.comes(OWN);
    alice.link(OWN);
    alice.memberships_sent();
    alice.input(Input::Join(tea()));
    alice.input(Input::RoomRefused {
        room: tea(),
        refused: Some("it is full".into()),
    });
    assert_eq!(alice.memberships_sent(), []);
    assert!(!alice.node.memberships().is_in(&tea()));
}

/// The conversations of which a device was told the heights, since the last call.
fn heights_sent(alice: &mut Alice) -> Vec<Conversation> {
    let sent = std::mem::take(&mut alice.sent).into_iter();
    let told = sent.filter_map(|(_, what)| match what {
        Outgoing::Heights(news) => Some(news.conversation).filter(|_| !news.left),
        _ => None,
    });
    told.collect()
}

#[test]
fn the_heights_of_many_conversations_are_told_in_parts_and_each_has_its_turn() {
    const MANY: usize = 1_000;
    let mut alice = Alice::joins(&[]);
    for n in 0..MANY {
        let user = UserName::new(&format!("user{n}")).unwrap();
        alice.input(Input::Open(user.clone()));
        alice.input(Input::Found(user, Vec::new()));
    }
    let lobby = RoomName::new("lobby").unwrap();
    alice.input(Input::RoomChanged(lobby, OWN.address(), Liveness::Here));
    alice.link(OWN);
    let first = heights_sent(&mut alice);
    assert_eq!(first.len(), TELL_AT_ONCE_MAX);
    alice.pass_until(TELL_PAUSE_MS);
    let second = heights_sent(&mut alice);
    assert_eq!(second.len(), TELL_AT_ONCE_MAX);
    // The queue had no room for some of these.
    alice.input(Input::LinkFull(LinkId(1)));
    alice.pass_until(10 * TELL_PAUSE_MS);
    assert_eq!(heights_sent(&mut alice), []);
    alice.input(Input::LinkDrained(LinkId(1)));
    let again = heights_sent(&mut alice);
    assert_eq!(again, second, "it goes on with what may be lost");
    assert!(first.contains(&room()));
    alice.input(Input::Leave(room()));
    alice.pass_until(100 * TELL_PAUSE_MS);
    let mut all = [again, heights_sent(&mut alice)].concat();
    assert_eq!(all.len(), MANY, "each once, and nothing of what was left");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), MANY);
}

#[test]
fn of_own_devices_no_more_are_known_than_there_may_be() {
    let mut alice = Alice::among(&[]);
    let own = |node: &Node| node.own_devices().len();
    for n in 0..OWN_DEVICES_MAX as u8 {
        alice.comes(Other(n + 1, "alice"));
        alice.link(Other(n + 1, "alice"));
    }
    let further = Other(0xee, "alice");
    alice.link(further);
    alice.comes(further);
    assert_eq!(own(&alice.node), OWN_DEVICES_MAX);
    assert!(!alice.node.is_own(&further.device()));
    // One that is gone gives its place.
    let gone = Other(3, "alice");
    alice.input(Input::LinkDown(LinkId(3), "gone".into()));
    alice.input(Input::UserChanged(gone.user(), Some(gone.address()), Liveness::Lost));
    alice.comes(further);
    assert_eq!(own(&alice.node), OWN_DEVICES_MAX);
    assert!(alice.node.is_own(&further.device()) && !alice.node.is_own(&gone.device()));
    assert!(!alice.node.peers().contains_key(&DeviceId([3; 32])));
}
