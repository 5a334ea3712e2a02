//! What would be taken along, as the user is shown it before he is asked.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use super::AdoptError;
use crate::{
    config::AdoptConfig,
    folder::places::Place,
    inspect::{self, InspectError},
    known_registries::KnownRegistries,
    log::{self, RealDisk, Shelved},
    net::convert::decode_entry,
    node::{
        Identity,
        people::People,
        types::{Authority, Conversation, UserName},
    },
    state,
};

/// How many of those who wrote in a room are named.
const NAMED_MAX: usize = 6;

/// What would be taken along.
pub(super) struct Plan<'c> {
    config: &'c AdoptConfig,
    pub(super) me: &'c Identity,
    /// Each authority with where its registries are.
    from: String,
    to: String,
    /// Each conversation with what there is to say of it.
    pub(super) conversations: Vec<(Shelved, String)>,
}

impl<'c> Plan<'c> {
    /// Looks at what was named, or at all that there is.
    pub(super) fn read(
        config: &'c AdoptConfig,
        from: &Place,
        to: &Place,
        me: &'c Identity,
    ) -> Result<Self, AdoptError> {
        let user = &me.user;
        let there = log::shelved(&RealDisk, &from.folder, user)?;
        let mut named: Vec<&Shelved> = Vec::new();
        for name in &config.conversations {
            let missing = || InspectError::missing(user, name, None, &there);
            let found = inspect::meant(&there, name, user).ok_or_else(missing)?;
            if !named.contains(&found) {
                named.push(found);
            }
        }
        if config.conversations.is_empty() {
            named.extend(&there);
        }
        let people = |place: &Place| state::people::load(&RealDisk, &place.folder, me).map(|(people, _)| people);
        let (old, new) = (people(from)?, people(to)?);
        let known = KnownRegistries::in_folder(&config.logs.data);
        let conversations = named.into_iter().map(|shelved| {
            let about = match &shelved.conversation {
                Conversation::Direct(pair) => about_person(pair.other(user), user, &old, &new),
                Conversation::Room(_) => String::new(),
            };
            (shelved.clone(), about)
        });
        Ok(Self {
            config,
            me,
            from: authority(from.authority, &known),
            to: authority(to.authority, &known),
            conversations: conversations.collect(),
        })
    }

    /// Shows it.
    pub(super) fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let user = &self.me.user;
        writeln!(out, "from  {}\nto    {}\n", self.from, self.to)?;
        for (shelved, about) in &self.conversations {
            let mut writers = BTreeSet::new();
            let mut entries = 0_u64;
            let read = log::verify(&RealDisk, &shelved.folder, decode_entry, |entry, _| {
                entries += 1;
                writers.extend(entry.draft.user);
            });
            let by = named(&writers);
            let messages = if entries == 1 { "message" } else { "messages" };
            let damage = read
                .err()
                .map(|error| format!("; damaged: {error}"))
                .unwrap_or_default();
            writeln!(
                out,
                "  {}  {entries} {messages}{by}{about}{damage}",
                shelved.conversation.title(user)
            )?;
        }
        if !self.config.conversations.is_empty() && !self.config.undo {
            writeln!(
                out,
                "\nYou will see them above what is said under the same names there. Nobody is given them, and they stay where they are.\n\
                 Each authority gives names by itself: who has a name at the one may be somebody else than who has it at the other."
            )?;
        }
        Ok(())
    }
}

/// An authority, and where the registries are that were met as its.
fn authority(authority: Authority, known: &KnownRegistries) -> String {
    let addresses = known.addresses_of(&authority.to_string()).unwrap_or_default();
    match addresses.is_empty() {
        true => authority.to_string(),
        false => format!("{authority}  ({})", addresses.join(" ")),
    }
}

fn named(writers: &BTreeSet<UserName>) -> String {
    if writers.is_empty() {
        return String::new();
    }
    let mut names: Vec<String> = writers.iter().take(NAMED_MAX).map(UserName::to_string).collect();
    if let Some(more) = writers.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        names.push(format!("{more} more"));
    }
    format!(" by {}", names.join(", "))
}

/// Whether who has the name there is who had it here, as far as devices tell.
fn about_person(other: &UserName, me: &UserName, old: &People, new: &People) -> String {
    if other == me {
        return String::new();
    }
    let (had, has) = (old.devices_of(other), new.devices_of(other));
    if has.is_empty() {
        format!("; you have not met {other} there yet")
    } else if !had.is_disjoint(&has) {
        format!("; {other} has the same device there")
    } else {
        format!("; {other} has another device there, and may be somebody else")
    }
}
