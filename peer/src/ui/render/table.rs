//! Answers that are tables: columns aligned by what a terminal shows.

use std::collections::BTreeMap;

use chrono::TimeZone;

use super::{Renderer, counted};
use crate::{
    node::{
        event::Member,
        people::Trust,
        types::{Author, Conversation, DeviceId, Heights, RoomName, UserName},
    },
    ui::width,
};

/// The most rows of a table; further ones are counted.
const ROWS_MAX: usize = 200;

/// How much of a device's id is shown: enough to tell one from another.
const DEVICE_CHARS: usize = 12;

/// The beginning of a device's id.
pub(super) fn short(device: &DeviceId) -> String {
    let start: String = device.to_string().chars().take(DEVICE_CHARS).collect();
    format!("{start}…")
}

impl<Z: TimeZone> Renderer<Z> {
    /// Who is in a conversation.
    pub fn who(&self, conversation: &Conversation, members: &[Member], refused_unknown: u64) -> String {
        let own = members.iter().find(|member| member.me).and_then(|me| me.version);
        let rows = members.iter().map(|member| {
            let standing = match (member.me, member.online) {
                (true, _) => "you",
                (false, true) => "online",
                (false, false) => "offline",
            };
            let standing = match member.devices {
                0 | 1 => standing.to_owned(),
                devices => format!("{standing} ({devices} devices)"),
            };
            // What others hold is told now and then, and not with each entry.
            let told = if member.me || member.version == own {
                ""
            } else {
                " as last told"
            };
            let version = member.version.map(|version| format!("version {version}{told}"));
            let refused = (member.refused > 0).then(|| format!("{} refused", member.refused));
            let trust = match member.trust {
                Trust::None => None,
                Trust::Whole => Some("✓ trusted".to_owned()),
                Trust::NewDevice => Some("! has a new device".to_owned()),
            };
            let version = version
                .into_iter()
                .chain(trust)
                .chain(refused)
                .collect::<Vec<_>>()
                .join("  ");
            let name = self.name(&member.user);
            let painted = self.paint.user(&member.user, member.me, &name);
            [(name, Some(painted)), (standing, None), (version, None)]
        });
        let head = format!(
            "{}: {}",
            self.title(conversation),
            counted(members.len() as u64, "member")
        );
        let mut out = self.rule(&head) + &table(rows);
        if refused_unknown > 0 {
            out += &self.quiet(&[&format!("  {refused_unknown} refused from unknown senders")]);
        }
        out
    }

    /// What there is.
    pub fn list(
        &self,
        own: &[(Conversation, u64)],
        rooms: Option<&[(RoomName, u32)]>,
        current: Option<&Conversation>,
    ) -> String {
        let mut out = self.rule("your conversations");
        if own.is_empty() {
            out += &self.quiet(&["  none yet: /join ROOM or /msg USER"]);
        }
        out += &table(own.iter().map(|(conversation, version)| {
            let current = (Some(conversation) == current).then_some("current");
            let private = matches!(conversation, Conversation::Room(room) if room.id().is_some()).then_some("private");
            let marks: Vec<_> = private.into_iter().chain(current).collect();
            let version = counted(*version, "message");
            [
                (self.title(conversation), None),
                (version, None),
                (marks.join(", "), None),
            ]
        }));
        let Some(rooms) = rooms else {
            return out + &self.quiet(&["  the registry does not answer, so the other rooms are not known"]);
        };
        out += &self.rule("rooms");
        if rooms.is_empty() {
            out += &self.quiet(&["  none yet: /join ROOM creates one"]);
        }
        out + &table(rooms.iter().map(|(room, members)| {
            let members = counted(u64::from(*members), "member");
            [(format!("#{room}"), None), (members, None), (String::new(), None)]
        }))
    }

    /// How much of a conversation is held, and whose. Device and incarnation are told only where they tell one author of a user
    /// from another.
    pub fn version(
        &self,
        conversation: &Conversation,
        heights: &Heights,
        users: &BTreeMap<Author, UserName>,
    ) -> String {
        let mut authors: Vec<_> = heights
            .0
            .iter()
            .map(|(author, seq)| (users.get(author), author, seq))
            .collect();
        authors.sort();
        let mut counts: BTreeMap<Option<&UserName>, usize> = BTreeMap::new();
        for (user, ..) in &authors {
            *counts.entry(*user).or_default() += 1;
        }
        let rows = authors.iter().map(|(user, author, seq)| {
            let name = user.map_or_else(|| "?".to_owned(), |user| self.name(user));
            let painted = user.map(|user| self.paint.user(user, *user == self.me, &name));
            let who = if counts[user] > 1 {
                let device = short(&author.device);
                format!("device {device}, incarnation {:016x}", author.incarnation)
            } else {
                String::new()
            };
            let entries = match seq.0 {
                1 => "1 entry".to_owned(),
                count => format!("{count} entries"),
            };
            [(name, painted), (entries, None), (who, None)]
        });
        let head = format!("{}: version {}", self.title(conversation), heights.version());
        self.rule(&head) + &table(rows)
    }
}

/// A cell and, where it has colours, how it is written.
pub(super) type Cell = (String, Option<String>);

pub(super) fn table(rows: impl Iterator<Item = [Cell; 3]>) -> String {
    let rows: Vec<_> = rows.collect();
    let widest = |column: usize| rows.iter().map(|row| width::columns(&row[column].0)).max().unwrap_or(0);
    let columns = [widest(0), widest(1)];
    let mut out = String::new();
    for [first, second, third] in rows.iter().take(ROWS_MAX) {
        let mut line = String::from("  ");
        for ((plain, painted), columns) in [first, second].into_iter().zip(columns) {
            line += painted.as_ref().unwrap_or(plain);
            line += &" ".repeat(columns.saturating_sub(width::columns(plain)) + 2);
        }
        line += &third.0;
        out += line.trim_end();
        out.push('\n');
    }
    if rows.len() > ROWS_MAX {
        out += &format!("  … and {} more\n", rows.len() - ROWS_MAX);
    }
    out
}
