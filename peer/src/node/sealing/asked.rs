//! What is asked of [`Sealing`]: what a reader can be given, and what is lacking.

use std::collections::BTreeMap;

use super::{Lane, Sealing, authors_of, missing};
use crate::node::{
    Millis,
    limits::SEAL_GRACE_MS,
    types::{Author, DeviceId, Heights, Seen, Seq},
};

impl Sealing {
    /// What a device can be given: it needs no seal to know what it wrote itself, and no cause that it `holds` already.
    pub fn servable_for(
        &self,
        reader: &DeviceId,
        introduced: impl Fn(&DeviceId) -> bool,
        holds: impl Fn(&Seen) -> bool,
    ) -> Heights {
        let mut servable = self.servable.clone();
        let mut blocked = self.blocked.iter();
        let may_go_on = blocked.any(|&(author, seq, _)| holds(&Seen { author, seq }));
        if !may_go_on && self.waiting.range(authors_of(reader)).next().is_none() {
            return servable;
        }
        let mut blocked: BTreeMap<Author, Vec<Author>> = BTreeMap::new();
        let mut ready: Vec<Author> = self.waiting.keys().copied().collect();
        while let Some(author) = ready.pop() {
            let Some(lane) = self.waiting.get(&author) else {
                continue;
            };
            let covered = match author.device == *reader {
                true => Seq(u64::MAX),
                false if introduced(&author.device) => self.sealed(&author),
                false => Seq::default(),
            };
            let before = servable.of(&author);
            let given = before.0 - self.servable.of(&author).0;
            let next = lane.from(usize::try_from(given).unwrap_or(usize::MAX));
            for entry in next.take_while(|entry| entry.seq <= covered) {
                let cause = missing(&servable, &self.excused, entry).find(|cause| !holds(cause));
                if let Some(cause) = cause {
                    blocked.entry(cause.author).or_default().push(author);
                    break;
                }
                servable.0.insert(author, entry.seq);
            }
            if servable.of(&author) > before {
                ready.extend(blocked.remove(&author).into_iter().flatten());
            }
        }
        servable
    }

    /// The authors of whom something has no seal.
    pub fn unsealed(&self) -> impl Iterator<Item = &Author> {
        let lanes = self.waiting.iter();
        let unsealed = lanes.filter(|(author, lane)| self.sealed(author) < lane.last());
        unsealed.map(|(author, _)| author)
    }

    /// Whether something of a device has no seal.
    pub fn lacks_seals_of(&self, device: &DeviceId) -> bool {
        let mut lanes = self.waiting.range(authors_of(device));
        lanes.any(|(author, lane)| self.sealed(author) < lane.last())
    }

    /// Whether everything can be served.
    pub fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether something has had no seal for so long that none may ever come.
    pub fn is_overdue(&self, now: Millis) -> bool {
        self.waiting.values().any(|lane| is_late(lane, now))
    }

    /// Whether something of an author has.
    pub fn is_author_overdue(&self, author: &Author, now: Millis) -> bool {
        self.waiting.get(author).is_some_and(|lane| is_late(lane, now))
    }

    /// What need not be pulled, of what is held: of others only what has a seal, since the seal must come too.
    pub fn needed(&self, held: Heights, me: &DeviceId, introduced: impl Fn(&DeviceId) -> bool) -> Heights {
        let mut needed = held;
        for (author, height) in &mut needed.0 {
            if author.device == *me {
                continue;
            }
            let covered = self.covered(author);
            let known = introduced(&author.device);
            *height = if known { covered.min(*height) } else { Seq::default() };
        }
        needed.0.retain(|_, height| *height > Seq::default());
        needed
    }
}

fn is_late(lane: &Lane, now: Millis) -> bool {
    lane.since().is_some_and(|since| now.since(since) > SEAL_GRACE_MS)
}
