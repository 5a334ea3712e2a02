//! Seals of others that nobody has judged yet.
//!
//! Each costs 0.1 ms, and the seals of entries that are held back cost their sender nothing. So what each device sent waits apart, and all
//! have their turn: one that sends many delays its own.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Bound,
};

use crate::node::{
    sealing::{Seal, stretch},
    types::{Author, Conversation, DeviceId},
};

/// So many of one device wait: six times what a link brings of a burst between two batches. A further one is passed over, and what it
/// covers is pulled, with a seal.
const WAITING_MAX: usize = 512;
/// So many are judged at once, in 25 ms.
pub(super) const BATCH_MAX: usize = 256;

/// What waits of one device: of each author the last of every [`stretch`].
type OfDevice = BTreeMap<(Conversation, Author, u64), Seal>;

/// Seals that wait to be judged.
#[derive(Debug, Default)]
pub(super) struct Unjudged {
    /// By who sent them: no device's word takes the place of another's.
    waiting: BTreeMap<DeviceId, OfDevice>,
    /// Whose turn it was last.
    last: Option<DeviceId>,
}

impl Unjudged {
    /// A seal came from a device. False where there is no room for it.
    pub(super) fn add(&mut self, conversation: Conversation, seal: Seal, from: DeviceId) -> bool {
        let waiting = self.waiting.entry(from).or_default();
        let is_full = waiting.len() >= WAITING_MAX;
        match waiting.entry((conversation, seal.author, stretch(seal.seq))) {
            Entry::Occupied(known) if known.get().seq >= seal.seq => {}
            Entry::Occupied(mut known) => drop(known.insert(seal)),
            Entry::Vacant(_) if is_full => return false,
            Entry::Vacant(free) => drop(free.insert(seal)),
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether there is enough for a whole batch.
    pub(super) fn is_pressing(&self) -> bool {
        self.waiting.values().map(BTreeMap::len).sum::<usize>() >= BATCH_MAX
    }

    /// Takes out what is judged next: of each device in its turn one, those of an author in their order.
    pub(super) fn take(&mut self) -> Vec<(Conversation, (Seal, DeviceId))> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX {
            let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.waiting.range((after, Bound::Unbounded)).next();
            let Some((&device, _)) = next.or_else(|| self.waiting.first_key_value()) else {
                break;
            };
            self.last = Some(device);
            let Some(waiting) = self.waiting.get_mut(&device) else {
                break;
            };
            let first = waiting.pop_first();
            batch.extend(first.map(|((conversation, ..), seal)| (conversation, (seal, device))));
            if waiting.is_empty() {
                self.waiting.remove(&device);
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        node::types::Seq,
        seal::testing::{Pen, device, room},
    };

    /// Seals of as many authors of one device.
    fn seals(n: u8, count: u64) -> Vec<Seal> {
        let mut pen = Pen::new(n);
        pen.write("text", Vec::new());
        let of = |incarnation| Seal {
            author: Author {
                incarnation,
                ..pen.author
            },
            ..pen.seal()
        };
        (0..count).map(of).collect()
    }

    #[test]
    fn who_sends_many_keeps_nobody_waiting_and_has_a_limit() {
        let mut unjudged = Unjudged::default();
        let added = seals(1, 60_000)
            .into_iter()
            .filter(|seal| unjudged.add(room(), seal.clone(), device(1)));
        assert_eq!(added.count(), WAITING_MAX);
        for n in 2..4 {
            assert!(unjudged.add(room(), seals(n, 1).remove(0), device(n)));
        }
        assert!(unjudged.is_pressing());
        let batch = unjudged.take();
        assert_eq!(batch.len(), BATCH_MAX);
        for n in 2..4 {
            assert!(batch.iter().any(|(_, (_, from))| *from == device(n)), "{n}");
        }
        let mut batches = 1;
        while !unjudged.is_empty() {
            assert!(unjudged.take().len() <= BATCH_MAX);
            batches += 1;
        }
        assert!(batches <= WAITING_MAX / BATCH_MAX + 1, "{batches}");
    }

    #[test]
    fn a_seal_that_somebody_else_sends_takes_no_place() {
        let good = seals(1, 1).remove(0);
        let bad = Seal {
            seq: Seq(good.seq.0 + 1),
            signature: [0; 64],
            ..good.clone()
        };
        let mut unjudged = Unjudged::default();
        unjudged.add(room(), good.clone(), device(1));
        unjudged.add(room(), bad, device(2));
        let batch = unjudged.take();
        assert!(batch.iter().any(|(_, (seal, _))| *seal == good));
        assert_eq!(batch.len(), 2);
    }

    #[test]
    fn of_an_author_the_last_of_each_stretch_is_judged_in_order() {
        let seal = seals(1, 1).remove(0);
        let at = |seq| Seal {
            seq: Seq(seq),
            ..seal.clone()
        };
        let mut unjudged = Unjudged::default();
        for seq in [700, 3, 5, 4, 300] {
            unjudged.add(room(), at(seq), device(1));
        }
        let batch = unjudged.take();
        let seqs: Vec<u64> = batch.iter().map(|(_, (seal, _))| seal.seq.0).collect();
        assert_eq!(seqs, [5, 300, 700]);
    }
}
