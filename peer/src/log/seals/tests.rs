//! Seals are there again, few of them, and a crash leaves none that was not made.

use std::collections::BTreeSet;

use super::*;
use crate::{
    log::{
        Fault, MemoryDisk,
        testing::{author, folder},
    },
    node::limits::{ANCHOR_EVERY, SEAL_SPAN_MAX},
};

fn seal(who: u64, seq: u64) -> Seal {
    Seal {
        author: author(who),
        seq: Seq(seq),
        id: EntryId([seq as u8; 32]),
        signature: [(who * 100 + seq) as u8; 64],
    }
}

fn opened(disk: &MemoryDisk) -> Seals<MemoryDisk> {
    disk.create_folder(folder()).unwrap();
    Seals::open(disk.clone(), folder()).unwrap()
}

fn all(disk: &MemoryDisk) -> Vec<Seal> {
    let mut found = Vec::new();
    read_seals(disk, folder(), |seal, _| found.push(seal.expect("no slot is bad"))).unwrap();
    found
}

#[test]
fn the_last_two_and_those_far_enough_apart_are_kept() {
    let disk = MemoryDisk::new(1);
    let mut seals = opened(&disk);
    for seq in 1..=1_000 {
        seals.push(&seal(1, seq)).unwrap();
        assert_eq!(
            seals.last_upto(&author(1), Seq(seq)).unwrap(),
            Some(seal(1, seq)),
            "the last one is always there"
        );
    }
    seals.push(&seal(1, 7)).unwrap();
    for seals in [&seals, &opened(&disk)] {
        let mut seq = Seq(1);
        let mut marks = Vec::new();
        while let Some(next) = seals.covering(&author(1), seq) {
            assert!(next.0 - seq.0 < ANCHOR_EVERY * 2);
            let kept = seals.last_upto(&author(1), next).unwrap().unwrap();
            assert_eq!(kept, seal(1, next.0));
            marks.push(next);
            seq = next.next();
        }
        assert_eq!(marks.last(), Some(&Seq(1_000)));
        assert!(marks.len() as u64 <= 1_000 / ANCHOR_EVERY + 2);
        assert_eq!(seals.latest().unwrap(), [seal(1, 1_000)]);
    }
    assert!(
        all(&disk).len() as u64 <= 1_000 / ANCHOR_EVERY + 2,
        "slots are used again"
    );
}

#[test]
fn a_seal_that_does_not_fit_the_log_is_forgotten() {
    let disk = MemoryDisk::new(1);
    let mut seals = opened(&disk);
    for seq in [20, 40, 60] {
        seals.push(&seal(1, seq)).unwrap();
    }
    seals.forget_last(&author(1)).unwrap();
    for seals in [&seals, &opened(&disk)] {
        assert_eq!(seals.latest().unwrap(), [seal(1, 40)]);
    }
    seals.push(&seal(1, 50)).unwrap();
    assert_eq!(seals.latest().unwrap(), [seal(1, 50)]);
    assert_eq!(opened(&disk).latest().unwrap(), [seal(1, 50)]);
}

#[test]
fn a_damaged_slot_costs_its_seal_alone() {
    let disk = MemoryDisk::new(1);
    let mut seals = opened(&disk);
    for who in 1..=3 {
        seals.push(&seal(who, who)).unwrap();
    }
    let path = folder().join(SEALS_FILE);
    disk.tamper(&path, |bytes| bytes[HEADER_BYTES + SLOT_BYTES + 50] ^= 1);
    let mut bad = Vec::new();
    read_seals(&disk, folder(), |seal, at| {
        if seal.is_none() {
            bad.push(at);
        }
    })
    .unwrap();
    assert_eq!(bad, [(HEADER_BYTES + SLOT_BYTES) as u64]);
    let mut seals = opened(&disk);
    assert_eq!(seals.latest().unwrap(), [seal(1, 1), seal(3, 3)]);
    seals.push(&seal(2, 2)).unwrap();
    assert_eq!(all(&disk), [seal(1, 1), seal(2, 2), seal(3, 3)]);
    disk.tamper(&path, |bytes| bytes[..HEADER_BYTES].fill(7));
    assert!(opened(&disk).latest().unwrap().is_empty());
}

/// Opens, pushes, syncs and closes, until something fails. Returns what was pushed.
fn work(disk: &MemoryDisk, pushed: &mut Vec<Seal>) -> Result<(), LogError> {
    disk.create_folder(folder())?;
    for run in 0..3 {
        let mut seals = Seals::open(disk.clone(), folder())?;
        for step in 1..20 {
            let next = seal(step % 3, run * 40 + step * 2);
            pushed.push(next.clone());
            seals.push(&next)?;
            if step % 7 == 0 {
                seals.sync()?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_crash_at_any_operation_leaves_seals_that_were_made_and_nothing_else() {
    let disk = MemoryDisk::new(0);
    work(&disk, &mut Vec::new()).unwrap();
    for (operation, seed) in (0..disk.operations()).flat_map(|operation| (0..4).map(move |seed| (operation, seed))) {
        let disk = MemoryDisk::new(seed);
        disk.fail_at(operation, Fault::Crash);
        let mut pushed = Vec::new();
        assert!(work(&disk, &mut pushed).is_err());
        for (disk, killed) in [(disk.kill(), true), (disk.power_loss(), false)] {
            let mut seals = opened(&disk);
            let found = all(&disk);
            assert!(found.iter().all(|seal| pushed.contains(seal)));
            let places: BTreeSet<_> = found.iter().map(|seal| (seal.author, seal.seq)).collect();
            assert_eq!(places.len(), found.len(), "none is there twice");
            if killed {
                // All but the one that was being written.
                for author in (0..3).map(author) {
                    let mut last = pushed[..pushed.len().saturating_sub(1)]
                        .iter()
                        .filter(|seal| seal.author == author);
                    if let Some(last) = last.next_back() {
                        assert!(seals.covering(&author, last.seq).is_some());
                    }
                }
            }
            seals.push(&seal(1, 1_000)).unwrap();
            assert!(opened(&disk).latest().unwrap().contains(&seal(1, 1_000)));
        }
    }
}

#[test]
fn a_seal_that_covers_more_than_a_reader_may_let_wait_is_of_no_use() {
    let disk = MemoryDisk::new(1);
    let mut seals = opened(&disk);
    let wide = 100 + SEAL_SPAN_MAX + 1;
    for seq in [100, wide, wide + 100] {
        seals.push(&seal(1, seq)).unwrap();
    }
    let mut seals = opened(&disk);
    assert_eq!(seals.latest().unwrap(), [seal(1, 100)]);
    for seq in [wide - 1, wide] {
        seals.push(&seal(1, seq)).unwrap();
    }
    assert_eq!(opened(&disk).latest().unwrap(), [seal(1, wide)]);
}

#[test]
fn what_a_seal_covers_does_not_grow_as_others_make_way() {
    let disk = MemoryDisk::new(1);
    let mut seals = opened(&disk);
    let far = 10 + SEAL_SPAN_MAX;
    for seq in [5, 10, far, far + 1, far + 2] {
        seals.push(&seal(1, seq)).unwrap();
    }
    assert_eq!(seals.covering(&author(1), Seq(6)), Some(Seq(10)));
}
