//! `peerchat log` and `peerchat verify`: reading logs without a peer, and without changing a byte of them.

mod proofs;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::proofs::Proofs;
use crate::{
    checkup::{self, Fault},
    config::{ConversationName, LogConfig},
    folder::UserFolder,
    log::{self, IoError, LOG_FILE, LogError, RealDisk, SetAside, Shelved, Verified},
    net::convert::decode_entry,
    node::{
        Millis,
        door::Called,
        event::Line,
        holdback::Held,
        refusal::Refusal,
        replica::Replica,
        types::{Author, Conversation, DeviceId, Entry, EntryId, Heights, UserName},
    },
    seal::Judge,
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
    let shelved = log::shelved(&RealDisk, &folder, user)?;
    let titled = |shelved: &Shelved| shelved.conversation.title(user);
    let Some(found) = meant(&shelved, &name, user) else {
        return Err(InspectError::NoSuchConversation {
            user: user.clone(),
            title: match name {
                ConversationName::Room(room) => format!("#{room}"),
                ConversationName::Private(called) => called.to_string(),
                ConversationName::User(other) => format!("@{}", other.key()),
            },
            there: shelved.iter().map(titled).collect(),
        });
    };
    let title = titled(found);
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
fn meant<'s>(shelved: &'s [Shelved], name: &ConversationName, user: &UserName) -> Option<&'s Shelved> {
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

/// Checks every log of a user: frames, chains, order, heights, the rules by which entries are taken in, and the seals that prove to
/// others whose they are. Says of each what it holds, and of all what the first damage is.
///
/// # Errors
/// There is no such user, a log cannot be read, one is damaged, or entries that it lacks wait in a file that was set aside; the others
/// are checked all the same.
pub fn verify(config: &LogConfig, judge: &dyn Judge, out: &mut dyn Write) -> Result<(), InspectError> {
    let folder = existing(config)?;
    let introduced = proofs::introduced(&folder, judge).unwrap_or_default();
    let mut first = None;
    for fault in checkup::look(&config.data, &folder, &config.user, decode_entry) {
        let Fault { path, what, then, .. } = &fault;
        writeln!(out, "{}  {what}; {then}", path.display())?;
        if fault.is_damage() {
            first = first.or(Some(InspectError::Fault(fault)));
        }
    }
    for shelved in log::shelved(&RealDisk, &folder, &config.user)? {
        let title = shelved.conversation.title(&config.user);
        match verify_one(&shelved, &title, &introduced, judge) {
            Ok((Verified { heights, bytes, torn }, sealed)) => {
                let (version, authors) = (heights.version(), heights.0.len());
                let tail = match torn {
                    0 => String::new(),
                    torn => format!("  and {torn} bytes of a write that was not finished"),
                };
                writeln!(
                    out,
                    "{title}  ok  version {version}  authors {authors}  {bytes} bytes{tail}  sealed {sealed}"
                )?;
                let waits = verify_aside(&shelved, &title, &heights, out)?;
                first = first.or(waits);
            }
            Err(error) => {
                let what = error.to_string();
                let what = what.strip_prefix(&format!("{title}: ")).unwrap_or(&what);
                writeln!(out, "{title}  damaged: {what}")?;
                first = first.or(Some(error));
            }
        }
    }
    first.map_or(Ok(()), Err)
}

/// Says of each file that was set aside what it holds that the log lacks. The first one that holds anything is an error: the conversation is
/// not whole.
fn verify_aside(
    shelved: &Shelved,
    title: &str,
    heights: &Heights,
    out: &mut dyn Write,
) -> Result<Option<InspectError>, InspectError> {
    let mut first = None;
    let files = log::look_aside(&RealDisk, &shelved.folder, decode_entry, &shelved.conversation, heights)?;
    for SetAside {
        path,
        frames,
        misplaced,
        ..
    } in files
    {
        let file = path.display();
        if misplaced > 0 {
            writeln!(
                out,
                "{title}  not of it: {misplaced} entries in {file} are of another conversation; remove the file if that has them"
            )?;
        }
        match frames {
            None => writeln!(out, "{title}  nothing in {file} can be read, since its header is gone")?,
            Some(0) if misplaced > 0 => {}
            Some(0) => writeln!(out, "{title}  all of {file} is in the log; the next start removes it")?,
            Some(entries) => {
                writeln!(out, "{title}  waiting: {entries} entries in {file} are not in the log")?;
                let title = title.to_owned();
                first.get_or_insert(InspectError::SetAside { title, path, entries });
            }
        }
    }
    Ok(first)
}

/// What a log holds, and how much of that is proved.
fn verify_one(
    shelved: &Shelved,
    title: &str,
    introduced: &BTreeMap<DeviceId, UserName>,
    judge: &dyn Judge,
) -> Result<(Verified, u64), InspectError> {
    let place = (&shelved.conversation, shelved.folder.as_path());
    let proofs = Proofs::read(title, place, introduced, judge);
    let title = || title.to_owned();
    let unreadable = |source| InspectError::Log {
        title: title(),
        source: Box::new(source),
    };
    let mut proofs = proofs.map_err(unreadable)?;
    let mut replica = Replica::new(shelved.conversation.clone());
    let forked = log::read_forked(&RealDisk, &shelved.folder);
    replica.load_forked(forked.map_err(|error| unreadable(error.into()))?);
    let mut wrong = None;
    let read = log::verify(&RealDisk, &shelved.folder, decode_entry, |entry, offset| {
        if wrong.is_some() {
            return;
        }
        if entry.conversation != shelved.conversation {
            let (title, id) = (title(), entry.id);
            wrong = Some(InspectError::Misplaced { title, id });
            return;
        }
        proofs.check(&entry, offset);
        let offered = replica.offer(Held {
            entry: Arc::new(entry),
            from: None,
            live: false,
            since: Millis::default(),
            seal: None,
        });
        wrong = offered
            .refused
            .into_iter()
            .next()
            .map(|(_, refusal)| InspectError::Refused {
                title: title(),
                path: shelved.folder.join(LOG_FILE),
                offset,
                source: Box::new(refusal),
            });
    });
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    let verified = read.map_err(unreadable)?;
    let sealed = proofs.finish(&verified.heights)?;
    Ok((verified, sealed))
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

#[cfg(test)]
mod tests;
