//! Parts of a history.

use bytes::Bytes;
use peerchat::{
    driver::serve::ServedPart,
    net::fuzzing::{part, part_bytes},
    node::{
        contradiction::Contradiction,
        limits::{BATCH_ENTRIES_MAX, INTRODUCTION_BYTES_MAX, PART_SEALS_MAX},
    },
    seal::Part,
};

use crate::{pens::Pen, within};

/// Reads a part, and writes and reads it again.
pub fn check(data: &[u8]) {
    within(64 * 1024, 500, data.len(), || {
        let Some(read) = part(Bytes::copy_from_slice(data)) else { return };
        assert!(read.entries.len() <= BATCH_ENTRIES_MAX && read.seals.len() <= PART_SEALS_MAX);
        assert!(read.introductions.len() <= BATCH_ENTRIES_MAX && read.contradictions.len() <= BATCH_ENTRIES_MAX);
        assert!(read.introductions.iter().all(|one| one.len() <= INTRODUCTION_BYTES_MAX));
        let shown = format!("{read:?}");
        let again = part(part_bytes(served(read))).expect("what was read can be written");
        assert_eq!(format!("{again:?}"), shown);
    });
}

fn served(part: Part) -> ServedPart {
    ServedPart {
        entries: part.entries.iter().map(|entry| entry.bytes.clone()).collect(),
        seals: part.seals,
        introductions: part.introductions,
        contradictions: part.contradictions,
    }
}

/// A part with everything in it.
pub fn seeds() -> Vec<Vec<u8>> {
    let (mut pen, mut other) = (Pen::new(1), Pen::new(1));
    let first = pen.write("first");
    let seal = pen.seal();
    other.write("another first");
    let entries = vec![other.write("next")];
    let contradiction = Contradiction {
        seal: seal.clone(),
        other: other.seal(),
        entries,
    };
    let whole = ServedPart {
        entries: vec![first.bytes.clone(), pen.write("second").bytes.clone()],
        seals: vec![seal, pen.seal()],
        introductions: vec![pen.certificate()],
        contradictions: vec![contradiction],
    };
    let small = ServedPart {
        entries: vec![first.bytes.clone()],
        seals: Vec::new(),
        introductions: Vec::new(),
        contradictions: Vec::new(),
    };
    vec![part_bytes(whole).into(), part_bytes(small).into()]
}
