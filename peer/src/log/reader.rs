//! What can be asked of a log. Every frame's check sum is tested whenever it is read.

use bytes::Bytes;

use super::{
    Damage, DamageKind, Log, LogError, Position,
    disk::{Disk, DiskFile},
    format::{FRAME_HEAD_BYTES, decode_frame},
    index::AuthorNo,
    order::{self, Forward},
};
use crate::node::{
    limits::{BATCH_ENTRIES_MAX, PART_BYTES_MAX},
    types::{Author, Entry, EntryId, Heights, Seq},
};

/// How many bytes are read at once where neighbours will be wanted too.
pub(super) const READ_AHEAD_BYTES: u64 = 256 * 1024;

/// A part of the file in memory.
#[derive(Debug, Default)]
pub(super) struct Window {
    start: u64,
    bytes: Bytes,
}

/// Where somebody who is given history has come to. See [`Log::history`].
#[derive(Debug, Clone)]
pub struct History {
    have: Heights,
    /// The next position to look at.
    next: u32,
    /// Per author, the first position to give; [`BY_SEQ`] where the seq must decide, since `have` is ahead of the log.
    first: Vec<u32>,
}

const BY_SEQ: u32 = u32::MAX;

impl<D: Disk> Log<D> {
    /// The entry of an author with a seq.
    ///
    /// # Errors
    /// It is not here, the disk refuses, or what is there is damaged.
    pub fn read(&self, author: &Author, seq: Seq) -> Result<Entry, LogError> {
        let none = LogError::NoSuchEntry { author: *author, seq };
        let position = self.index.find(author, seq).ok_or(none)?;
        let entry = self.entry(position, &mut Window::default(), 0)?;
        if entry.author != *author || entry.seq != seq {
            return Err(self.damaged(position, DamageKind::OtherEntry));
        }
        Ok(entry)
    }

    /// The ids of an author's entries from one seq to another, both included, as far as they are here.
    ///
    /// # Errors
    /// The disk refuses, or what is there is damaged.
    pub fn ids(&self, author: &Author, from: Seq, to: Seq) -> Result<Vec<(Seq, EntryId)>, LogError> {
        let (from, to) = (from.max(Seq::FIRST), to.min(self.index.height(author)));
        let mut window = Window::default();
        let wanted = (from.0..=to.0).filter_map(|seq| Some((Seq(seq), self.index.find(author, Seq(seq))?)));
        wanted
            .map(|(seq, position)| Ok((seq, self.entry(position, &mut window, READ_AHEAD_BYTES)?.id)))
            .collect()
    }

    /// Begins to give history to somebody who has `have`.
    pub fn history(&self, have: &Heights) -> History {
        let mut history = History {
            have: have.clone(),
            next: 0,
            first: Vec::new(),
        };
        self.know_authors(&mut history);
        // Nothing that is here now and comes before the first of these is wanted. Of whom the reader is ahead, nothing is.
        history.next = history.first.iter().copied().min().unwrap_or(0).min(self.index.len());
        history
    }

    /// The bytes of the next entries that the reader of `history` lacks, in log order, so causes come before effects; at most
    /// [`BATCH_ENTRIES_MAX`] and [`PART_BYTES_MAX`]. Empty where there is nothing more now; what is appended later comes with later calls.
    ///
    /// # Errors
    /// The disk refuses, or what is there is damaged.
    pub fn read_batch(&self, history: &mut History) -> Result<Vec<Bytes>, LogError> {
        self.know_authors(history);
        let authors = self.index.author_numbers();
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut window = Window::default();
        while (history.next as usize) < authors.len() && batch.len() < BATCH_ENTRIES_MAX {
            let position = Position(history.next);
            let first = history.first[authors[history.next as usize] as usize];
            let wanted = match first {
                BY_SEQ => self.index.seq(position) > history.have.of(self.author_at(position)),
                first => history.next >= first,
            };
            if wanted {
                let entry = self.frame(position, &mut window, READ_AHEAD_BYTES)?;
                if bytes + entry.len() > PART_BYTES_MAX && !batch.is_empty() {
                    break;
                }
                bytes += entry.len();
                batch.push(entry);
            }
            history.next += 1;
        }
        Ok(batch)
    }

    /// The last `count` entries in canonical order.
    ///
    /// # Errors
    /// The disk refuses, or what is there is damaged.
    pub fn last(&self, count: usize) -> Result<Vec<Entry>, LogError> {
        let mut window = Window::default();
        order::last(&self.index, count)
            .into_iter()
            .map(|position| self.entry(position, &mut window, READ_AHEAD_BYTES))
            .collect()
    }

    /// All entries in canonical order.
    pub fn canonical(&self) -> Canonical<'_, D> {
        Canonical {
            log: self,
            order: Forward::new(&self.index),
            window: Window::default(),
        }
    }

    /// The entry at a position. At least `ahead` bytes are read where the window must move.
    pub(super) fn entry(&self, position: Position, window: &mut Window, ahead: u64) -> Result<Entry, LogError> {
        let bytes = self.frame(position, window, ahead)?;
        (self.decode)(bytes).map_err(|error| self.damaged(position, DamageKind::NotAnEntry(error)))
    }

    /// The bytes of the entry at a position.
    pub(super) fn frame(&self, position: Position, window: &mut Window, ahead: u64) -> Result<Bytes, LogError> {
        let span = self.index.span(position.0..position.0 + 1, self.length);
        let window_end = window.start + window.bytes.len() as u64;
        if span.start < window.start || span.end > window_end {
            let end = span.end.max((span.start + ahead).min(self.length));
            let mut bytes = vec![0; (end - span.start) as usize];
            let read = self.file.read_at(span.start, &mut bytes)?;
            bytes.truncate(read);
            *window = Window {
                start: span.start,
                bytes: bytes.into(),
            };
        }
        let at = (span.start - window.start) as usize;
        let frame = window.bytes.get(at..).unwrap_or_default();
        let Some(entry) = decode_frame(self.life, frame) else {
            let bytes = span.end - span.start;
            return Err(self.damaged(position, DamageKind::Frame { bytes }));
        };
        let from = at + FRAME_HEAD_BYTES;
        Ok(window.bytes.slice(from..from + entry.len()))
    }

    /// Reads a run of entries at once.
    pub(super) fn load(&self, from: Position, to: u32, window: &mut Window) -> Result<(), LogError> {
        let span = self.index.span(from.0..to, self.length);
        self.frame(from, window, span.end - span.start).map(drop)
    }

    pub(super) fn author_at(&self, position: Position) -> &Author {
        self.index.author(AuthorNo(self.index.record(position).author))
    }

    fn damaged(&self, position: Position, kind: DamageKind) -> LogError {
        LogError::from(Damage {
            path: self.path(),
            offset: self.index.record(position).offset,
            kind,
        })
    }

    /// Notes where to begin with authors that are new to `history`.
    fn know_authors(&self, history: &mut History) {
        for number in history.first.len() as u32..self.index.authors() {
            let number = AuthorNo(number);
            let have = history.have.of(self.index.author(number));
            let first = usize::try_from(have.0)
                .ok()
                .and_then(|have| self.index.positions(number).get(have));
            history.first.push(first.copied().unwrap_or(BY_SEQ));
        }
    }
}

/// See [`Log::canonical`]. After an error it goes on with the next entry.
#[derive(Debug)]
pub struct Canonical<'a, D: Disk> {
    log: &'a Log<D>,
    order: Forward,
    window: Window,
}

impl<D: Disk> Iterator for Canonical<'_, D> {
    type Item = Result<Entry, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let position = self.order.next(&self.log.index)?;
        Some(self.log.entry(position, &mut self.window, READ_AHEAD_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::testing::{author, bytes_of, entry, filled, ids_of, said};

    #[test]
    fn an_entry_is_read_by_author_and_seq() {
        let log = filled(&[1, 2, 1]);
        assert_eq!(log.read(&author(1), Seq(2)).unwrap().lamport.0, 3);
        let error = log.read(&author(1), Seq(3)).unwrap_err();
        assert!(matches!(error, LogError::NoSuchEntry { .. }), "{error}");
        let ids = log.ids(&author(1), Seq(0), Seq(9)).unwrap();
        assert_eq!(ids.len(), 2);
        assert_eq!(ids[1].1, log.read(&author(1), Seq(2)).unwrap().id);
        assert!(log.ids(&author(9), Seq(1), Seq(9)).unwrap().is_empty());
    }

    #[test]
    fn history_goes_on_with_what_is_appended_later() {
        let mut log = filled(&[1, 2]);
        // The reader is ahead in author 1 and knows author 3, of whom nothing is here yet.
        let have = Heights([(author(1), Seq(2)), (author(3), Seq(1))].into());
        let mut history = log.history(&have);
        assert_eq!(log.read_batch(&mut history).unwrap().len(), 1);
        assert!(log.read_batch(&mut history).unwrap().is_empty());
        let new = [entry(1, 2, 3), entry(3, 1, 1), entry(3, 2, 4), entry(1, 3, 5)];
        log.append(&new).unwrap();
        assert_eq!(
            log.read_batch(&mut history).unwrap(),
            [bytes_of(&new[2]), bytes_of(&new[3])]
        );
    }

    #[test]
    fn a_batch_keeps_its_limits() {
        let log = filled(&[1; 300]);
        let mut history = log.history(&Heights::default());
        assert_eq!(log.read_batch(&mut history).unwrap().len(), BATCH_ENTRIES_MAX);
        assert_eq!(log.read_batch(&mut history).unwrap().len(), 300 - BATCH_ENTRIES_MAX);
        assert!(log.read_batch(&mut history).unwrap().is_empty());
    }

    #[test]
    fn a_batch_comes_over_a_slow_link_in_time() {
        let mut log = filled(&[]);
        let lengths = [10, PART_BYTES_MAX / 2, PART_BYTES_MAX / 2, 10, 2 * PART_BYTES_MAX, 10];
        let said = (1..)
            .zip(lengths)
            .map(|(seq, length)| said(1, seq, seq, &"x".repeat(length)));
        log.append(&said.collect::<Vec<_>>()).unwrap();
        let mut history = log.history(&Heights::default());
        let mut next = || log.read_batch(&mut history).unwrap().len();
        assert_eq!([next(), next(), next(), next(), next()], [2, 2, 1, 1, 0]);
    }

    proptest! {
        #[test]
        fn history_gives_just_what_is_lacking(
            authors in prop::collection::vec(0u64..5, 0..60), have in prop::collection::btree_map(0u64..6, 0u64..20, 0..6),
        ) {
            let log = filled(&authors);
            let have = Heights(have.into_iter().map(|(who, seq)| (author(who), Seq(seq))).collect());
            let given = log.read_batch(&mut log.history(&have)).unwrap();
            let mut all = log.history(&Heights::default());
            let lacking: Vec<Bytes> = log.read_batch(&mut all).unwrap().into_iter()
                .filter(|bytes| {
                    let entry = (log.decode)(bytes.clone()).unwrap();
                    entry.seq > have.of(&entry.author)
                })
                .collect();
            prop_assert_eq!(given, lacking);
        }

        #[test]
        fn the_last_are_the_end_of_all(authors in prop::collection::vec(0u64..5, 0..60), count in 0usize..70) {
            let log = filled(&authors);
            let all: Vec<Entry> = log.canonical().map(Result::unwrap).collect();
            prop_assert!(all.windows(2).all(|two| (two[0].lamport, two[0].author) < (two[1].lamport, two[1].author)));
            prop_assert_eq!(all.len(), authors.len());
            let last = log.last(count).unwrap();
            prop_assert_eq!(ids_of(&last), ids_of(&all[all.len().saturating_sub(count)..]));
        }
    }
}
