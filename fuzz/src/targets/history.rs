//! A history that a third party serves: what comes out was written by whom it names, in order, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use peerchat::{
    net::convert::encode_entry,
    node::{
        Identity,
        contradiction::Contradiction,
        types::{Author, Body, Entry, EntryId, Heights, Seq},
    },
    seal::{HistoryReader, Part},
};

use crate::{
    dice::Dice,
    pens::{HashNotary, Pen, device, room, user},
    within,
};

/// Pulls a history of honest authors from a server who is not.
pub fn check(data: &[u8]) {
    let mut dice = Dice::new(data);
    let (pens, written) = written();
    let genuine: BTreeSet<EntryId> = written.iter().flatten().map(|entry| entry.id).collect();
    let me = Identity {
        user: user("me"),
        device: device(9),
    };
    let mut have = Heights::default();
    for (pen, entries) in pens.iter().zip(&written) {
        let held = dice.below(3);
        have.0.insert(pen.author, Seq(held.min(entries.len()) as u64));
    }
    within(4 * 1024 * 1024, 4_000, data.len(), || {
        let mut reader = HistoryReader::new(HashNotary::shared(me.device), &me, room(), have.clone());
        let mut next: BTreeMap<Author, Seq> = have.0.clone();
        let mut given: Vec<usize> = pens.iter().map(|pen| have.of(&pen.author).0 as usize).collect();
        let (mut came, mut released) = (0, 0);
        while dice.has_more() {
            let part = part(&mut dice, &pens, &written, &mut given);
            came += part.entries.len();
            let Ok(pulled) = reader.take(part) else { return };
            for entry in &pulled.entries {
                assert!(genuine.contains(&entry.id), "{} says what its author never wrote", entry.author);
                let next = next.entry(entry.author).or_default();
                assert_eq!(entry.seq, next.next(), "of {}", entry.author);
                *next = entry.seq;
            }
            released += pulled.entries.len();
            for seal in &pulled.seals {
                assert!(next.get(&seal.author).is_some_and(|upto| seal.seq <= *upto));
            }
            assert!(pulled.contradictions.is_empty(), "who is honest is shown to contradict himself");
        }
        if reader.finish().is_ok() {
            assert_eq!(released, came);
        }
    });
}

/// Three honest authors who answer one another.
fn written() -> (Vec<Pen>, Vec<Vec<Arc<Entry>>>) {
    let mut pens: Vec<Pen> = (1..=3).map(Pen::new).collect();
    let mut written: Vec<Vec<Arc<Entry>>> = vec![Vec::new(); 3];
    let mut last: Option<Arc<Entry>> = None;
    for n in 0..18 {
        let who = n * 7 % 3;
        let to: Vec<&Entry> = last.iter().map(AsRef::as_ref).collect();
        let entry = pens[who].answer("text", &to);
        written[who].push(entry.clone());
        last = Some(entry);
    }
    (pens, written)
}

fn part(dice: &mut Dice, pens: &[Pen], written: &[Vec<Arc<Entry>>], given: &mut [usize]) -> Part {
    let mut part = Part::default();
    for _ in 0..=dice.below(8) {
        let who = dice.below(3);
        let entries = &written[who];
        let at = |seq: usize| entries.get(seq.checked_sub(1)?).cloned();
        match dice.below(12) {
            // Something else in his name.
            0 => {
                let mut draft = entries[given[who].min(entries.len() - 1)].draft.clone();
                draft.body = Body::Text("never written".into());
                match dice.below(4) {
                    0 => draft.seq.0 = dice.number().max(1),
                    1 => draft.author.incarnation = dice.number(),
                    2 => draft.lamport.0 = dice.number(),
                    _ => {}
                }
                part.entries.push(encode_entry(draft));
            }
            1 => part.entries.extend(at(dice.below(8))),
            2 => part.introductions.push(pens[who].certificate()),
            3 => {
                // That of another user's device.
                let false_one = [&pens[who].author.device.0[..], b"mallory"].concat();
                part.introductions.push(false_one.into());
            }
            4 | 5 => {
                if let Some(entry) = at(given[who]) {
                    part.seals.push(pens[who].seal_of(entry.seq, entry.id));
                }
            }
            6 => {
                if let Some(entry) = at(dice.below(8)) {
                    let mut seal = pens[who].seal_of(entry.seq, entry.id);
                    match dice.below(4) {
                        0 => seal.seq.0 = dice.number(),
                        1 => seal.id.0[0] ^= 1,
                        2 => seal.signature[0] ^= 1,
                        _ => {}
                    }
                    part.seals.push(seal);
                }
            }
            7 => {
                // Two of his entries as if no chain joined them.
                if let (Some(one), Some(other)) = (at(1 + dice.below(5)), at(1 + dice.below(5))) {
                    part.contradictions.push(Contradiction {
                        seal: pens[who].seal_of(one.seq, one.id),
                        other: pens[who].seal_of(other.seq, other.id),
                        entries: entries.iter().take(dice.below(6)).cloned().collect(),
                    });
                }
            }
            _ => {
                part.entries.extend(at(given[who] + 1));
                given[who] = (given[who] + 1).min(entries.len());
            }
        }
    }
    part
}

/// A server who is honest, and some who are not quite.
pub fn seeds() -> Vec<Vec<u8>> {
    let honest = |who: u8| vec![4, who, 2, who, 11, who, 11, who, 4, who, 11];
    let all: Vec<u8> = [0, 0, 0].into_iter().chain((0..3).flat_map(honest)).collect();
    let kinds = [0, 1, 3, 6, 7].map(|kind| [vec![0, 1, 2], honest(0), vec![2, 0, kind, 1, 2, 0, 4, 0, 11], honest(1)].concat());
    std::iter::once(all).chain(kinds).collect()
}
