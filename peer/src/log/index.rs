//! What is where, in memory: 24 bytes per entry, and its author's number of 32 bits once.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    Position,
    format::{FRAME_BYTES_MAX, HEADER_BYTES, Record},
};
use crate::node::types::{Author, Heights, Lamport, Seq};

/// The most entries of one log; a further one is refused with [`LogError::Full`](super::LogError::Full) and nothing is lost.
/// Positions of 32 bits keep the index of a million entries under 30 MB, and a conversation of four thousand million entries
/// would take a terabyte of log and far more memory than positions of 64 bits would save.
pub const LOG_ENTRIES_MAX: u32 = u32::MAX - 1;

/// The number of an author in a log: how many authors have an entry before its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AuthorNo(pub(super) u32);

/// Where entries are and how they sort.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Arrays of their own, since a record of the three would be padded from 20 to 24 bytes.
    offsets: Vec<u64>,
    lamports: Vec<Lamport>,
    authors: Vec<u32>,
    lanes: Vec<Lane>,
    numbers: BTreeMap<Author, u32>,
    /// Those who contradict themselves.
    pub(super) forked: BTreeSet<Author>,
}

/// The entries of one author.
#[derive(Debug)]
struct Lane {
    author: Author,
    /// Of seq 1, 2, 3 ….
    positions: Vec<u32>,
}

impl Index {
    /// An index with room for `entries`.
    pub(super) fn with_capacity(entries: usize) -> Self {
        Self {
            offsets: Vec::with_capacity(entries),
            lamports: Vec::with_capacity(entries),
            authors: Vec::with_capacity(entries),
            ..Self::default()
        }
    }

    /// Adds the next entry of `author`. The caller has checked seq and Lamport time, and that there is room.
    pub(super) fn push(&mut self, author: &Author, offset: u64, lamport: Lamport) -> Record {
        let number = match self.number(author) {
            Some(AuthorNo(number)) => number,
            None => {
                let number = self.lanes.len() as u32;
                self.numbers.insert(*author, number);
                self.lanes.push(Lane {
                    author: *author,
                    positions: Vec::new(),
                });
                number
            }
        };
        let record = Record {
            offset,
            lamport,
            author: number,
        };
        self.push_known(record);
        record
    }

    /// Adds the next entry of an author who has one already. The caller has checked that, Lamport time, and that there is room.
    pub(super) fn push_known(&mut self, record: Record) {
        let position = self.offsets.len() as u32;
        push(&mut self.offsets, record.offset);
        push(&mut self.lamports, record.lamport);
        push(&mut self.authors, record.author);
        push(&mut self.lanes[record.author as usize].positions, position);
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> u32 {
        self.offsets.len() as u32
    }

    /// How many authors there are.
    pub(super) fn authors(&self) -> u32 {
        self.lanes.len() as u32
    }

    /// The record of an entry.
    pub(super) fn record(&self, position: Position) -> Record {
        let at = position.0 as usize;
        Record {
            offset: self.offsets[at],
            lamport: self.lamports[at],
            author: self.authors[at],
        }
    }

    /// The numbers of the authors of all entries in log order.
    pub(super) fn author_numbers(&self) -> &[u32] {
        &self.authors
    }

    /// The bytes of the file in which the frames of some entries lie, where the frames end at `end`. They may hold other frames
    /// in between.
    pub(super) fn span(&self, positions: Range<u32>, end: u64) -> Range<u64> {
        let offset = |position: u32| self.offsets.get(position as usize).copied();
        let start = offset(positions.start).unwrap_or(HEADER_BYTES as u64);
        let last = offset(positions.end.saturating_sub(1)).unwrap_or(start);
        let end = offset(positions.end).unwrap_or(end);
        start..end.min(last + FRAME_BYTES_MAX as u64)
    }

    /// The number of an author, if it has an entry here.
    pub(super) fn number(&self, author: &Author) -> Option<AuthorNo> {
        // Whoever wrote last often writes next, and a million look-ups in the map take a tenth of opening a log.
        let last = self.authors.last().copied();
        let last = last.filter(|number| self.author(AuthorNo(*number)) == author);
        last.or_else(|| self.numbers.get(author).copied()).map(AuthorNo)
    }

    /// The author with a number.
    pub(super) fn author(&self, number: AuthorNo) -> &Author {
        &self.lanes[number.0 as usize].author
    }

    /// The positions of an author's entries, of seq 1, 2, 3 ….
    pub(super) fn positions(&self, number: AuthorNo) -> &[u32] {
        &self.lanes[number.0 as usize].positions
    }

    /// How many entries of an author there are.
    pub(super) fn height(&self, author: &Author) -> Seq {
        Seq(self
            .number(author)
            .map_or(0, |number| self.positions(number).len() as u64))
    }

    /// How many entries of every author there are.
    pub(super) fn heights(&self) -> Heights {
        Heights(
            self.numbers
                .keys()
                .map(|author| (*author, self.height(author)))
                .collect(),
        )
    }

    /// The position of an entry.
    pub(super) fn find(&self, author: &Author, seq: Seq) -> Option<Position> {
        let nth = usize::try_from(seq.0.checked_sub(1)?).ok()?;
        let positions = self.positions(self.number(author)?);
        positions.get(nth).copied().map(Position)
    }

    /// The seq of the entry at a position among its author's.
    pub(super) fn seq(&self, position: Position) -> Seq {
        let positions = self.positions(AuthorNo(self.authors[position.0 as usize]));
        Seq(1 + positions.partition_point(|at| *at < position.0) as u64)
    }

    /// The Lamport time of an author's last entry; 0 where there is none.
    pub(super) fn last_lamport(&self, author: &Author) -> Lamport {
        let number = self.number(author);
        number.map(|number| self.last_lamport_of(number)).unwrap_or_default()
    }

    /// The same of the author with a number.
    pub(super) fn last_lamport_of(&self, number: AuthorNo) -> Lamport {
        let last = self.positions(number).last();
        last.map(|at| self.lamports[*at as usize]).unwrap_or_default()
    }

    /// The Lamport times of an author's entries, in the order of their seqs.
    pub(super) fn lamports_of(&self, number: AuthorNo) -> Vec<Lamport> {
        self.positions(number)
            .iter()
            .map(|at| self.lamports[*at as usize])
            .collect()
    }

    /// Of each run of `step` entries in log order, the greatest Lamport time up to its end.
    pub(super) fn greatest_lamports(&self, step: usize) -> Vec<Lamport> {
        let mut greatest = Lamport(0);
        let runs = self.lamports.chunks(step);
        runs.map(|run| {
            greatest = run.iter().copied().fold(greatest, Lamport::max);
            greatest
        })
        .collect()
    }
}

/// Pushes with an eighth of room to grow: doubling would cost a log of a million entries 24 MB at the wrong moment.
fn push<T>(items: &mut Vec<T>, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact((items.len() / 8).max(16));
    }
    items.push(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::author;

    #[test]
    fn entries_are_found_by_author_and_seq() {
        let mut index = Index::default();
        let (a, b) = (author(1), author(2));
        assert_eq!(index.push(&a, 48, Lamport(1)).author, 0);
        assert_eq!(index.push(&b, 100, Lamport(2)).author, 1);
        assert_eq!(index.push(&a, 150, Lamport(3)).author, 0);
        assert_eq!(index.find(&a, Seq(2)), Some(Position(2)));
        assert_eq!(index.find(&a, Seq(0)), None);
        assert_eq!(index.find(&a, Seq(3)), None);
        assert_eq!(index.find(&author(3), Seq(1)), None);
        assert_eq!(index.seq(Position(2)), Seq(2));
        assert_eq!(index.seq(Position(1)), Seq(1));
        assert_eq!(index.heights().version(), 3);
        assert_eq!(index.last_lamport(&a), Lamport(3));
        assert_eq!(index.lamports_of(AuthorNo(0)), [Lamport(1), Lamport(3)]);
        assert_eq!(index.span(1..2, 180), 100..150);
        assert_eq!(index.span(1..3, 180), 100..180);
        assert_eq!(index.greatest_lamports(2), [Lamport(2), Lamport(3)]);
    }

    #[test]
    fn a_million_entries_stay_under_thirty_megabytes() {
        let mut index = Index::default();
        for entry in 0..1_000_000u64 {
            index.push(&author(entry % 7), entry * 240, Lamport(entry));
        }
        let lanes: usize = index.lanes.iter().map(|lane| lane.positions.capacity() * 4).sum();
        let bytes = lanes
            + index.offsets.capacity() * 8
            + index.lamports.capacity() * size_of::<Lamport>()
            + index.authors.capacity() * 4;
        assert!(bytes < 30_000_000, "{bytes}");
    }
}
