//! Which of the own entries each member has, as far as it has said.

use std::collections::BTreeMap;

use super::{
    limits::FIRST_DELIVERIES_MAX,
    types::{Author, DeviceId, Seq},
};

/// How far a device has an author's entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Acked {
    /// In its log file, up to here.
    pub stored: Seq,
    /// Synced to its disk, up to here.
    pub durable: Seq,
}

/// A range of seqs that is newly acked: after the first, up to the second.
pub type NewlyAcked = (Seq, Seq);

/// What one device has of one author's entries.
#[derive(Debug)]
struct Record {
    acked: Acked,
    /// Up to here nothing is news.
    old: Seq,
}

/// The acks of one conversation.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// By author first: of one author all devices are looked at with each ack.
    acked: BTreeMap<Author, BTreeMap<DeviceId, Record>>,
    /// How many own entries were held when the process started. Which of those a member had is not remembered, so its first ack
    /// says it without news. Of what was written before a member is first heard of, only the last [`FIRST_DELIVERIES_MAX`] are news.
    at_start: BTreeMap<Author, Seq>,
    /// Up to where the own entries are no news of a device, since they were written well before it was first heard of.
    floors: BTreeMap<DeviceId, BTreeMap<Author, Seq>>,
}

impl Deliveries {
    /// `at_start`: the heights of the own authors when the log was opened.
    pub fn new(at_start: BTreeMap<Author, Seq>) -> Self {
        Self {
            acked: BTreeMap::new(),
            at_start,
            floors: BTreeMap::new(),
        }
    }

    /// A device is first heard of, when these are the heights of the own authors.
    pub fn first_heard(&mut self, device: DeviceId, own: impl Iterator<Item = (Author, Seq)>) {
        let floor = |(author, height): (Author, Seq)| (author, Seq(height.0.saturating_sub(FIRST_DELIVERIES_MAX)));
        self.floors.insert(device, own.map(floor).collect());
    }

    /// Of how many devices something is remembered.
    pub fn devices(&self) -> usize {
        self.floors.len()
    }

    /// Forgets what the devices have that are not to be kept.
    pub fn retain(&mut self, mut kept: impl FnMut(&DeviceId) -> bool) {
        for devices in self.acked.values_mut() {
            devices.retain(|device, _| kept(device));
        }
        self.floors.retain(|device, _| kept(device));
    }

    /// Takes in an ack for one of the own authors, whose height is `height`; returns what is newly stored and newly durable.
    /// An ack beyond the height or below an earlier one says nothing new: acks are cumulative.
    pub fn take(&mut self, device: DeviceId, author: Author, ack: Acked, height: Seq) -> (NewlyAcked, NewlyAcked) {
        let stored = ack.stored.min(height);
        let durable = ack.durable.min(stored);
        let at_start = self.at_start.get(&author).copied().unwrap_or_default();
        let floors = self.floors.get(&device);
        let old = floors
            .and_then(|floors| floors.get(&author))
            .copied()
            .unwrap_or_default();
        let known = self.acked.entry(author).or_default();
        let record = known.entry(device).or_insert_with(|| Record {
            acked: Acked {
                stored: stored.min(at_start),
                durable: durable.min(at_start),
            },
            old,
        });
        let before = record.acked;
        record.acked = Acked {
            stored: stored.max(before.stored),
            durable: durable.max(before.durable),
        };
        let news = |before: Seq, now: Seq| (before.max(record.old).min(now), now);
        (
            news(before.stored, record.acked.stored),
            news(before.durable, record.acked.durable),
        )
    }

    /// How far a device is known to have an author's entries.
    pub fn of(&self, device: &DeviceId, author: &Author) -> Acked {
        self.of_author(author)(device)
    }

    /// The same of one author, to be asked for many devices.
    pub fn of_author(&self, author: &Author) -> impl Fn(&DeviceId) -> Acked {
        let known = self.acked.get(author);
        move |device| {
            let record = known.and_then(|devices| devices.get(device));
            record.map(|record| record.acked).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceId = DeviceId([7; 32]);
    const AUTHOR: Author = Author {
        device: DeviceId([1; 32]),
        incarnation: 1,
    };

    fn ack(stored: u64, durable: u64) -> Acked {
        Acked {
            stored: Seq(stored),
            durable: Seq(durable),
        }
    }

    #[test]
    fn every_entry_is_news_once() {
        let mut deliveries = Deliveries::default();
        let mut take = |stored, durable| deliveries.take(DEVICE, AUTHOR, ack(stored, durable), Seq(5));
        assert_eq!(take(2, 0), ((Seq(0), Seq(2)), (Seq(0), Seq(0))));
        assert_eq!(take(2, 2), ((Seq(2), Seq(2)), (Seq(0), Seq(2))));
        assert_eq!(
            take(1, 1),
            ((Seq(2), Seq(2)), (Seq(2), Seq(2))),
            "an older ack takes nothing back"
        );
        assert_eq!(
            take(u64::MAX, u64::MAX),
            ((Seq(2), Seq(5)), (Seq(2), Seq(5))),
            "no more than was written"
        );
    }

    #[test]
    fn what_an_earlier_run_wrote_is_no_news_in_the_first_ack() {
        let mut deliveries = Deliveries::new([(AUTHOR, Seq(3))].into());
        assert_eq!(
            deliveries.take(DEVICE, AUTHOR, ack(2, 2), Seq(5)),
            ((Seq(2), Seq(2)), (Seq(2), Seq(2)))
        );
        assert_eq!(
            deliveries.take(DEVICE, AUTHOR, ack(4, 2), Seq(5)),
            ((Seq(2), Seq(4)), (Seq(2), Seq(2)))
        );
    }

    #[test]
    fn a_newcomers_first_ack_counts_for_what_it_says_and_only_its_last_entries_are_news() {
        let mut deliveries = Deliveries::default();
        let height = Seq(5_000);
        deliveries.first_heard(DEVICE, [(AUTHOR, height)].into_iter());
        let old = Seq(5_000 - FIRST_DELIVERIES_MAX);
        assert_eq!(
            deliveries.take(DEVICE, AUTHOR, ack(256, 0), height),
            ((Seq(256), Seq(256)), (Seq(0), Seq(0)))
        );
        assert_eq!(deliveries.of(&DEVICE, &AUTHOR), ack(256, 0));
        assert_eq!(
            deliveries.take(DEVICE, AUTHOR, ack(5_000, 5_000), height),
            ((old, height), (old, height))
        );
    }
}
