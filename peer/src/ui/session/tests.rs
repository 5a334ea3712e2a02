//! What a user interface remembers.

mod private;

use super::*;
use crate::{
    node::event::{Code, Delivered, Event, Joined, Presence, Ready, Replay, ReplayReason},
    ui::testing::{author, line, room, user},
};

fn direct(name: &str) -> Conversation {
    Conversation::direct(&user("alice"), &user(name))
}

fn session() -> Session {
    Session::new(user("alice"))
}

fn joined(conversation: Conversation) -> Event {
    Event::Joined(Joined {
        conversation,
        created: false,
        version: 0,
        members: ["alice", "bob", "carol"].map(user).into(),
        replay: Vec::new(),
        by_other_device: false,
    })
}

fn ready(conversations: Vec<Conversation>, current: Option<Conversation>) -> Event {
    Event::Ready(Ready {
        user: user("alice"),
        device: author(1).device,
        listen: String::new(),
        registry: String::new(),
        authority: None,
        first_start: false,
        conversations,
        current,
    })
}

fn write(conversation: Conversation, text: &str) -> Request {
    Request::Write {
        conversation,
        text: text.into(),
    }
}

#[track_caller]
fn asks(session: &mut Session, line: &str, requests: &[Request]) {
    assert_eq!(session.typed(line).requests, requests, "{line:?}");
}

#[track_caller]
fn refuses(session: &mut Session, line: &str, code: Code) {
    let typed = session.typed(line);
    assert!(typed.requests.is_empty(), "{line:?}");
    assert!(
        matches!(typed.show, Some(Show::Notice(notice)) if notice.code == code),
        "{line:?}"
    );
}

/// What a line is refused with.
fn refusal(session: &mut Session, line: &str) -> String {
    match session.typed(line).show {
        Some(Show::Notice(notice)) => notice.message,
        other => panic!("{line:?}: {other:?}"),
    }
}

const FAILING: [&str; 8] = [
    "/switch nowhere",
    "/switch",
    "/switch @carol",
    "/join two words",
    "/join a:b",
    "/msg",
    "/msg b@b hi",
    "/swich dev",
];

#[test]
fn who_cannot_go_elsewhere_is_told_where_he_stays() {
    let mut s = session();
    s.learn(&ready(vec![room("dev"), direct("bob")], Some(room("dev"))), true);
    for line in FAILING {
        assert!(refusal(&mut s, line).ends_with("; #dev stays current"), "{line}");
        asks(&mut s, "here", &[write(room("dev"), "here")]);
    }
    for line in ["/leave nowhere", "/zzz", "/history many"] {
        assert!(!refusal(&mut s, line).contains("current"), "{line}");
    }
}

#[test]
fn what_a_script_types_after_it_failed_to_go_elsewhere_goes_nowhere() {
    for line in FAILING {
        let mut s = Session::unattended(user("alice"));
        s.learn(&ready(vec![room("dev"), direct("bob")], Some(room("dev"))), false);
        assert!(refusal(&mut s, line).contains("goes nowhere"), "{line}");
        for follows in ["for somebody else", "/leave", "/who"] {
            refuses(&mut s, follows, Code::NoConversation);
            let why = refusal(&mut s, follows);
            assert!(why.contains(&format!("since this failed: {line};")), "{why}");
        }
        asks(&mut s, "/switch dev", &[Request::Current(room("dev"))]);
        asks(&mut s, "here", &[write(room("dev"), "here")]);
        asks(&mut s, "/leave", &[Request::Leave(room("dev"))]);
        assert!(!refusal(&mut s, "gone").contains("since"), "nothing failed this time");
        // Other mistakes have no place.
        asks(&mut s, "/msg bob hi", &[write(direct("bob"), "hi")]);
        refuses(&mut s, "/history many", Code::Usage);
        asks(&mut s, "still to bob", &[write(direct("bob"), "still to bob")]);
    }
}

#[test]
fn what_was_never_opened_cannot_be_left() {
    let mut s = session();
    s.learn(&joined(room("lobby")), true);
    s.learn(&joined(direct("dave")), true);
    let from_bob = Line {
        conversation: direct("bob"),
        ..line("bob", "lunch?")
    };
    s.learn(&Event::Message(from_bob), true);
    for (line, message) in [
        ("/leave @carol", "you are not in @carol"),
        ("/leave @bob", "you are not in @bob"),
        ("/leave #dev", "you are not in #dev"),
        ("/leave bob", "you are neither in #bob nor in @bob"),
    ] {
        refuses(&mut s, line, Code::NotJoined);
        assert_eq!(refusal(&mut s, line), message);
    }
    asks(&mut s, "/leave @dave", &[Request::Leave(direct("dave"))]);
    asks(&mut s, "/switch @bob", &[Request::Open(user("bob"))]);
}

#[test]
fn typed_lines_and_what_they_ask() {
    let mut s = session();
    let (lobby, dev, bob) = (room("lobby"), room("dev"), direct("bob"));
    let name = |name: &str| RoomName::new(name).unwrap();
    asks(&mut s, "", &[]);
    asks(&mut s, "/join lobby", &[Request::Join(name("lobby"))]);
    asks(
        &mut s,
        "at once, before the answer",
        &[write(lobby.clone(), "at once, before the answer")],
    );
    asks(&mut s, "//shrug", &[write(lobby.clone(), "/shrug")]);
    asks(&mut s, "/msg bob", &[Request::Open(user("bob"))]);
    asks(&mut s, "hi", &[write(bob.clone(), "hi")]);
    asks(&mut s, "/msg @BOB  again", &[write(bob.clone(), "again")]);
    asks(
        &mut s,
        "/msg carol hi",
        &[Request::Open(user("carol")), write(direct("carol"), "hi")],
    );
    asks(&mut s, "/join #dev", &[Request::Join(name("dev"))]);
    let last = |conversation: &Conversation, last| Request::History {
        conversation: conversation.clone(),
        last,
    };
    asks(&mut s, "/history", &[last(&dev, 50)]);
    asks(&mut s, "/switch lobby", &[Request::Current(lobby.clone())]);
    asks(&mut s, "/history 3", &[last(&lobby, 3)]);
    let search = Request::Search {
        conversation: lobby.clone(),
        text: "a b".into(),
        last: SEARCH_HITS_MAX,
    };
    asks(&mut s, "/search a b", &[search]);
    asks(&mut s, "/version", &[Request::Version(lobby.clone())]);
    asks(&mut s, "/who", &[Request::Who(lobby.clone())]);
    asks(&mut s, "/list", &[Request::List]);
    asks(&mut s, "/leave @bob", &[Request::Leave(bob)]);
    asks(&mut s, "still here", &[write(lobby.clone(), "still here")]);
    asks(&mut s, "/leave", &[Request::Leave(lobby)]);
    refuses(&mut s, "to whom?", Code::NoConversation);
    asks(&mut s, "/quit", &[Request::Quit]);
}

#[test]
fn conversations_that_one_is_not_in_are_refused() {
    let mut s = session();
    for line in ["hi", "/leave", "/who", "/history", "/version", "/search x"] {
        refuses(&mut s, line, Code::NoConversation);
    }
    for line in ["/switch lobby", "/switch #lobby", "/switch @bob", "/leave lobby"] {
        refuses(&mut s, line, Code::NotJoined);
    }
    s.typed("/join bob");
    s.typed("/msg bob");
    refuses(&mut s, "/switch bob", Code::Usage);
    asks(&mut s, "/switch #bob", &[Request::Current(room("bob"))]);
}

#[test]
fn a_user_who_is_not_there_leaves_nobody_to_talk_to() {
    let mut s = session();
    s.typed("/join lobby");
    s.learn(&joined(room("lobby")), true);
    s.typed("/msg Nobody");
    let not_entered = |conversation| Event::NotEntered {
        conversation,
        notice: Notice {
            code: Code::NoSuchUser,
            message: "there is no user Nobody".into(),
        },
    };
    s.learn(&not_entered(direct("nobody")), true);
    refuses(&mut s, "a secret", Code::NoConversation);
    assert!(refusal(&mut s, "a secret").contains("since @nobody was not entered"));
    refuses(&mut s, "/switch @nobody", Code::NotJoined);
    asks(&mut s, "/switch #lobby", &[Request::Current(room("lobby"))]);
}

#[test]
fn a_start_goes_on_where_the_last_one_ended() {
    let mut s = session();
    s.learn(&ready(vec![room("dev"), direct("bob")], Some(room("dev"))), true);
    assert!(s.is_current(&room("dev")));
    asks(&mut s, "/msg bob hi", &[write(direct("bob"), "hi")]);
    assert_eq!(s.users().len(), 1);
}

#[test]
fn what_comes_elsewhere_is_kept_until_it_is_read() {
    let mut s = session();
    s.learn(&ready(vec![room("dev"), room("lobby")], Some(room("dev"))), true);
    for number in 0..3 {
        s.learn(&Event::Message(line("bob", &number.to_string())), true);
    }
    assert_eq!(s.unread().collect::<Vec<_>>(), [(&room("lobby"), 3)]);
    let Some(Show::Switched(conversation, unread)) = s.typed("/switch lobby").show else {
        panic!()
    };
    assert_eq!(conversation, room("lobby"));
    assert!(unread.is_whole() && unread.lines[2].text.as_deref() == Some("2"));
    assert_eq!(s.unread().count(), 0);

    s.typed("/switch dev");
    for _ in 0..UNREAD_LINES_MAX * 2 + 5 {
        s.learn(&Event::Message(line("bob", "x")), true);
    }
    let Some(Show::Switched(_, unread)) = s.typed("/switch lobby").show else {
        panic!()
    };
    assert_eq!(unread.count, UNREAD_LINES_MAX * 2 + 5);
    assert!(!unread.is_whole() && unread.lines.len() <= UNREAD_LINES_MAX);
}

#[test]
fn members_and_delivery_are_known() {
    let mut s = session();
    s.typed("/join lobby");
    s.learn(&joined(room("lobby")), true);
    let presence = |name: &str, online, left| {
        Event::Presence(Presence {
            user: user(name),
            online,
            conversation: room("lobby"),
            left,
        })
    };
    s.learn(&presence("bob", false, false), true);
    let carol = user("carol");
    assert_eq!(
        s.others().collect::<Vec<_>>(),
        [(&user("bob"), Standing::Away), (&carol, Standing::Here)]
    );

    s.typed("hi");
    assert_eq!(s.waiting(), 1);
    let own = line("alice", "hi");
    s.learn(&Event::Sent(own.clone()), true);
    assert_eq!((s.waiting(), s.delivery().unwrap().stored()), (0, (0, 2)));
    let delivered = |name: &str, durable| {
        Event::Delivered(Delivered {
            conversation: room("lobby"),
            id: own.id,
            seq: own.seq,
            to: user(name),
            durable,
            have: 1,
            of: 2,
        })
    };
    s.learn(&delivered("carol", false), true);
    s.learn(&delivered("carol", true), true);
    let delivery = s.delivery().unwrap();
    assert_eq!(
        (delivery.stored(), delivery.is_done(), delivery.has(&user("bob"))),
        ((1, 2), false, false)
    );
    s.learn(&delivered("bob", true), true);
    assert!(s.delivery().unwrap().is_done());
    s.learn(&presence("bob", false, true), true);
    assert_eq!(s.others().count(), 1);
}

#[test]
fn a_conversation_that_the_other_one_began_can_be_switched_to() {
    let mut session = session();
    session.learn(&joined(room("lobby")), true);
    asks(&mut session, "/switch lobby", &[Request::Current(room("lobby"))]);
    let from_bob = Line {
        conversation: direct("bob"),
        ..line("bob", "lunch?")
    };
    // Scripts keep nothing unread, and can switch all the same.
    for keep_unread in [true, false] {
        session.learn(&Event::Message(from_bob.clone()), keep_unread);
        asks(&mut session, "/switch bob", &[Request::Open(user("bob"))]);
        // What is typed next is for bob, and not for the room.
        asks(&mut session, "at noon", &[write(direct("bob"), "at noon")]);
        session.learn(&joined(direct("bob")), keep_unread);
        assert_eq!(session.unread().count(), 0, "shown by the answer");
        let left = Event::Left {
            conversation: direct("bob"),
            by_other_device: false,
        };
        session.learn(&left, keep_unread);
        refuses(&mut session, "/switch bob", Code::NotJoined);
    }
}

#[test]
fn a_conversation_that_another_own_device_has_can_be_switched_to() {
    for event in [
        Event::Message(Line {
            conversation: direct("bob"),
            ..line("alice", "from elsewhere")
        }),
        Event::Replay(Replay {
            conversation: direct("bob"),
            why: ReplayReason::Synced,
            lines: vec![line("alice", "from elsewhere")],
            more: true,
        }),
    ] {
        let mut session = session();
        session.learn(&event, true);
        assert_eq!(session.unread().count(), 0);
        asks(&mut session, "/switch bob", &[Request::Open(user("bob"))]);
    }
}

#[test]
fn a_message_with_msg_shows_what_was_not_read() {
    let mut session = session();
    session.learn(&joined(direct("bob")), true);
    asks(&mut session, "/msg bob hi", &[write(direct("bob"), "hi")]);
    asks(
        &mut session,
        "/join lobby",
        &[Request::Join(RoomName::new("lobby").unwrap())],
    );
    let from_bob = Line {
        conversation: direct("bob"),
        ..line("bob", "hello")
    };
    session.learn(&Event::Message(from_bob), true);
    let both = [Request::Open(user("bob")), write(direct("bob"), "how are you?")];
    asks(&mut session, "/msg bob how are you?", &both);
    assert_eq!(session.unread().count(), 0);
}
