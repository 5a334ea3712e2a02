//! Makes a usable log of whatever the disk holds. The rules are in `docs/log-format.md`.
//!
//! An entry that is there is never dropped: only bytes without a whole frame are cut off. Every step can be interrupted by a
//! crash and is done again at the next open.

use std::path::{Path, PathBuf};

use super::{
    Damage, DamageKind, LOG_FILE, Log, LogError, Position, Reading,
    birth::Birth,
    disk::{Disk, DiskFile, IoError, folder_of},
    forked::read_forked,
    format::{HEADER_BYTES, Header, Kind, Life, VERSION, decode_header, encode_header},
    index_file::{self, IndexFile, Records},
    opened::Opened,
    resume::{self, Holds},
    salvage,
    scan::{Found, Frames},
    survey::{Survey, survey},
};
use crate::node::types::Decode;

/// How much is copied at once.
const COPY_BYTES: usize = 1 << 20;

/// See [`Log::open`].
pub(super) fn open<D: Disk>(disk: D, folder: &Path, reading: Reading<'_>) -> Result<(Log<D>, Opened), LogError> {
    match try_open(disk.clone(), folder, reading, true) {
        // An index that was believed covered a frame that is no entry. Looked at without it, that is set aside.
        Err(LogError::Damaged(_)) => try_open(disk, folder, reading, false),
        opened => opened,
    }
}

fn try_open<D: Disk>(
    disk: D,
    folder: &Path,
    reading: Reading<'_>,
    believe_index: bool,
) -> Result<(Log<D>, Opened), LogError> {
    disk.create_folder(folder)?;
    let begun = Birth::of(&disk, folder)?;
    let mut opened = Opened::default();
    let on_disk = index_file::open(&disk, folder)?;
    let known = on_disk.as_ref().map_or(0, |index| index.records);
    let forked = read_forked(&disk, folder)?;
    let mut opening = Opening::find(disk, folder, on_disk.as_ref(), begun.is_some(), &mut opened)?;
    // Of a log that is made here the folders above may be as new.
    let birth = opening
        .is_new
        .then(|| Birth::new(&opening.disk, folder))
        .or_else(|| begun.clone());
    let believed = on_disk.as_ref().filter(|_| believe_index);
    if !opening.is_new {
        opening.survey = survey(
            &opening.file,
            opening.life,
            opening.holds.length,
            believed,
            &forked,
            reading,
        )?;
        opening.set_damage_aside(&mut opened)?;
    }
    opening.survey.index.forked = forked;
    let (resume, has_permit) = resume::read(&opening.disk, folder, opening.holds)?;
    opening.cut_tail(&mut opened)?;
    opening.write_again()?;
    let before = opening.survey.index.len();
    salvage::salvage(&mut opening, reading, &mut opened)?;
    opening.tell_missing(known, &mut opened);
    let is_whole = opened.damage.is_empty() && opened.bytes_cut == 0 && before == opening.survey.index.len();
    opened.resume = resume.filter(|_| is_whole);
    if has_permit && opened.resume.is_none() {
        resume::remove(&opening.disk, folder)?;
    }
    let mut log = opening.into_log(on_disk.filter(|_| believe_index), reading.decode)?;
    log.permit = opened.resume.is_some();
    if let Some(birth) = birth {
        log.file.sync()?;
        birth.sync()?;
    }
    if let Some(begun) = begun {
        begun.end()?;
    }
    salvage::remove_emptied(&log.disk, folder, &opened.set_aside)?;
    opened.describe(&log)?;
    Ok((log, opened))
}

/// A log that is being opened.
pub(super) struct Opening<'a, D: Disk> {
    pub(super) disk: D,
    pub(super) folder: &'a Path,
    pub(super) file: D::File,
    pub(super) life: Life,
    pub(super) survey: Survey,
    /// The log as it was found.
    holds: Holds,
    /// It was made now: there was none, or not one that could be gone on with.
    is_new: bool,
    /// Something was changed that must be synced.
    pub(super) is_dirty: bool,
}

impl<'a, D: Disk> Opening<'a, D> {
    /// Opens the file with the entries, if it has a header or one can be given back to it; makes a new one otherwise.
    fn find(
        disk: D,
        folder: &'a Path,
        on_disk: Option<&IndexFile<D::File>>,
        was_begun: bool,
        opened: &mut Opened,
    ) -> Result<Self, LogError> {
        let path = folder.join(LOG_FILE);
        let Some(file) = disk.open(&path)? else {
            return Self::make(disk, folder);
        };
        let mut bytes = [0; HEADER_BYTES];
        let read = file.read_at(0, &mut bytes)?;
        let holds = Holds {
            length: file.len()?,
            stamp: file.stamp()?,
        };
        let header = decode_header(Kind::Log, &bytes[..read]);
        // The index has no record of what was not.
        let was_synced = || Ok::<_, IoError>(!was_begun || Records::new(on_disk).peek()?.is_some());
        let life = match header {
            Header::Newer(found) => {
                let known = VERSION;
                return Err(LogError::Newer { path, found, known });
            }
            Header::Good(life) | Header::Half(life) => Some(life),
            // The index knows the same number; it is believed if any frame fits it.
            Header::Bad => match on_disk {
                Some(index) if has_frame(&file, index.life, holds.length)? => Some(index.life),
                _ => None,
            },
        };
        if let Some(life) = life {
            let is_dirty = !matches!(header, Header::Good(_));
            if is_dirty {
                if was_synced()? {
                    opened.damage.push(header_damage(path));
                }
                file.write_at(0, &encode_header(Kind::Log, life))?;
            }
            let holds = Holds {
                length: holds.length.max(HEADER_BYTES as u64),
                ..holds
            };
            return Ok(Self {
                disk,
                folder,
                file,
                life,
                survey: Survey::empty(),
                holds,
                is_new: false,
                is_dirty,
            });
        }
        if holds.length <= HEADER_BYTES as u64 || !was_synced()? {
            // No frame can be in it, or none that was ever promised to anybody.
            opened.bytes_cut += holds.length;
        } else {
            let path = salvage::set_aside(&disk, folder)?;
            opened.damage.push(header_damage(path));
        }
        Self::make(disk, folder)
    }

    /// Makes a new file, durably.
    fn make(disk: D, folder: &'a Path) -> Result<Self, LogError> {
        let path = folder.join(LOG_FILE);
        let life = Life(disk.random());
        disk.replace(&path, &encode_header(Kind::Log, life))?;
        let gone = || IoError::new(&path, "open", std::io::ErrorKind::NotFound.into());
        let file = disk.open(&path)?.ok_or_else(gone)?;
        let holds = Holds {
            length: file.len()?,
            stamp: file.stamp()?,
        };
        Ok(Self {
            disk,
            folder,
            file,
            life,
            survey: Survey::empty(),
            holds,
            is_new: true,
            is_dirty: false,
        })
    }

    /// Where the log cannot be gone on with, sets it aside and begins a new one. Its entries are fetched from there.
    fn set_damage_aside(&mut self, opened: &mut Opened) -> Result<(), LogError> {
        let Some((offset, kind)) = self.survey.damage.take() else {
            return Ok(());
        };
        if self.is_dirty {
            self.file.sync()?;
        }
        let path = salvage::set_aside(&self.disk, self.folder)?;
        opened.damage.push(Damage { path, offset, kind });
        let holds = self.holds;
        *self = Self::make(self.disk.clone(), self.folder)?;
        self.holds = holds;
        Ok(())
    }

    /// Cuts off what comes after the last whole frame.
    fn cut_tail(&mut self, opened: &mut Opened) -> Result<(), IoError> {
        if self.survey.torn > 0 {
            self.file.truncate(self.survey.end)?;
            self.is_dirty = true;
            opened.bytes_cut += self.survey.torn;
        }
        Ok(())
    }

    /// Writes again what may not have been synced. Were a sync to have failed, the system would hold these bytes in memory and take
    /// them for synced; only new ones are sure to reach the disk with the next sync.
    fn write_again(&mut self) -> Result<(), IoError> {
        let Survey {
            index, covered, end, ..
        } = &self.survey;
        if *covered == index.len() {
            return Ok(());
        }
        let mut at = index.record(Position(*covered)).offset;
        let mut bytes = vec![0; COPY_BYTES.min((end - at) as usize)];
        while at < *end {
            let part = bytes.len().min((end - at) as usize);
            let read = self.file.read_at(at, &mut bytes[..part])?;
            self.file.write_at(at, &bytes[..read])?;
            if read == 0 {
                break;
            }
            at += read as u64;
        }
        self.is_dirty = true;
        Ok(())
    }

    /// Tells of entries that the index knows and nobody holds any more. `known` is how many it knows.
    fn tell_missing(&self, known: u64, opened: &mut Opened) {
        let had = u64::from(self.survey.index.len()) + opened.salvaged.len() as u64;
        let entries = match self.is_new {
            // What was set aside just now was reported already.
            true if !opened.damage.is_empty() => 0,
            true => known.saturating_sub(had),
            false => self.survey.missing,
        };
        if entries > 0 {
            opened.damage.push(Damage {
                path: self.folder.join(LOG_FILE),
                offset: self.survey.end,
                kind: DamageKind::Missing { entries },
            });
        }
    }

    /// Makes everything durable and puts the index right.
    fn into_log(self, on_disk: Option<IndexFile<D::File>>, decode: Decode) -> Result<Log<D>, LogError> {
        if self.is_dirty {
            self.file.sync()?;
        }
        let Survey {
            index,
            covered,
            end,
            missing,
            ..
        } = self.survey;
        let index_file = match on_disk {
            Some(on_disk) if on_disk.life == self.life && missing == 0 && (covered > 0 || index.len() == 0) => {
                index_file::complete(on_disk, covered, &index)?
            }
            _ => {
                let file = index_file::rewrite(&self.disk, self.folder, self.life, &index)?;
                // The folder may be new, from a process that ended before its name was durable.
                self.disk.sync_folder(folder_of(self.folder))?;
                file
            }
        };
        Ok(Log {
            disk: self.disk,
            folder: self.folder.to_owned(),
            decode,
            life: self.life,
            file: self.file,
            index_file,
            durable: index.len(),
            index,
            length: end,
            frames: Vec::new(),
            syncing: None,
            birth: None,
            permit: false,
            failed: None,
        })
    }
}

fn header_damage(path: PathBuf) -> Damage {
    Damage {
        path,
        offset: 0,
        kind: DamageKind::Header,
    }
}

/// Whether any whole frame fits a number.
fn has_frame<F: DiskFile>(file: &F, life: Life, len: u64) -> Result<bool, IoError> {
    let mut frames = Frames::new(file, life, len);
    while let Some(found) = frames.next()? {
        if matches!(found, Found::Frame { .. }) {
            return Ok(true);
        }
    }
    Ok(false)
}
