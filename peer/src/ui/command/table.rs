//! The table of commands.

use super::{
    Command, Completes, HISTORY_DEFAULT, HISTORY_MAX, Spec, checked_text, find, notice, one_word, only_user, read_join,
    read_msg, read_untrust, shortened, target,
};
use crate::{
    driver::request::{AccountAsk, Secret},
    node::{event::Code, people::Wish},
};

/// Every command, in the order of `/help`.
pub static COMMANDS: [Spec; 21] = [
    Spec {
        name: "join",
        arguments: "ROOM [--private]",
        about: "enter a room; it is created if nobody is there",
        examples: &[
            ("/join lobby", "enter #lobby"),
            (
                "/join plans --private",
                "make a room that only those enter who type /join and what /invite prints there",
            ),
        ],
        completes: Completes::Room,
        read: read_join,
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
        name: "invite",
        arguments: "",
        about: "print what others enter this private room with; it is a secret",
        examples: &[],
        completes: Completes::No,
        read: |spec, rest| spec.alone(rest, Command::Invite),
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
        about: "who is in this conversation, who is offline, and whom you trust",
        examples: &[],
        completes: Completes::No,
        read: |spec, rest| spec.alone(rest, Command::Who),
    },
    Spec {
        name: "status",
        arguments: "",
        about: "how the registries and the links to other devices stand",
        examples: &[],
        completes: Completes::No,
        read: |spec, rest| spec.alone(rest, Command::Status),
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
        name: "verify",
        arguments: "USER",
        about: "show words that you and USER compare, to know that nobody stands between you",
        examples: &[(
            "/verify bob",
            "bob types /verify and your name; then read the words to each other",
        )],
        completes: Completes::User,
        read: |spec, rest| only_user(spec, rest).map(|user| Command::People(Wish::Verify(user))),
    },
    Spec {
        name: "trust",
        arguments: "USER",
        about: "remember that the words of /verify USER were the same on both sides",
        examples: &[("/trust bob", "the devices of bob that you have met are his")],
        completes: Completes::User,
        read: |spec, rest| only_user(spec, rest).map(|user| Command::People(Wish::Trust(user))),
    },
    Spec {
        name: "untrust",
        arguments: "USER [DEVICE]",
        about: "take /trust USER back, or forget a device of USER that is gone",
        examples: &[
            ("/untrust bob", "bob is not trusted any longer"),
            (
                "/untrust bob 1a2b3c",
                "the device that starts with 1a2b3c is not bob's any longer",
            ),
        ],
        completes: Completes::User,
        read: read_untrust,
    },
    Spec {
        name: "devices",
        arguments: "",
        about: "the devices on which you can be you",
        examples: &[],
        completes: Completes::No,
        read: |spec, rest| spec.alone(rest, Command::Account(AccountAsk::Devices)),
    },
    Spec {
        name: "approve",
        arguments: "CODE",
        about: "make the device that shows this code one of yours",
        examples: &[("/approve ABCD-EFGH", "the device with this code is you from now on")],
        completes: Completes::No,
        read: |spec, rest| match rest {
            "" => Err(spec.misused()),
            code => Ok(Command::Account(AccountAsk::Approve(shortened(code)))),
        },
    },
    Spec {
        name: "revoke",
        arguments: "DEVICE",
        about: "end one of your devices for good; it can never log in again",
        examples: &[("/revoke 1a2b3c", "the device whose id begins so, as /devices shows it")],
        completes: Completes::No,
        read: |spec, rest| match one_word(rest) {
            Some(id) => Ok(Command::Account(AccountAsk::Revoke(shortened(id)))),
            None => Err(spec.misused()),
        },
    },
    Spec {
        name: "passwd",
        arguments: "[PASSWORD]",
        about: "set the password with which a further device of yours gets in; asked for where it is not given",
        examples: &[(
            "/passwd a long sentence",
            "sets it; at a prompt, /passwd alone asks for it and does not show it",
        )],
        completes: Completes::No,
        read: |spec, rest| match rest {
            "" => Err(spec.misused()),
            password => Ok(Command::Account(AccountAsk::SetPassword(Secret::new(
                password.to_owned(),
            )))),
        },
    },
    Spec {
        name: "link",
        arguments: "",
        about: "on a new device of yours: show a code to /approve on one that is logged in",
        examples: &[],
        completes: Completes::No,
        read: |spec, rest| {
            spec.alone(rest, Command::Nothing)?;
            Err(notice(
                Code::Refused,
                "/link is for a device that is refused at its start: there it is offered, before the chat begins"
                    .to_owned(),
            ))
        },
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
