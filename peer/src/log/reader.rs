//! What can be asked of a log. Every frame's check sum is tested whenever it is read.

use bytes::Bytes;

use super::{
    Damage, DamageKind, Log, LogError, Position,
    disk::{Disk, DiskFile},
    format::{FRAME_HEAD_BYTES, decode_frame},
    order::{self, Forward},
};
use crate::node::types::{Author, Entry, EntryId, Seq, Stretches};

/// How many bytes are read at once where neighbours will be wanted too.
pub(super) const READ_AHEAD_BYTES: u64 = 256 * 1024;

/// A part of the file in memory.
#[derive(Debug, Default)]
pub(super) struct Window {
    start: u64,
    bytes: Bytes,
}

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
        let ahead = if from == to { 0 } else { READ_AHEAD_BYTES };
        let wanted = (from.0..=to.0).filter_map(|seq| Some((Seq(seq), self.index.find(author, Seq(seq))?)));
        wanted
            .map(|(seq, position)| Ok((seq, self.entry(position, &mut window, ahead)?.id)))
            .collect()
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

    /// The last ones of these.
    ///
    /// # Errors
    /// The disk refuses, or what is there is damaged.
    pub fn last_of(&self, stretches: &Stretches, count: usize) -> Result<Vec<Entry>, LogError> {
        let nths = stretches.iter().filter_map(|(author, seqs)| {
            let before = |seq: &Seq| u32::try_from(seq.0.saturating_sub(1)).unwrap_or(u32::MAX);
            let nths = before(seqs.start())..before(&seqs.end().next());
            Some((self.index.number(author)?, nths))
        });
        let mut window = Window::default();
        order::last_between(&self.index, count, nths)
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

    fn damaged(&self, position: Position, kind: DamageKind) -> LogError {
        LogError::from(Damage {
            path: self.path(),
            offset: self.index.record(position).offset,
            kind,
        })
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
    use crate::log::testing::{author, filled, ids_of};

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
    fn for_one_id_no_more_than_its_entry_is_read() {
        let log = filled(&[1; 1_000]);
        let read = |from, to| {
            let before = log.disk.bytes_read();
            log.ids(&author(1), Seq(from), Seq(to)).unwrap();
            log.disk.bytes_read() - before
        };
        let (one, all) = (read(1, 1), read(1, 1_000));
        assert!(one * 500 < all, "{one} of {all}");
    }

    proptest! {
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
