//! The JSON mode, object by object.

use super::*;
use crate::{
    node::{
        breaker::BreakerState,
        door::Door,
        event::{Code, RegistryState},
        people::{Comparison, News, Trust, compare::Compared},
        status::{LinkStanding, LinkStatus, RegistryStatus},
        types::{Authority, EntryId, Heights, RoomName, Seq},
    },
    ui::testing::{author, line, private, room, user},
};

fn front() -> JsonFront {
    JsonFront::new(user("alice"))
}

fn taken(front: &mut JsonFront) -> String {
    match front.take_output() {
        Some(Output::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn object(event: Event) -> String {
    let mut front = front();
    front.event(event);
    taken(&mut front)
}

fn direct() -> Conversation {
    Conversation::direct(&user("alice"), &user("bob"))
}

/// The line with `HEX…` for what is 32 bytes of one value.
fn golden(line: &str) -> String {
    let line = line.replace("ID", &"07".repeat(32)).replace("DEVICE", &"0b".repeat(32));
    line + "\n"
}

const MESSAGE: &str = r##""conversation":"#lobby","id":"ID","author":"bob","device":"DEVICE","seq":4,"lamport":17,"version":13,"sent_at":"2026-01-31T14:02:07.042Z","text":"hi","replayed":"##;

#[test]
fn ready_and_joined() {
    let ready = Event::Ready(Ready {
        user: user("alice"),
        device: author(11).device,
        listen: "127.0.0.1:41234".into(),
        registry: "127.0.0.1:10001".into(),
        authority: Some(Authority([7; 32])),
        first_start: false,
        conversations: vec![room("dev"), direct()],
        current: Some(direct()),
    });
    assert_eq!(
        object(ready),
        golden(
            r##"{"event":"ready","user":"alice","device":"DEVICE","listen":"127.0.0.1:41234","registry":"127.0.0.1:10001","first_start":false,"conversations":["#dev","@bob"],"current":"@bob","authority":"SHA256:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}"##
        )
    );
    let joined = Event::Joined(Joined {
        conversation: room("lobby"),
        created: true,
        version: 12,
        members: vec![user("alice"), user("bob")],
        replay: vec![line("bob", "hi")],
        by_other_device: false,
    });
    assert_eq!(
        object(joined),
        golden(&format!(
            r##"{{"event":"joined","conversation":"#lobby","version":12,"members":["alice","bob"],"created":true,"by_other_device":false}}
{{"event":"message",{MESSAGE}true}}"##
        ))
    );
}

#[test]
fn messages() {
    assert_eq!(
        object(Event::Message(line("bob", "hi"))),
        golden(&format!(r#"{{"event":"message",{MESSAGE}false}}"#))
    );
    assert_eq!(
        object(Event::Sent(line("bob", "hi"))),
        golden(&format!(r#"{{"event":"sent",{MESSAGE}false}}"#))
    );
    let unknown = Line {
        text: None,
        ..line("bob", "")
    };
    assert!(object(Event::Message(unknown)).contains(r#""text":null,"#));
    let hostile = object(Event::Message(line("bob", "a\n{\"event\":\"bye\"}\u{1b}[2J\u{2028}")));
    assert_eq!(hostile.matches('\n').count(), 1, "one object, one line");
    assert!(!hostile.contains('\u{1b}'));
    let replay = |lines| {
        Event::Replay(Replay {
            conversation: room("lobby"),
            why: ReplayReason::History,
            lines,
            more: true,
        })
    };
    assert_eq!(
        object(replay(vec![line("bob", "hi")])),
        golden(&format!(
            r##"{{"event":"message",{MESSAGE}true}}
{{"event":"replayed","conversation":"#lobby","why":"history","count":1,"more":true}}"##
        ))
    );
}

#[test]
fn what_is_for_the_screen_alone_is_not_told() {
    let mut front = front();
    front.event(Event::Replay(Replay {
        conversation: room("lobby"),
        why: ReplayReason::Start,
        lines: vec![line("bob", "hi")],
        more: true,
    }));
    front.event(Event::Members {
        conversation: room("lobby"),
        members: Vec::new(),
    });
    assert_eq!(front.take_output(), None);
}

#[test]
fn every_other_event() {
    let cases = [
        (
            Event::Delivered(Delivered {
                conversation: room("lobby"),
                id: EntryId([7; 32]),
                seq: Seq(4),
                to: user("bob"),
                durable: false,
                have: 1,
                of: 2,
            }),
            r##"{"event":"delivered","conversation":"#lobby","id":"ID","to":"bob","durable":false,"have":1,"of":2}"##,
        ),
        (
            Event::Presence(Presence {
                user: user("bob"),
                online: false,
                conversation: direct(),
                left: false,
            }),
            r#"{"event":"presence","user":"bob","online":false,"conversation":"@bob","left":false}"#,
        ),
        (
            Event::Version {
                conversation: room("lobby"),
                heights: Heights([(author(11), Seq(7))].into()),
                users: [(author(11), user("bob"))].into(),
            },
            r##"{"event":"version","conversation":"#lobby","version":7,"heights":{"DEVICE-000000000000001f":7},"users":{"DEVICE-000000000000001f":"bob"}}"##,
        ),
        (
            Event::Left {
                conversation: room("lobby"),
                by_other_device: true,
            },
            r##"{"event":"left","conversation":"#lobby","by_other_device":true}"##,
        ),
        (
            Event::Synced {
                conversation: room("lobby"),
                version: 13,
                from: vec![user("bob")],
                pulled: 5,
            },
            r##"{"event":"synced","conversation":"#lobby","version":13,"from":["bob"],"pulled":5}"##,
        ),
        (
            Event::Progress {
                conversation: room("lobby"),
                from: user("bob"),
                have: 1,
                of: 9,
            },
            r##"{"event":"progress","conversation":"#lobby","from":"bob","have":1,"of":9}"##,
        ),
        (
            Event::Who {
                conversation: room("lobby"),
                members: vec![Member {
                    user: user("bob"),
                    me: false,
                    online: true,
                    version: Some(3),
                    devices: 2,
                    refused: 2,
                    trust: Trust::NewDevice,
                }],
                refused_unknown: 7,
            },
            r##"{"event":"who","conversation":"#lobby","members":[{"user":"bob","online":true,"version":3,"refused":2,"devices":2,"trust":"new_device"}],"refused_unknown":7}"##,
        ),
        (
            Event::List {
                own: vec![(direct(), 2)],
                rooms: Some(vec![(RoomName::new("dev").unwrap(), 4)]),
            },
            r##"{"event":"list","own":[{"conversation":"@bob","version":2,"private":false}],"rooms":[{"conversation":"#dev","members":4}]}"##,
        ),
        (
            Event::Registry(RegistryState::Lost { reason: "gone".into() }),
            r#"{"event":"registry","state":"lost","reason":"gone","address":null}"#,
        ),
        (
            Event::Registry(RegistryState::Barred { reason: "no".into() }),
            r#"{"event":"registry","state":"lost","reason":"no","address":null}"#,
        ),
        (
            Event::Registry(RegistryState::Connected { address: "h:1".into() }),
            r#"{"event":"registry","state":"connected","reason":null,"address":"h:1"}"#,
        ),
        (
            Event::Status {
                registries: vec![RegistryStatus {
                    address: "h:1".into(),
                    state: BreakerState::HalfOpen,
                    is_used: false,
                    error: Some("refused".into()),
                    failed_ms_ago: None,
                    next_try_ms: Some(20),
                    clock_ahead_ms: Some(-7),
                }],
                links: vec![LinkStatus {
                    user: user("bob"),
                    device: author(11).device,
                    address: Some("h:2".into()),
                    standing: LinkStanding::Up,
                    state: BreakerState::Closed,
                    next_try_ms: None,
                    is_undialable: true,
                }],
            },
            r#"{"event":"status","registries":[{"address":"h:1","state":"half_open","in_use":false,"error":"refused","next_try_ms":20,"clock_ahead_ms":-7}],"links":[{"user":"bob","device":"DEVICE","address":"h:2","link":"up","state":"closed","next_try_ms":null,"undialable":true}]}"#,
        ),
        (
            Event::Notice(Notice {
                code: Code::NoSuchUser,
                message: "there is no eve".into(),
            }),
            r#"{"event":"error","code":"no_such_user","message":"there is no eve"}"#,
        ),
        (
            Event::Invitation {
                conversation: Conversation::Room(private("plans", 0).room()),
                invitation: private("plans", 0),
            },
            r##"{"event":"invitation","conversation":"#plans:f7fmagcc3ykv2eslgdrcjhrjxq","invitation":"invite:plans:aaaaaaaaaaaaaaaaaaaaaaaaaaqnx4bq"}"##,
        ),
        (
            Event::People(News::NewDevice {
                user: user("bob"),
                device: author(11).device,
                known: 1,
                trusted: true,
            }),
            r#"{"event":"new_device","user":"bob","device":"DEVICE","known":1,"trusted":true}"#,
        ),
        (
            Event::People(News::Compared(
                Comparison {
                    user: user("bob"),
                    devices: vec![Compared {
                        user: user("bob"),
                        device: author(11).device,
                        first_met: Some(line("bob", "").sent_at),
                        counts: true,
                        trusted: false,
                    }],
                    trusted: false,
                },
                ["acorn"; 12],
            )),
            r#"{"event":"verify","user":"bob","words":["acorn","acorn","acorn","acorn","acorn","acorn","acorn","acorn","acorn","acorn","acorn","acorn"],"devices":[{"user":"bob","device":"DEVICE","first_met":"2026-01-31T14:02:07.042Z","counts":true,"trusted":false}],"trusted":false}"#,
        ),
        (
            Event::People(News::Trusted(user("bob"), vec![author(11).device])),
            r#"{"event":"trusted","user":"bob","devices":["DEVICE"]}"#,
        ),
        (
            Event::People(News::Forgot {
                user: user("bob"),
                device: author(11).device,
                known: 0,
            }),
            r#"{"event":"forgot_device","user":"bob","device":"DEVICE","known":0}"#,
        ),
        (Event::Bye, r#"{"event":"bye"}"#),
    ];
    for (event, line) in cases {
        assert_eq!(object(event), golden(line));
    }
}

#[test]
fn mistakes_of_a_script_are_errors_and_the_end_quits() {
    let mut front = front();
    assert!(front.input(Input::Line("hi".into())).is_empty());
    assert!(taken(&mut front).starts_with(r#"{"event":"error","code":"no_conversation","message":"#));
    assert!(front.input(Input::Line("/jion".into())).is_empty());
    assert!(taken(&mut front).starts_with(r#"{"event":"error","code":"no_such_command","#));
    front.input(Input::Join(Door::read("lobby").unwrap()));
    front.input(Input::Line("/switch lobby".into()));
    assert_eq!(
        taken(&mut front),
        "{\"event\":\"switched\",\"conversation\":\"#lobby\"}\n"
    );
    assert_eq!(front.input(Input::End), [Request::Quit]);
}
