//! Seals, and the parts of a history that carry them.

use bytes::Bytes;
use peerchat_proto::v1 as wire;

use super::{
    array, author_from_wire, author_to_wire, conversation_from_wire, conversation_to_wire, entries_from_wire, invalid,
};
use crate::{
    driver::serve::ServedPart,
    node::{
        contradiction::Contradiction,
        limits::{BATCH_ENTRIES_MAX, INTRODUCTION_BYTES_MAX, PART_SEALS_MAX},
        sealing::{Seal, stretch},
        types::{Conversation, EntryError, EntryId, Seq},
    },
    seal::Part,
};

/// How many of the last seals of a frame are compared with a further one.
const COMPARED: usize = 8;

/// Adds a seal to those of a frame. A later one of the same author covers what an earlier one covers, so of each [`stretch`] the last one
/// is sent.
pub(crate) fn add_live_seal(seals: &mut Vec<wire::Seal>, conversation: &Conversation, seal: &Seal) {
    let new = wire::Seal {
        conversation: Some(conversation_to_wire(conversation)),
        ..seal_to_wire(seal)
    };
    let is_alike = |old: &&mut wire::Seal| {
        stretch(Seq(old.seq)) == stretch(seal.seq) && old.author == new.author && old.conversation == new.conversation
    };
    match seals.iter_mut().rev().take(COMPARED).find(is_alike) {
        Some(old) if old.seq >= new.seq => {}
        Some(old) => *old = new,
        None => seals.push(new),
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

fn contradiction_to_wire(piece: &Contradiction) -> wire::Contradiction {
    wire::Contradiction {
        seal: Some(seal_to_wire(&piece.seal)),
        other: Some(seal_to_wire(&piece.other)),
        entries: piece.entries.iter().map(|entry| entry.bytes.clone()).collect(),
    }
}

fn contradiction_from_wire(piece: wire::Contradiction) -> Result<Contradiction, EntryError> {
    let seal = |field, seal: Option<wire::Seal>| seal_from_wire(seal.ok_or(EntryError::Missing(field))?);
    Ok(Contradiction {
        seal: seal("contradiction's seal", piece.seal)?,
        other: seal("contradiction's other seal", piece.other)?,
        entries: entries_from_wire(piece.entries)?,
    })
}

pub(crate) fn part_to_wire(part: ServedPart) -> wire::HistoryResponse {
    wire::HistoryResponse {
        contradictions: part.contradictions.iter().map(contradiction_to_wire).collect(),
        entries: part.entries,
        seals: part.seals.iter().map(seal_to_wire).collect(),
        introductions: part.introductions,
    }
}

/// # Errors
/// The part is over a limit, or something in it breaks a rule.
pub(crate) fn part_from_wire(part: wire::HistoryResponse) -> Result<Part, EntryError> {
    for (what, most, found) in [
        ("seals", PART_SEALS_MAX, part.seals.len()),
        ("introductions", BATCH_ENTRIES_MAX, part.introductions.len()),
        ("contradictions", BATCH_ENTRIES_MAX, part.contradictions.len()),
    ] {
        if found > most {
            return Err(invalid(what, &format!("at most {most}"), found));
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
        contradictions: part
            .contradictions
            .into_iter()
            .map(contradiction_from_wire)
            .collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        node::limits::SEAL_EVERY,
        seal::testing::{Pen, room},
    };

    #[test]
    fn of_many_seals_of_an_author_the_last_one_of_each_stretch_is_sent_and_no_older_one_takes_its_place() {
        let (mut bob, mut carol) = (Pen::new(1), Pen::new(2));
        carol.write("hers", Vec::new());
        let mut seals = Vec::new();
        let mut made = Vec::new();
        for n in 1..=3 * SEAL_EVERY {
            bob.write(&format!("text {n}"), Vec::new());
            made.push(bob.seal());
        }
        add_live_seal(&mut seals, &room(), &carol.seal());
        for seal in made.iter().chain(&made[..2 * SEAL_EVERY as usize]) {
            add_live_seal(&mut seals, &room(), seal);
        }
        let seqs: Vec<_> = seals.iter().map(|seal| seal.seq).collect();
        assert_eq!(
            seqs,
            [
                1,
                SEAL_EVERY - 1,
                2 * SEAL_EVERY - 1,
                3 * SEAL_EVERY - 1,
                3 * SEAL_EVERY
            ]
        );
    }
}
