//! Messages: the time, the name and the text.

use std::ops::Range;

use chrono::TimeZone;

use super::Renderer;
use crate::{
    node::event::{Line, Replay, ReplayReason},
    ui::{find, safe, time, width},
};

/// Shorter names are padded up to this, and all up to the widest that was shown.
pub(super) const NAME_COLUMNS_MIN: usize = 5;

/// A wider name stands where it stands and moves nobody else's text.
const NAME_COLUMNS_MAX: usize = 14;

/// The indent of a text whose name leaves too little room beside it.
const NARROW_INDENT: usize = 7;

/// A text has at least so many columns, or stands below its name.
const TEXT_COLUMNS_MIN: usize = 24;

/// What is said of a message besides itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Show<'s> {
    /// It came just now: a mention of the own name may ring.
    pub live: bool,
    /// The conversation, where it is not the current one.
    pub tag: Option<&'s str>,
    /// A text that was searched for.
    pub hit: Option<&'s str>,
}

impl<Z: TimeZone> Renderer<Z> {
    /// A message, after a line with the day where it is not that of the message before.
    pub fn message(&mut self, line: &Line, show: Show<'_>) -> String {
        let local = time::local(line.sent_at, &self.zone);
        let day = local.date_naive();
        let mut out = String::new();
        if self.last_day != Some(day) {
            self.last_day = Some(day);
            out += &self.rule(&day.format("%A, %-d %B %Y").to_string());
        }

        let mine = line.user == self.me;
        let name = self.name(&line.user);
        self.name_columns = self.name_columns.max(width::columns(&name).min(NAME_COLUMNS_MAX));
        let padding = width::padded(&name, self.name_columns).split_off(name.len());
        let clock = local.naive_local().format("%H:%M").to_string();
        out += &format!(
            "{}  {}{padding}",
            self.paint.dim(&clock),
            self.paint.user(&line.user, mine, &name)
        );
        let head = clock.len() + 2 + width::columns(&name) + padding.len() + 2;

        let Some(text) = &line.text else {
            return out + "  " + &self.paint.dim("(something that this version of Peerchat cannot show)") + "\n";
        };
        let tag = show.tag.map(|tag| format!("{tag} ")).unwrap_or_default();
        let text = format!("{tag}{}", safe::visible(text));
        let marks = self.marks(&text, mine, show.hit);
        let rings = self.bell && show.live && !mine && !marks.is_empty();
        self.lay_out(&mut out, head, &text, &marks);
        if rings {
            out.insert(0, '\u{7}');
        }
        out
    }

    /// Whether a message of somebody else names the own user.
    pub fn is_mention(&self, line: &Line) -> bool {
        let text = line.text.as_deref().unwrap_or_default();
        line.user != self.me && !find::spans(text, self.me.key(), true).is_empty()
    }

    /// Entries of the log, with what they are.
    pub fn replay(&mut self, replay: &Replay) -> String {
        let title = self.title(&replay.conversation);
        let count = replay.lines.len();
        let (above, hit) = match (&replay.why, replay.more) {
            (ReplayReason::Synced, _) => (None, None),
            (ReplayReason::Start | ReplayReason::Earlier, _) if count == 0 => return String::new(),
            (ReplayReason::Earlier, _) => (Some(format!("from before, taken along into {title}")), None),
            (ReplayReason::History, _) if count == 0 => (Some(format!("nothing was said in {title} yet")), None),
            (ReplayReason::History | ReplayReason::Start, true) => (Some(format!("the last {count} in {title}")), None),
            (ReplayReason::History | ReplayReason::Start, false) => (Some(format!("all {count} in {title}")), None),
            (ReplayReason::Search(text), more) => {
                let latest = if more { "the latest " } else { "" };
                let text = width::cut(&safe::visible_line(text), 40);
                (
                    Some(format!("{latest}{count} in {title} with “{text}”")),
                    replay_text(replay),
                )
            }
        };
        let mut out = above.map(|above| self.rule(&above)).unwrap_or_default();
        let show = Show { hit, ..Show::default() };
        for line in &replay.lines {
            out += &self.message(line, show);
        }
        match replay.why {
            ReplayReason::History | ReplayReason::Search(_) if count > 0 => out += &self.rule("now"),
            // What was missed is older than now.
            ReplayReason::Start | ReplayReason::Earlier => out += &self.rule("new since then"),
            _ => {}
        }
        out
    }

    fn marks(&self, text: &str, mine: bool, hit: Option<&str>) -> Vec<Range<usize>> {
        match hit {
            Some(hit) => find::spans(text, hit, false),
            None if mine => Vec::new(),
            None => find::spans(text, self.me.key(), true),
        }
    }

    /// The text behind a head of so many columns, and below it.
    fn lay_out(&self, out: &mut String, head: usize, text: &str, marks: &[Range<usize>]) {
        let room = self.width.map(|width| width.saturating_sub(1));
        let is_narrow = room.is_some_and(|room| room < head + TEXT_COLUMNS_MIN);
        let indent = if is_narrow { NARROW_INDENT } else { head };
        let columns = room.map(|room| room.saturating_sub(indent).max(2));
        for (number, part) in width::lines(text, columns).into_iter().enumerate() {
            if number > 0 || is_narrow {
                out.push_str(if number > 0 { "" } else { "\n" });
                out.push_str(&" ".repeat(indent));
            } else {
                out.push_str("  ");
            }
            self.paint_part(out, text, part, marks);
            out.push('\n');
        }
    }

    fn paint_part(&self, out: &mut String, text: &str, part: Range<usize>, marks: &[Range<usize>]) {
        let mut at = part.start;
        // A mark may reach over the end of a line.
        for mark in marks {
            let (start, end) = (mark.start.max(at), mark.end.min(part.end));
            if start < end {
                out.push_str(&text[at..start]);
                out.push_str(&self.paint.marked(&text[start..end]));
                at = end;
            }
        }
        out.push_str(&text[at..part.end]);
    }
}

fn replay_text(replay: &Replay) -> Option<&str> {
    match &replay.why {
        ReplayReason::Search(text) => Some(text),
        ReplayReason::History | ReplayReason::Synced | ReplayReason::Start | ReplayReason::Earlier => None,
    }
}
