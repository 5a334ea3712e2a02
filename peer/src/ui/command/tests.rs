//! Typed lines and what they say.

use proptest::prelude::*;

use super::*;

fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn code(line: &str) -> Code {
    read(line).unwrap_err().code
}

#[test]
fn lines_and_what_they_say() {
    use Command::*;
    let text = |text: &str| Text(text.into());
    let msg = |text: Option<&str>| Msg {
        user: user("bob"),
        text: text.map(Into::into),
    };
    let either = |name| Target::Either {
        room: room(name),
        user: user(name),
    };
    let private = |called| Switch(Target::Private(Called::read(called).unwrap().unwrap()));
    let cases = [
        ("", Nothing),
        (" \t ", Nothing),
        ("hi", text("hi")),
        ("  indented /join", text("  indented /join")),
        ("//join", text("/join")),
        ("///", text("//")),
        ("two\nlines", text("two\nlines")),
        ("/join lobby", Join(Door::Name(room("lobby")))),
        ("/JOIN #Lobby ", Join(Door::Name(room("lobby")))),
        ("/join 大厅", Join(Door::Name(room("大厅")))),
        ("/join plans --private", Create(room("plans"))),
        ("/join --private #Plans", Create(room("plans"))),
        ("/invite", Invite),
        ("/msg bob", msg(None)),
        ("/msg @bob", msg(None)),
        (
            "/msg  bob  hi  there",
            Msg {
                user: user("bob"),
                text: None,
            },
        ),
        ("/leave", Leave(None)),
        ("/leave #dev", Leave(Some(Target::Room(room("dev"))))),
        ("/switch @bob", Switch(Target::User(user("bob")))),
        ("/switch dev", Switch(either("dev"))),
        ("/switch #plans:x7k2…", private("plans:x7k2")),
        ("/switch plans:X7K2A", private("plans:x7k2a")),
        ("/list", List),
        ("/who", Who),
        ("/history", History(50)),
        ("/history 7", History(7)),
        ("/search 你好 x", Search("你好 x".into())),
        ("/version", Version),
        ("/verify bob", People(Wish::Verify(user("bob")))),
        ("/trust @Bob", People(Wish::Trust(user("bob")))),
        ("/untrust bob", People(Wish::Untrust(user("bob")))),
        ("/untrust @bob  1A2b…", People(Wish::Forget(user("bob"), "1A2b".into()))),
        ("/help", Help(None)),
        ("/help /msg", Help(Some(&COMMANDS[1]))),
        ("/quit", Quit),
    ];
    for (line, command) in cases {
        let command = match line {
            "/msg  bob  hi  there" => msg(Some("hi  there")),
            _ => command,
        };
        assert_eq!(read(line), Ok(command), "{line:?}");
    }
}

#[test]
fn mistakes_and_their_codes() {
    let cases = [
        ("/jion lobby", Code::NoSuchCommand),
        ("/", Code::NoSuchCommand),
        ("/ join", Code::NoSuchCommand),
        ("/help nothing", Code::NoSuchCommand),
        ("/join", Code::Usage),
        ("/join a b", Code::Usage),
        ("/msg", Code::Usage),
        ("/switch", Code::Usage),
        ("/leave a b", Code::Usage),
        ("/who bob", Code::Usage),
        ("/quit now", Code::Usage),
        ("/history 0", Code::Usage),
        ("/history -1", Code::Usage),
        ("/history 100001", Code::Usage),
        ("/history many", Code::Usage),
        ("/search ", Code::Usage),
        ("/verify", Code::Usage),
        ("/trust bob carol", Code::Usage),
        ("/untrust", Code::Usage),
        ("/untrust bob …", Code::Usage),
        ("/untrust bob 1g", Code::Usage),
        ("/untrust bob 1a 2b", Code::Usage),
        ("/trust a:1", Code::BadName),
        ("/join #", Code::BadName),
        ("/join ..", Code::BadName),
        ("/join a/b", Code::BadName),
        ("/join @bob", Code::BadName),
        ("/msg #lobby hi", Code::BadName),
        ("/msg \u{1b}[31m hi", Code::BadName),
        ("/switch a:1", Code::BadName),
    ];
    for (line, expected) in cases {
        assert_eq!(code(line), expected, "{line:?}");
    }
}

#[test]
fn an_unknown_command_is_answered_with_the_nearest() {
    let message = |line| read(line).unwrap_err().message;
    assert_eq!(
        message("/jion x"),
        "there is no command /jion; did you mean /join ROOM [--private]?"
    );
    assert_eq!(
        message("/exit"),
        "there is no command /exit; /help lists all; // sends a text that starts with /"
    );
    assert_eq!(
        message("/swich"),
        "there is no command /swich; did you mean /switch CONVERSATION?"
    );
    assert!(message(&format!("/{}", "x".repeat(100_000))).len() < 400);
}

#[test]
fn an_invitation_is_a_way_in_and_is_never_repeated() {
    let invitation = Invitation::new(&room("plans"), crate::node::private::Secret::default());
    let text = invitation.text();
    let joined = read(&format!("/join {}", *text));
    assert_eq!(joined, Ok(Command::Join(Door::Invitation(invitation))));
    let secret = &text[text.len() - 32..];
    for line in [
        format!("/join {}a", *text),
        format!("/join #{}", *text),
        format!("/join {} --private", *text),
        format!("/switch {}", *text),
        format!("/msg {}", *text),
        format!("/{}", *text),
        format!("/leave {} x", *text),
    ] {
        let message = read(&line).unwrap_err().message;
        assert!(!message.contains(&secret[..8]), "{message}");
        assert!(!shortened(&line).contains(&secret[..8]));
    }
}

#[test]
fn a_text_has_at_most_64_kib() {
    let longest = "x".repeat(TEXT_BYTES_MAX);
    assert_eq!(read(&longest), Ok(Command::Text(longest.clone())));
    assert!(
        matches!(read(&format!("/msg bob {longest}")), Ok(Command::Msg { text: Some(text), .. }) if text == longest)
    );
    for line in [
        format!("{longest}x"),
        format!("/{longest}/").replacen("/x", "//x", 1),
        format!("/msg bob {longest}x"),
    ] {
        let error = read(&line).unwrap_err();
        assert_eq!(error.code, Code::TextTooLong);
        assert!(error.message.contains("the limit is 65536"), "{}", error.message);
    }
}

#[test]
fn every_example_is_a_command() {
    for spec in &COMMANDS {
        for (typed, _) in spec.examples {
            assert!(read(typed).is_ok(), "{typed}");
        }
    }
}

proptest! {
    #[test]
    fn any_line_is_read_without_a_fall(line in "\\PC{0,40}|/[a-z]{0,8}[ #@]{0,2}.{0,40}") {
        let _ = read(&line);
    }
}
