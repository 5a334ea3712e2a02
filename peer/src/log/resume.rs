//! The permit to go on with the same incarnation; the argument is in the [module's head](super).

use std::path::Path;

use super::{
    LogError,
    disk::{Disk, DiskFile, IoError, Stamp},
    format::{u32_at, u64_at},
};

/// The most bytes of state that a caller can leave for its next run. More is refused.
pub const RESUME_STATE_BYTES_MAX: usize = 1 << 20;

pub(super) const FILE: &str = "resume";
const MAGIC: &[u8; 8] = b"PEERRES\n";
const VERSION: u32 = 1;
/// Magic, version, incarnation, length of the log, inode, time of change, length of the state.
const HEAD_BYTES: usize = 8 + 4 + 8 + 8 + 8 + 16 + 4;
const SUM_BYTES: usize = 4;

/// What a run leaves for the next one when it closes the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The incarnation to go on with.
    pub incarnation: u64,
    /// What the caller wants to know then; at most [`RESUME_STATE_BYTES_MAX`] bytes.
    pub state: Vec<u8>,
}

/// Which log a permit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holds {
    pub(super) length: u64,
    pub(super) stamp: Stamp,
}

/// Writes the permit for a log of `length` bytes in `file`, all of them synced.
pub(super) fn write<D: Disk>(
    disk: &D,
    folder: &Path,
    resume: &Resume,
    length: u64,
    file: &D::File,
) -> Result<(), LogError> {
    if resume.state.len() > RESUME_STATE_BYTES_MAX {
        return Err(LogError::StateTooLong {
            found: resume.state.len(),
            limit: RESUME_STATE_BYTES_MAX,
        });
    }
    let stamp = file.stamp()?;
    disk.replace(&folder.join(FILE), &encode(resume, Holds { length, stamp }))?;
    Ok(())
}

/// The permit, if a good one is there and it is for the log that `holds` describes. And whether there is a file at all.
pub(super) fn read<D: Disk>(disk: &D, folder: &Path, holds: Holds) -> Result<(Option<Resume>, bool), IoError> {
    let max = HEAD_BYTES + RESUME_STATE_BYTES_MAX + SUM_BYTES;
    let Some(bytes) = disk.read_small(&folder.join(FILE), max)? else {
        return Ok((None, false));
    };
    let resume = decode(&bytes).filter(|(_, of)| *of == holds).map(|(resume, _)| resume);
    Ok((resume, true))
}

/// Whether there is something that is no permit.
pub(super) fn is_damaged<D: Disk>(disk: &D, folder: &Path) -> bool {
    let max = HEAD_BYTES + RESUME_STATE_BYTES_MAX + SUM_BYTES;
    let bytes = disk.read_small(&folder.join(FILE), max).ok().flatten();
    bytes.is_some_and(|bytes| decode(&bytes).is_none())
}

/// Removes the permit, durably.
pub(super) fn remove<D: Disk>(disk: &D, folder: &Path) -> Result<(), IoError> {
    disk.remove(&folder.join(FILE))?;
    disk.sync_folder(folder)
}

fn encode(resume: &Resume, holds: Holds) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + resume.state.len() + SUM_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&resume.incarnation.to_le_bytes());
    bytes.extend_from_slice(&holds.length.to_le_bytes());
    bytes.extend_from_slice(&holds.stamp.inode.to_le_bytes());
    bytes.extend_from_slice(&holds.stamp.changed.to_le_bytes());
    bytes.extend_from_slice(&(resume.state.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&resume.state);
    let sum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<(Resume, Holds)> {
    let content = bytes.get(..bytes.len().checked_sub(SUM_BYTES)?)?;
    let good = content.starts_with(MAGIC)
        && u32_at(content, 8)? == VERSION
        && u32_at(bytes, content.len())? == crc32c::crc32c(content)
        && u32_at(content, 52)? as usize == content.len().checked_sub(HEAD_BYTES)?;
    good.then_some(())?;
    let resume = Resume {
        incarnation: u64_at(content, 12)?,
        state: content.get(HEAD_BYTES..)?.to_vec(),
    };
    let stamp = Stamp {
        inode: u64_at(content, 28)?,
        changed: i128::from_le_bytes(content.get(36..52)?.try_into().ok()?),
    };
    let length = u64_at(content, 20)?;
    Some((resume, Holds { length, stamp }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_permit_comes_back_and_a_changed_one_does_not(
            incarnation: u64, length: u64, inode: u64, changed: i128, state in prop::collection::vec(any::<u8>(), 0..50),
            at: prop::sample::Index, flip in 1u8..,
        ) {
            let resume = Resume { incarnation, state };
            let holds = Holds { length, stamp: Stamp { inode, changed } };
            let mut bytes = encode(&resume, holds);
            prop_assert_eq!(decode(&bytes), Some((resume, holds)));
            prop_assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(decode(&bytes), None);
        }

        #[test]
        fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&bytes), None);
        }
    }
}
