//! What the peer tells, as lines of a terminal. Pure: time zone, width and colours come from outside.
//!
//! A line that starts in the first column is ours, and so is its beginning; what others wrote comes behind it, and what does not
//! fit there stands below with an indent. Since every control character in it is made visible first, no text can look like
//! another message or drive the terminal.

mod account;
mod message;
mod people;
mod status;
mod table;

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeZone};

pub use self::message::Show;
use super::{colour::Paint, help, safe::visible_line, time, width};
use crate::node::{
    event::{Joined, Notice, Presence, Ready, RegistryState},
    private::Invitation,
    types::{Conversation, UserName, WallTime},
};

/// Below so many entries a pull is over before anybody could read how far it is.
const PROGRESS_FROM: u64 = 2_000;

/// What a newcomer must know, a row each.
const LESSON: [(&str, &str); 4] = [
    ("/join lobby", "enter a room; whoever enters the same one is there too"),
    ("/msg bob hello", "say something to one user only"),
    ("anything else", "is said in the conversation that the prompt names"),
    ("/help", "lists the rest; Tab completes; Ctrl-D leaves"),
];

/// What is said where this device follows another one.
const AS_ELSEWHERE: &str = ", as at another of your devices";

/// Turns what the peer tells into lines, each with its end.
#[derive(Debug)]
pub struct Renderer<Z> {
    me: UserName,
    paint: Paint,
    zone: Z,
    /// The columns of the terminal; none where lines are not broken.
    width: Option<usize>,
    /// A mention of the own name rings the bell.
    bell: bool,
    last_day: Option<NaiveDate>,
    /// The columns of the widest name so far, so that texts stand below one another.
    name_columns: usize,
    progress: BTreeMap<Conversation, u64>,
}

impl<Z: TimeZone> Renderer<Z> {
    /// A renderer for the user `me`, without a width and without a bell.
    pub fn new(me: UserName, paint: Paint, zone: Z) -> Self {
        Self {
            me,
            paint,
            zone,
            width: None,
            bell: false,
            last_day: None,
            name_columns: message::NAME_COLUMNS_MIN,
            progress: BTreeMap::new(),
        }
    }

    /// From now on lines have at most so many columns; none for any number.
    pub fn set_width(&mut self, width: Option<usize>) {
        self.width = width;
    }

    /// The columns that lines have at most; none for any number.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// From now on a mention of the own name rings, or does not.
    pub fn set_bell(&mut self, bell: bool) {
        self.bell = bell;
    }

    /// How lines are emphasised.
    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// What the user is shown as a conversation's name.
    pub fn title(&self, conversation: &Conversation) -> String {
        visible_line(&conversation.label(&self.me))
    }

    /// What is told first.
    pub fn ready(&self, ready: &Ready, current: Option<&Conversation>) -> String {
        let me = self.name(&ready.user);
        if ready.first_start {
            let head = format!("Welcome to Peerchat, {me}! What you say goes straight to its readers.");
            // Nobody learns anything by writing to himself.
            let other = if self.me.key() == "bob" { "alice" } else { "bob" };
            let rows = LESSON.map(|(typed, does)| (typed.replace("bob", other), does));
            let dim = |text: &str| self.paint.dim(text);
            return self.quiet(&[&head]) + &help::rows(2, &rows, self.width, dim, dim);
        }
        let place = match current {
            Some(current) => format!("You are in {}", self.title(current)),
            None => "You are in no conversation: /join ROOM or /msg USER".to_owned(),
        };
        self.quiet(&[&format!(
            "Welcome back, {me}. {place}; /list shows what there is, /help what you can do."
        )])
    }

    /// A conversation was entered.
    pub fn joined(&self, joined: &Joined) -> String {
        let title = self.title(&joined.conversation);
        let others: Vec<_> = joined
            .members
            .iter()
            .filter(|user| **user != self.me)
            .map(|user| self.name(user))
            .collect();
        let with = match &joined.conversation {
            Conversation::Direct(_) => String::new(),
            Conversation::Room(_) if others.is_empty() => "; nobody else is here yet".to_owned(),
            Conversation::Room(_) => format!(" with {}", listed(&others)),
        };
        let how = match &joined.conversation {
            Conversation::Direct(_) => "is open",
            Conversation::Room(room) if joined.created && room.id().is_some() => {
                "is private: /invite prints what others enter it with"
            }
            Conversation::Room(_) if joined.created => "is new: you created it",
            Conversation::Room(_) => "joined",
        };
        let where_else = if joined.by_other_device { AS_ELSEWHERE } else { "" };
        let version = match joined.version {
            0 => String::new(),
            1 => "; 1 message is kept here".to_owned(),
            version => format!("; {version} messages are kept here"),
        };
        self.quiet(&[&format!("→ {title} {how}{with}{where_else}{version}")])
    }

    /// What others enter a private room with, in a line of its own that is never broken.
    pub fn invitation(&self, conversation: &Conversation, invitation: &Invitation) -> String {
        let title = self.title(conversation);
        let head = self.quiet(&[&format!(
            "whoever types /join and this is in {title}, and can pass it on:"
        )]);
        format!("{head}  {}\n", *invitation.text())
    }

    /// A conversation was left.
    pub fn left(&self, conversation: &Conversation, by_other_device: bool) -> String {
        let title = self.title(conversation);
        let where_else = if by_other_device { AS_ELSEWHERE } else { "" };
        self.quiet(&[&format!("← {title} left{where_else}; what was said stays on your disk")])
    }

    /// Somebody came or went.
    pub fn presence(&self, presence: &Presence) -> String {
        let name = self.name(&presence.user);
        let painted = self.paint.user(&presence.user, false, &name);
        let title = self.title(&presence.conversation);
        let (sign, what) = match (&presence.conversation, presence.online, presence.left) {
            (Conversation::Room(_), true, _) => ("→", format!("is in {title}")),
            (Conversation::Room(_), false, true) => ("←", format!("left {title}")),
            (Conversation::Room(_), false, false) => {
                ("←", format!("is offline; what is said in {title} is delivered later"))
            }
            (Conversation::Direct(_), true, _) => ("→", "is online".to_owned()),
            (Conversation::Direct(_), false, _) => ("←", "is offline; what you write is delivered later".to_owned()),
        };
        let head = format!("{} {painted}", self.paint.dim(sign));
        self.hanging(&head, &format!("{sign} {name} "), &what)
    }

    /// Something to know. The message may quote what others wrote.
    pub fn notice(&self, notice: &Notice) -> String {
        self.hanging(&self.paint.error("!"), "! ", &notice.message)
    }

    /// The way to the registry changed.
    pub fn registry(&self, state: &RegistryState) -> String {
        let text = match state {
            RegistryState::Hosting { .. } => "· no registry answered, so this process hosts one",
            RegistryState::Connected { .. } => "· connected to the registry",
            RegistryState::Lost { reason } => {
                let text = format!("no registry for now: {reason}; those whom you know can still be talked to");
                return self.hanging(&self.paint.dim("·"), "· ", &text);
            }
            RegistryState::Barred { reason } => return self.hanging(&self.paint.error("!"), "! ", reason),
        };
        self.quiet(&[text])
    }

    /// History arrives: a line for every tenth of it, and none where it is little.
    pub fn progress(&mut self, conversation: &Conversation, from: &UserName, have: u64, of: u64) -> Option<String> {
        if of < PROGRESS_FROM {
            return None;
        }
        let tenth = have.min(of).saturating_mul(10) / of;
        let before = self.progress.insert(conversation.clone(), tenth);
        if before == Some(tenth) || tenth == 0 {
            return None;
        }
        let (title, from) = (self.title(conversation), self.name(from));
        Some(self.quiet(&[&format!(
            "· {title}: {have} of {of} messages from {from} ({}0 %)",
            tenth
        )]))
    }

    /// What the members held is here; nothing to tell where nothing was lacking.
    pub fn synced(
        &mut self,
        conversation: &Conversation,
        version: u64,
        from: &[UserName],
        pulled: u64,
    ) -> Option<String> {
        self.progress.remove(conversation);
        if pulled == 0 {
            return None;
        }
        let title = self.title(conversation);
        let from: Vec<_> = from.iter().map(|user| self.name(user)).collect();
        let count = counted(pulled, "message");
        let text = format!(
            "✓ {title} is complete: {count} came from {}; {version} in all",
            listed(&from)
        );
        Some(self.quiet(&[&text]))
    }

    /// Something came into a conversation that is not current.
    pub fn elsewhere(&self, conversation: &Conversation, user: &UserName, mention: bool) -> String {
        let (title, name) = (self.title(conversation), self.name(user));
        let what = if mention { "speaks of you" } else { "wrote" };
        let bell = if mention && self.bell { "\u{7}" } else { "" };
        format!(
            "{}{bell}\n",
            self.paint.dim(&format!("· {name} {what} in {title}: /switch {title}"))
        )
    }

    /// A line between messages: `── text ──`
    pub fn rule(&self, text: &str) -> String {
        self.quiet(&[&format!("── {text} ──")])
    }

    /// A day, as short as it is clear.
    fn day(&self, time: WallTime) -> String {
        time::local(time, &self.zone).date_naive().to_string()
    }

    /// Lines of our own, in the background. They hold nothing of others but names.
    fn quiet(&self, lines: &[&str]) -> String {
        let mut out = String::new();
        for line in lines {
            let columns = self.width.map(|width| width.saturating_sub(3));
            for (number, part) in width::lines(line, columns).into_iter().enumerate() {
                let indent = if number == 0 { "" } else { "  " };
                out += indent;
                out += &self.paint.dim(&line[part]);
                out.push('\n');
            }
        }
        out
    }

    /// `sign`, then the text, whose further lines are indented as far as `plain` is wide.
    fn hanging(&self, sign: &str, plain: &str, text: &str) -> String {
        let indent = width::columns(plain);
        let text = super::safe::visible(text);
        let columns = self.width.map(|width| width.saturating_sub(indent + 1));
        let mut out = format!("{sign} ");
        for (number, part) in width::lines(&text, columns).into_iter().enumerate() {
            if number > 0 {
                out += &" ".repeat(indent);
            }
            out += &text[part];
            out.push('\n');
        }
        out
    }

    fn name(&self, user: &UserName) -> String {
        visible_line(user.shown())
    }
}

/// `alice, bob and carol`, or how many where there are more than fit.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN_MAX: usize = 8;
    match names {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [some @ .., last] if names.len() <= SHOWN_MAX => format!("{} and {last}", some.join(", ")),
        _ => format!(
            "{} and {} others",
            names[..SHOWN_MAX - 1].join(", "),
            names.len() + 1 - SHOWN_MAX
        ),
    }
}

/// `1 message`, `2 messages`
fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests;
