//! Logs that were set aside because of damage: their entries go to the new log as far as they fit, and the others are offered
//! to the caller, at every open, until all are in the log.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{
    LOG_FILE, LogError,
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
    types::{Decode, Entry, Seq},
};

/// The most bytes of entries that are handed out as salvaged at one open. The rest comes at a later one.
pub const SALVAGE_BYTES_MAX: usize = 64 << 20;

const PREFIX: &str = "log.damaged-";

/// A log that was set aside and what is only there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The file. It is removed once nothing is only there.
    pub path: PathBuf,
    /// How many whole frames it has that are not in the log, some of which may be no entries. None where its header is gone, so
    /// that nothing can be read.
    pub frames: Option<u64>,
}

/// Renames the log, durably; tells its new name.
pub(super) fn set_aside<D: Disk>(disk: &D, folder: &Path) -> Result<PathBuf, IoError> {
    let taken = numbers(disk, folder)?.into_iter().max().unwrap_or(0);
    let path = folder.join(format!("{PREFIX}{}", taken + 1));
    disk.rename(&folder.join(LOG_FILE), &path)?;
    disk.sync_folder(folder)?;
    Ok(path)
}

/// Brings what fits from the files that were set aside into the log, and notes the rest in `opened`.
pub(super) fn salvage<D: Disk>(
    opening: &mut Opening<'_, D>,
    decode: Decode,
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
            let frames = pass(opening, &path, decode, opened, &mut bytes)?;
            opened.set_aside.push(SetAside { path, frames });
        }
        if opening.survey.index.len() == before {
            return Ok(());
        }
    }
}

/// Removes the files of which everything is in the log, which is durable by now.
pub(super) fn remove_emptied<D: Disk>(disk: &D, folder: &Path, files: &[SetAside]) -> Result<(), IoError> {
    let emptied: Vec<&SetAside> = files.iter().filter(|file| file.frames == Some(0)).collect();
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

/// Goes through one file once. Returns how many whole frames in it are not in the log.
fn pass<D: Disk>(
    opening: &mut Opening<'_, D>,
    path: &Path,
    decode: Decode,
    opened: &mut Opened,
    bytes: &mut usize,
) -> Result<Option<u64>, LogError> {
    let Some(file) = opening.disk.open(path)? else {
        return Ok(Some(0));
    };
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(0, &mut header)?;
    let (Header::Good(life) | Header::Half(life)) = decode_header(Kind::Log, &header[..read]) else {
        return Ok(None);
    };
    let mut left = 0;
    let mut fitting = Vec::new();
    let mut frames = Frames::new(&file, life, file.len()?);
    while let Some(found) = frames.next()? {
        let Found::Frame { entry, .. } = found else {
            continue;
        };
        let Ok(entry) = decode(Bytes::copy_from_slice(entry)) else {
            // It may be one to a newer version of this program.
            left += 1;
            continue;
        };
        if (Seq::FIRST..=opening.survey.index.height(&entry.author)).contains(&entry.seq) {
            continue;
        }
        if opening.survey.index.len() < LOG_ENTRIES_MAX
            && Coming::new(&opening.survey.index)
                .add(&entry.draft, entry.bytes.len())
                .is_ok()
        {
            opening.take(&entry, &mut fitting)?;
            continue;
        }
        left += 1;
        if opened.salvaged.len() < HOLD_BACK_MAX && *bytes + entry.bytes.len() <= SALVAGE_BYTES_MAX {
            *bytes += entry.bytes.len();
            opened.salvaged.push(entry);
        }
    }
    opening.flush(&mut fitting)?;
    Ok(Some(left))
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
