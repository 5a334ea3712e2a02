//! Between the contract's generated types and a peer's own, which are valid by construction. The only file that knows both.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use peerchat_proto::v1 as wire;
use prost::Message as _;

use crate::node::{
    limits::{
        AUTHORS_MAX, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, CONVERSATIONS_MAX, ENTRY_BYTES_MAX, SEEN_MAX, TEXT_BYTES_MAX,
    },
    link::{Ack, ByeReason, Frame, HeightsNews},
    types::{
        Author, Body, Conversation, DeviceId, Draft, Entry, EntryError, EntryId, Heights, Lamport, NameError, RoomName,
        Seen, Seq, UserName, WallTime,
    },
};

/// The entry that disk and wire carry for a draft.
pub fn encode_entry(draft: Draft) -> Arc<Entry> {
    let message = wire::Entry {
        conversation: Some(conversation_to_wire(&draft.conversation)),
        author: Some(author_to_wire(&draft.author)),
        seq: draft.seq.0,
        user: draft
            .user
            .as_ref()
            .map(|user| user.shown().to_owned())
            .unwrap_or_default(),
        previous: draft
            .previous
            .map(|id| Bytes::copy_from_slice(&id.0))
            .unwrap_or_default(),
        seen: draft.seen.iter().map(seen_to_wire).collect(),
        lamport: draft.lamport.0,
        sent_at_ms: draft.sent_at.0,
        body: Some(wire::Body {
            kind: match &draft.body {
                Body::Text(text) => Some(wire::body::Kind::Text(wire::Text { text: text.clone() })),
                Body::Unknown => None,
            },
        }),
    };
    let bytes = Bytes::from(message.encode_to_vec());
    let id = EntryId(*blake3::hash(&bytes).as_bytes());
    Arc::new(Entry { id, draft, bytes })
}

/// The entry that some bytes say, if they keep every rule that can be checked on an entry alone.
///
/// # Errors
/// The first rule that is broken.
pub fn decode_entry(bytes: Bytes) -> Result<Entry, EntryError> {
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
    let previous = match (first, message.previous.is_empty()) {
        (true, true) => None,
        (false, false) => Some(EntryId(array("previous", &message.previous)?)),
        (true, false) => return Err(invalid("previous", "empty at seq 1", "set")),
        (false, true) => return Err(EntryError::Missing("previous")),
    };
    let lamport = Lamport(message.lamport);
    if lamport.0 < seq.0 || lamport.0 == u64::MAX {
        return Err(invalid(
            "lamport",
            "its seq or more, below the greatest number",
            lamport.0,
        ));
    }
    let draft = Draft {
        conversation: conversation_from_wire(message.conversation)?,
        author,
        seq,
        user,
        previous,
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
    batch
        .into_iter()
        .map(|bytes| decode_entry(bytes).map(Arc::new))
        .collect()
}

/// What came in over a link, apart from a hello.
///
/// # Errors
/// Something in it breaks a rule.
pub(crate) fn frame_from_wire(frame: wire::Frame) -> Result<Frame, EntryError> {
    for (what, found) in [("acks", frame.acks.len()), ("heights", frame.heights.len())] {
        if found > CONVERSATIONS_MAX {
            return Err(invalid(what, &format!("at most {CONVERSATIONS_MAX}"), found));
        }
    }
    let bye = frame.bye.map(|bye| match bye.reason() {
        wire::ByeReason::Quit => ByeReason::Quit,
        wire::ByeReason::Duplicate => ByeReason::Duplicate,
        wire::ByeReason::Misbehaved => ByeReason::Misbehaved,
        wire::ByeReason::TooManyLinks => ByeReason::TooManyLinks,
        wire::ByeReason::Unspecified => ByeReason::Unspecified,
    });
    Ok(Frame {
        entries: entries_from_wire(frame.entries)?,
        acks: frame.acks.into_iter().map(ack_from_wire).collect::<Result<_, _>>()?,
        heights: frame
            .heights
            .into_iter()
            .map(heights_news_from_wire)
            .collect::<Result<_, _>>()?,
        bye,
    })
}

/// The last frame of a link.
pub(crate) fn bye_to_wire(reason: ByeReason, message: String) -> wire::Frame {
    let reason = match reason {
        ByeReason::Quit => wire::ByeReason::Quit,
        ByeReason::Duplicate => wire::ByeReason::Duplicate,
        ByeReason::Misbehaved => wire::ByeReason::Misbehaved,
        ByeReason::TooManyLinks => wire::ByeReason::TooManyLinks,
        ByeReason::Unspecified => wire::ByeReason::Unspecified,
    };
    wire::Frame {
        bye: Some(wire::Bye {
            reason: reason.into(),
            message,
        }),
        ..Default::default()
    }
}

pub(crate) fn ack_to_wire(ack: &Ack) -> wire::Ack {
    wire::Ack {
        conversation: Some(conversation_to_wire(&ack.conversation)),
        author: Some(author_to_wire(&ack.author)),
        stored: ack.stored.0,
        durable: ack.durable.0,
    }
}

fn ack_from_wire(ack: wire::Ack) -> Result<Ack, EntryError> {
    Ok(Ack {
        conversation: conversation_from_wire(ack.conversation)?,
        author: author_from_wire(ack.author)?,
        stored: Seq(ack.stored),
        durable: Seq(ack.durable),
    })
}

pub(crate) fn heights_news_to_wire(news: &HeightsNews) -> wire::Heights {
    wire::Heights {
        conversation: Some(conversation_to_wire(&news.conversation)),
        heights: heights_to_wire(&news.heights),
        reply_wanted: news.reply_wanted,
        left: news.left,
    }
}

fn heights_news_from_wire(news: wire::Heights) -> Result<HeightsNews, EntryError> {
    Ok(HeightsNews {
        conversation: conversation_from_wire(news.conversation)?,
        heights: heights_from_wire(&news.heights)?,
        reply_wanted: news.reply_wanted,
        left: news.left,
    })
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
            let room = RoomName::new(&name).map_err(|error| name_error("conversation", error))?;
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn author() -> impl Strategy<Value = Author> {
        (any::<[u8; 32]>(), any::<u64>()).prop_map(|(device, incarnation)| Author {
            device: DeviceId(device),
            incarnation,
        })
    }

    fn conversation() -> impl Strategy<Value = Conversation> {
        prop_oneof![
            "[a-z小é🦀]{1,16}".prop_map(|name| Conversation::Room(RoomName::new(&name).unwrap())),
            ("[a-zA-Z]{1,9}", "[a-z]{1,9}")
                .prop_map(|(a, b)| { Conversation::direct(&UserName::new(&a).unwrap(), &UserName::new(&b).unwrap()) }),
        ]
    }

    prop_compose! {
        fn draft()(
            conversation in conversation(),
            author in author(),
            seq in 1..50u64,
            seen in prop::collection::btree_map(author(), 1..9u64, 0..5),
            previous in any::<[u8; 32]>(),
            more in 0..9u64,
            sent_at in any::<i64>(),
            text in prop::option::of(".{0,40}"),
        ) -> Draft {
            let first = seq == 1;
            Draft {
                conversation,
                author,
                seq: Seq(seq),
                user: first.then(|| UserName::new("Alice").unwrap()),
                previous: (!first).then_some(EntryId(previous)),
                seen: seen.into_iter().map(|(author, seq)| Seen { author, seq: Seq(seq) }).collect(),
                lamport: Lamport(seq + more),
                sent_at: WallTime(sent_at),
                body: text.map_or(Body::Unknown, Body::Text),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(draft in draft()) {
            let entry = encode_entry(draft);
            prop_assert_eq!(&decode_entry(entry.bytes.clone()).unwrap(), &*entry);
        }

        #[test]
        fn any_bytes_are_an_entry_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_entry(bytes.into());
        }

        #[test]
        fn an_altered_entry_is_another_one(draft in draft(), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
            let entry = encode_entry(draft);
            let mut bytes = entry.bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(altered) = decode_entry(bytes.into()) {
                prop_assert_ne!(altered.id, entry.id);
            }
        }
    }

    #[test]
    fn a_text_of_64_kib_passes_and_one_byte_more_does_not() {
        let draft = |len: usize| Draft {
            conversation: Conversation::Room(RoomName::new("lobby").unwrap()),
            author: Author {
                device: DeviceId([1; 32]),
                incarnation: 1,
            },
            seq: Seq::FIRST,
            user: Some(UserName::new("alice").unwrap()),
            previous: None,
            seen: Vec::new(),
            lamport: Lamport(1),
            sent_at: WallTime(0),
            body: Body::Text("x".repeat(len)),
        };
        assert!(decode_entry(encode_entry(draft(TEXT_BYTES_MAX)).bytes.clone()).is_ok());
        let error = decode_entry(encode_entry(draft(TEXT_BYTES_MAX + 1)).bytes.clone()).unwrap_err();
        assert!(error.to_string().contains("65536"), "{error}");
    }

    #[test]
    fn a_batch_over_the_limit_is_refused() {
        assert!(entries_from_wire(vec![Bytes::new(); BATCH_ENTRIES_MAX + 1]).is_err());
        assert!(entries_from_wire(vec![vec![0; BATCH_BYTES_MAX].into(), vec![0].into()]).is_err());
    }
}
