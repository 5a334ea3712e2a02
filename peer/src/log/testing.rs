//! What the tests of this module share: a codec that is as small as can be, and a stream of valid entries.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    Log, MemoryDisk, Opened,
    format::{u32_at, u64_at},
};
use crate::node::types::{
    Author, Body, Conversation, DeviceId, Draft, Entry, EntryError, EntryId, Lamport, RoomName, Seen, Seq, UserName,
    WallTime,
};

pub(super) fn author(number: u64) -> Author {
    Author {
        device: DeviceId([number as u8; 32]),
        incarnation: number,
    }
}

pub(super) fn folder() -> &'static Path {
    Path::new("/room")
}

/// author, seq, lamport, previous, number of seen, seen, text.
fn encode(draft: Draft) -> Arc<Entry> {
    let mut bytes = Vec::new();
    let mut number = |number: u64| bytes.extend_from_slice(&number.to_le_bytes());
    number(draft.author.incarnation);
    number(draft.seq.0);
    number(draft.lamport.0);
    number(draft.seen.len() as u64);
    for seen in &draft.seen {
        number(seen.author.incarnation);
        number(seen.seq.0);
    }
    bytes.extend_from_slice(&draft.previous.0);
    if let Body::Text(text) = &draft.body {
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    let id = EntryId(*blake3::hash(&bytes).as_bytes());
    let bytes = bytes.into();
    Arc::new(Entry { id, draft, bytes })
}

pub(super) fn decode(bytes: Bytes) -> Result<Entry, EntryError> {
    decode_some(&bytes).ok_or_else(|| EntryError::Malformed {
        len: bytes.len(),
        reason: "test".into(),
    })
}

fn decode_some(bytes: &Bytes) -> Option<Entry> {
    let seen_len = usize::try_from(u64_at(bytes, 24)?)
        .ok()
        .filter(|len| *len < bytes.len())?;
    let seen = (0..seen_len).map(|nth| {
        Some(Seen {
            author: author(u64_at(bytes, 32 + 16 * nth)?),
            seq: Seq(u64_at(bytes, 40 + 16 * nth)?),
        })
    });
    let seen = seen.collect::<Option<_>>()?;
    let rest = bytes.get(32 + 16 * seen_len..)?;
    let seq = Seq(u64_at(bytes, 8)?);
    let text = std::str::from_utf8(rest.get(36..36 + u32_at(rest, 32)? as usize)?).ok()?;
    let draft = Draft {
        conversation: Conversation::Room(RoomName::new("lobby").ok()?),
        author: author(u64_at(bytes, 0)?),
        seq,
        user: (seq == Seq::FIRST).then(|| UserName::new("someone").ok()).flatten(),
        previous: EntryId(rest.get(..32)?.try_into().ok()?),
        seen,
        lamport: Lamport(u64_at(bytes, 16)?),
        sent_at: WallTime(0),
        body: Body::Text(text.to_owned()),
    };
    let id = EntryId(*blake3::hash(bytes).as_bytes());
    let bytes = bytes.clone();
    Some(Entry { id, draft, bytes })
}

fn draft(who: u64, seq: u64, lamport: u64) -> Draft {
    Draft {
        conversation: Conversation::Room(RoomName::new("lobby").unwrap()),
        author: author(who),
        seq: Seq(seq),
        user: None,
        previous: EntryId([0; 32]),
        seen: Vec::new(),
        lamport: Lamport(lamport),
        sent_at: WallTime(0),
        body: Body::Text(format!("text {lamport}")),
    }
}

/// An entry that has seen nothing and chains to nothing.
pub(super) fn entry(who: u64, seq: u64, lamport: u64) -> Arc<Entry> {
    encode(draft(who, seq, lamport))
}

/// An entry with a text of one's own.
pub(super) fn said(who: u64, seq: u64, lamport: u64, text: &str) -> Arc<Entry> {
    encode(Draft {
        user: (seq == 1).then(|| UserName::new("someone").unwrap()),
        body: Body::Text(text.to_owned()),
        ..draft(who, seq, lamport)
    })
}

/// An entry that has seen another one.
pub(super) fn answer(who: u64, seq: u64, lamport: u64, to: (u64, u64)) -> Arc<Entry> {
    let seen = vec![Seen {
        author: author(to.0),
        seq: Seq(to.1),
    }];
    encode(Draft {
        seen,
        ..draft(who, seq, lamport)
    })
}

/// A log with entries of these authors, of Lamport times 1, 2, 3 ….
pub(super) fn filled(authors: &[u64]) -> Log<MemoryDisk> {
    let (mut log, _) = Log::open(MemoryDisk::new(0), folder(), decode).unwrap();
    let mut seqs = BTreeMap::new();
    for (lamport, who) in (1..).zip(authors) {
        let seq = seqs.entry(*who).or_insert(0);
        *seq += 1;
        log.append(&[entry(*who, *seq, lamport)]).unwrap();
    }
    log
}

pub(super) fn reopen(disk: &MemoryDisk) -> (Log<MemoryDisk>, Opened) {
    Log::open(disk.clone(), folder(), decode).unwrap()
}

pub(super) fn ids_of(entries: &[Entry]) -> Vec<EntryId> {
    entries.iter().map(|entry| entry.id).collect()
}

pub(super) fn text_of(entry: &Entry) -> &str {
    match &entry.body {
        Body::Text(text) => text,
        Body::Unknown => "",
    }
}

/// Valid entries of four authors who see one another, chained, with texts of all lengths; and a disk for them.
pub(super) struct Workload {
    pub(super) disk: MemoryDisk,
    pub(super) entries: Vec<Arc<Entry>>,
    random: fastrand::Rng,
}

impl Workload {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            disk: MemoryDisk::new(seed),
            entries: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// The next entry.
    pub(super) fn next(&mut self) -> Arc<Entry> {
        let who = self.random.u64(1..5);
        let own = self.entries.iter().rev().find(|entry| entry.author == author(who));
        let seen = self.entries.last().filter(|last| last.author != author(who));
        let lamport = |entry: Option<&Arc<Entry>>| entry.map_or(0, |entry| entry.lamport.0);
        let number = 1 + lamport(own).max(lamport(seen));
        let text = format!("{}{}", self.random.u32(..), "x".repeat(self.random.usize(..40)));
        let entry = encode(Draft {
            user: own.is_none().then(|| UserName::new("someone").unwrap()),
            previous: own.map_or(EntryId([0; 32]), |own| own.id),
            seen: seen
                .iter()
                .map(|seen| Seen {
                    author: seen.author,
                    seq: seen.seq,
                })
                .collect(),
            body: Body::Text(text),
            ..draft(who, own.map_or(1, |own| own.seq.0 + 1), number)
        });
        self.entries.push(Arc::clone(&entry));
        entry
    }

    /// Goes on from what a log holds.
    pub(super) fn go_on_from(&mut self, log: &Log<MemoryDisk>) {
        self.entries
            .retain(|entry| log.heights().of(&entry.author) >= entry.seq);
    }

    /// A log with so many of them, not synced.
    pub(super) fn log(&mut self, count: usize) -> Log<MemoryDisk> {
        let (mut log, _) = reopen(&self.disk);
        for _ in 0..count {
            log.append(&[self.next()]).unwrap();
        }
        log
    }
}
