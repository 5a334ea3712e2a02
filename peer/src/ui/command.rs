//! What a typed line says. Pure; one table of commands drives reading, help and completion.

use crate::node::{
    event::{Code, Notice},
    limits::TEXT_BYTES_MAX,
    types::{NameError, RoomName, UserName},
};

/// How many entries `/history` shows when no number is given.
pub const HISTORY_DEFAULT: usize = 50;

/// The most entries that `/history` shows; more are refused.
pub const HISTORY_MAX: usize = 100_000;

/// The longest part of a mistyped name that an error repeats, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Nothing was typed.
    Nothing,
    /// A text for the current conversation.
    Text(String),
    /// Be in a room.
    Join(RoomName),
    /// Talk to a user.
    Msg {
        /// To whom.
        user: UserName,
        /// What to say at once.
        text: Option<String>,
    },
    /// Be in a conversation no longer; in the current one if none is named.
    Leave(Option<Target>),
    /// Make a conversation current.
    Switch(Target),
    /// What there is.
    List,
    /// Who is there.
    Who,
    /// Show the last entries.
    History(usize),
    /// Show the entries that contain a text.
    Search(String),
    /// Show how much is held.
    Version,
    /// Explain one command, or all.
    Help(Option<&'static Spec>),
    /// End.
    Quit,
}

/// A conversation as it is named at the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `#room`
    Room(RoomName),
    /// `@user`
    User(UserName),
    /// Without `#` and `@`: whichever of the two is there.
    Either {
        /// If it is a room.
        room: RoomName,
        /// If it is a user.
        user: UserName,
    },
}

/// A command.
#[derive(Debug)]
pub struct Spec {
    /// Its name without `/`.
    pub name: &'static str,
    /// What follows the name, as help shows it.
    pub arguments: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// How it is used, with what that does.
    pub examples: &'static [(&'static str, &'static str)],
    /// What its first argument can be completed to.
    pub completes: Completes,
    read: fn(&Spec, &str) -> Result<Command, Notice>,
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Spec {}

/// What the first argument of a command can be completed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    /// Nothing.
    No,
    /// A room.
    Room,
    /// A user.
    User,
    /// A conversation that the user is in.
    Conversation,
    /// A command.
    Command,
}

/// Every command, in the order of `/help`.
pub static COMMANDS: [Spec; 11] = [
    Spec {
        name: "join",
        arguments: "ROOM",
        about: "enter a room; it is created if nobody is there",
        examples: &[("/join lobby", "enter #lobby")],
        completes: Completes::Room,
        read: |spec, rest| match one_word(rest) {
            Some(name) => room(name.strip_prefix('#').unwrap_or(name)).map(Command::Join),
            None => Err(spec.misused()),
        },
    },
    Spec {
        name: "msg",
        arguments: "USER [TEXT]",
        about: "talk to one user, directly",
        examples: &[
            ("/msg bob", "what you type from now on goes to bob"),
            ("/msg bob hello!", "the same, and says hello"),
        ],
        completes: Completes::User,
        read: read_msg,
    },
    Spec {
        name: "leave",
        arguments: "[CONVERSATION]",
        about: "leave a room or close a direct conversation; its log stays on your disk",
        examples: &[("/leave", "leave the current one"), ("/leave #dev", "leave #dev")],
        completes: Completes::Conversation,
        read: |spec, rest| match (rest, one_word(rest)) {
            ("", _) => Ok(Command::Leave(None)),
            (_, Some(name)) => target(name).map(|target| Command::Leave(Some(target))),
            (_, None) => Err(spec.misused()),
        },
    },
    Spec {
        name: "switch",
        arguments: "CONVERSATION",
        about: "go to another conversation that you are in",
        examples: &[
            ("/switch #dev", "what you type from now on goes to #dev"),
            ("/switch @bob", "… to bob"),
        ],
        completes: Completes::Conversation,
        read: |spec, rest| match one_word(rest) {
            Some(name) => target(name).map(Command::Switch),
            None => Err(spec.misused()),
        },
    },
    Spec {
        name: "list",
        arguments: "",
        about: "your conversations, and the rooms that there are",
        examples: &[],
        completes: Completes::No,
        read: |spec, rest| spec.alone(rest, Command::List),
    },
    Spec {
        name: "who",
        arguments: "",
        about: "who is in this conversation, and who is offline",
        examples: &[],
        completes: Completes::No,
        read: |spec, rest| spec.alone(rest, Command::Who),
    },
    Spec {
        name: "history",
        arguments: "[N]",
        about: "the last N messages of this conversation (50)",
        examples: &[("/history 200", "the last 200")],
        completes: Completes::No,
        read: |spec, rest| match (rest, rest.parse()) {
            ("", _) => Ok(Command::History(HISTORY_DEFAULT)),
            (_, Ok(1..=HISTORY_MAX)) => Ok(Command::History(rest.parse().unwrap_or(HISTORY_MAX))),
            _ => Err(notice(
                Code::Usage,
                format!("{}: N is a number from 1 to {HISTORY_MAX}", spec.usage()),
            )),
        },
    },
    Spec {
        name: "search",
        arguments: "TEXT",
        about: "the messages of this conversation that contain TEXT",
        examples: &[("/search release plan", "finds Release Plan too")],
        completes: Completes::No,
        read: |spec, rest| match rest {
            "" => Err(spec.misused()),
            text => Ok(Command::Search(checked_text(text)?)),
        },
    },
    Spec {
        name: "version",
        arguments: "",
        about: "how many entries of this conversation you hold, and whose",
        examples: &[],
        completes: Completes::No,
        read: |spec, rest| spec.alone(rest, Command::Version),
    },
    Spec {
        name: "help",
        arguments: "[COMMAND]",
        about: "explain a command, or list all",
        examples: &[("/help msg", "explain /msg")],
        completes: Completes::Command,
        read: |_, rest| match rest {
            "" => Ok(Command::Help(None)),
            name => find(name.strip_prefix('/').unwrap_or(name)).map(|spec| Command::Help(Some(spec))),
        },
    },
    Spec {
        name: "quit",
        arguments: "",
        about: "leave Peerchat; what was not delivered yet is delivered next time (Ctrl-D does the same)",
        examples: &[],
        completes: Completes::No,
        read: |spec, rest| spec.alone(rest, Command::Quit),
    },
];

/// Reads a line.
///
/// # Errors
/// What to tell the one who typed it.
pub fn read(line: &str) -> Result<Command, Notice> {
    if line.trim().is_empty() {
        return Ok(Command::Nothing);
    }
    let Some(rest) = line.strip_prefix('/') else {
        return checked_text(line).map(Command::Text);
    };
    if rest.starts_with('/') {
        return checked_text(rest).map(Command::Text);
    }
    let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let spec = find(name)?;
    (spec.read)(spec, rest.trim())
}

impl Spec {
    /// `/msg USER [TEXT]`
    pub fn usage(&self) -> String {
        format!("/{} {}", self.name, self.arguments).trim_end().to_owned()
    }

    fn misused(&self) -> Notice {
        let example = self.examples.first().map(|(typed, _)| format!(", such as {typed}"));
        notice(
            Code::Usage,
            format!("it is {}{}", self.usage(), example.unwrap_or_default()),
        )
    }

    fn alone(&self, rest: &str, command: Command) -> Result<Command, Notice> {
        match rest {
            "" => Ok(command),
            _ => Err(notice(
                Code::Usage,
                format!("/{} stands alone; nothing follows it", self.name),
            )),
        }
    }
}

fn read_msg(spec: &Spec, rest: &str) -> Result<Command, Notice> {
    let (name, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(spec.misused());
    }
    let user = user(name.strip_prefix('@').unwrap_or(name))?;
    let text = match text.trim_start() {
        "" => None,
        text => Some(checked_text(text)?),
    };
    Ok(Command::Msg { user, text })
}

fn find(name: &str) -> Result<&'static Spec, Notice> {
    let lower = name.to_lowercase();
    if let Some(spec) = COMMANDS.iter().find(|spec| spec.name == lower) {
        return Ok(spec);
    }
    if name.is_empty() {
        let message =
            "a command follows the /, such as /join lobby; /help lists all; // sends a text that starts with /";
        return Err(notice(Code::NoSuchCommand, message.to_owned()));
    }
    // Beyond so many characters nothing is near, and comparing takes the product of the lengths.
    let near = |spec: &&Spec| strsim::jaro_winkler(spec.name, &lower);
    let nearest = COMMANDS
        .iter()
        .filter(|spec| lower.len() < QUOTED_CHARS_MAX && near(spec) > 0.7)
        .max_by(|a, b| near(a).total_cmp(&near(b)));
    let advice = match nearest {
        Some(spec) => format!("did you mean {}?", spec.usage()),
        None => "/help lists all; // sends a text that starts with /".to_owned(),
    };
    Err(notice(
        Code::NoSuchCommand,
        format!("there is no command /{}; {advice}", shortened(name)),
    ))
}

fn target(name: &str) -> Result<Target, Notice> {
    if let Some(name) = name.strip_prefix('#') {
        room(name).map(Target::Room)
    } else if let Some(name) = name.strip_prefix('@') {
        user(name).map(Target::User)
    } else {
        Ok(Target::Either {
            room: room(name)?,
            user: user(name)?,
        })
    }
}

fn room(name: &str) -> Result<RoomName, Notice> {
    RoomName::new(name).map_err(|error| bad_name(name, &error))
}

fn user(name: &str) -> Result<UserName, Notice> {
    UserName::new(name).map_err(|error| bad_name(name, &error))
}

fn bad_name(name: &str, error: &NameError) -> Notice {
    notice(Code::BadName, format!("{:?}: {error}", shortened(name)))
}

fn checked_text(text: &str) -> Result<String, Notice> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(text_too_long(text.len()));
    }
    Ok(text.to_owned())
}

/// The notice for a text over the limit.
pub fn text_too_long(found: usize) -> Notice {
    notice(
        Code::TextTooLong,
        format!("the text has {found} bytes; the limit is {TEXT_BYTES_MAX} (64 KiB)"),
    )
}

/// None where there is no word or more than one.
fn one_word(rest: &str) -> Option<&str> {
    (!rest.is_empty() && !rest.contains(char::is_whitespace)).then_some(rest)
}

fn shortened(name: &str) -> String {
    let mut short: String = name.chars().take(QUOTED_CHARS_MAX).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

fn notice(code: Code, message: String) -> Notice {
    Notice { code, message }
}

#[cfg(test)]
mod tests {
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
        let cases = [
            ("", Nothing),
            (" \t ", Nothing),
            ("hi", text("hi")),
            ("  indented /join", text("  indented /join")),
            ("//join", text("/join")),
            ("///", text("//")),
            ("two\nlines", text("two\nlines")),
            ("/join lobby", Join(room("lobby"))),
            ("/JOIN #Lobby ", Join(room("lobby"))),
            ("/join 大厅", Join(room("大厅"))),
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
            ("/list", List),
            ("/who", Who),
            ("/history", History(50)),
            ("/history 7", History(7)),
            ("/search 你好 x", Search("你好 x".into())),
            ("/version", Version),
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
            "there is no command /jion; did you mean /join ROOM?"
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
}
