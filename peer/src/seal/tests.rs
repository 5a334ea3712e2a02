//! A history is handed out as far as seals cover it, and with any byte altered it is not.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::{
    HistoryReader, Part, message,
    testing::{HashNotary, Pen, device, room},
};
use crate::{
    net::convert,
    node::{
        Identity,
        limits::{SEAL_SPAN_MAX, WINDOW_ENTRIES_MAX},
        sealing::Seal,
        types::{Author, Conversation, Entry, EntryId, Heights, RoomName, Seq, UserName},
        window::BadHistory,
    },
};

/// What a history is made of: who writes next, and whether a seal follows.
type Plan = Vec<(u8, bool)>;

/// Parts of up to four entries. Everybody is introduced before his first seal, and the last entries are sealed.
fn history(plan: &Plan) -> Vec<Part> {
    let mut pens: BTreeMap<u8, Pen> = BTreeMap::new();
    let mut parts = vec![Part::default()];
    let mut introduced = Vec::new();
    for (nth, (who, sealed)) in plan.iter().enumerate() {
        if parts[parts.len() - 1].entries.len() == 4 {
            parts.push(Part::default());
        }
        let pen = pens.entry(*who).or_insert_with(|| Pen::new(*who));
        let entry = pen.write(&format!("text {nth}"), Vec::new());
        let part = parts.last_mut().unwrap();
        part.entries.push(entry);
        let is_last = plan[nth + 1..].iter().all(|(other, _)| other != who);
        if !introduced.contains(who) {
            introduced.push(*who);
            part.introductions.push(pen.certificate());
        }
        if *sealed || is_last {
            part.seals.push(pen.seal());
        }
    }
    parts
}

fn me(n: u8) -> Identity {
    let user = UserName::new(&format!("user-{n}")).unwrap();
    Identity {
        user,
        device: device(n),
    }
}

fn reader() -> HistoryReader {
    let me = me(0xff);
    HistoryReader::new(HashNotary::shared(me.device), &me, room(), Heights::default())
}

/// What a reader makes of parts: what it hands out, and how it ends.
fn read(parts: Vec<Part>) -> (Vec<Arc<Entry>>, Vec<Seal>, Result<(), BadHistory>) {
    let mut reader = reader();
    let (mut entries, mut seals) = (Vec::new(), Vec::new());
    for part in parts {
        match reader.take(part) {
            Ok(pulled) => {
                entries.extend(pulled.entries);
                seals.extend(pulled.seals);
            }
            Err(bad) => return (entries, seals, Err(bad)),
        }
    }
    let end = reader.finish();
    (entries, seals, end)
}

fn plan() -> impl Strategy<Value = Plan> {
    prop::collection::vec((0..4u8, any::<bool>()), 1..40)
}

/// Where in a history a byte is.
fn alter(parts: &mut [Part], at: usize, flip: u8) -> bool {
    let mut at = at;
    for part in parts {
        for entry in &mut part.entries {
            if at < entry.bytes.len() {
                let mut bytes = entry.bytes.to_vec();
                bytes[at] ^= flip;
                // What is no entry any more is refused where it is decoded.
                let Ok(altered) = convert::decode_entry(bytes.into()) else {
                    return false;
                };
                *entry = Arc::new(altered);
                return true;
            }
            at -= entry.bytes.len();
        }
        for seal in &mut part.seals {
            let fields: [&mut [u8]; 3] = [&mut seal.signature, &mut seal.id.0, &mut seal.author.device.0];
            for field in fields {
                if let Some(byte) = field.get_mut(at) {
                    *byte ^= flip;
                    return true;
                }
                at -= field.len();
            }
        }
        for introduction in &mut part.introductions {
            if at < introduction.len() {
                let mut bytes = introduction.to_vec();
                bytes[at] ^= flip;
                *introduction = bytes.into();
                return true;
            }
            at -= introduction.len();
        }
    }
    false
}

proptest! {
    #[test]
    fn all_of_a_good_history_is_handed_out_in_order(plan in plan()) {
        let sent: Vec<EntryId> = history(&plan).iter().flat_map(|part| &part.entries).map(|entry| entry.id).collect();
        let (entries, seals, end) = read(history(&plan));
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), sent);
        let mut heights: BTreeMap<Author, Seq> = BTreeMap::new();
        for seal in &seals {
            heights.insert(seal.author, seal.seq);
        }
        for entry in &entries {
            prop_assert!(heights[&entry.author] >= entry.seq);
        }
    }

    #[test]
    fn with_any_byte_altered_nothing_is_handed_out_that_was_not_written(plan in plan(), at in 0..20_000usize, flip in 1u8..) {
        let written: Vec<EntryId> = history(&plan).iter().flat_map(|part| &part.entries).map(|entry| entry.id).collect();
        let mut parts = history(&plan);
        let altered = alter(&mut parts, at, flip);
        let (entries, _, end) = read(parts);
        // A seal that another one of its author follows in the same part is not looked at: it decides nothing.
        prop_assert!(entries.iter().all(|entry| written.contains(&entry.id)));
        let in_entries = altered && !entries.iter().map(|entry| entry.id).eq(written.iter().copied());
        prop_assert!(!in_entries || end.is_err());
    }

    #[test]
    fn what_is_not_covered_is_not_handed_out(plan in plan(), from in 0..40usize) {
        // From one part on there are no seals.
        let mut parts = history(&plan);
        let from = from.min(parts.len() - 1);
        let mut covered: BTreeMap<Author, Seq> = BTreeMap::new();
        for (nth, part) in parts.iter_mut().enumerate() {
            if nth >= from {
                part.seals.clear();
            }
            covered.extend(part.seals.iter().map(|seal| (seal.author, seal.seq)));
        }
        let (entries, _, end) = read(parts);
        let is_cut = matches!(end, Err(BadHistory::Uncovered { .. }));
        prop_assert!(is_cut);
        for entry in &entries {
            prop_assert!(covered.get(&entry.author).is_some_and(|seq| *seq >= entry.seq));
        }
    }

    #[test]
    fn no_two_seals_sign_the_same_bytes(
        names in prop::collection::vec("[a-c]{1,3}", 4), incarnations in any::<[u64; 2]>(), seqs in any::<[u64; 2]>(),
    ) {
        let user = |at: usize| UserName::new(&names[at]).unwrap();
        let author = |at: usize| Author { device: device(1), incarnation: incarnations[at] };
        let one = Conversation::direct(&user(0), &user(1));
        let rooms = RoomName::new(&names[2]).unwrap();
        for other in [Conversation::direct(&user(2), &user(3)), Conversation::Room(rooms)] {
            let a = message(&one, &author(0), Seq(seqs[0]), &EntryId([0; 32]));
            let b = message(&other, &author(1), Seq(seqs[1]), &EntryId([0; 32]));
            prop_assert_eq!(a == b, one == other && incarnations[0] == incarnations[1] && seqs[0] == seqs[1]);
        }
    }
}

#[test]
fn every_byte_of_a_small_history_counts() {
    let plan: Plan = vec![(1, false), (2, true), (1, true), (2, false), (1, true)];
    let bytes: usize = history(&plan)
        .iter()
        .flat_map(|part| &part.entries)
        .map(|entry| entry.bytes.len())
        .sum();
    let total = bytes + 4 * 128 + 2 * 71;
    for at in 0..total {
        let mut parts = history(&plan);
        let written: Vec<EntryId> = parts
            .iter()
            .flat_map(|part| &part.entries)
            .map(|entry| entry.id)
            .collect();
        if !alter(&mut parts, at, 0x20) {
            continue;
        }
        let (entries, _, end) = read(parts);
        assert!(entries.iter().all(|entry| written.contains(&entry.id)), "{at}");
        assert!(end.is_err() || entries.len() == written.len(), "{at}");
    }
}

#[test]
fn no_more_waits_than_may() {
    let (mut pen, mut reader) = (Pen::new(1), reader());
    let mut parts = 0;
    let bad = loop {
        let entries = (0..256).map(|_| pen.write("text", Vec::new())).collect();
        let part = Part {
            entries,
            ..Part::default()
        };
        parts += 1;
        match reader.take(part) {
            Ok(pulled) => assert!(pulled.entries.is_empty()),
            Err(bad) => break bad,
        }
    };
    let entries = WINDOW_ENTRIES_MAX + 256;
    assert_eq!(bad, BadHistory::TooLong { entries });
    assert_eq!(parts, entries / 256);
}

/// What a reader makes of so many entries of one author, of which these have seals in the part that they are in.
fn sealed_at(count: u64, at: &[u64]) -> (Vec<Seal>, Result<(), BadHistory>) {
    let mut pen = Pen::new(1);
    let mut parts = vec![Part::default()];
    parts[0].introductions.push(pen.certificate());
    for seq in 1..=count {
        let part = parts.last_mut().unwrap();
        part.entries.push(pen.write("text", Vec::new()));
        part.seals.extend(at.contains(&seq).then(|| pen.seal()));
        if part.entries.len() == 256 {
            parts.push(Part::default());
        }
    }
    parts.retain(|part| !part.entries.is_empty());
    let (_, seals, end) = read(parts);
    (seals, end)
}

#[test]
fn one_seal_may_not_cover_more_than_others_let_wait() {
    let (_, end) = sealed_at(SEAL_SPAN_MAX, &[SEAL_SPAN_MAX]);
    assert_eq!(end, Ok(()));
    let (_, end) = sealed_at(SEAL_SPAN_MAX + 1, &[SEAL_SPAN_MAX + 1]);
    let entries = SEAL_SPAN_MAX as usize + 1;
    assert_eq!(end, Err(BadHistory::TooLong { entries }));
}

#[test]
fn what_a_seal_covers_does_not_grow_from_reader_to_reader() {
    let seqs = |at: &[u64]| {
        sealed_at(4_300, at)
            .0
            .into_iter()
            .map(|seal| seal.seq.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(seqs(&[4_100, 4_200, 4_300]), [4_100, 4_300]);
    assert_eq!(seqs(&[3_900, 4_100, 4_200, 4_300]), [3_900, 4_100, 4_300]);
}

#[test]
fn a_name_that_the_registry_did_not_certify_is_refused() {
    let mut pen = Pen::new(1);
    let honest = pen.certificate();
    pen.user = "somebody-else".into();
    let entry = pen.write("text", Vec::new());
    let part = |introductions| Part {
        entries: vec![entry.clone()],
        seals: vec![pen.seal()],
        introductions,
        ..Part::default()
    };
    assert!(matches!(
        reader().take(part(vec![honest])),
        Err(BadHistory::OtherUser { .. })
    ));
    assert!(matches!(
        reader().take(part(Vec::new())),
        Err(BadHistory::NotIntroduced(_))
    ));
}

#[test]
fn an_own_entry_is_known_by_its_tag_and_by_nothing_else() {
    let mut pen = Pen::new(1);
    let me = me(1);
    let notary = HashNotary::shared(me.device);
    let mut tagged = |text: &str| {
        let mut bytes = convert::encode_entry(pen.draft(text, Vec::new())).bytes.to_vec();
        notary.tag_key().put(&mut bytes);
        let entry = Arc::new(convert::decode_entry(bytes.into()).unwrap());
        pen.last = Some((entry.seq, entry.id));
        entry
    };
    let own = vec![tagged("one"), tagged("two")];
    let mut reader = HistoryReader::new(notary.clone(), &me, room(), Heights::default());
    let part = Part {
        entries: own.clone(),
        ..Part::default()
    };
    assert_eq!(reader.take(part).unwrap().entries, own);
    assert_eq!(reader.finish(), Ok(()));
    let mut forger = Pen::new(1);
    let mut reader = HistoryReader::new(notary, &me, room(), Heights::default());
    let part = Part {
        entries: vec![forger.write("never said", Vec::new())],
        ..Part::default()
    };
    assert!(reader.take(part).unwrap().entries.is_empty());
    assert!(reader.finish().is_err());
}
