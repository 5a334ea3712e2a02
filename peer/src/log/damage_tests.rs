//! Every byte of a small log flipped, every length of it cut, and the same with its index.

use std::{collections::BTreeSet, path::PathBuf};

use proptest::prelude::*;

use super::{
    DamageKind, Log, LogError, MemoryDisk, Resume,
    disk::Disk as _,
    format::{FRAME_HEAD_BYTES, HEADER_BYTES, Kind, Life, encode_header},
    look_aside,
    testing::{Workload, answer, author, decode, entry, folder, ids_of, reopen},
};
use crate::node::types::{Conversation, Entry, EntryId, RoomName, Seq};

fn path(name: &str) -> PathBuf {
    folder().join(name)
}

/// A log of some entries that was closed with a permit.
fn closed(count: usize) -> Workload {
    let mut workload = Workload::new(7);
    workload.log(count).close(Some(&permit())).unwrap();
    workload
}

fn lobby() -> Conversation {
    Conversation::Room(RoomName::new("lobby").unwrap())
}

fn permit() -> Resume {
    Resume {
        incarnation: 5,
        state: b"state".to_vec(),
    }
}

fn held(log: &Log<MemoryDisk>) -> BTreeSet<EntryId> {
    log.canonical().map(|entry| entry.unwrap().id).collect()
}

fn all_of(entries: &[std::sync::Arc<Entry>]) -> BTreeSet<EntryId> {
    entries.iter().map(|entry| entry.id).collect()
}

/// Appends what the log lacks of `entries`, as the node does once it was pulled.
fn pull(log: &mut Log<MemoryDisk>, entries: &[std::sync::Arc<Entry>]) {
    for entry in entries {
        if log.heights().of(&entry.author) < entry.seq {
            log.append(std::slice::from_ref(entry)).unwrap();
        }
    }
    log.sync().unwrap();
}

#[test]
fn a_log_that_was_closed_opens_as_it_was() {
    let workload = closed(30);
    let (log, opened) = reopen(&workload.disk);
    assert_eq!(opened.resume, Some(permit()));
    assert!(opened.damage.is_empty() && opened.set_aside.is_empty() && opened.bytes_cut == 0);
    assert_eq!(held(&log), all_of(&workload.entries));
    for found in &opened.authors {
        let own: Vec<_> = workload
            .entries
            .iter()
            .filter(|entry| entry.author == found.author)
            .collect();
        assert_eq!(
            found.lamports,
            own.iter().map(|entry| entry.lamport).collect::<Vec<_>>()
        );
        let head = own.last().unwrap();
        assert_eq!((found.head, &found.head_seen), (head.id, &head.seen));
        assert_eq!(found.user.as_ref().unwrap().key(), "someone");
        for seen in workload.entries.iter().flat_map(|entry| &entry.seen) {
            assert!(opened.recently_seen.of(&seen.author) >= seen.seq);
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_log_is_reported_and_costs_one_entry() {
    let workload = closed(12);
    let len = workload.disk.bytes_of(&path("log")).unwrap().len();
    for at in 0..len {
        let disk = workload.disk.kill();
        disk.tamper(&path("log"), |bytes| bytes[at] ^= 1 << (at % 8));
        let (mut log, opened) = reopen(&disk);
        assert_eq!(opened.resume, None, "byte {at}");
        assert!(!opened.damage.is_empty(), "byte {at}");
        let mut present = held(&log);
        present.extend(ids_of(&opened.salvaged));
        let lost = if at < HEADER_BYTES { 0 } else { 1 };
        assert_eq!(present.len(), 12 - lost, "byte {at}");
        assert!(present.is_subset(&all_of(&workload.entries)), "byte {at}");
        // Once the lost range is pulled, all is there and nothing is set aside any more.
        pull(&mut log, &workload.entries);
        drop(log);
        let (log, opened) = reopen(&disk.power_loss());
        assert_eq!(held(&log), all_of(&workload.entries), "byte {at}");
        assert!(opened.damage.is_empty() && opened.salvaged.is_empty(), "byte {at}");
        let (_, opened) = reopen(&log.disk);
        assert!(opened.set_aside.is_empty(), "byte {at}");
    }
}

#[test]
fn a_log_that_was_cut_keeps_what_is_whole_and_tells_what_is_gone() {
    let workload = closed(12);
    let bytes = workload.disk.bytes_of(&path("log")).unwrap();
    let mut ends = vec![HEADER_BYTES];
    for entry in &workload.entries {
        ends.push(ends[ends.len() - 1] + FRAME_HEAD_BYTES + entry.bytes.len());
    }
    for len in 0..bytes.len() {
        let whole = ends.iter().filter(|end| **end <= len).count().saturating_sub(1);
        for with_index in [true, false] {
            let disk = workload.disk.kill();
            disk.tamper(&path("log"), |bytes| bytes.truncate(len));
            if !with_index {
                disk.remove(&path("index")).unwrap();
            }
            let (log, opened) = reopen(&disk);
            assert_eq!(held(&log), all_of(&workload.entries[..whole]), "length {len}");
            assert_eq!(opened.resume, None, "length {len}");
            let missing = opened.damage.iter().find_map(|damage| match damage.kind {
                DamageKind::Missing { entries } => Some(entries),
                _ => None,
            });
            assert_eq!(missing, with_index.then_some(12 - whole as u64), "length {len}");
            let (_, opened) = reopen(&disk);
            assert!(
                opened.damage.is_empty() && opened.bytes_cut == 0,
                "reported once, length {len}"
            );
        }
    }
}

#[test]
fn any_damage_of_the_index_is_mended_in_silence() {
    let workload = closed(12);
    let good = workload.disk.bytes_of(&path("index")).unwrap();
    let check = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let disk = workload.disk.kill();
        disk.tamper(&path("index"), change);
        let (log, opened) = reopen(&disk);
        assert_eq!(held(&log), all_of(&workload.entries), "{what}");
        assert!(opened.damage.is_empty(), "{what}: {:?}", opened.damage);
        assert_eq!(opened.resume, Some(permit()), "{what}");
        assert_eq!(disk.bytes_of(&path("index")).unwrap(), good, "{what}");
    };
    for at in 0..good.len() {
        check(&format!("byte {at}"), &|bytes| bytes[at] ^= 1 << (at % 8));
        check(&format!("length {at}"), &|bytes| bytes.truncate(at));
    }
    check("longer", &|bytes| bytes.extend([7; 100]));
    check("of another life", &|bytes| {
        bytes[..HEADER_BYTES].copy_from_slice(&encode_header(Kind::Index, Life(9)));
    });
}

#[test]
fn a_log_that_is_gone_is_told_by_its_index() {
    let workload = closed(12);
    workload.disk.remove(&path("log")).unwrap();
    let (log, opened) = reopen(&workload.disk);
    assert_eq!(log.version(), 0);
    assert_eq!(opened.damage[0].kind, DamageKind::Missing { entries: 12 });
    assert_eq!(opened.resume, None);
}

#[test]
fn entries_that_depend_on_a_lost_one_are_offered_until_it_is_there() {
    let disk = MemoryDisk::new(1);
    let entries = [entry(1, 1, 1), entry(1, 2, 2), answer(2, 1, 3, (1, 2)), entry(3, 1, 1)];
    let (mut log, _) = reopen(&disk);
    log.append(&entries).unwrap();
    let second = HEADER_BYTES + FRAME_HEAD_BYTES + entries[0].bytes.len();
    log.close(None).unwrap();
    disk.tamper(&path("log"), |bytes| bytes[second + 20] ^= 1);
    for round in 0..3 {
        let (log, opened) = reopen(&disk);
        assert_eq!(log.version(), 2);
        assert_eq!(ids_of(&opened.salvaged), [entries[2].id]);
        let aside = &opened.set_aside[0];
        assert_eq!(aside.frames, Some(1));
        let first = aside.first.as_ref().unwrap().to_string();
        let cause = format!("it comes after entry 2 of {}, which is not here", author(1));
        assert!(first.contains(&cause), "{first}");
        let looked = look_aside(&disk, folder(), decode, &lobby(), &log.heights()).unwrap();
        assert_eq!((looked.len(), looked[0].frames), (1, Some(1)));
        assert_eq!(opened.damage.len(), usize::from(round == 0), "told once");
        if let Some(damage) = opened.damage.first() {
            assert_eq!((&damage.path, damage.offset), (&path("log.damaged-1"), second as u64));
        }
    }
    let (mut log, _) = reopen(&disk);
    log.append(&entries[1..2]).unwrap();
    let mut heights = log.heights();
    heights.0.insert(entries[2].author, entries[2].seq);
    let looked = look_aside(&disk, folder(), decode, &lobby(), &heights).unwrap();
    assert_eq!(looked[0].frames, Some(0), "the log has all of it");
    // What was salvaged fits now and needs nobody to bring it.
    let (log, opened) = reopen(&disk.kill());
    assert_eq!(held(&log), all_of(&entries));
    assert!(opened.salvaged.is_empty());
    assert!(log.disk.open(&path("log.damaged-1")).unwrap().is_none());
}

#[test]
fn a_log_without_any_header_is_kept_aside() {
    let workload = closed(12);
    workload
        .disk
        .tamper(&path("log"), |bytes| bytes[..HEADER_BYTES].fill(0));
    let other = workload.disk.kill();
    // With the index its number is known, and nothing is lost.
    let (log, opened) = reopen(&workload.disk);
    assert_eq!((log.version(), &opened.damage[0].kind), (12, &DamageKind::Header));
    // Without it nothing can be read, and the file stays.
    other.remove(&path("index")).unwrap();
    let (log, opened) = reopen(&other);
    assert_eq!((log.version(), opened.set_aside[0].frames), (0, None));
    assert!(other.open(&path("log.damaged-1")).unwrap().is_some());
}

#[test]
fn a_log_is_set_aside_whatever_numbers_are_taken() {
    let workload = closed(12);
    let others = ["log.damaged-1", "log.damaged-18446744073709551615"].map(path);
    for other in &others {
        workload.disk.replace(other, b"of another day").unwrap();
    }
    workload
        .disk
        .tamper(&path("log"), |bytes| bytes[HEADER_BYTES + FRAME_HEAD_BYTES] ^= 1);
    let (_, opened) = reopen(&workload.disk);
    assert_eq!(opened.damage[0].path, path("log.damaged-2"));
    for other in &others {
        assert_eq!(workload.disk.bytes_of(other).unwrap(), b"of another day");
    }
}

#[test]
fn what_is_twice_in_the_file_is_once_in_the_log() {
    let workload = closed(5);
    let first = HEADER_BYTES..HEADER_BYTES + FRAME_HEAD_BYTES + workload.entries[0].bytes.len();
    workload
        .disk
        .tamper(&path("log"), |bytes| bytes.extend_from_within(first));
    let (mut log, opened) = reopen(&workload.disk);
    assert!(opened.damage.is_empty());
    assert_eq!((log.version(), opened.resume), (5, None));
    let next = entry(9, 1, 1);
    log.append(std::slice::from_ref(&next)).unwrap();
    log.sync().unwrap();
    let (log, opened) = reopen(&workload.disk.power_loss());
    assert!(opened.damage.is_empty());
    assert_eq!(log.read(&author(9), Seq(1)).unwrap().id, next.id);
    assert_eq!(log.version(), 6);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let workload = closed(2);
    workload.disk.tamper(&path("log"), |bytes| {
        for copy in [0, 24] {
            bytes[copy + 8] = 2;
            let sum = crc32c::crc32c(&bytes[copy..copy + 20]);
            bytes[copy + 20..copy + 24].copy_from_slice(&sum.to_le_bytes());
        }
    });
    let before = workload.disk.bytes_of(&path("log"));
    let error = Log::open(workload.disk.clone(), folder(), decode).unwrap_err();
    assert!(matches!(error, LogError::Newer { found: 2, .. }), "{error}");
    assert_eq!(workload.disk.bytes_of(&path("log")), before);
}

#[test]
fn damage_that_happens_while_the_log_is_open_is_named() {
    let mut workload = Workload::new(4);
    let log = workload.log(3);
    workload
        .disk
        .tamper(&path("log"), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let last = &workload.entries[2];
    let error = log.read(&last.author, last.seq).unwrap_err();
    assert!(
        error.to_string().starts_with("/room/log is damaged at byte "),
        "{error}"
    );
    assert!(log.last(3).is_err());
}

#[test]
fn a_log_that_something_else_changes_while_it_is_open_takes_nothing_more() {
    let changes: [fn(&mut Vec<u8>); 3] = [
        |log| log.truncate(60),
        |log| log.extend_from_within(48..),
        |log| *log = encode_header(Kind::Log, Life(9)).to_vec(),
    ];
    for change in changes {
        let mut workload = Workload::new(5);
        let disk = workload.disk.clone();
        let mut log = workload.log(3);
        log.sync().unwrap();
        disk.tamper(&path("log"), change);
        let error = log.append(&[entry(9, 1, 900)]).unwrap_err().to_string();
        assert!(
            error.contains("something else than this peer has changed it"),
            "{error}"
        );
        assert!(log.append(&[entry(9, 1, 900)]).is_err());
    }
    let mut workload = Workload::new(5);
    let disk = workload.disk.clone();
    let mut log = workload.log(3);
    log.sync().unwrap();
    log.append(&[entry(9, 1, 900)]).unwrap();
    disk.tamper(&path("log"), |log| log.truncate(60));
    assert!(log.sync().is_err(), "what is gone is not durable");
}

proptest! {
    /// Whatever happens to the bytes, what is still whole is in the log or salvaged, and nothing else is.
    #[test]
    fn any_damage_spares_what_is_whole(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, prop::collection::vec(any::<u8>(), 0..40)), 1..4),
        index_cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        has_index: bool,
    ) {
        let workload = closed(20);
        let mut expected = Vec::new();
        workload.disk.tamper(&path("log"), |bytes| {
            for (at, removed, inserted) in cuts {
                let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES);
                bytes.splice(at..(at + removed).min(bytes.len()), inserted);
            }
            let is_there = |entry: &&std::sync::Arc<Entry>| bytes.windows(entry.bytes.len()).any(|window| *window == entry.bytes);
            expected = workload.entries.iter().filter(is_there).map(|entry| entry.id).collect();
        });
        workload.disk.tamper(&path("index"), |bytes| for (at, byte) in index_cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        });
        if !has_index {
            workload.disk.remove(&path("index")).unwrap();
        }
        let (log, opened) = reopen(&workload.disk);
        let mut present = held(&log);
        present.extend(ids_of(&opened.salvaged));
        prop_assert!(present.is_subset(&all_of(&workload.entries)));
        // An entry can be there while the head of its frame is not; one such per cut.
        let lost = expected.iter().filter(|id| !present.contains(id)).count();
        prop_assert!(lost <= 3, "{} entries are there and were not found", lost);
        let (again, opened) = reopen(&workload.disk.power_loss());
        prop_assert_eq!(held(&again), held(&log));
        prop_assert!(opened.damage.is_empty());
    }
}

#[test]
fn a_log_of_another_conversation_is_set_aside_whole_and_what_is_of_this_one_stays() {
    let of = |room: &str| Conversation::Room(RoomName::new(room).unwrap());
    for with_index in [false, true] {
        let mut workload = Workload::new(5);
        workload.log(9).close(Some(&permit())).unwrap();
        if !with_index {
            workload.disk.remove(&folder().join(super::INDEX_FILE)).unwrap();
        }
        let (log, opened) = Log::open_of(workload.disk.clone(), folder(), decode, &lobby()).unwrap();
        assert_eq!((log.version(), opened.damage.len()), (9, 0), "it is of this room");
        drop(log);
        let (mut log, opened) = Log::open_of(workload.disk.clone(), folder(), decode, &of("other")).unwrap();
        let [damage] = &opened.damage[..] else {
            panic!("{:?}", opened.damage)
        };
        assert!(matches!(damage.kind, DamageKind::Misplaced { .. }), "{damage}");
        assert_eq!((log.version(), opened.resume), (0, None));
        log.sync().unwrap();
        drop(log);
        // It is told once; the file stays, and is that room's.
        let (_, opened) = Log::open_of(workload.disk.clone(), folder(), decode, &of("other")).unwrap();
        assert!(opened.damage.is_empty() && opened.salvaged.is_empty());
        let [aside] = &opened.set_aside[..] else {
            panic!("{:?}", opened.set_aside)
        };
        assert_eq!((aside.frames, aside.misplaced), (Some(0), 9));
        assert!(workload.disk.bytes_of(&aside.path).is_some());
    }
}
