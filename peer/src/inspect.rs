//! `peerchat log` and `peerchat verify`: reading logs without a peer, and without changing a byte of them.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    config::{ConversationName, LogConfig},
    folder::UserFolder,
    log::{self, IoError, LogError, RealDisk},
    net::convert::decode_entry,
    node::{
        event::Line,
        types::{Author, Body, Conversation, Entry, EntryId, UserName},
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
    /// There is no such conversation.
    #[error("{user} has no log of {title}; there are: {}", list(there))]
    NoSuchConversation {
        /// The user.
        user: UserName,
        /// The conversation that was asked for.
        title: String,
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
    /// A log holds what belongs elsewhere.
    #[error("{title}: entry {id} is of another conversation")]
    Misplaced {
        /// In which conversation's log it is.
        title: String,
        /// The entry.
        id: EntryId,
    },
    /// Nothing can be printed.
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
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
    let folder = existing(config)?;
    let conversation = match name {
        ConversationName::Room(room) => Conversation::Room(room),
        ConversationName::User(other) => Conversation::direct(user, &other),
    };
    let shelved = log::shelved(&RealDisk, &folder, user)?;
    let title = conversation.title(user);
    let Some(found) = shelved.iter().find(|shelved| shelved.conversation == conversation) else {
        let there = shelved.iter().map(|shelved| shelved.conversation.title(user)).collect();
        return Err(InspectError::NoSuchConversation {
            user: user.clone(),
            title,
            there,
        });
    };
    let mut entries = Vec::new();
    let read = log::verify(&RealDisk, &found.folder, decode_entry, |entry| {
        entries.push(entry.clone())
    });
    log_print::print(lines(entries), user, format, out)?;
    match read {
        Ok(_) => Ok(()),
        // What a crash left of its last write, or what a running peer is writing now, was never acknowledged.
        Err(LogError::Damaged(damage)) if damage.is_torn_tail(&RealDisk) => Ok(()),
        Err(source) => Err(InspectError::Log {
            title,
            source: Box::new(source),
        }),
    }
}

fn lines(mut entries: Vec<Entry>) -> impl Iterator<Item = Line> {
    let users: BTreeMap<Author, UserName> = entries
        .iter()
        .filter_map(|entry| Some((entry.author, entry.user.clone()?)))
        .collect();
    let version = entries.len() as u64;
    entries.sort_by_key(|entry| (entry.lamport, entry.author));
    entries.into_iter().filter_map(move |entry| {
        Some(Line {
            conversation: entry.conversation.clone(),
            id: entry.id,
            user: users.get(&entry.author)?.clone(),
            author: entry.author,
            seq: entry.seq,
            lamport: entry.lamport,
            version,
            sent_at: entry.sent_at,
            text: match &entry.body {
                Body::Text(text) => Some(text.clone()),
                Body::Unknown => None,
            },
        })
    })
}

/// Checks every log of a user: frames, chains, order, heights. Says of each what it holds, and of all what the first damage is.
///
/// # Errors
/// There is no such user, a log cannot be read, or one is damaged; the others are checked all the same.
pub fn verify(config: &LogConfig, out: &mut dyn Write) -> Result<(), InspectError> {
    let folder = existing(config)?;
    let mut first = None;
    for shelved in log::shelved(&RealDisk, &folder, &config.user)? {
        let title = shelved.conversation.title(&config.user);
        let mut misplaced = None;
        let checked = log::verify(&RealDisk, &shelved.folder, decode_entry, |entry| {
            if entry.conversation != shelved.conversation {
                misplaced.get_or_insert(entry.id);
            }
        });
        match (checked, misplaced) {
            (Ok(_), Some(id)) => {
                writeln!(out, "{title}  damaged: entry {id} is of another conversation")?;
                first = first.or(Some(InspectError::Misplaced { title, id }));
            }
            (Ok(verified), None) => {
                let (version, authors) = (verified.heights.version(), verified.heights.0.len());
                writeln!(
                    out,
                    "{title}  ok  version {version}  authors {authors}  {} bytes",
                    verified.bytes
                )?;
            }
            (Err(source), _) => {
                writeln!(out, "{title}  damaged: {source}")?;
                first = first.or(Some(InspectError::Log {
                    title,
                    source: Box::new(source),
                }));
            }
        }
    }
    first.map_or(Ok(()), Err)
}

fn existing(config: &LogConfig) -> Result<PathBuf, InspectError> {
    let folder = UserFolder::path_of(&config.data, &config.user);
    if Path::is_dir(&folder) {
        return Ok(folder);
    }
    Err(InspectError::NoSuchUser {
        user: config.user.clone(),
        data: config.data.clone(),
    })
}
