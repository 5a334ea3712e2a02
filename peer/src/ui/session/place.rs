//! Where a line goes: which conversation is meant, and what becomes of the current one when that cannot be said.

use super::{Session, Show, Typed};
use crate::{
    node::{
        door::Called,
        event::{Code, Notice},
        types::{Conversation, RoomName},
    },
    ui::command::{self, Target},
};

impl Session {
    /// What follows from a line that is a mistake. A person is told where he stays, and sees it at the prompt. What a script types
    /// next was meant for where it wanted to go, so from now on it goes nowhere.
    pub(in crate::ui) fn mistaken(&mut self, line: &str, mut notice: Notice) -> Typed {
        if command::goes_elsewhere(line) {
            if self.unattended {
                self.failed = Some(format!("this failed: {}", command::shortened(line)));
                if self.current.take().is_some() {
                    notice.message += "; what is typed next goes nowhere until a conversation is chosen";
                }
            } else if let Some(current) = &self.current {
                notice.message += &format!("; {} stays current", current.label(&self.me));
            }
        }
        Typed {
            requests: Vec::new(),
            show: Some(Show::Notice(notice)),
        }
    }

    /// A conversation cannot be entered: what is typed next must go to nobody, least of all to whom was talked to before.
    pub(super) fn not_entered(&mut self, conversation: &Conversation) {
        let was_current = self.is_current(conversation);
        self.forget(conversation);
        if was_current {
            self.failed = Some(format!("{} was not entered", conversation.label(&self.me)));
        }
    }

    pub(super) fn needs_current(&self) -> Result<Conversation, Notice> {
        self.current.clone().ok_or_else(|| {
            let failed = self.failed.as_ref();
            let since = failed.map(|what| format!(", since {what}")).unwrap_or_default();
            Notice {
                code: Code::NoConversation,
                message: format!(
                    "no conversation is current{since}; /join ROOM, /msg USER or /switch CONVERSATION comes first"
                ),
            }
        })
    }

    /// The conversation that is meant, of those that can be gone to.
    pub(super) fn find(&self, target: Target) -> Result<Conversation, Notice> {
        let is_there = |conversation: &Conversation| self.is_in(conversation) || self.heard.contains(conversation);
        self.meant(&target, is_there)?.ok_or_else(|| {
            not_in(match &target {
                Target::Room(room) => format!("you are not in #{room}; /join {room} takes you there"),
                Target::Private(called) => format!("you are not in {called}; /join and an invitation takes you there"),
                Target::User(user) => format!("you have no open conversation with {user}; /msg {user} opens one"),
                Target::Either { room, user } => format!(
                    "you are not in #{room} and have not opened @{user}; /join {room} or /msg {user} takes you there"
                ),
            })
        })
    }

    /// The conversation that is meant, of those that can be left.
    pub(super) fn find_open(&self, target: Target) -> Result<Conversation, Notice> {
        self.meant(&target, |conversation| self.is_in(conversation))?
            .ok_or_else(|| {
                not_in(match &target {
                    Target::Room(room) => format!("you are not in #{room}"),
                    Target::Private(called) => format!("you are not in {called}"),
                    Target::User(user) => format!("you are not in @{user}"),
                    Target::Either { room, user } => format!("you are neither in #{room} nor in @{user}"),
                })
            })
    }

    /// A room is meant by its name; a private one only where no other room has it.
    fn room_meant(&self, room: &RoomName) -> Result<Option<Conversation>, Notice> {
        let open = Some(Conversation::Room(room.clone())).filter(|conversation| self.is_in(conversation));
        match open {
            Some(open) => Ok(Some(open)),
            None => self.private_meant(&Called::by(room)),
        }
    }

    fn private_meant(&self, called: &Called) -> Result<Option<Conversation>, Notice> {
        let is_it = |one: &&Conversation| matches!(one, Conversation::Room(room) if called.is(room));
        match self.open().filter(is_it).collect::<Vec<_>>()[..] {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            ref some => {
                let names: Vec<_> = some.iter().map(|one| one.label(&self.me)).collect();
                Err(Notice {
                    code: Code::Usage,
                    message: format!("several are called {called}…; say which one: {}", names.join(" ")),
                })
            }
        }
    }

    fn meant(&self, target: &Target, is_there: impl Fn(&Conversation) -> bool) -> Result<Option<Conversation>, Notice> {
        Ok(match target {
            Target::Room(room) => self.room_meant(room)?,
            Target::Private(called) => self.private_meant(called)?,
            Target::User(user) => Some(Conversation::direct(&self.me, user)).filter(is_there),
            Target::Either { room, user } => {
                let direct = Some(Conversation::direct(&self.me, user)).filter(&is_there);
                let as_room = self.room_meant(room)?;
                if direct.is_some() && as_room.is_some() {
                    return Err(Notice {
                        code: Code::Usage,
                        message: format!("you are in both; say #{room} or @{user}"),
                    });
                }
                as_room.or(direct)
            }
        })
    }
}

fn not_in(message: String) -> Notice {
    Notice {
        code: Code::NotJoined,
        message,
    }
}
