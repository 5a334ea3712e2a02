//! Between the contract's generated types and a peer's own, which are valid by construction. The only file that knows both.

mod frames;
mod seals;

use std::{collections::BTreeMap, sync::Arc};

pub(crate) use self::{
    frames::{ack_to_wire, bye_to_wire, frame_from_wire, heights_news_to_wire, knock_to_wire, membership_to_wire},
    seals::{add_live_seal, part_from_wire, part_to_wire},
};
use bytes::Bytes;
use peerchat_proto::v1 as wire;
use prost::Message as _;

use crate::{
    node::{
        limits::{AUTHORS_MAX, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, ENTRY_BYTES_MAX, SEEN_MAX, TEXT_BYTES_MAX},
        types::{
            Author, Body, Conversation, DeviceId, Draft, Encode, Entry, EntryError, EntryId, Heights, Lamport,
            NameError, RoomName, Seen, Seq, UserName, WallTime,
        },
    },
    seal::{TAG_FIELD_BYTES, TagKey},
};

/// Makes the entries that disk and wire carry, each with a tag under the device's key.
pub fn encoder(tags: TagKey) -> Encode {
    Encode(Arc::new(move |draft| {
        let (draft, mut bytes) = encoded(draft);
        let hash = tags.put(&mut bytes);
        entry(draft, bytes, hash)
    }))
}

/// The entry that disk and wire carry for a draft, without a tag.
pub fn encode_entry(draft: Draft) -> Arc<Entry> {
    let (draft, bytes) = encoded(draft);
    let hash = blake3::hash(&bytes);
    entry(draft, bytes, hash)
}

fn entry(draft: Draft, bytes: Vec<u8>, hash: blake3::Hash) -> Arc<Entry> {
    let (id, bytes) = (EntryId(*hash.as_bytes()), Bytes::from(bytes));
    Arc::new(Entry { id, draft, bytes })
}

fn encoded(mut draft: Draft) -> (Draft, Vec<u8>) {
    // The text is lent to the message: it may be long.
    let kind = match std::mem::replace(&mut draft.body, Body::Unknown) {
        Body::Text(text) => Some(wire::body::Kind::Text(wire::Text { text })),
        Body::Unknown => None,
    };
    let message = wire::Entry {
        conversation: Some(conversation_to_wire(&draft.conversation)),
        author: Some(author_to_wire(&draft.author)),
        seq: draft.seq.0,
        user: draft
            .user
            .as_ref()
            .map(|user| user.shown().to_owned())
            .unwrap_or_default(),
        previous: Bytes::copy_from_slice(&draft.previous.0),
        seen: draft.seen.iter().map(seen_to_wire).collect(),
        lamport: draft.lamport.0,
        sent_at_ms: draft.sent_at.0,
        body: Some(wire::Body { kind }),
        tag: Bytes::new(),
    };
    // With room for the tag that follows. A vector that can grow takes any message.
    let mut bytes = Vec::with_capacity(message.encoded_len() + TAG_FIELD_BYTES);
    let _always = message.encode(&mut bytes);
    if let Some(wire::body::Kind::Text(wire::Text { text })) = message.body.and_then(|body| body.kind) {
        draft.body = Body::Text(text);
    }
    (draft, bytes)
}

/// The entry that some bytes say, if they keep every rule that can be checked on an entry alone.
///
/// # Errors
/// The first rule that is broken.
pub fn decode_entry(bytes: Bytes) -> Result<Entry, EntryError> {
    decode_entry_after(None, bytes)
}

/// The same for an entry that comes after one of this conversation, and mostly is of the same.
fn decode_entry_after(last: Option<&Conversation>, bytes: Bytes) -> Result<Entry, EntryError> {
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(EntryError::TooLong {
            found: bytes.len(),
            limit: ENTRY_BYTES_MAX,
        });
    }
    let malformed = |error: prost::DecodeError| EntryError::Malformed {
        len: bytes.len(),
        reason: error.to_string(),
    };
    let message = wire::Entry::decode(bytes.clone()).map_err(malformed)?;
    let author = author_from_wire(message.author)?;
    let seq = Seq(message.seq);
    if seq < Seq::FIRST {
        return Err(invalid("seq", "1 or more", seq.0));
    }
    let first = seq == Seq::FIRST;
    let user = match (first, message.user.as_str()) {
        (true, user) => Some(user_name("user", user)?),
        (false, "") => None,
        (false, _) => return Err(invalid("user", "set at seq 1 only", format!("set at seq {}", seq.0))),
    };
    if message.previous.is_empty() {
        return Err(EntryError::Missing("previous"));
    }
    let lamport = Lamport(message.lamport);
    if lamport.0 < seq.0 || lamport.0 == u64::MAX {
        return Err(invalid(
            "lamport",
            "its seq or more, below the greatest number",
            lamport.0,
        ));
    }
    let draft = Draft {
        conversation: match last.filter(|last| is_name_of(message.conversation.as_ref(), last)) {
            Some(last) => last.clone(),
            None => conversation_from_wire(message.conversation)?,
        },
        author,
        seq,
        user,
        previous: EntryId(array("previous", &message.previous)?),
        seen: seen_from_wire(&message.seen, &author)?,
        lamport,
        sent_at: WallTime(message.sent_at_ms),
        body: body_from_wire(message.body)?,
    };
    let id = EntryId(*blake3::hash(&bytes).as_bytes());
    Ok(Entry { id, draft, bytes })
}

/// Entries of a batch, within the limits of one.
///
/// # Errors
/// The batch is over a limit, or one of its entries breaks a rule.
pub(crate) fn entries_from_wire(batch: Vec<Bytes>) -> Result<Vec<Arc<Entry>>, EntryError> {
    if batch.len() > BATCH_ENTRIES_MAX {
        return Err(invalid(
            "batch",
            &format!("at most {BATCH_ENTRIES_MAX} entries"),
            batch.len(),
        ));
    }
    let bytes: usize = batch.iter().map(Bytes::len).sum();
    if batch.len() > 1 && bytes > BATCH_BYTES_MAX {
        return Err(invalid("batch", &format!("at most {BATCH_BYTES_MAX} bytes"), bytes));
    }
    let mut entries: Vec<Arc<Entry>> = Vec::with_capacity(batch.len());
    for bytes in batch {
        let last = entries.last().map(|entry| &entry.conversation);
        let entry = decode_entry_after(last, bytes)?;
        entries.push(Arc::new(entry));
    }
    Ok(entries)
}

pub(crate) fn heights_to_wire(heights: &Heights) -> Vec<wire::Seen> {
    heights
        .0
        .iter()
        .map(|(&author, &seq)| seen_to_wire(&Seen { author, seq }))
        .collect()
}

/// # Errors
/// There are too many authors, one is there twice, or one is malformed.
pub(crate) fn heights_from_wire(heights: &[wire::Seen]) -> Result<Heights, EntryError> {
    if heights.len() > AUTHORS_MAX {
        return Err(invalid(
            "heights",
            &format!("of at most {AUTHORS_MAX} authors"),
            heights.len(),
        ));
    }
    let mut map = BTreeMap::new();
    for seen in heights {
        let author = author_from_wire(seen.author.clone())?;
        if map.insert(author, Seq(seen.seq)).is_some() {
            return Err(invalid("heights", "each author once", author));
        }
    }
    Ok(Heights(map))
}

pub(crate) fn conversation_to_wire(conversation: &Conversation) -> wire::Conversation {
    use wire::conversation::Kind;
    let kind = match conversation {
        Conversation::Room(room) => Kind::Room(room.as_str().to_owned()),
        Conversation::Direct(pair) => Kind::Direct(wire::DirectPair {
            low: pair.low().key().to_owned(),
            high: pair.high().key().to_owned(),
        }),
    };
    wire::Conversation { kind: Some(kind) }
}

/// # Errors
/// There is none, or a name in it breaks a rule or is not in its folded form.
pub(crate) fn conversation_from_wire(conversation: Option<wire::Conversation>) -> Result<Conversation, EntryError> {
    use wire::conversation::Kind;
    match conversation.and_then(|conversation| conversation.kind) {
        None => Err(EntryError::Missing("conversation")),
        Some(Kind::Room(name)) => {
            let room = RoomName::parse(&name).map_err(|error| name_error("conversation", error))?;
            same("conversation", room.as_str(), &name)?;
            Ok(Conversation::Room(room))
        }
        Some(Kind::Direct(pair)) => {
            let (low, high) = (
                user_name("conversation", &pair.low)?,
                user_name("conversation", &pair.high)?,
            );
            same("conversation", low.key(), &pair.low)?;
            same("conversation", high.key(), &pair.high)?;
            if low > high {
                return Err(invalid("conversation", "two users in order", format!("{low}, {high}")));
            }
            Ok(Conversation::direct(&low, &high))
        }
    }
}

/// Whether this is the name of a conversation as it is sent, so that it need not be read again.
fn is_name_of(sent: Option<&wire::Conversation>, conversation: &Conversation) -> bool {
    use wire::conversation::Kind;
    match (sent.and_then(|sent| sent.kind.as_ref()), conversation) {
        (Some(Kind::Room(name)), Conversation::Room(room)) => room.as_str() == name,
        (Some(Kind::Direct(sent)), Conversation::Direct(pair)) => {
            pair.low().key() == sent.low && pair.high().key() == sent.high
        }
        _ => false,
    }
}

pub(crate) fn device_from_wire(field: &'static str, bytes: &[u8]) -> Result<DeviceId, EntryError> {
    array(field, bytes).map(DeviceId)
}

pub(crate) fn user_name(field: &'static str, name: &str) -> Result<UserName, EntryError> {
    UserName::new(name).map_err(|error| name_error(field, error))
}

/// The longest HOST:PORT that is taken.
const ADDRESS_BYTES_MAX: usize = 255;

/// # Errors
/// It is not HOST:PORT, or longer than a host's name can be.
pub(crate) fn address(field: &'static str, address: String) -> Result<String, EntryError> {
    let valid = address.len() <= ADDRESS_BYTES_MAX
        && address.bytes().all(|byte| byte.is_ascii_graphic())
        && address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
    if valid {
        Ok(address)
    } else {
        Err(invalid(field, "HOST:PORT", format!("{address:?}")))
    }
}

fn author_to_wire(author: &Author) -> wire::Author {
    wire::Author {
        device: Bytes::copy_from_slice(&author.device.0),
        incarnation: author.incarnation,
    }
}

fn author_from_wire(author: Option<wire::Author>) -> Result<Author, EntryError> {
    let author = author.ok_or(EntryError::Missing("author"))?;
    Ok(Author {
        device: device_from_wire("author", &author.device)?,
        incarnation: author.incarnation,
    })
}

fn seen_to_wire(seen: &Seen) -> wire::Seen {
    wire::Seen {
        author: Some(author_to_wire(&seen.author)),
        seq: seen.seq.0,
    }
}

fn seen_from_wire(seen: &[wire::Seen], own: &Author) -> Result<Vec<Seen>, EntryError> {
    if seen.len() > SEEN_MAX {
        return Err(invalid("seen", &format!("at most {SEEN_MAX} authors"), seen.len()));
    }
    let mut causes: Vec<Seen> = Vec::with_capacity(seen.len());
    for cause in seen {
        let cause = Seen {
            author: author_from_wire(cause.author.clone())?,
            seq: Seq(cause.seq),
        };
        if cause.seq < Seq::FIRST || cause.author == *own {
            return Err(invalid(
                "seen",
                "entries of others, from seq 1 on",
                format!("{cause:?}"),
            ));
        }
        if causes.last().is_some_and(|last| last.author >= cause.author) {
            return Err(invalid("seen", "sorted by author, each once", format!("{cause:?}")));
        }
        causes.push(cause);
    }
    Ok(causes)
}

fn body_from_wire(body: Option<wire::Body>) -> Result<Body, EntryError> {
    let body = body.ok_or(EntryError::Missing("body"))?;
    match body.kind {
        None => Ok(Body::Unknown),
        Some(wire::body::Kind::Text(wire::Text { text })) if text.len() <= TEXT_BYTES_MAX => Ok(Body::Text(text)),
        Some(wire::body::Kind::Text(wire::Text { text })) => {
            Err(invalid("text", &format!("at most {TEXT_BYTES_MAX} bytes"), text.len()))
        }
    }
}

fn array(field: &'static str, bytes: &[u8]) -> Result<[u8; 32], EntryError> {
    bytes
        .try_into()
        .map_err(|_| invalid(field, "32 bytes", format!("{} bytes", bytes.len())))
}

fn same(field: &'static str, expected: &str, found: &str) -> Result<(), EntryError> {
    if expected == found {
        Ok(())
    } else {
        Err(invalid(field, &format!("{expected:?}"), format!("{found:?}")))
    }
}

fn name_error(field: &'static str, error: NameError) -> EntryError {
    EntryError::Name { field, error }
}

fn invalid(field: &'static str, expected: &str, found: impl ToString) -> EntryError {
    EntryError::Invalid {
        field,
        expected: expected.to_owned(),
        found: found.to_string(),
    }
}

#[cfg(test)]
mod tests;
