//! Logs that were set aside because of damage: their entries go to the new log as far as they fit, and the others are offered
//! to the caller, at every open, until all are in the log.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{
    DamageKind, LOG_FILE, LogError, Reading,
    disk::{Disk, DiskFile, IoError},
    format::{FRAME_HEAD_BYTES, HEADER_BYTES, Header, Kind, decode_header, encode_frame},
    index::LOG_ENTRIES_MAX,
    opened::Opened,
    recovery::Opening,
    scan::{Found, Frames},
    writer::Coming,
};
use crate::node::{
    limits::{BATCH_BYTES_MAX, HOLD_BACK_MAX},
    types::{Conversation, Decode, Entry, EntryError, Heights, Seq},
};

/// The most bytes of entries that are handed out as salvaged at one open. The rest comes at a later one.
pub const SALVAGE_BYTES_MAX: usize = 64 << 20;

pub(super) const PREFIX: &str = "log.damaged-";

/// A log that was set aside and what is only there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The file. It is removed once nothing is only there.
    pub path: PathBuf,
    /// How many whole frames it has that are not in the log, some of which may be no entries. None where its header is gone, so
    /// that nothing can be read.
    pub frames: Option<u64>,
    /// How many whole frames hold entries of another conversation, beside these. They never come in, and the file stays.
    pub misplaced: u64,
    /// What keeps the first of them out of the log.
    pub first: Option<DamageKind>,
}

/// Tells of each file that was set aside what is only there, by the heights of the log. Changes nothing.
///
/// # Errors
/// The disk refuses.
pub fn look_aside<D: Disk>(
    disk: &D,
    folder: &Path,
    decode: Decode,
    conversation: &Conversation,
    heights: &Heights,
) -> Result<Vec<SetAside>, IoError> {
    let mut numbers = numbers(disk, folder)?;
    numbers.sort_unstable();
    let paths = numbers.iter().map(|number| folder.join(format!("{PREFIX}{number}")));
    let look = |path: PathBuf| {
        let (mut left, mut misplaced) = (0, 0);
        let whole = each_entry(disk, &path, decode, |entry| {
            match entry {
                Ok(entry) if entry.conversation != *conversation => misplaced += 1,
                Ok(entry) if (Seq::FIRST..=heights.of(&entry.author)).contains(&entry.seq) => {}
                _ => left += 1,
            }
            Ok(())
        })?;
        Ok(SetAside {
            path,
            frames: whole.then_some(left),
            misplaced,
            first: None,
        })
    };
    paths.map(look).collect()
}

/// Renames the log, durably; tells its new name.
pub(super) fn set_aside<D: Disk>(disk: &D, folder: &Path) -> Result<PathBuf, IoError> {
    let taken = numbers(disk, folder)?;
    // Not the one after the greatest: whatever is in the folder, there is a free one.
    let free = (1..).find(|number| !taken.contains(number)).unwrap_or_default();
    let path = folder.join(format!("{PREFIX}{free}"));
    disk.rename(&folder.join(LOG_FILE), &path)?;
    disk.sync_folder(folder)?;
    Ok(path)
}

/// Brings what fits from the files that were set aside into the log, and notes the rest in `opened`.
pub(super) fn salvage<D: Disk>(
    opening: &mut Opening<'_, D>,
    reading: Reading<'_>,
    opened: &mut Opened,
) -> Result<(), LogError> {
    let mut numbers = numbers(&opening.disk, opening.folder)?;
    numbers.sort_unstable();
    loop {
        // One file may hold what another one lacks.
        let before = opening.survey.index.len();
        opened.set_aside.clear();
        opened.salvaged.clear();
        let mut bytes = 0;
        for number in &numbers {
            let path = opening.folder.join(format!("{PREFIX}{number}"));
            let aside = pass(opening, path, reading, opened, &mut bytes)?;
            opened.set_aside.push(aside);
        }
        if opening.survey.index.len() == before {
            return Ok(());
        }
    }
}

/// Removes the files of which everything is in the log, which is durable by now.
pub(super) fn remove_emptied<D: Disk>(disk: &D, folder: &Path, files: &[SetAside]) -> Result<(), IoError> {
    let emptied: Vec<&SetAside> = files
        .iter()
        .filter(|file| file.frames == Some(0) && file.misplaced == 0)
        .collect();
    for file in &emptied {
        disk.remove(&file.path)?;
    }
    if emptied.is_empty() {
        Ok(())
    } else {
        disk.sync_folder(folder)
    }
}

fn numbers<D: Disk>(disk: &D, folder: &Path) -> Result<Vec<u64>, IoError> {
    let names = disk.list(folder)?;
    let numbers = names.iter().filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok());
    Ok(numbers.collect())
}

/// Goes through one file once, and takes from it what fits.
fn pass<D: Disk>(
    opening: &mut Opening<'_, D>,
    path: PathBuf,
    reading: Reading<'_>,
    opened: &mut Opened,
    bytes: &mut usize,
) -> Result<SetAside, IoError> {
    let disk = opening.disk.clone();
    let (mut left, mut misplaced, mut first) = (0, 0, None);
    let mut fitting = Vec::new();
    let whole = each_entry(&disk, &path, reading.decode, |entry| {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                // It may be one to a newer version of this program.
                left += 1;
                first.get_or_insert(DamageKind::NotAnEntry(error));
                return Ok(());
            }
        };
        if reading.is_misplaced(&entry) {
            misplaced += 1;
            return Ok(());
        }
        let (author, seq) = (entry.author, entry.seq);
        if (Seq::FIRST..=opening.survey.index.height(&author)).contains(&seq) {
            return Ok(());
        }
        let fits = Coming::new(&opening.survey.index).add(&entry.draft, entry.bytes.len());
        match fits {
            Ok(()) if opening.survey.index.len() < LOG_ENTRIES_MAX => return opening.take(&entry, &mut fitting),
            Ok(()) => {}
            Err(rule) => {
                first.get_or_insert(DamageKind::OutOfPlace { author, seq, rule });
            }
        }
        left += 1;
        if opened.salvaged.len() < HOLD_BACK_MAX && *bytes + entry.bytes.len() <= SALVAGE_BYTES_MAX {
            *bytes += entry.bytes.len();
            opened.salvaged.push(entry);
        }
        Ok(())
    })?;
    opening.flush(&mut fitting)?;
    let frames = whole.then_some(left);
    Ok(SetAside {
        path,
        frames,
        misplaced,
        first,
    })
}

/// Hands over what is in each whole frame of a file; false where the header is gone, so that nothing can be read.
fn each_entry<D: Disk>(
    disk: &D,
    path: &Path,
    decode: Decode,
    mut each: impl FnMut(Result<Entry, EntryError>) -> Result<(), IoError>,
) -> Result<bool, IoError> {
    let Some(file) = disk.open(path)? else {
        return Ok(true);
    };
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(0, &mut header)?;
    let (Header::Good(life) | Header::Half(life)) = decode_header(Kind::Log, &header[..read]) else {
        return Ok(false);
    };
    let mut frames = Frames::new(&file, life, file.len()?);
    while let Some(found) = frames.next()? {
        if let Found::Frame { entry, .. } = found {
            each(decode(Bytes::copy_from_slice(entry)))?;
        }
    }
    Ok(true)
}

impl<D: Disk> Opening<'_, D> {
    /// Appends an entry to the log, by and by. `frames` has those that are not written yet.
    fn take(&mut self, entry: &Entry, frames: &mut Vec<u8>) -> Result<(), IoError> {
        let offset = self.survey.end + frames.len() as u64;
        self.survey.index.push(&entry.author, offset, entry.lamport);
        encode_frame(self.life, &entry.bytes, frames);
        if frames.len() + FRAME_HEAD_BYTES >= BATCH_BYTES_MAX {
            self.flush(frames)?;
        }
        Ok(())
    }

    fn flush(&mut self, frames: &mut Vec<u8>) -> Result<(), IoError> {
        if !frames.is_empty() {
            self.file.write_at(self.survey.end, frames)?;
            self.survey.end += frames.len() as u64;
            self.is_dirty = true;
            frames.clear();
        }
        Ok(())
    }
}
