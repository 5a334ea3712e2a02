//! Entries of the tests' own making.

use bytes::Bytes;
use peerchat_identity::DeviceKey;
use peerchat_proto::v1::{Author, Body, Conversation, DirectPair, Entry, Frame, Seal, Seen, Text, body, conversation};
use prost::Message as _;

pub fn room(name: &str) -> Conversation {
    Conversation {
        kind: Some(conversation::Kind::Room(name.into())),
    }
}

/// The direct conversation of two users, whose names are given in order.
pub fn direct(low: &str, high: &str) -> Conversation {
    let (low, high) = (low.into(), high.into());
    Conversation {
        kind: Some(conversation::Kind::Direct(DirectPair { low, high })),
    }
}

/// An author of an entry that a device wrote.
pub fn author(device: &Bytes, incarnation: u64) -> Author {
    Author {
        device: device.clone(),
        incarnation,
    }
}

pub fn seen(author: Author, seq: u64) -> Seen {
    Seen {
        author: Some(author),
        seq,
    }
}

/// A frame with these entries, encoded.
pub fn entries(entries: &[Entry]) -> Frame {
    Frame {
        entries: entries.iter().map(encoded).collect(),
        ..Frame::default()
    }
}

pub fn encoded(entry: &Entry) -> Bytes {
    entry.encode_to_vec().into()
}

/// Writes the entries of one author in a conversation, each a good one unless it is changed before it is sent.
#[derive(Clone)]
pub struct Pen {
    user: String,
    conversation: Conversation,
    pub author: Author,
    origin: [u8; 32],
    last: Option<Entry>,
}

impl Pen {
    /// `origin` is the fingerprint of the authority under which the names are.
    pub fn new(user: &str, author: Author, conversation: Conversation, origin: [u8; 32]) -> Self {
        Self {
            user: user.into(),
            conversation,
            author,
            origin,
            last: None,
        }
    }

    /// The next entry. It has seen nothing of others, which is no sin.
    pub fn write(&mut self, text: &str) -> Entry {
        let seq = self.last.as_ref().map_or(1, |last| last.seq + 1);
        let previous = self.last.as_ref().map(|last| *blake3::hash(&encoded(last)).as_bytes());
        let entry = Entry {
            conversation: Some(self.conversation.clone()),
            author: Some(self.author.clone()),
            seq,
            user: if seq == 1 { self.user.clone() } else { String::new() },
            previous: Bytes::copy_from_slice(&previous.unwrap_or(self.origin)),
            seen: Vec::new(),
            lamport: seq,
            sent_at_ms: 1_700_000_000_000,
            body: Some(body_of(text)),
            tag: Bytes::new(),
        };
        self.last = Some(entry.clone());
        entry
    }
}

/// The seal of an entry, made as the contract says.
pub fn seal(key: &DeviceKey, entry: &Entry) -> Seal {
    let (conversation, author) = (entry.conversation.clone(), entry.author.clone().unwrap());
    let (kind, names) = match conversation.clone().unwrap().kind.unwrap() {
        conversation::Kind::Room(room) => (b'r', vec![room]),
        conversation::Kind::Direct(pair) => (b'd', vec![pair.low, pair.high]),
    };
    let mut message = b"peerchat seal of an entry 1\n".to_vec();
    message.push(kind);
    for name in names {
        message.extend((name.len() as u32).to_le_bytes());
        message.extend(name.bytes());
    }
    let id = Bytes::copy_from_slice(blake3::hash(&encoded(entry)).as_bytes());
    message.extend(&author.device);
    message.extend(author.incarnation.to_le_bytes());
    message.extend(entry.seq.to_le_bytes());
    message.extend(&id);
    Seal {
        conversation,
        author: Some(author),
        seq: entry.seq,
        id,
        signature: Bytes::copy_from_slice(&key.sign(&message)),
    }
}

pub fn body_of(text: &str) -> Body {
    Body {
        kind: Some(body::Kind::Text(Text { text: text.into() })),
    }
}
