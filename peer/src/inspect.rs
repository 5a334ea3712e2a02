//! `peerchat log` and `peerchat verify`: reading logs without a peer, and without changing a byte of them.

mod proofs;
mod verifying;
pub(crate) mod which;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

use peerchat_identity::secret_file::SecretFileError;

pub use self::verifying::verify;
use crate::{
    checkup::Fault,
    config::{ConversationName, LogConfig},
    folder::earlier,
    log::{self, IoError, LogError, RealDisk, Shelved},
    net::convert::decode_entry,
    node::{
        door::Called,
        event::Line,
        refusal::Refusal,
        types::{Author, Authority, Conversation, Entry, EntryId, UserName},
    },
    ui::log_print::{self, Format},
};

/// A log cannot be read, or is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no such user here.
    #[error("{user} has no data in {}; see --user and --data", data.display())]
    NoSuchUser {
        /// The user.
        user: UserName,
        /// The data folder.
        data: PathBuf,
    },
    /// What is there does not say under which authority.
    #[error(
        "the logs in {} do not say under which registry's authority they are: the next `peerchat chat` sets them aside and says where",
        folder.display()
    )]
    NoAuthority {
        /// The user's folder.
        folder: PathBuf,
    },
    /// No authority is named like this, or several are.
    #[error("{found} authorities begin with {meant}; there are: {}", list(there))]
    WhichAuthority {
        /// What was given.
        meant: String,
        /// How many are named by it.
        found: usize,
        /// Those that are there.
        there: Vec<String>,
    },
    /// A file with a certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] SecretFileError),
    /// There is no such conversation.
    #[error("{user} has no log of {title}{}; there are: {}", under(*authority), list(there))]
    NoSuchConversation {
        /// The user.
        user: UserName,
        /// The conversation that was asked for.
        title: String,
        /// Under which authority it was looked for.
        authority: Option<Authority>,
        /// Those that are there.
        there: Vec<String>,
    },
    /// The disk refuses.
    #[error(transparent)]
    Disk(#[from] IoError),
    /// The log cannot be read or is damaged.
    #[error("{title}: {source}")]
    Log {
        /// Of which conversation.
        title: String,
        /// What is wrong.
        source: Box<LogError>,
    },
    /// A whole entry breaks a rule that its author knew.
    #[error("{title}: {} is damaged at byte {offset}: {source}", path.display())]
    Refused {
        /// Of which conversation.
        title: String,
        /// The file.
        path: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// The rule.
        source: Box<Refusal>,
    },
    /// What is kept beside a log to prove its entries does not prove them.
    #[error("{title}: {} is damaged at byte {offset}: {what}", path.display())]
    BadSeal {
        /// Of which conversation.
        title: String,
        /// The file.
        path: PathBuf,
        /// Where in the file, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A log holds what belongs elsewhere.
    #[error("{title}: entry {id} is of another conversation")]
    Misplaced {
        /// In which conversation's log it is.
        title: String,
        /// The entry.
        id: EntryId,
    },
    /// Entries wait in files that were set aside.
    #[error("{title}: {entries} entries in {} are not in the log: they wait for what is missing there", path.display())]
    SetAside {
        /// Of which conversation.
        title: String,
        /// The file.
        path: PathBuf,
        /// How many.
        entries: u64,
    },
    /// A file that is no log's is not what it should be.
    #[error("{}: {}; {}; the next start sets right what can be", .0.path.display(), .0.what, .0.then)]
    Fault(Fault),
    /// Nothing can be printed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

impl InspectError {
    /// No conversation of these is called so.
    pub(crate) fn missing(
        user: &UserName,
        name: &ConversationName,
        authority: Option<Authority>,
        there: &[Shelved],
    ) -> Self {
        let title = match name {
            ConversationName::Room(room) => format!("#{room}"),
            ConversationName::Private(called) => called.to_string(),
            ConversationName::User(other) => format!("@{}", other.key()),
        };
        Self::NoSuchConversation {
            user: user.clone(),
            title,
            authority,
            there: there.iter().map(|one| one.conversation.title(user)).collect(),
        }
    }
}

fn under(authority: Option<Authority>) -> String {
    authority.map_or_else(String::new, |authority| {
        format!(" under the authority {authority} (another one is named by --authority)")
    })
}

fn list(titles: &[String]) -> String {
    if titles.is_empty() {
        "none".into()
    } else {
        titles.join(" ")
    }
}

/// Prints the entries of a conversation in canonical order. What follows damage is not printed, and the damage is the error.
///
/// # Errors
/// There is no such log, it cannot be read, or it is damaged.
pub fn print(
    config: &LogConfig,
    name: ConversationName,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), InspectError> {
    let user = &config.user;
    let place = which::one(config)?;
    let shelved = match &place {
        Some(place) => log::shelved(&RealDisk, &place.folder, user)?,
        None => Vec::new(),
    };
    let Some(found) = meant(&shelved, &name, user) else {
        let authority = place.map(|place| place.authority);
        return Err(InspectError::missing(user, &name, authority, &shelved));
    };
    let title = found.conversation.title(user);
    // Where an authority was named nothing of another one is meant.
    if config.authority.is_none() {
        for folder in earlier::of(&which::existing(config)?, found, user)? {
            let mut entries = Vec::new();
            let read = log::verify(&RealDisk, &folder, decode_entry, |entry, _| entries.push(entry));
            log_print::print(lines(entries), user, format, out)?;
            let title = format!("{title}, as it was taken along");
            read.map_err(|source| InspectError::Log {
                title,
                source: Box::new(source),
            })?;
        }
    }
    let mut entries = Vec::new();
    let read = log::verify(&RealDisk, &found.folder, decode_entry, |entry, _| entries.push(entry));
    log_print::print(lines(entries), user, format, out)?;
    match read {
        Ok(_) => Ok(()),
        Err(source) => Err(InspectError::Log {
            title,
            source: Box::new(source),
        }),
    }
}

/// The conversation that is meant. A private room need not be named in full, where no other one is called so.
pub(crate) fn meant<'s>(shelved: &'s [Shelved], name: &ConversationName, user: &UserName) -> Option<&'s Shelved> {
    let (conversation, called) = match name {
        ConversationName::Room(room) => (Some(Conversation::Room(room.clone())), Some(Called::by(room))),
        ConversationName::Private(called) => (None, Some(called.clone())),
        ConversationName::User(other) => (Some(Conversation::direct(user, other)), None),
    };
    let exactly = shelved
        .iter()
        .find(|shelved| Some(&shelved.conversation) == conversation.as_ref());
    exactly.or_else(|| {
        let called = called?;
        let is_it = |one: &&Shelved| matches!(&one.conversation, Conversation::Room(room) if called.is(room));
        let mut private = shelved.iter().filter(is_it);
        private.next().filter(|_| private.next().is_none())
    })
}

fn lines(mut entries: Vec<Entry>) -> impl Iterator<Item = Line> {
    let users: BTreeMap<Author, UserName> = entries
        .iter()
        .filter_map(|entry| Some((entry.author, entry.user.clone()?)))
        .collect();
    let version = entries.len() as u64;
    entries.sort_by_key(|entry| (entry.lamport, entry.author));
    let line = move |entry: Entry| Some(Line::of(&entry, users.get(&entry.author)?.clone(), version));
    entries.into_iter().filter_map(line)
}

#[cfg(test)]
mod tests;
