//! Search through a log, a slice at a time.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    Log, LogError, Position,
    disk::Disk,
    reader::{READ_AHEAD_BYTES, Window},
    search::Needle,
};
use crate::node::types::{Author, Body, Entry, Lamport};

/// Of so many entries in log order each, the greatest Lamport time is known. See [`Scan::is_settled`].
const RUN: usize = 4_096;

/// A search that is under way. It goes from the end of the log to its beginning, since the newest hits are wanted, and ends early
/// where no earlier entry can be among them. What is appended meanwhile is not searched.
#[derive(Debug)]
pub struct Scan {
    needle: Needle,
    last: usize,
    /// The entries before this position are still to be searched.
    rest: u32,
    /// Per run of entries, the greatest Lamport time from the first of all to its end.
    greatest: Vec<Lamport>,
    /// The newest hits, one more than wanted, the oldest on top.
    hits: BinaryHeap<Reverse<(Lamport, Author, Position)>>,
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// The newest hits in canonical order.
    pub entries: Vec<Entry>,
    /// There are earlier ones.
    pub more: bool,
}

impl<D: Disk> Log<D> {
    /// Begins to search for the `last` newest entries that contain a text, case and width folded.
    pub fn search(&self, text: &str, last: usize) -> Scan {
        Scan {
            needle: Needle::new(text),
            last,
            rest: self.index.len(),
            greatest: self.index.greatest_lamports(RUN),
            hits: BinaryHeap::new(),
        }
    }
}

impl Scan {
    /// Searches about `bytes` more of the log that the search began in. Returns whether it is at its end.
    ///
    /// # Errors
    /// The disk refuses, or what is there is damaged.
    pub fn advance<D: Disk>(&mut self, log: &Log<D>, bytes: u64) -> Result<bool, LogError> {
        let mut done = 0;
        while done < bytes && !self.is_settled() {
            done += self.slice(log, READ_AHEAD_BYTES.min(bytes - done))?;
        }
        Ok(self.is_settled())
    }

    /// How many entries are still to be searched at most.
    pub fn rest(&self) -> u64 {
        if self.is_settled() { 0 } else { u64::from(self.rest) }
    }

    /// What was found.
    ///
    /// # Errors
    /// The disk refuses, or what is there is damaged.
    pub fn finish<D: Disk>(self, log: &Log<D>) -> Result<Found, LogError> {
        let more = self.hits.len() > self.last;
        let hits = self.hits.into_sorted_vec();
        // Sorted by `Reverse`: the newest come first.
        let mut entries = Vec::with_capacity(self.last.min(hits.len()));
        for Reverse((_, _, position)) in hits.into_iter().take(self.last).rev() {
            entries.push(log.entry(position, &mut Window::default(), 0)?);
        }
        Ok(Found { entries, more })
    }

    /// Whether all that is to be searched is older than the hits there are.
    fn is_settled(&self) -> bool {
        if self.rest == 0 {
            return true;
        }
        let greatest = self.greatest[(self.rest as usize - 1) / RUN];
        let full = self.hits.len() > self.last;
        full && self.hits.peek().is_some_and(|Reverse((oldest, ..))| *oldest > greatest)
    }

    /// Searches the entries before `rest` that lie in about `bytes` bytes. Returns how many bytes those were, 1 at least.
    fn slice<D: Disk>(&mut self, log: &Log<D>, bytes: u64) -> Result<u64, LogError> {
        let end = self.rest;
        let mut start = end - 1;
        while start > 0 && {
            let span = log.index.span(start - 1..end, log.length);
            span.end - span.start <= bytes
        } {
            start -= 1;
        }
        let mut window = Window::default();
        log.load(Position(start), end, &mut window)?;
        for position in (start..end).map(Position) {
            let entry = log.entry(position, &mut window, 0)?;
            let is_hit = match &entry.body {
                Body::Text(text) => self.needle.is_in(text),
                Body::Unknown => false,
            };
            if is_hit {
                self.hits.push(Reverse((entry.lamport, entry.author, position)));
                if self.hits.len() > self.last.saturating_add(1) {
                    self.hits.pop();
                }
            }
        }
        self.rest = start;
        let span = log.index.span(start..end, log.length);
        Ok((span.end - span.start).max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::testing::{Workload, filled, ids_of, text_of};

    #[test]
    fn a_search_that_has_enough_ends_early() {
        let log = filled(&[1; 9_000]);
        let mut scan = log.search("text", 5);
        assert!(scan.advance(&log, u64::MAX).unwrap());
        assert!(scan.rest > 0, "the first run need not be read");
        let found = scan.finish(&log).unwrap();
        assert!(found.more);
        assert_eq!(ids_of(&found.entries), ids_of(&log.last(5).unwrap()));
    }

    proptest! {
        #[test]
        fn slices_find_what_one_look_at_all_finds(
            seed: u64, count in 0usize..80, last in 0usize..10, digit in 0u8..10, bytes in 1u64..2_000,
        ) {
            let log = Workload::new(seed).log(count);
            let needle = digit.to_string();
            let hits: Vec<Entry> = log.canonical().map(Result::unwrap).filter(|entry| text_of(entry).contains(&needle)).collect();
            let mut scan = log.search(&needle, last);
            while !scan.advance(&log, bytes).unwrap() {}
            let found = scan.finish(&log).unwrap();
            prop_assert_eq!(ids_of(&found.entries), ids_of(&hits[hits.len().saturating_sub(last)..]));
            prop_assert_eq!(found.more, hits.len() > last);
        }
    }
}
