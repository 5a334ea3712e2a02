//! Reads a log from its beginning to its end, tests every check sum, and makes the index in memory.
//!
//! What the file `index` covers is taken from there, since decoding a million entries takes a second. Where it contradicts the
//! log it is not believed at all.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    DamageKind, LogError, Reading, Rule,
    disk::{DiskFile, IoError},
    format::{FRAME_HEAD_BYTES, HEADER_BYTES, Life, Record},
    index::{AuthorNo, Index, LOG_ENTRIES_MAX},
    index_file::{IndexFile, Records},
    scan::{Found, Frames},
    writer::Coming,
};
use crate::node::types::{Author, Seq};

/// What a log file holds.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) index: Index,
    /// Where the last whole frame ends.
    pub(super) end: u64,
    /// How many bytes come after it.
    pub(super) torn: u64,
    /// How many entries the file `index` has right.
    pub(super) covered: u32,
    /// How many entries it has that are not there.
    pub(super) missing: u64,
    /// Where the log cannot be gone on with, and why. Then the rest of it was not looked at.
    pub(super) damage: Option<(u64, DamageKind)>,
}

impl Survey {
    /// Of a log without entries.
    pub(super) fn empty() -> Self {
        Self {
            end: HEADER_BYTES as u64,
            ..Self::default()
        }
    }
}

/// Surveys the first `len` bytes of a log.
pub(super) fn survey<F: DiskFile>(
    file: &F,
    life: Life,
    len: u64,
    on_disk: Option<&IndexFile<F>>,
    forked: &BTreeSet<Author>,
    reading: Reading<'_>,
) -> Result<Survey, LogError> {
    let on_disk = on_disk.filter(|index| index.life == life);
    if let Some(survey) = attempt(file, life, len, on_disk, forked, reading)? {
        return Ok(survey);
    }
    let survey = attempt(file, life, len, None, forked, reading)?;
    Ok(survey.expect("without an index there is nothing that contradicts the log"))
}

/// None where the file `index` contradicts the log.
fn attempt<F: DiskFile>(
    file: &F,
    life: Life,
    len: u64,
    on_disk: Option<&IndexFile<F>>,
    forked: &BTreeSet<Author>,
    reading: Reading<'_>,
) -> Result<Option<Survey>, LogError> {
    let mut records = Records::new(on_disk);
    let room = on_disk.map_or(0, |index| index.records.min(len / FRAME_HEAD_BYTES as u64));
    let mut survey = Survey {
        index: Index::with_capacity(room as usize),
        ..Survey::empty()
    };
    survey.index.forked.clone_from(forked);
    let mut frames = Frames::new(file, life, len);
    while let Some(found) = frames.next()? {
        match found {
            Found::Bad {
                bytes, at_end: true, ..
            } => survey.torn = bytes,
            Found::Bad { offset, bytes, .. } => {
                survey.damage = Some((offset, DamageKind::Frame { bytes }));
                return Ok(Some(survey));
            }
            Found::Frame { offset, entry } => {
                if survey.index.len() == LOG_ENTRIES_MAX {
                    return Err(LogError::Full { limit: LOG_ENTRIES_MAX });
                }
                match survey.take(offset, entry, &mut records, reading)? {
                    Taken::Yes => survey.end = offset + (FRAME_HEAD_BYTES + entry.len()) as u64,
                    Taken::IndexIsWrong => return Ok(None),
                    Taken::No(kind) => {
                        survey.damage = Some((offset, kind));
                        return Ok(Some(survey));
                    }
                }
            }
        }
    }
    survey.missing = records.count_rest()?;
    Ok(Some(survey))
}

enum Taken {
    Yes,
    No(DamageKind),
    IndexIsWrong,
}

impl Survey {
    fn take<F: DiskFile>(
        &mut self,
        offset: u64,
        entry: &[u8],
        records: &mut Records<'_, F>,
        reading: Reading<'_>,
    ) -> Result<Taken, IoError> {
        let Some(record) = records.peek()? else {
            return Ok(self.take_unknown(offset, entry, reading));
        };
        if record.offset == offset {
            if record.author < self.index.authors() {
                // A million look-ups of an author by name would be a tenth of opening a log.
                if record.lamport <= self.index.last_lamport_of(AuthorNo(record.author)) {
                    return Ok(Taken::IndexIsWrong);
                }
                self.index.push_known(record);
            } else {
                let Some(author) = self.new_author(record, entry, reading) else {
                    return Ok(Taken::IndexIsWrong);
                };
                self.index.push(&author, offset, record.lamport);
            }
            self.covered += 1;
            records.advance();
            return Ok(Taken::Yes);
        }
        // The index knows no frame here: it can only be one that was there before.
        match (reading.decode)(Bytes::copy_from_slice(entry)) {
            Ok(entry) if entry.seq <= self.index.height(&entry.author) => Ok(Taken::Yes),
            _ => Ok(Taken::IndexIsWrong),
        }
    }

    /// The author of the entry that a record is about, which has none yet, if the record can be right.
    fn new_author(&self, record: Record, entry: &[u8], reading: Reading<'_>) -> Option<Author> {
        let entry = (reading.decode)(Bytes::copy_from_slice(entry)).ok()?;
        let is_next = record.author == self.index.authors() && self.index.number(&entry.author).is_none();
        let fits = is_next && !reading.is_misplaced(&entry);
        (fits && entry.seq == Seq::FIRST && entry.lamport == record.lamport).then_some(entry.author)
    }

    fn take_unknown(&mut self, offset: u64, bytes: &[u8], reading: Reading<'_>) -> Taken {
        let entry = match (reading.decode)(Bytes::copy_from_slice(bytes)) {
            Ok(entry) => entry,
            Err(error) => return Taken::No(DamageKind::NotAnEntry(error)),
        };
        if reading.is_misplaced(&entry) {
            let (author, seq) = (entry.author, entry.seq);
            return Taken::No(DamageKind::Misplaced { author, seq });
        }
        if (Seq::FIRST..=self.index.height(&entry.author)).contains(&entry.seq) {
            // Twice in the log: the first counts.
            return Taken::Yes;
        }
        let judged: Result<(), Rule> = Coming::new(&self.index).add(&entry.draft, bytes.len());
        if let Err(rule) = judged {
            return Taken::No(DamageKind::OutOfPlace {
                author: entry.author,
                seq: entry.seq,
                rule,
            });
        }
        self.index.push(&entry.author, offset, entry.lamport);
        Taken::Yes
    }
}
