//! Canonical order: by (Lamport time, author). Pure.
//!
//! The entries of one author are in this order already, since their Lamport times grow. So a merge over the authors gives the
//! order of all from either end, without sorting them: the last fifty of a million cost fifty steps.
//!
//! A merge is over what the log held when it was made; what is appended later is not in it, however slowly it is consumed.

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range};

use super::{
    Position,
    index::{AuthorNo, Index},
};
use crate::node::types::{Author, Lamport};

/// What entries are ordered by, with where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    lamport: Lamport,
    author: Author,
    number: AuthorNo,
    /// How many entries of the author come before this one.
    nth: u32,
}

impl Next {
    fn of(index: &Index, number: AuthorNo, nth: u32) -> Option<Self> {
        let position = Position(*index.positions(number).get(nth as usize)?);
        Some(Self {
            lamport: index.record(position).lamport,
            author: *index.author(number),
            number,
            nth,
        })
    }

    fn position(&self, index: &Index) -> Position {
        Position(index.positions(self.number)[self.nth as usize])
    }
}

/// The entries from the first to the last.
#[derive(Debug)]
pub(super) struct Forward {
    heap: BinaryHeap<Reverse<Next>>,
    /// How many entries of the log there were.
    limit: u32,
}

impl Forward {
    /// Over all that `index` holds now.
    pub(super) fn new(index: &Index) -> Self {
        let firsts = (0..index.authors()).filter_map(|number| Next::of(index, AuthorNo(number), 0));
        Self {
            heap: firsts.map(Reverse).collect(),
            limit: index.len(),
        }
    }

    /// The next entry. `index` is the one that this was made of, grown or not.
    pub(super) fn next(&mut self, index: &Index) -> Option<Position> {
        let Reverse(next) = self.heap.pop()?;
        if let Some(after) = Next::of(index, next.number, next.nth + 1)
            && after.position(index).0 < self.limit
        {
            self.heap.push(Reverse(after));
        }
        Some(next.position(index))
    }
}

/// The last entries of all, in canonical order.
pub(super) fn last(index: &Index, count: usize) -> Vec<Position> {
    let numbers = (0..index.authors()).map(AuthorNo);
    last_between(
        index,
        count,
        numbers.map(|number| (number, 0..index.positions(number).len() as u32)),
    )
}

/// The last ones of these: of each author a stretch, by how many entries of his come before.
pub(super) fn last_between(
    index: &Index,
    count: usize,
    stretches: impl Iterator<Item = (AuthorNo, Range<u32>)>,
) -> Vec<Position> {
    let lasts = stretches.filter_map(|(number, nths)| {
        let end = nths.end.min(index.positions(number).len() as u32);
        let last = end.checked_sub(1).filter(|last| *last >= nths.start)?;
        Some((Next::of(index, number, last)?, nths.start))
    });
    let mut heap: BinaryHeap<(Next, u32)> = lasts.collect();
    let mut positions = Vec::new();
    while positions.len() < count
        && let Some((next, first)) = heap.pop()
    {
        positions.push(next.position(index));
        if let Some(before) = next.nth.checked_sub(1).filter(|before| *before >= first) {
            heap.extend(Next::of(index, next.number, before).map(|next| (next, first)));
        }
    }
    positions.reverse();
    positions
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::log::testing::author;

    fn index(entries: &[(u64, u64)]) -> Index {
        let mut index = Index::default();
        for (who, step) in entries {
            let author = author(*who);
            let lamport = Lamport(index.last_lamport(&author).0 + step);
            index.push(&author, 0, lamport);
        }
        index
    }

    proptest! {
        #[test]
        fn both_merges_give_what_sorting_gives(entries in prop::collection::vec((0u64..5, 1u64..4), 0..80), count in 0usize..90) {
            let index = index(&entries);
            let mut sorted: Vec<Position> = (0..index.len()).map(Position).collect();
            sorted.sort_by_key(|position| {
                let record = index.record(*position);
                (record.lamport, *index.author(AuthorNo(record.author)))
            });
            let mut forward = Forward::new(&index);
            let merged: Vec<Position> = std::iter::from_fn(|| forward.next(&index)).collect();
            prop_assert_eq!(&merged, &sorted);
            prop_assert_eq!(last(&index, count), &sorted[sorted.len().saturating_sub(count)..]);
        }

        #[test]
        fn the_last_of_some_stretches_are_the_last_of_all_but_the_others(
            entries in prop::collection::vec((0u64..5, 1u64..4), 0..80),
            stretches in prop::collection::btree_map(0u32..5, 0u32..30, 0..5),
            length in 0u32..30,
            count in 0usize..90,
        ) {
            let index = index(&entries);
            let stretches = stretches.into_iter().filter(|(number, _)| *number < index.authors());
            let stretches: BTreeMap<_, _> = stretches.map(|(number, from)| (number, from..from + length)).collect();
            let mut wanted = last(&index, entries.len());
            wanted.retain(|position| {
                let number = index.record(*position).author;
                let nth = index.positions(AuthorNo(number)).iter().position(|of| *of == position.0).unwrap() as u32;
                stretches.get(&number).is_some_and(|nths| nths.contains(&nth))
            });
            let found = last_between(&index, count, stretches.into_iter().map(|(number, nths)| (AuthorNo(number), nths)));
            prop_assert_eq!(found, &wanted[wanted.len().saturating_sub(count)..]);
        }
    }

    #[test]
    fn what_comes_later_is_not_in_it() {
        let mut index = index(&[(1, 1), (2, 1), (1, 1)]);
        let mut forward = Forward::new(&index);
        index.push(&author(1), 0, Lamport(9));
        index.push(&author(3), 0, Lamport(9));
        assert_eq!(std::iter::from_fn(|| forward.next(&index)).count(), 3);
    }
}
