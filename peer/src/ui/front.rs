//! The user interface for people: what a line leads to, and what an event prints. Without threads and without a terminal; the
//! prompt adds those.

mod printed;

use std::collections::BTreeSet;

use chrono::{Local, TimeZone};

use self::printed::Printed;
use super::{
    Ending, Front,
    colour::Paint,
    current_if_joined, help,
    input::Input,
    output::Output,
    render::{Renderer, Show as Message},
    session::{Session, Show, Typed, Unread},
};
use crate::{
    driver::request::Request,
    node::{
        event::{Event, Joined, Line, RegistryState, Replay, ReplayReason},
        types::{Conversation, UserName},
    },
};

/// How many entries `/switch` shows of a conversation that was not shown since the start.
const SWITCH_HISTORY: usize = 20;

/// The user interface for people.
#[derive(Debug)]
pub(super) struct TextFront<Z> {
    pub(super) session: Session,
    pub(super) render: Renderer<Z>,
    pub(super) registry_lost: bool,
    /// Something that was typed was refused.
    refused: bool,
    /// The conversations whose latest entries were printed since the start.
    shown: BTreeSet<Conversation>,
    printed: Printed,
    out: String,
}

impl TextFront<Local> {
    /// Plain lines, for a terminal that cannot move its cursor and for what is no terminal. `is_typed` where a person types, and
    /// `is_read` where what is printed goes to a terminal.
    pub(super) fn plain(me: UserName, is_typed: bool, is_read: bool) -> Self {
        let mut front = Self::new(me.clone(), Paint::detect(is_read), Local);
        if !is_typed {
            front.session = Session::unattended(me);
        }
        front
    }
}

impl<Z: TimeZone> TextFront<Z> {
    /// The state of a start, for the user `me`.
    pub(super) fn new(me: UserName, paint: Paint, zone: Z) -> Self {
        Self {
            session: Session::new(me.clone()),
            render: Renderer::new(me, paint, zone),
            registry_lost: false,
            refused: false,
            shown: BTreeSet::new(),
            printed: Printed::default(),
            out: String::new(),
        }
    }

    /// What is to be printed since the last call.
    pub(super) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    fn typed(&mut self, typed: Typed) -> Vec<Request> {
        let mut requests = typed.requests;
        match typed.show {
            None => {}
            Some(Show::Notice(notice)) => {
                self.refused = true;
                self.out += &self.render.notice(&notice);
            }
            Some(Show::Help(spec)) => self.out += &help::help(spec, self.render.paint(), self.render.width()),
            Some(Show::Switched(conversation, unread)) => requests.extend(self.switched(conversation, &unread)),
        }
        requests
    }

    /// What was not read yet is printed; the log is asked where that is not at hand.
    fn switched(&mut self, conversation: Conversation, unread: &Unread) -> Option<Request> {
        if !self.shown.insert(conversation.clone()) || unread.count == 0 {
            let title = self.render.title(&conversation);
            self.out += &self.render.rule(&match unread.count {
                0 => title,
                count => format!("{title}: {count} unread"),
            });
            if unread.is_whole() {
                for line in &unread.lines {
                    self.printed.insert(line);
                    self.out += &self.render.message(line, Message::default());
                }
                return None;
            }
        }
        Some(Request::History {
            conversation,
            last: unread.count.max(SWITCH_HISTORY),
        })
    }

    fn joined(&mut self, joined: &Joined) {
        self.out += &self.render.joined(joined);
        if self.session.is_current(&joined.conversation) {
            self.shown.insert(joined.conversation.clone());
            for line in &joined.replay {
                if self.printed.insert(line) {
                    self.out += &self.render.message(line, Message::default());
                }
            }
        }
    }

    fn message(&mut self, line: &Line) {
        if self.session.is_current(&line.conversation) {
            let show = Message {
                live: true,
                ..Message::default()
            };
            self.printed.insert(line);
            self.out += &self.render.message(line, show);
            return;
        }
        if line.user == *self.session.me() {
            return;
        }
        let first = self
            .session
            .unread()
            .any(|(conversation, count)| *conversation == line.conversation && count == 1);
        let mention = self.render.is_mention(line);
        if first || mention {
            self.out += &self.render.elsewhere(&line.conversation, &line.user, mention);
        }
    }

    fn sent(&mut self, line: &Line) {
        // The user may have switched meanwhile: what he wrote is shown all the same, with where it went.
        let title = self.render.title(&line.conversation);
        let is_current = self.session.is_current(&line.conversation);
        let show = Message {
            tag: (!is_current).then_some(title.as_str()),
            ..Message::default()
        };
        self.printed.insert(line);
        self.out += &self.render.message(line, show);
    }

    fn replay(&mut self, mut replay: Replay) {
        if self.session.is_current(&replay.conversation) {
            self.shown.insert(replay.conversation.clone());
            // What the user asked for is shown whether or not it was printed before.
            let asked = matches!(replay.why, ReplayReason::History | ReplayReason::Search(_));
            replay.lines.retain(|line| self.printed.insert(line) || asked);
            self.out += &self.render.replay(&replay);
        }
    }

    fn registry(&mut self, state: &RegistryState) {
        let lost = matches!(state, RegistryState::Lost { .. } | RegistryState::Barred { .. });
        // The first connection goes without saying; a lost one is told once.
        if matches!(state, RegistryState::Hosting { .. } | RegistryState::Barred { .. }) || lost != self.registry_lost {
            self.out += &self.render.registry(state);
        }
        self.registry_lost = lost;
    }

    fn print(&mut self, event: &Event) {
        match event {
            Event::Ready(ready) => self.out += &self.render.ready(ready, self.session.current()),
            Event::Joined(joined) => self.joined(joined),
            Event::Message(line) => self.message(line),
            Event::Sent(line) => self.sent(line),
            // The line above the prompt tells it.
            Event::Delivered(_) | Event::Members { .. } => {}
            // Who is there is told when it has been entered.
            Event::Presence(presence) if self.session.is_opening(&presence.conversation) => {}
            Event::Presence(presence) => self.out += &self.render.presence(presence),
            Event::Replay(replay) => self.replay(replay.clone()),
            Event::Version {
                conversation,
                heights,
                users,
            } => self.out += &self.render.version(conversation, heights, users),
            Event::Progress {
                conversation,
                from,
                have,
                of,
            } => self.out.extend(self.render.progress(conversation, from, *have, *of)),
            Event::Synced {
                conversation,
                version,
                from,
                pulled,
            } => self
                .out
                .extend(self.render.synced(conversation, *version, from, *pulled)),
            Event::Invitation {
                conversation,
                invitation,
            } => self.out += &self.render.invitation(conversation, invitation),
            Event::Left {
                conversation,
                by_other_device,
            } => {
                self.shown.remove(conversation);
                // Who enters it again is shown the last entries again.
                self.printed.forget(conversation);
                self.out += &self.render.left(conversation, *by_other_device);
            }
            Event::Who {
                conversation,
                members,
                refused_unknown,
            } => self.out += &self.render.who(conversation, members, *refused_unknown),
            Event::List { own, rooms } => {
                self.out += &self.render.list(own, rooms.as_deref(), self.session.current());
            }
            Event::Account(news) => self.out += &self.render.account(news),
            Event::People(news) => self.out += &self.render.people(news),
            Event::Registry(state) => self.registry(state),
            Event::Status { registries, links } => self.out += &self.render.status(registries, links),
            Event::Notice(notice) => {
                self.refused |= notice.code.is_refusal();
                self.out += &self.render.notice(notice);
            }
            Event::NotEntered { notice, .. } => self.out += &self.render.notice(notice),
            Event::Bye => {}
        }
    }
}

impl<Z: TimeZone> Front for TextFront<Z> {
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

    fn event(&mut self, mut event: Event) -> Vec<Request> {
        // The prompt still names the conversation while the next line is being typed.
        if let Event::NotEntered { conversation, notice } = &mut event
            && self.session.is_current(conversation)
        {
            notice.message += "; no conversation is current now";
        }
        if let Event::NotEntered { conversation, .. } = &event {
            // One that an earlier run was in was not asked for by any line of this one.
            self.refused |= self.session.awaits(conversation);
        }
        self.session.learn(&event, true);
        self.print(&event);
        current_if_joined(&self.session, &event)
    }

    fn ending(&self) -> Ending {
        // What still waits has not become an entry, whatever the reason.
        let lost = self.refused || self.session.waiting() > 0;
        match self.session.is_unattended() && lost {
            true => Ending::Refused,
            false => Ending::Clean,
        }
    }

    fn take_output(&mut self) -> Option<Output> {
        let text = self.take_text();
        (!text.is_empty()).then_some(Output::Text(text))
    }
}

#[cfg(test)]
mod tests;
