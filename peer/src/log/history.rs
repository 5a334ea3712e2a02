//! Giving history to somebody who lacks it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::{
    Log, LogError, Position,
    disk::Disk,
    index::AuthorNo,
    reader::{READ_AHEAD_BYTES, Window},
};
use crate::node::{
    limits::{BATCH_ENTRIES_MAX, COVER_WITHIN_BYTES, COVER_WITHIN_ENTRIES, PART_BYTES_MAX},
    types::{Author, Entry, Heights, Seq},
};

/// Where somebody who is given history has come to. See [`Log::history`].
#[derive(Debug, Clone)]
pub struct History {
    /// The next position to look at, and the one after the last.
    next: u32,
    end: u32,
    /// By the authors' numbers.
    lanes: Vec<Lane>,
    /// Authors of whom a seal is known to come soon, and may not have been reached.
    open: BTreeSet<u32>,
    /// Entries that are sent ahead, of one author after the other.
    runs: VecDeque<Run>,
}

/// Positions of one author's entries.
#[derive(Debug, Clone, Copy)]
struct Lane {
    /// From here to there they are to be given.
    from: u32,
    to: u32,
    /// Up to here a seal is known to come soon.
    covered: u32,
}

/// The entries of one author by their places among all of its entries.
#[derive(Debug, Clone, Copy)]
struct Run {
    author: AuthorNo,
    next: usize,
    last: usize,
}

/// The end of a log, as far as it is still to be read. See [`Log::beyond`].
#[derive(Debug, Default)]
pub struct Tail {
    next: u32,
    end: u32,
    window: Window,
}

impl Tail {
    fn between(next: u32, end: u32) -> Self {
        let window = Window::default();
        Self { next, end, window }
    }
}

/// A part of a history.
#[derive(Debug, Default)]
pub struct Batch {
    /// Entries; none at the end.
    pub entries: Vec<Bytes>,
    /// The last seq of every author in it.
    pub last: BTreeMap<Author, Seq>,
}

impl<D: Disk> Log<D> {
    /// Begins to give history to somebody who has `have`, up to `upto` and, of each author, up to the next seal.
    pub fn history(&self, have: &Heights, upto: &Heights) -> History {
        let lane = |number| {
            let (author, positions) = (self.index.author(number), self.index.positions(number));
            let at = |seq: Seq| positions.get(usize::try_from(seq.0).unwrap_or(usize::MAX)).copied();
            let upto = upto.of(author);
            let to = Seq(upto.0.wrapping_sub(1));
            let to = at(to).or(positions.last().copied().filter(|_| upto > Seq(0)));
            // Whoever has more than is given is given nothing.
            let from = at(have.of(author)).unwrap_or(u32::MAX);
            let to = to.map_or(0, |last| last + 1);
            Lane { from, to, covered: 0 }
        };
        let lanes: Vec<Lane> = (0..self.index.authors()).map(AuthorNo).map(lane).collect();
        let given = || lanes.iter().filter(|lane| lane.from < lane.to);
        let next = given().map(|lane| lane.from).min().unwrap_or(0);
        let end = given().map(|lane| lane.to).max().unwrap_or(0);
        History {
            next,
            end,
            lanes,
            open: BTreeSet::new(),
            runs: VecDeque::new(),
        }
    }

    /// The next entries that the reader of `history` lacks, in log order, so causes come before effects; at most
    /// [`BATCH_ENTRIES_MAX`] and [`PART_BYTES_MAX`]. `cover` says which entry of an author the seal is of that covers one; where that
    /// one is far away, those up to it are sent ahead.
    ///
    /// # Errors
    /// The disk refuses, or what is there is damaged.
    pub fn read_batch(
        &self,
        history: &mut History,
        mut cover: impl FnMut(&Author, Seq) -> Option<Seq>,
    ) -> Result<Batch, LogError> {
        let mut batch = Batch::default();
        let mut bytes = 0;
        let mut window = Window::default();
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        while batch.entries.len() < BATCH_ENTRIES_MAX {
            let Some(position) = self.peek(history, &mut cover) else {
                break;
            };
            let entry = self.frame(position, &mut window, READ_AHEAD_BYTES)?;
            if bytes + entry.len() > PART_BYTES_MAX && !batch.entries.is_empty() {
                break;
            }
            bytes += entry.len();
            batch.entries.push(entry);
            last.insert(self.index.record(position).author, position.0);
            match history.runs.front_mut() {
                Some(run) if run.next < run.last => run.next += 1,
                Some(_) => drop(history.runs.pop_front()),
                None => history.next += 1,
            }
        }
        for (number, position) in last {
            let author = *self.index.author(AuthorNo(number));
            batch.last.insert(author, self.index.seq(Position(position)));
        }
        Ok(batch)
    }

    /// The next position to give.
    fn peek(&self, history: &mut History, mut cover: impl FnMut(&Author, Seq) -> Option<Seq>) -> Option<Position> {
        if let Some(run) = history.runs.front() {
            return self.index.positions(run.author).get(run.next).copied().map(Position);
        }
        let numbers = self.index.author_numbers();
        while history.next < history.end {
            let position = history.next;
            let author = AuthorNo(numbers[position as usize]);
            let lane = history.lanes.get_mut(author.0 as usize);
            // An author whose number is not known came after the beginning.
            let Some(lane) = lane.filter(|lane| (lane.from..lane.to).contains(&position)) else {
                history.next += 1;
                continue;
            };
            if position >= lane.covered {
                let positions = self.index.positions(author);
                let this = self.index.seq(Position(position));
                let seal = cover(self.index.author(author), this).unwrap_or(this);
                let place = |seq: Seq| usize::try_from(seq.0).unwrap_or(usize::MAX).saturating_sub(1);
                let (next, last) = (place(this), place(seal).min(positions.len() - 1));
                lane.covered = positions[last] + 1;
                // What the seal covers beyond what is to be given goes with it: without the seal the rest proves nothing.
                lane.to = lane.to.max(lane.covered);
                history.end = history.end.max(lane.to);
                if self.is_far(Position(position), Position(positions[last])) {
                    lane.from = lane.covered;
                    self.finish_open(history, position);
                    history.runs.push_back(Run { author, next, last });
                    return self.peek(history, cover);
                }
                if next < last {
                    history.open.insert(author.0);
                }
            }
            return Some(Position(position));
        }
        None
    }

    /// Sends ahead what is still to come up to the seals of those who wait for one, so that nothing waits at the reader when a long run
    /// begins: together they could be more than he may let wait.
    fn finish_open(&self, history: &mut History, position: u32) {
        for author in std::mem::take(&mut history.open).into_iter().map(AuthorNo) {
            let positions = self.index.positions(author);
            let Some(lane) = history.lanes.get_mut(author.0 as usize) else {
                continue;
            };
            let next = positions.partition_point(|at| *at < position);
            let end = positions.partition_point(|at| *at < lane.covered);
            if lane.from < lane.covered && next < end {
                lane.from = lane.covered;
                let last = end - 1;
                history.runs.push_back(Run { author, next, last });
            }
        }
    }

    fn is_far(&self, from: Position, to: Position) -> bool {
        let (from_bytes, to_bytes) = (self.index.record(from).offset, self.index.record(to).offset);
        to.0 - from.0 > COVER_WITHIN_ENTRIES || to_bytes - from_bytes > COVER_WITHIN_BYTES
    }

    /// What comes before the first entry beyond `heights` in the log, and the entries from there on, to be read.
    pub fn beyond(&self, heights: &Heights) -> (Heights, Tail) {
        let first = |number| {
            let have = usize::try_from(heights.of(self.index.author(number)).0).unwrap_or(usize::MAX);
            self.index.positions(number).get(have).copied()
        };
        let numbers = (0..self.index.authors()).map(AuthorNo);
        let end = self.index.len();
        let Some(next) = numbers.clone().filter_map(first).min() else {
            return (self.heights(), Tail::between(end, end));
        };
        let before = numbers.map(|number| {
            let count = self.index.positions(number).partition_point(|at| *at < next);
            (*self.index.author(number), Seq(count as u64))
        });
        let before = Heights(before.filter(|(_, seq)| *seq > Seq(0)).collect());
        (before, Tail::between(next, end))
    }

    /// The next entries of a log's end, at most [`BATCH_ENTRIES_MAX`]; none after the last.
    ///
    /// # Errors
    /// The disk refuses, or what is there is damaged.
    pub fn read_tail(&self, tail: &mut Tail) -> Result<Vec<Entry>, LogError> {
        let most = u32::try_from(BATCH_ENTRIES_MAX).unwrap_or(u32::MAX);
        let part = tail.next..tail.end.min(tail.next.saturating_add(most));
        tail.next = part.end;
        let read = |position| self.entry(Position(position), &mut tail.window, READ_AHEAD_BYTES);
        part.map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::{
        MemoryDisk,
        testing::{author, entry, filled, said},
    };

    /// Every entry has a seal of its own.
    fn each(_: &Author, seq: Seq) -> Option<Seq> {
        Some(seq)
    }

    fn all_of(log: &Log<MemoryDisk>, mut history: History, cover: impl Fn(&Author, Seq) -> Option<Seq>) -> Vec<Entry> {
        let mut found = Vec::new();
        loop {
            let batch = log.read_batch(&mut history, &cover).unwrap();
            if batch.entries.is_empty() {
                return found;
            }
            let entries: Vec<Entry> = batch
                .entries
                .into_iter()
                .map(|bytes| (log.decode)(bytes).unwrap())
                .collect();
            for (author, seq) in batch.last {
                let last = entries.iter().rfind(|entry| entry.author == author);
                assert_eq!(last.map(|entry| entry.seq), Some(seq));
            }
            found.extend(entries);
        }
    }

    fn heights(of: impl IntoIterator<Item = (u64, u64)>) -> Heights {
        Heights(of.into_iter().map(|(who, seq)| (author(who), Seq(seq))).collect())
    }

    #[test]
    fn a_batch_keeps_its_limits_and_what_is_appended_later_is_left() {
        let mut log = filled(&[1; 300]);
        let mut history = log.history(&Heights::default(), &log.heights());
        log.append(&[entry(1, 301, 301)]).unwrap();
        for expected in [BATCH_ENTRIES_MAX, 300 - BATCH_ENTRIES_MAX, 0] {
            assert_eq!(log.read_batch(&mut history, each).unwrap().entries.len(), expected);
        }
    }

    #[test]
    fn a_batch_comes_over_a_slow_link_in_time() {
        let mut log = filled(&[]);
        let lengths = [10, PART_BYTES_MAX / 2, PART_BYTES_MAX / 2, 10, 2 * PART_BYTES_MAX, 10];
        let said = (1..)
            .zip(lengths)
            .map(|(seq, length)| said(1, seq, seq, &"x".repeat(length)));
        log.append(&said.collect::<Vec<_>>()).unwrap();
        let mut history = log.history(&Heights::default(), &log.heights());
        let mut next = || log.read_batch(&mut history, each).unwrap().entries.len();
        assert_eq!([next(), next(), next(), next(), next()], [2, 2, 1, 1, 0]);
    }

    #[test]
    fn what_a_seal_covers_beyond_what_may_be_given_goes_with_it() {
        let mut log = filled(&[1, 1]);
        let history = log.history(&Heights::default(), &heights([(1, 1)]));
        log.append(&[entry(2, 1, 3), entry(1, 3, 4), entry(1, 4, 5)]).unwrap();
        let given = all_of(&log, history, |_, _| Some(Seq(3)));
        let seqs: Vec<_> = given.iter().map(|entry| (entry.author, entry.seq.0)).collect();
        assert_eq!(seqs, [(author(1), 1), (author(1), 2), (author(1), 3)]);
    }

    #[test]
    fn entries_up_to_a_seal_that_is_far_away_are_sent_ahead() {
        let mut authors = vec![1, 1];
        authors.extend([2; 3_000]);
        authors.extend([1, 1]);
        let log = filled(&authors);
        let cover = |of: &Author, seq: Seq| {
            if *of == author(1) {
                Some(Seq(3).max(seq))
            } else {
                Some(Seq(seq.0.next_multiple_of(100)))
            }
        };
        let given = all_of(&log, log.history(&Heights::default(), &log.heights()), cover);
        assert_eq!(given.len(), 3_004);
        let order: Vec<_> = given.iter().map(|entry| (entry.author, entry.seq.0)).collect();
        assert_eq!(order[..3], [(author(1), 1), (author(1), 2), (author(1), 3)]);
        assert_eq!(order[3], (author(2), 1));
        assert_eq!(order[3_003], (author(1), 4));
    }

    #[test]
    fn whoever_waits_for_a_seal_has_it_before_many_entries_are_sent_ahead() {
        let mut authors = vec![1, 2, 3, 1, 2, 1];
        authors.extend([2; 3_000]);
        authors.extend([3; 3_000]);
        let log = filled(&authors);
        let cover = |of: &Author, _: Seq| Some(log.height(of));
        let given = all_of(&log, log.history(&Heights::default(), &log.heights()), cover);
        let order: Vec<_> = given.iter().map(|entry| entry.author).collect();
        assert_eq!(order.len(), authors.len());
        let whole = order.chunk_by(|one, other| one == other);
        assert_eq!(whole.map(<[_]>::len).collect::<Vec<_>>(), [3, 3_002, 3_001]);
    }

    #[test]
    fn the_end_of_a_log_is_read_however_long_it_is() {
        let mut authors = vec![1; 70_000];
        authors.push(2);
        let log = filled(&authors);
        let (before, mut tail) = log.beyond(&heights([(2, 1)]));
        assert_eq!(before, Heights::default());
        let mut read = 0;
        loop {
            let part = log.read_tail(&mut tail).unwrap();
            if part.is_empty() {
                break;
            }
            read += part.len();
        }
        assert_eq!(read, authors.len());
    }

    proptest! {
        #[test]
        fn history_gives_just_what_is_lacking_and_may_be_given(
            authors in prop::collection::vec(0u64..5, 0..60), have in prop::collection::btree_map(0u64..6, 0u64..20, 0..6),
            upto in prop::collection::btree_map(0u64..6, 0u64..20, 0..6),
        ) {
            let log = filled(&authors);
            let (have, upto) = (heights(have), heights(upto));
            let given: Vec<_> = all_of(&log, log.history(&have, &upto), each).iter().map(|entry| entry.id).collect();
            let mut window = Window::default();
            let lacking: Vec<_> = (0..authors.len() as u32)
                .map(|position| log.entry(Position(position), &mut window, READ_AHEAD_BYTES).unwrap())
                .filter(|entry| entry.seq > have.of(&entry.author) && entry.seq <= upto.of(&entry.author))
                .map(|entry| entry.id)
                .collect();
            prop_assert_eq!(given, lacking);
        }

        #[test]
        fn what_is_beyond_heights_begins_with_the_first_of_it(
            authors in prop::collection::vec(0u64..5, 0..60), held in prop::collection::btree_map(0u64..6, 0u64..20, 0..6),
        ) {
            let log = filled(&authors);
            let held = heights(held);
            let (before, mut rest) = log.beyond(&held);
            let tail = log.read_tail(&mut rest).unwrap();
            prop_assert_eq!(log.read_tail(&mut rest).unwrap(), []);
            prop_assert_eq!(before.version() as usize + tail.len(), authors.len());
            prop_assert!(before.0.iter().all(|(author, seq)| held.of(author) >= *seq));
            prop_assert!(tail.first().is_none_or(|entry| entry.seq > held.of(&entry.author)));
        }
    }
}
