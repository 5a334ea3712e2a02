//! The JSON mode: one object per line. Scripts rely on names, fields and order: add kinds, and fields at the end; change nothing.

mod object;
mod people;
mod status;

use std::io::{self, Write};

use self::object::{Device, Message, Object, Own, Person, Room};
use super::{
    Front,
    command::COMMANDS,
    input::Input,
    output::Output,
    session::{Session, Show, Typed},
    time,
};
use crate::{
    driver::request::Request,
    node::{
        account::AccountNews,
        event::{Code, Delivered, Event, Joined, Line, Member, Notice, Presence, Ready, Replay, ReplayReason},
        types::{Conversation, UserName},
    },
};

/// Writes an error of a peer that could not start, as one object.
///
/// # Errors
/// Writing fails.
pub fn print_error(code: Code, message: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    JsonFront::write(
        &mut line,
        &Object::Error {
            code: code.as_str(),
            message,
        },
    );
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// Writes news of the account before the chat has begun, as one object.
///
/// # Errors
/// Writing fails.
pub fn print_account(news: &AccountNews, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    JsonFront::write(&mut line, &account(news));
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// The JSON mode: turns lines into requests and events into lines.
#[derive(Debug)]
pub(super) struct JsonFront {
    session: Session,
    out: String,
}

impl JsonFront {
    /// The state of a start, for the user `me`.
    pub(super) fn new(me: UserName) -> Self {
        Self {
            session: Session::unattended(me),
            out: String::new(),
        }
    }

    fn title(&self, conversation: &Conversation) -> String {
        conversation.title(self.session.me())
    }

    fn write(out: &mut String, object: &Object<'_>) {
        out.push_str(&serde_json::to_string(object).expect("strings and numbers can be written"));
        out.push('\n');
    }

    fn put(&mut self, object: &Object<'_>) {
        Self::write(&mut self.out, object);
    }

    fn typed(&mut self, typed: Typed) -> Vec<Request> {
        match typed.show {
            None => {}
            Some(Show::Notice(notice)) => self.put_notice(&notice),
            Some(Show::Help(spec)) => {
                let lines = COMMANDS
                    .iter()
                    .filter(|one| spec.is_none_or(|spec| spec == *one))
                    .map(|spec| format!("{}: {}", spec.usage(), spec.about));
                let text = lines.collect::<Vec<_>>().join("\n");
                self.put(&Object::Help { text });
            }
            Some(Show::Switched(conversation, _)) => {
                let conversation = self.title(&conversation);
                self.put(&Object::Switched { conversation });
            }
        }
        typed.requests
    }

    fn put_notice(&mut self, notice: &Notice) {
        self.put(&Object::Error {
            code: notice.code.as_str(),
            message: &notice.message,
        });
    }

    fn message<'l>(&self, line: &'l Line, replayed: bool) -> Message<'l> {
        Message {
            conversation: self.title(&line.conversation),
            id: line.id.to_string(),
            author: line.user.shown(),
            device: line.author.device.to_string(),
            seq: line.seq.0,
            lamport: line.lamport.0,
            version: line.version,
            sent_at: time::rfc3339(line.sent_at),
            text: line.text.as_deref(),
            replayed,
        }
    }

    fn put_replayed(&mut self, lines: &[Line]) {
        for line in lines {
            let message = self.message(line, true);
            self.put(&Object::Message(message));
        }
    }

    fn put_ready(&mut self, ready: &Ready) {
        let object = Object::Ready {
            user: ready.user.shown(),
            device: ready.device.to_string(),
            listen: &ready.listen,
            registry: &ready.registry,
            first_start: ready.first_start,
            conversations: ready.conversations.iter().map(|one| self.title(one)).collect(),
            current: ready.current.as_ref().map(|one| self.title(one)),
            authority: ready.authority.map(|authority| authority.to_string()),
        };
        self.put(&object);
    }

    fn put_joined(&mut self, joined: &Joined) {
        let object = Object::Joined {
            conversation: self.title(&joined.conversation),
            version: joined.version,
            members: joined.members.iter().map(UserName::shown).collect(),
            created: joined.created,
            by_other_device: joined.by_other_device,
        };
        self.put(&object);
        self.put_replayed(&joined.replay);
    }

    fn put_replay(&mut self, replay: &Replay) {
        let why = match replay.why {
            ReplayReason::History => "history",
            ReplayReason::Search(_) => "search",
            ReplayReason::Synced => "synced",
            ReplayReason::Earlier => "earlier",
            ReplayReason::Start => return,
        };
        self.put_replayed(&replay.lines);
        let conversation = self.title(&replay.conversation);
        self.put(&Object::Replayed {
            conversation,
            why,
            count: replay.lines.len(),
            more: replay.more,
        });
    }

    fn put_event(&mut self, event: &Event) {
        let object = match event {
            Event::Ready(ready) => return self.put_ready(ready),
            Event::Joined(joined) => return self.put_joined(joined),
            Event::Replay(replay) => return self.put_replay(replay),
            Event::Members { .. } => return,
            Event::Notice(notice) | Event::NotEntered { notice, .. } => return self.put_notice(notice),
            Event::Message(line) => Object::Message(self.message(line, false)),
            Event::Sent(line) => Object::Sent(self.message(line, false)),
            Event::Delivered(delivered) => self.delivered(delivered),
            Event::Presence(presence) => self.presence(presence),
            Event::Version {
                conversation,
                heights,
                users,
            } => Object::Version {
                conversation: self.title(conversation),
                version: heights.version(),
                heights: heights
                    .0
                    .iter()
                    .map(|(author, seq)| (author.to_string(), seq.0))
                    .collect(),
                users: users
                    .iter()
                    .map(|(author, user)| (author.to_string(), user.shown()))
                    .collect(),
            },
            Event::Progress {
                conversation,
                from,
                have,
                of,
            } => Object::Progress {
                conversation: self.title(conversation),
                from: from.shown(),
                have: *have,
                of: *of,
            },
            Event::Synced {
                conversation,
                version,
                from,
                pulled,
            } => Object::Synced {
                conversation: self.title(conversation),
                version: *version,
                from: from.iter().map(UserName::shown).collect(),
                pulled: *pulled,
            },
            Event::Invitation {
                conversation,
                invitation,
            } => Object::Invitation {
                conversation: self.title(conversation),
                invitation: invitation.text().to_string(),
            },
            Event::Left {
                conversation,
                by_other_device,
            } => Object::Left {
                conversation: self.title(conversation),
                by_other_device: *by_other_device,
            },
            Event::Who {
                conversation,
                members,
                refused_unknown,
            } => self.who(conversation, members, *refused_unknown),
            Event::List { own, rooms } => {
                let own = own.iter().map(|(conversation, version)| Own {
                    conversation: self.title(conversation),
                    version: *version,
                    private: matches!(conversation, Conversation::Room(room) if room.id().is_some()),
                });
                let rooms = rooms.as_ref().map(|rooms| {
                    let rooms = rooms.iter().map(|(room, members)| Room {
                        conversation: format!("#{room}"),
                        members: *members,
                    });
                    rooms.collect()
                });
                Object::List {
                    own: own.collect(),
                    rooms,
                }
            }
            Event::Account(news) => account(news),
            Event::People(news) => people::object(news),
            Event::Registry(state) => status::registry(state),
            Event::Status { registries, links } => status::object(registries, links),
            Event::Bye => Object::Bye,
        };
        Self::write(&mut self.out, &object);
    }

    fn delivered<'e>(&self, delivered: &'e Delivered) -> Object<'e> {
        Object::Delivered {
            conversation: self.title(&delivered.conversation),
            id: delivered.id.to_string(),
            to: delivered.to.shown(),
            durable: delivered.durable,
            have: delivered.have,
            of: delivered.of,
        }
    }

    fn presence<'e>(&self, presence: &'e Presence) -> Object<'e> {
        Object::Presence {
            user: presence.user.shown(),
            online: presence.online,
            conversation: self.title(&presence.conversation),
            left: presence.left,
        }
    }

    fn who<'e>(&self, conversation: &Conversation, members: &'e [Member], refused_unknown: u64) -> Object<'e> {
        let person = |member: &'e Member| Person {
            user: member.user.shown(),
            online: member.online,
            version: member.version,
            refused: member.refused,
            devices: member.devices,
            trust: people::trust(member.trust),
        };
        Object::Who {
            conversation: self.title(conversation),
            members: members.iter().map(person).collect(),
            refused_unknown,
        }
    }
}

fn account(news: &AccountNews) -> Object<'_> {
    match news {
        AccountNews::Devices { devices, has_password } => Object::Devices {
            devices: devices
                .iter()
                .map(|device| Device {
                    device: device.device.to_string(),
                    label: &device.label,
                    added_at: time::rfc3339(device.added),
                    seen_at: time::rfc3339(device.seen),
                    online: device.online,
                    here: device.here,
                })
                .collect(),
            has_password: *has_password,
        },
        AccountNews::Approved { device, label } => Object::Approved {
            device: device.to_string(),
            label,
        },
        AccountNews::Revoked(device) => Object::Revoked {
            device: device.to_string(),
        },
        AccountNews::PasswordSet => Object::PasswordSet,
        AccountNews::Code { code, valid_s } => Object::Link {
            code,
            valid_s: *valid_s,
        },
    }
}

impl Front for JsonFront {
    fn input(&mut self, input: Input) -> Vec<Request> {
        match input {
            Input::Line(line) => {
                let typed = self.session.typed(&line);
                self.typed(typed)
            }
            Input::Unreadable(start, notice) => {
                let typed = self.session.mistaken(&start, notice);
                self.typed(typed)
            }
            Input::Join(door) => {
                let typed = self.session.join(door);
                self.typed(typed)
            }
            Input::End => vec![Request::Quit],
        }
    }

    fn event(&mut self, event: Event) -> Vec<Request> {
        self.session.learn(&event, false);
        self.put_event(&event);
        super::current_if_joined(&self.session, &event)
    }

    fn take_output(&mut self) -> Option<Output> {
        let out = std::mem::take(&mut self.out);
        (!out.is_empty()).then_some(Output::Text(out))
    }
}

#[cfg(test)]
mod tests;
