//! The file `seals` beside a log: what proves to third parties that its entries are their authors'.
//!
//! It has slots of one length. Of each author the last two seals are kept, and of the others those that are far enough apart; the
//! slot of one that is kept no longer takes the next one. A slot that a crash left half-written is a lost seal, which comes again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    LogError,
    disk::{Disk, DiskFile, IoError},
    format::{HEADER_BYTES, Header, Kind, Life, VERSION, decode_header, encode_header, u32_at, u64_at},
};
use crate::node::{
    limits::SEAL_SPAN_MAX,
    sealing::{Seal, is_anchor},
    types::{Author, DeviceId, EntryId, Seq},
};

/// The name of the file.
pub const SEALS_FILE: &str = "seals";

/// Device, incarnation, seq, id, signature.
pub(super) const CONTENT_BYTES: usize = 32 + 8 + 8 + 32 + 64;
/// With the check sum.
const SLOT_BYTES: usize = CONTENT_BYTES + 4;
/// How many slots are read at once.
const SLOTS_AT_ONCE: usize = 1_024;

/// Where a seal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    seq: Seq,
    slot: u64,
}

/// The seals of a conversation.
#[derive(Debug)]
pub struct Seals<D: Disk> {
    disk: D,
    path: PathBuf,
    /// None before the first seal.
    file: Option<(D::File, Life)>,
    /// Sorted by seq.
    marks: BTreeMap<Author, Vec<Mark>>,
    free: Vec<u64>,
    slots: u64,
}

impl<D: Disk> Seals<D> {
    /// The seals in a log's folder.
    ///
    /// # Errors
    /// The disk refuses, or a newer version wrote the file. Whatever else is wrong with it costs seals, and they come again.
    pub fn open(disk: D, folder: &Path) -> Result<Self, LogError> {
        let path = folder.join(SEALS_FILE);
        let file = open(&disk, &path)?;
        let mut seals = Self {
            disk,
            path,
            file,
            marks: BTreeMap::new(),
            free: Vec::new(),
            slots: 0,
        };
        let Some((file, life)) = seals.file.clone() else {
            return Ok(seals);
        };
        let mut bad = Vec::new();
        seals.slots = each_slot(&file, life, |slot, found| match found {
            Slot::Seal(seal) => {
                let marks = seals.marks.entry(seal.author).or_default();
                marks.push(Mark { seq: seal.seq, slot });
            }
            Slot::Free => seals.free.push(slot),
            Slot::Bad => bad.push(slot),
        })?;
        for marks in seals.marks.values_mut() {
            marks.sort_unstable_by_key(|mark| mark.seq);
            // Where one covers more alone than a reader may let wait, it is of no use, nor is what comes after it. They come again, with
            // those between.
            let before = |at: usize| at.checked_sub(1).map_or(Seq::default(), |at| marks[at].seq);
            let useless = (0..marks.len()).find(|&at| marks[at].seq.0 - before(at).0 > SEAL_SPAN_MAX);
            let useless = marks.split_off(useless.unwrap_or(marks.len()));
            bad.extend(useless.into_iter().map(|mark| mark.slot));
        }
        bad.into_iter().try_for_each(|slot| seals.clear(slot))?;
        Ok(seals)
    }

    /// Keeps a seal, unless a later one of its author is there.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn push(&mut self, seal: &Seal) -> Result<(), LogError> {
        let marks = self.marks.entry(seal.author).or_default();
        if marks.last().is_some_and(|last| last.seq >= seal.seq) {
            return Ok(());
        }
        // The last one stays for now: where the new one is lost in a crash, it is the best that there is.
        if let [rest @ .., second, last] = &marks[..] {
            let before = rest.last().map(|mark| mark.seq).unwrap_or_default();
            if !is_anchor(before, second.seq, last.seq) {
                self.free.push(second.slot);
                let at = rest.len();
                marks.remove(at);
            }
        }
        let (file, life) = match &self.file {
            Some(file) => file,
            None => self.file.insert(make(&self.disk, &self.path)?),
        };
        let slot = self.free.pop().unwrap_or(self.slots);
        file.write_loose_at(offset(slot), &encode(*life, seal))?;
        self.slots = self.slots.max(slot + 1);
        marks.push(Mark { seq: seal.seq, slot });
        Ok(())
    }

    /// The last seal of every author.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn latest(&self) -> Result<Vec<Seal>, LogError> {
        let last = self
            .marks
            .iter()
            .filter_map(|(author, marks)| Some((author, marks.last()?)));
        let read = last.map(|(author, mark)| self.read_mark(author, *mark));
        Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// Forgets an author's last seal: it does not fit the log.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn forget_last(&mut self, author: &Author) -> Result<(), LogError> {
        match self.marks.get_mut(author).and_then(Vec::pop) {
            Some(mark) => self.clear(mark.slot),
            None => Ok(()),
        }
    }

    /// The authors of whom there are seals.
    pub fn authors(&self) -> impl Iterator<Item = &Author> {
        self.marks
            .iter()
            .filter(|(_, marks)| !marks.is_empty())
            .map(|(author, _)| author)
    }

    /// Empties a slot, so that what was in it is not found again by the next one who reads the file.
    fn clear(&mut self, slot: u64) -> Result<(), LogError> {
        if let Some((file, _)) = &self.file {
            file.write_loose_at(offset(slot), &[0; SLOT_BYTES])?;
        }
        self.free.push(slot);
        Ok(())
    }

    /// The seq of an author's first seal at or after an entry.
    pub fn covering(&self, author: &Author, seq: Seq) -> Option<Seq> {
        self.mark_covering(author, seq).map(|mark| mark.seq)
    }

    /// An author's first seal at or after an entry.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn first_from(&self, author: &Author, seq: Seq) -> Result<Option<Seal>, LogError> {
        match self.mark_covering(author, seq) {
            Some(mark) => self.read_mark(author, mark),
            None => Ok(None),
        }
    }

    fn mark_covering(&self, author: &Author, seq: Seq) -> Option<Mark> {
        let marks = self.marks.get(author)?;
        let at = marks.partition_point(|mark| mark.seq < seq);
        marks.get(at).copied()
    }

    /// An author's last seal at or before an entry.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn last_upto(&self, author: &Author, seq: Seq) -> Result<Option<Seal>, LogError> {
        let Some(marks) = self.marks.get(author) else {
            return Ok(None);
        };
        let at = marks.partition_point(|mark| mark.seq <= seq);
        match at.checked_sub(1).and_then(|at| marks.get(at)) {
            Some(mark) => self.read_mark(author, *mark),
            None => Ok(None),
        }
    }

    /// Makes what was kept durable. Blocks for milliseconds.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self) -> Result<(), LogError> {
        if let Some((file, _)) = &self.file {
            file.sync()?;
        }
        Ok(())
    }

    /// The seal of a mark; none where the file was changed behind our back.
    fn read_mark(&self, author: &Author, mark: Mark) -> Result<Option<Seal>, LogError> {
        let Some((file, life)) = &self.file else {
            return Ok(None);
        };
        let mut bytes = [0; SLOT_BYTES];
        file.read_at(offset(mark.slot), &mut bytes)?;
        Ok(match decode(*life, &bytes) {
            Slot::Seal(seal) if seal.author == *author && seal.seq == mark.seq => Some(*seal),
            _ => None,
        })
    }
}

/// Hands out every seal in a log's folder, with its place in the file, and changes nothing; also the places of slots that hold none
/// but should.
///
/// # Errors
/// The disk refuses, or a newer version wrote the file.
pub fn read_seals<D: Disk>(disk: &D, folder: &Path, mut each: impl FnMut(Option<Seal>, u64)) -> Result<(), LogError> {
    let Some((file, life)) = open(disk, &folder.join(SEALS_FILE))? else {
        return Ok(());
    };
    each_slot(&file, life, |slot, found| match found {
        Slot::Seal(seal) => each(Some(*seal), offset(slot)),
        Slot::Bad => each(None, offset(slot)),
        Slot::Free => {}
    })?;
    Ok(())
}

/// The file, if there is one with a header that says how to read it.
fn open<D: Disk>(disk: &D, path: &Path) -> Result<Option<(D::File, Life)>, LogError> {
    let Some(file) = disk.open(path)? else {
        return Ok(None);
    };
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(0, &mut header)?;
    match decode_header(Kind::Seals, &header[..read]) {
        Header::Good(life) | Header::Half(life) => Ok(Some((file, life))),
        Header::Newer(found) => Err(LogError::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        }),
        Header::Bad => Ok(None),
    }
}

fn make<D: Disk>(disk: &D, path: &Path) -> Result<(D::File, Life), IoError> {
    let life = Life(disk.random());
    let file = disk.create(path)?;
    file.write_loose_at(0, &encode_header(Kind::Seals, life))?;
    Ok((file, life))
}

enum Slot {
    Seal(Box<Seal>),
    Free,
    Bad,
}

/// Looks at every whole slot; returns how many there are.
fn each_slot<F: DiskFile>(file: &F, life: Life, mut each: impl FnMut(u64, Slot)) -> Result<u64, IoError> {
    let slots = file.len()?.saturating_sub(HEADER_BYTES as u64) / SLOT_BYTES as u64;
    let mut bytes = vec![0; SLOTS_AT_ONCE * SLOT_BYTES];
    let mut next = 0;
    while next < slots {
        let read = file.read_at(offset(next), &mut bytes)?;
        let whole = bytes[..read].chunks_exact(SLOT_BYTES);
        if whole.len() == 0 {
            break;
        }
        for slot in whole {
            each(next, decode(life, slot));
            next += 1;
        }
    }
    Ok(next)
}

fn offset(slot: u64) -> u64 {
    HEADER_BYTES as u64 + slot * SLOT_BYTES as u64
}

fn encode(life: Life, seal: &Seal) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..CONTENT_BYTES].copy_from_slice(&content(seal));
    let sum = sum(life, &slot[..CONTENT_BYTES]);
    slot[CONTENT_BYTES..].copy_from_slice(&sum.to_le_bytes());
    slot
}

/// The bytes of a seal.
pub(super) fn content(seal: &Seal) -> [u8; CONTENT_BYTES] {
    let mut bytes = [0; CONTENT_BYTES];
    bytes[..32].copy_from_slice(&seal.author.device.0);
    bytes[32..40].copy_from_slice(&seal.author.incarnation.to_le_bytes());
    bytes[40..48].copy_from_slice(&seal.seq.0.to_le_bytes());
    bytes[48..80].copy_from_slice(&seal.id.0);
    bytes[80..].copy_from_slice(&seal.signature);
    bytes
}

/// The seal of which these are the bytes.
pub(super) fn seal_of(content: &[u8]) -> Option<Seal> {
    let device = DeviceId(content.get(..32)?.try_into().ok()?);
    let incarnation = u64_at(content, 32)?;
    Some(Seal {
        author: Author { device, incarnation },
        seq: Seq(u64_at(content, 40)?),
        id: EntryId(content.get(48..80)?.try_into().ok()?),
        signature: content.get(80..)?.try_into().ok()?,
    })
}

fn decode(life: Life, slot: &[u8]) -> Slot {
    if slot.iter().all(|byte| *byte == 0) {
        return Slot::Free;
    }
    let seal = || {
        let content = slot.get(..CONTENT_BYTES)?;
        (sum(life, content) == u32_at(slot, CONTENT_BYTES)?).then_some(())?;
        seal_of(content).map(Box::new)
    };
    seal().map_or(Slot::Bad, Slot::Seal)
}

fn sum(life: Life, content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&life.0.to_le_bytes()), content)
}

#[cfg(test)]
mod tests;
