//! What is said to be servable is proved and closed under causes, and it is all of that.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    net::convert,
    node::{
        limits::SEAL_GRACE_MS,
        types::{Body, Conversation, Draft, Lamport, RoomName, WallTime},
    },
};

fn author(n: u8) -> Author {
    Author {
        device: DeviceId([n; 32]),
        incarnation: 0,
    }
}

/// Entries of some authors, each of whom has seen what another one wrote just before, or nothing.
fn log(plan: &[(u8, bool)]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (who, sees) in plan {
        let own = entries.iter().rfind(|entry| entry.author == author(*who));
        let last = entries.last().filter(|last| *sees && last.author != author(*who));
        let seq = own.map_or(Seq::FIRST, |own| own.seq.next());
        let draft = Draft {
            conversation: Conversation::Room(RoomName::new("lobby").unwrap()),
            author: author(*who),
            seq,
            user: (seq == Seq::FIRST).then(|| UserName::new("someone").unwrap()),
            previous: own.map_or(EntryId([0; 32]), |own| own.id),
            seen: last
                .map(|last| Seen {
                    author: last.author,
                    seq: last.seq,
                })
                .into_iter()
                .collect(),
            lamport: Lamport(entries.len() as u64 + 1),
            sent_at: WallTime(0),
            body: Body::Text("text".into()),
        };
        entries.push((*convert::encode_entry(draft)).clone());
    }
    entries
}

fn seal_of(entry: &Entry) -> Seal {
    Seal {
        author: entry.author,
        seq: entry.seq,
        id: entry.id,
        signature: [0; 64],
    }
}

/// The entries that are sealed by introduced devices, with all that they depend on.
fn expected(entries: &[Entry], sealed: &BTreeMap<Author, Seq>, known: &BTreeSet<DeviceId>) -> Heights {
    let mut heights = Heights::default();
    for entry in entries {
        let is_sealed = sealed.get(&entry.author).is_some_and(|seq| *seq >= entry.seq);
        let follows = heights.of(&entry.author).next() == entry.seq;
        let caused = entry.seen.iter().all(|cause| heights.of(&cause.author) >= cause.seq);
        if is_sealed && follows && caused && known.contains(&entry.author.device) {
            heights.0.insert(entry.author, entry.seq);
        }
    }
    heights
}

proptest! {
    #[test]
    fn what_is_servable_is_all_that_is_proved_and_closed_under_causes(
        plan in prop::collection::vec((0..4u8, any::<bool>()), 1..40),
        seals in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        known in prop::collection::btree_set(0..4u8, 0..5),
    ) {
        let entries = log(&plan);
        let known: BTreeSet<DeviceId> = known.into_iter().map(|n| DeviceId([n; 32])).collect();
        let mut sealing = Sealing::default();
        let mut sealed: BTreeMap<Author, Seq> = BTreeMap::new();
        let seals: Vec<Seal> = seals.iter().map(|at| seal_of(&entries[at.index(entries.len())])).collect();
        for entry in &entries {
            sealing.take(entry, Millis(0));
        }
        for seal in &seals {
            sealing.seal(seal);
            let seq = sealed.entry(seal.author).or_default();
            *seq = seal.seq.max(*seq);
        }
        sealing.advance(|device| known.contains(device));
        let servable = expected(&entries, &sealed, &known);
        prop_assert_eq!(sealing.servable(), &servable);
        // Going on after each thing that comes leads to the same.
        let mut stepwise = Sealing::default();
        let mut some = known.clone();
        let last = some.pop_last();
        for entry in &entries {
            stepwise.take(entry, Millis(0));
            stepwise.advance(|device| some.contains(device));
            for seal in seals.iter().filter(|seal| seal.id == entry.id) {
                stepwise.seal(seal);
                stepwise.advance(|device| some.contains(device));
            }
        }
        if let Some(device) = last {
            stepwise.introduced(&device);
        }
        stepwise.advance(|device| known.contains(device));
        prop_assert_eq!(stepwise.servable(), &servable);
        // Whoever asks for what he wrote himself needs no proof of it.
        for reader in (0..4).map(|n| DeviceId([n; 32])) {
            let mut sealed = sealed.clone();
            for (author, _) in plan.iter().map(|(n, _)| (author(*n), ())) {
                if author.device == reader {
                    sealed.insert(author, Seq(u64::MAX));
                }
            }
            let mut known = known.clone();
            known.insert(reader);
            let found = sealing.servable_for(&reader, |device| known.contains(device), |_| false);
            prop_assert_eq!(found, expected(&entries, &sealed, &known));
        }
        // A log that is read back comes to the same.
        let first = entries.iter().position(|entry| {
            sealed.get(&entry.author).is_none_or(|seq| *seq < entry.seq) || !known.contains(&entry.author.device)
        });
        let first = first.unwrap_or(entries.len());
        let mut before = Heights::default();
        for entry in &entries[..first] {
            before.0.insert(entry.author, entry.seq);
        }
        let mut loaded = Sealing::load(sealed, before);
        for entry in &entries[first..] {
            loaded.take(entry, Millis(0));
        }
        loaded.advance(|device| known.contains(device));
        prop_assert_eq!(loaded.servable(), &servable);
    }
}

#[test]
fn a_seal_of_another_entry_covers_nothing() {
    let entries = log(&[(1, false), (1, false)]);
    let mut sealing = Sealing::default();
    for entry in &entries {
        sealing.take(entry, Millis(0));
    }
    let mut other = seal_of(&entries[1]);
    other.id = EntryId([7; 32]);
    assert_eq!(sealing.fits(&other), Fit::Other(entries[1].id));
    assert!(!sealing.seal(&other));
    assert_eq!(sealing.sealed(&author(1)), Seq(0));
    assert!(sealing.seal(&seal_of(&entries[1])));
    assert_eq!(sealing.fits(&seal_of(&entries[0])), Fit::Old);
}

#[test]
fn of_what_is_held_only_what_is_sealed_need_not_be_pulled() {
    let entries = log(&[(1, false), (2, false), (3, false), (3, false)]);
    let mut sealing = Sealing::default();
    for entry in &entries {
        sealing.take(entry, Millis(0));
    }
    sealing.seal(&seal_of(&entries[2]));
    sealing.claim(author(2), Seq(1));
    let held = Heights([(author(1), Seq(1)), (author(2), Seq(1)), (author(3), Seq(2))].into());
    let needed = sealing.needed(held.clone(), &DeviceId([9; 32]), |_| true);
    assert_eq!(needed, Heights([(author(2), Seq(1)), (author(3), Seq(1))].into()));
    let needed = sealing.needed(held, &author(1).device, |device| *device != author(3).device);
    assert_eq!(needed, Heights([(author(1), Seq(1)), (author(2), Seq(1))].into()));
}

#[test]
fn what_has_no_seal_for_long_is_overdue() {
    let entries = log(&[(1, false), (2, true)]);
    let mut sealing = Sealing::default();
    for entry in &entries {
        sealing.take(entry, Millis(100));
    }
    let late = Millis(101 + SEAL_GRACE_MS);
    assert!(!sealing.is_overdue(Millis(100 + SEAL_GRACE_MS)) && sealing.is_overdue(late));
    // The second one names the first, so it cannot be served without it.
    sealing.seal(&seal_of(&entries[1]));
    sealing.advance(|_| true);
    assert!(sealing.is_author_overdue(&author(2), late));
    sealing.seal(&seal_of(&entries[0]));
    sealing.advance(|_| true);
    assert!(!sealing.is_overdue(late) && sealing.is_settled());
}

#[test]
fn what_was_claimed_and_judged_counts_as_far_as_it_is_sealed() {
    let entries = log(&[(1, false), (1, false), (1, false)]);
    let mut sealing = Sealing::default();
    for entry in &entries {
        sealing.take(entry, Millis(0));
    }
    let held = Heights([(author(1), Seq(3))].into());
    let needed = |sealing: &Sealing| {
        sealing
            .needed(held.clone(), &DeviceId([9; 32]), |_| true)
            .of(&author(1))
    };
    sealing.claim(author(1), Seq(2));
    sealing.claim(author(1), Seq(3));
    sealing.settle(&author(1), Seq(2));
    assert_eq!(needed(&sealing), Seq(3), "the last one is still to be judged");
    sealing.seal(&seal_of(&entries[0]));
    sealing.settle(&author(1), Seq(3));
    assert_eq!(needed(&sealing), Seq(1));
}

#[test]
fn entries_without_a_seal_keep_nobody_elses_from_being_served() {
    let mut plan = vec![(1, false); 70_000];
    plan.extend([(2, false), (2, false)]);
    let entries = log_of_many(&plan);
    let mut sealing = Sealing::default();
    for entry in &entries {
        sealing.take(entry, Millis(0));
    }
    let last = &entries[plan.len() - 1];
    assert!(sealing.seal(&seal_of(last)) && sealing.advance(|_| true));
    assert_eq!(sealing.servable(), &Heights([(author(2), Seq(2))].into()));
    assert!(!sealing.has_room(&author(1), false, Span::default()));
    assert!(sealing.has_room(&author(2), true, Span::default()));
}

/// As [`log`], where nobody sees anything, in less time.
fn log_of_many(plan: &[(u8, bool)]) -> Vec<Entry> {
    let template = log(&[(1, false)]).remove(0);
    let mut last: BTreeMap<u8, Seq> = BTreeMap::new();
    let entry = |(who, _): &(u8, bool)| {
        let seq = last.entry(*who).or_default();
        *seq = seq.next();
        let mut entry = template.clone();
        (entry.draft.author, entry.draft.seq) = (author(*who), *seq);
        entry.id.0[..8].copy_from_slice(&seq.0.to_be_bytes());
        entry
    };
    plan.iter().map(entry).collect()
}

#[test]
fn a_seal_that_covers_more_than_a_reader_may_let_wait_covers_nothing() {
    let entries = log_of_many(&vec![(1, false); 9_000]);
    let mut sealing = Sealing::default();
    for entry in &entries {
        sealing.take(entry, Millis(0));
    }
    let seal = |seq: u64| seal_of(&entries[seq as usize - 1]);
    assert_eq!(sealing.fits(&seal(SEAL_SPAN_MAX + 1)), Fit::TooFar);
    assert!(!sealing.seal(&seal(SEAL_SPAN_MAX + 1)));
    assert!(sealing.seal(&seal(3_000)) && sealing.seal(&seal(9_000)));
    sealing.advance(|_| true);
    assert_eq!(sealing.servable().of(&author(1)), Seq(9_000));
}

#[test]
fn what_comes_live_without_a_seal_has_a_limit_in_entries_and_in_bytes() {
    let mut entries = log_of_many(&vec![(1, false); UNSEALED_LIVE_MAX as usize + 1]);
    for long in [false, true] {
        let mut sealing = Sealing::default();
        let bytes = if long { 64 * 1024 } else { 1 };
        let most = UNSEALED_LIVE_MAX.min(UNSEALED_LIVE_BYTES_MAX / bytes) as usize;
        let text = Bytes::from(vec![0; bytes as usize]);
        for entry in &mut entries[..most] {
            assert!(sealing.has_room(&author(1), true, Span::default()));
            entry.bytes = text.clone();
            sealing.take(entry, Millis(0));
        }
        assert!(!sealing.has_room(&author(1), true, Span::default()));
        assert!(
            sealing.has_room(&author(1), false, Span::default()),
            "it comes by a pull"
        );
        sealing.claim(author(1), Seq(1));
        assert!(sealing.has_room(&author(1), true, Span::default()));
        let (entries, bytes) = (1, bytes);
        assert!(!sealing.has_room(&author(1), true, Span { entries, bytes }));
    }
}

proptest! {
    #[test]
    fn of_seals_so_many_are_needed_that_none_covers_more_than_the_next_one_had_to(
        before in 0_u64..2_000,
        seqs in prop::collection::btree_set(1_u64..5_000, 1..60),
    ) {
        let seqs: Vec<u64> = seqs.into_iter().collect();
        let seal = |seq: &u64| Seal { author: author(1), seq: Seq(*seq), id: EntryId([0; 32]), signature: [0; 64] };
        let found = needed(Seq(before), seqs.iter().map(seal).collect());
        let found: Vec<u64> = found.iter().map(|seal| seal.seq.0).collect();
        let beyond: Vec<u64> = seqs.into_iter().filter(|seq| *seq > before).collect();
        prop_assert_eq!(found.last(), beyond.last());
        for (before, seq) in [before].iter().chain(&found).zip(&found) {
            let between = beyond.iter().filter(|one| (*before + 1..*seq).contains(*one)).count();
            prop_assert!(between == 0 || seq - before <= SEAL_EVERY, "{before} to {seq}");
        }
        // No two steps could have been one.
        for steps in [before].iter().chain(&found).collect::<Vec<_>>().windows(3) {
            prop_assert!(steps[2] - steps[0] > SEAL_EVERY);
        }
    }
}

#[test]
fn of_what_a_device_cannot_prove_so_many_bytes_are_taken_and_no_more() {
    let mut entries = log_of_many(&[(1, false); 8]);
    let mut sealing = Sealing::default();
    let many = vec![
        Seen {
            author: author(2),
            seq: Seq(1)
        };
        UNSERVABLE_BYTES_MAX as usize / 8 / size_of::<Seen>()
    ];
    for (n, entry) in entries.iter_mut().enumerate() {
        // As many authors, but one device.
        entry.draft.author.incarnation = n as u64;
        entry.draft.seen.clone_from(&many);
        assert!(sealing.has_room(&entry.author, false, Span::default()), "{n}");
        sealing.take(entry, Millis(0));
    }
    assert!(!sealing.has_room(&entries[0].author, false, Span::default()));
    assert!(sealing.has_room(&author(2), false, Span::default()));
}
