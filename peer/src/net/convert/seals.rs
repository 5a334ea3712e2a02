//! Seals, and the parts of a history that carry them.

use bytes::Bytes;
use peerchat_proto::v1 as wire;

use super::{
    array, author_from_wire, author_to_wire, conversation_from_wire, conversation_to_wire, entries_from_wire, invalid,
};
use crate::{
    driver::serve::ServedPart,
    node::{
        limits::{BATCH_ENTRIES_MAX, INTRODUCTION_BYTES_MAX},
        sealing::Seal,
        types::{Conversation, EntryError, EntryId, Seq},
    },
    seal::Part,
};

pub(crate) fn live_seal_to_wire(conversation: &Conversation, seal: &Seal) -> wire::Seal {
    wire::Seal {
        conversation: Some(conversation_to_wire(conversation)),
        ..seal_to_wire(seal)
    }
}

pub(super) fn live_seal_from_wire(seal: wire::Seal) -> Result<(Conversation, Seal), EntryError> {
    let conversation = conversation_from_wire(seal.conversation.clone())?;
    Ok((conversation, seal_from_wire(seal)?))
}

fn seal_to_wire(seal: &Seal) -> wire::Seal {
    wire::Seal {
        conversation: None,
        author: Some(author_to_wire(&seal.author)),
        seq: seal.seq.0,
        id: Bytes::copy_from_slice(&seal.id.0),
        signature: Bytes::copy_from_slice(&seal.signature),
    }
}

fn seal_from_wire(seal: wire::Seal) -> Result<Seal, EntryError> {
    let signature: &[u8] = &seal.signature;
    Ok(Seal {
        author: author_from_wire(seal.author)?,
        seq: Seq(seal.seq),
        id: EntryId(array("seal's id", &seal.id)?),
        signature: signature
            .try_into()
            .map_err(|_| invalid("seal's signature", "64 bytes", format!("{} bytes", signature.len())))?,
    })
}

pub(crate) fn part_to_wire(part: ServedPart) -> wire::HistoryResponse {
    wire::HistoryResponse {
        entries: part.entries,
        seals: part.seals.iter().map(seal_to_wire).collect(),
        introductions: part.introductions,
    }
}

/// # Errors
/// The part is over a limit, or something in it breaks a rule.
pub(crate) fn part_from_wire(part: wire::HistoryResponse) -> Result<Part, EntryError> {
    for (what, found) in [("seals", part.seals.len()), ("introductions", part.introductions.len())] {
        if found > BATCH_ENTRIES_MAX {
            return Err(invalid(what, &format!("at most {BATCH_ENTRIES_MAX}"), found));
        }
    }
    if let Some(long) = part
        .introductions
        .iter()
        .find(|introduction| introduction.len() > INTRODUCTION_BYTES_MAX)
    {
        return Err(invalid(
            "introduction",
            &format!("at most {INTRODUCTION_BYTES_MAX} bytes"),
            long.len(),
        ));
    }
    Ok(Part {
        entries: entries_from_wire(part.entries)?,
        seals: part.seals.into_iter().map(seal_from_wire).collect::<Result<_, _>>()?,
        introductions: part.introductions,
    })
}
