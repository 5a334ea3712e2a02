//! What a person sees of lines and events.

use chrono::FixedOffset;

use super::*;
use crate::{
    node::{
        door::Door,
        event::{Code, Delivered, Notice, Presence, Ready},
        types::{EntryId, RoomName},
    },
    ui::{
        status,
        testing::{author, line, room, user},
    },
};

fn front() -> TextFront<FixedOffset> {
    let mut front = TextFront::new(user("alice"), Paint::new(false), FixedOffset::east_opt(0).unwrap());
    front.event(Event::Ready(Ready {
        user: user("alice"),
        device: author(1).device,
        listen: String::new(),
        registry: String::new(),
        authority: None,
        first_start: false,
        conversations: vec![room("dev"), room("lobby")],
        current: Some(room("dev")),
    }));
    front.take_text();
    front
}

fn typed(front: &mut TextFront<FixedOffset>, line: &str) -> Vec<Request> {
    front.input(Input::Line(line.into()))
}

#[test]
fn what_is_said_elsewhere_is_hinted_at_once_and_shown_when_switching() {
    let mut f = front();
    f.event(Event::Message(line("bob", "one")));
    assert_eq!(f.take_text(), "· bob wrote in #lobby: /switch #lobby\n");
    f.event(Event::Message(line("bob", "two")));
    assert_eq!(f.take_text(), "");
    f.event(Event::Message(line("bob", "alice?")));
    assert_eq!(f.take_text(), "· bob speaks of you in #lobby: /switch #lobby\n");
    assert_eq!(
        status::row(&f.session, false, 60, Paint::new(false)),
        "── #dev [#lobby 3 unread]"
    );

    // Not shown since the start: the log knows what came before, too.
    let last = |last| Request::History {
        conversation: room("lobby"),
        last,
    };
    assert_eq!(
        typed(&mut f, "/switch lobby"),
        [Request::Current(room("lobby")), last(20)]
    );
    f.event(Event::Replay(Replay {
        conversation: room("lobby"),
        why: crate::node::event::ReplayReason::History,
        lines: vec![line("bob", "one")],
        more: false,
    }));
    assert!(f.take_text().starts_with("── all 1 in #lobby ──\n"));

    typed(&mut f, "/switch dev");
    f.event(Event::Message(line("bob", "three")));
    f.take_text();
    assert_eq!(typed(&mut f, "/switch lobby"), [Request::Current(room("lobby"))]);
    assert_eq!(f.take_text(), "── #lobby: 1 unread ──\n14:02  bob    three\n");
}

/// A line of #dev with an id of its own.
fn numbered(number: u8) -> Line {
    Line {
        conversation: room("dev"),
        id: EntryId([number; 32]),
        ..line("bob", &format!("number {number}"))
    }
}

fn entered() -> Event {
    Event::Joined(Joined {
        conversation: room("dev"),
        created: false,
        version: 5,
        members: vec![user("alice"), user("bob")],
        replay: (1..=5).map(numbered).collect(),
        by_other_device: false,
    })
}

#[test]
fn who_enters_again_after_leaving_is_shown_the_last_entries_again() {
    let mut f = front();
    for _ in 0..2 {
        typed(&mut f, "/leave");
        f.event(Event::Left {
            conversation: room("dev"),
            by_other_device: false,
        });
        f.take_text();
        typed(&mut f, "/join dev");
        // That others are there is told with the answer, and not before it.
        f.event(Event::Presence(Presence {
            user: user("bob"),
            online: true,
            conversation: room("dev"),
            left: false,
        }));
        assert_eq!(f.take_text(), "");
        f.event(entered());
        assert_eq!(f.take_text().matches("number").count(), 5);
    }
}

#[test]
fn a_start_shows_what_was_last_said_and_nothing_twice() {
    let mut f = front();
    let start = |lines| {
        Event::Replay(Replay {
            conversation: room("dev"),
            why: ReplayReason::Start,
            lines,
            more: false,
        })
    };
    f.event(start(vec![numbered(1), numbered(2)]));
    assert_eq!(
        f.take_text(),
        "── all 2 in #dev ──\n── Saturday, 31 January 2026 ──\n14:02  bob    number 1\n14:02  bob    number 2\n\
         ── new since then ──\n"
    );
    f.event(Event::Message(numbered(3)));
    assert_eq!(f.take_text(), "14:02  bob    number 3\n");
    // Entering once more answers with the last entries, and those are on the screen.
    typed(&mut f, "/join dev");
    f.event(Event::Message(numbered(4)));
    f.event(entered());
    assert_eq!(
        f.take_text(),
        "14:02  bob    number 4\n→ #dev joined with bob; 5 messages are kept here\n14:02  bob    number 5\n"
    );
    // Who asks for them is shown them.
    f.event(Event::Replay(Replay {
        conversation: room("dev"),
        why: ReplayReason::History,
        lines: vec![numbered(4), numbered(5)],
        more: true,
    }));
    assert_eq!(f.take_text().matches("number").count(), 2);
    f.event(start(Vec::new()));
    assert_eq!(f.take_text(), "", "nothing to show is not told");
}

#[test]
fn what_was_written_at_another_own_device_is_shown_and_is_nothing_new() {
    let mut f = front();
    f.event(Event::Message(Line {
        conversation: room("dev"),
        ..line("alice", "alice here")
    }));
    assert_eq!(
        f.take_text(),
        "── Saturday, 31 January 2026 ──\n14:02  alice  alice here\n"
    );
    // Elsewhere it is neither told nor counted, and stands among the others when they are read.
    typed(&mut f, "/switch lobby");
    typed(&mut f, "/switch dev");
    f.take_text();
    f.event(Event::Message(line("alice", "alice elsewhere")));
    assert_eq!(f.take_text(), "");
    assert_eq!(f.session.unread().count(), 0);
    f.event(Event::Message(line("bob", "one")));
    assert_eq!(f.take_text(), "· bob wrote in #lobby: /switch #lobby\n");
    assert_eq!(typed(&mut f, "/switch lobby"), [Request::Current(room("lobby"))]);
    assert_eq!(
        f.take_text(),
        "── #lobby: 1 unread ──\n14:02  alice  alice elsewhere\n14:02  bob    one\n"
    );
    // What is followed says so, and takes nobody from where he is.
    f.event(Event::Joined(Joined {
        conversation: room("tea"),
        created: false,
        version: 0,
        members: vec![user("alice"), user("bob")],
        replay: Vec::new(),
        by_other_device: true,
    }));
    assert_eq!(f.take_text(), "→ #tea joined with bob, as at another of your devices\n");
    f.event(Event::Left {
        conversation: room("tea"),
        by_other_device: true,
    });
    assert_eq!(
        f.take_text(),
        "← #tea left, as at another of your devices; what was said stays on your disk\n"
    );
    assert_eq!(f.session.current(), Some(&room("lobby")));
}

#[test]
fn who_is_there_is_known_without_asking() {
    let mut f = front();
    let member = |name: &str, online| crate::node::event::Member {
        user: user(name),
        me: name == "alice",
        online,
        version: None,
        devices: usize::from(online),
        refused: 0,
        trust: crate::node::people::Trust::None,
    };
    f.event(Event::Members {
        conversation: room("dev"),
        members: vec![member("alice", true), member("bob", true), member("carol", false)],
    });
    assert_eq!(f.take_text(), "");
    assert_eq!(
        status::row(&f.session, false, 60, Paint::new(false)),
        "── #dev · bob · offline: carol"
    );
}

#[test]
fn a_text_that_went_elsewhere_says_where() {
    let mut f = front();
    f.event(Event::Sent(line("alice", "hi")));
    assert!(f.take_text().ends_with("14:02  alice  #lobby hi\n"));
}

#[test]
fn the_row_above_the_prompt_tells_what_changes() {
    let mut f = front();
    let row =
        |f: &TextFront<FixedOffset>, columns| status::row(&f.session, f.registry_lost, columns, Paint::new(false));
    typed(&mut f, "/leave");
    assert_eq!(row(&f, 80), "── in no conversation: /join ROOM or /msg USER");
    typed(&mut f, "/switch lobby");
    assert_eq!(row(&f, 80), "── #lobby");
    let member = |name: &str, online| crate::node::event::Member {
        user: user(name),
        me: name == "alice",
        online,
        version: None,
        devices: usize::from(online),
        refused: 0,
        trust: crate::node::people::Trust::None,
    };
    f.event(Event::Who {
        conversation: room("lobby"),
        members: vec![member("alice", true), member("bob", true), member("carol", false)],
        refused_unknown: 0,
    });
    typed(&mut f, "hi");
    assert_eq!(row(&f, 80), "── #lobby · bob · offline: carol · … 1 to send");
    f.event(Event::Sent(line("alice", "hi")));
    assert_eq!(
        row(&f, 80),
        "── #lobby · bob · offline: carol · ○ 0/2, not yet bob and carol"
    );
    let delivered = |name: &str, durable| {
        let own = line("alice", "hi");
        Event::Delivered(Delivered {
            conversation: own.conversation,
            id: own.id,
            seq: own.seq,
            to: user(name),
            durable,
            have: 1,
            of: 2,
        })
    };
    f.event(delivered("bob", true));
    assert_eq!(row(&f, 80), "── #lobby · bob · offline: carol · ✓ 1/2, not yet carol");
    f.event(delivered("carol", false));
    assert_eq!(row(&f, 80), "── #lobby · bob · offline: carol · ✓ 2/2");
    f.event(delivered("carol", true));
    assert_eq!(row(&f, 80), "── #lobby · bob · offline: carol · ✓✓ 2/2");
    f.take_text();
    f.event(Event::Registry(RegistryState::Lost { reason: "gone".into() }));
    assert_eq!(
        f.take_text(),
        "· no registry for now: gone; those whom you know can still be talked to\n"
    );
    assert_eq!(row(&f, 24), "── #lobby · bob · offl…");
    f.event(Event::Registry(RegistryState::Barred {
        reason: "revoked".into(),
    }));
    assert_eq!(f.take_text(), "! revoked\n");
}

#[test]
fn a_room_of_the_command_line_is_current_at_once() {
    let mut f = front();
    let lobby = RoomName::new("x").unwrap();
    assert_eq!(f.input(Input::Join(Door::Name(lobby.clone()))), [Request::Join(lobby)]);
    assert!(f.session.is_current(&room("x")));
    let joined = Event::Joined(Joined {
        conversation: room("x"),
        created: true,
        version: 0,
        members: vec![user("alice")],
        replay: Vec::new(),
        by_other_device: false,
    });
    assert_eq!(f.event(joined), [Request::Current(room("x"))]);
    assert_eq!(f.take_text(), "→ #x is new: you created it; nobody else is here yet\n");
}

/// How a peer ends in order after these lines, from a person or from a pipe.
fn ending(is_typed: bool, lines: &[&str], events: Vec<Event>) -> Ending {
    let mut front = TextFront::plain(user("alice"), is_typed, false);
    front.input(Input::Join(Door::read("lobby").unwrap()));
    for line in lines {
        front.input(Input::Line((*line).into()));
    }
    for event in events {
        front.event(event);
    }
    front.ending()
}

#[test]
fn a_pipe_of_which_something_was_refused_ends_with_an_error() {
    let notice = |code| Notice {
        code,
        message: String::new(),
    };
    let sent = || Event::Sent(line("alice", "hi"));
    let not_entered = || Event::NotEntered {
        conversation: Conversation::direct(&user("alice"), &user("bob")),
        notice: notice(Code::RegistryUnavailable),
    };
    let happened = || Event::Notice(notice(Code::RegistryUnavailable));
    assert_eq!(ending(false, &["hi", "/who"], vec![sent(), happened()]), Ending::Clean);
    let later = || Event::Notice(notice(Code::RefusedLater));
    let of_an_earlier_run = vec![sent(), not_entered(), later()];
    assert_eq!(ending(false, &["hi"], of_an_earlier_run), Ending::Clean);
    let refused: [(&[&str], Vec<Event>); 5] = [
        (&["/nothing"], vec![]),
        (&["/leave", "hi"], vec![]),
        (&["/msg bob"], vec![not_entered()]),
        (&["hi"], vec![sent(), Event::Notice(notice(Code::NotJoined))]),
        (&["this was never in the log"], vec![]),
    ];
    for (lines, events) in refused {
        assert_eq!(ending(false, lines, events.clone()), Ending::Refused, "{lines:?}");
        assert_eq!(ending(true, lines, events), Ending::Clean, "{lines:?}");
    }
    assert_eq!((Ending::Refused.exit_code(), Ending::Clean.exit_code()), (1, 0));
    let mut front = TextFront::plain(user("alice"), false, false);
    front.input(Input::Unreadable("/msg b".into(), notice(Code::Usage)));
    assert_eq!(front.ending(), Ending::Refused);
}

#[test]
fn a_conversation_that_cannot_be_entered_is_no_longer_the_current_one() {
    let mut f = front();
    typed(&mut f, "/msg nobody");
    f.event(Event::NotEntered {
        conversation: Conversation::direct(&user("alice"), &user("nobody")),
        notice: Notice {
            code: Code::NoSuchUser,
            message: "there is no nobody".into(),
        },
    });
    assert_eq!(f.take_text(), "! there is no nobody; no conversation is current now\n");
}
