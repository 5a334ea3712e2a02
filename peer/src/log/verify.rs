//! Looks through a log without changing it.

use std::path::Path;

use bytes::Bytes;

use super::{
    Damage, DamageKind, LOG_FILE, LogError, Position, Rule,
    disk::{Disk, DiskFile},
    format::{HEADER_BYTES, Header, Kind, VERSION, decode_header},
    index::Index,
    scan::{Found, Frames},
    writer::Coming,
};
use crate::node::types::{Author, Decode, Entry, EntryId, Heights, Lamport, Seq};

/// A log that is as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many entries of every author there are.
    pub heights: Heights,
    /// The length of the file in bytes.
    pub bytes: u64,
}

/// Checks the log in `folder`: every frame, that every entry is one, the chain of every author, and that causes come before
/// effects in the log and in canonical order. Hands every entry to `each`, which may have rules of its own. Changes nothing; a folder without
/// a log is one without entries.
///
/// # Errors
/// The first [`LogError::Damaged`], which may be a write that a crash interrupted; the disk refuses; or a newer version wrote
/// the log.
pub fn verify<D: Disk>(
    disk: &D,
    folder: &Path,
    decode: Decode,
    mut each: impl FnMut(&Entry),
) -> Result<Verified, LogError> {
    let path = folder.join(LOG_FILE);
    let Some(file) = disk.open(&path)? else {
        return Ok(Verified::default());
    };
    let damage = |offset, kind| {
        let path = path.clone();
        LogError::from(Damage { path, offset, kind })
    };
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(0, &mut header)?;
    let life = match decode_header(Kind::Log, &header[..read]) {
        Header::Good(life) => life,
        Header::Newer(found) => {
            let known = VERSION;
            return Err(LogError::Newer { path, found, known });
        }
        Header::Half(_) | Header::Bad => return Err(damage(0, DamageKind::Header)),
    };
    let bytes = file.len()?;
    let mut frames = Frames::new(&file, life, bytes);
    let mut chains = Chains::default();
    while let Some(found) = frames.next()? {
        let (offset, entry) = match found {
            Found::Frame { offset, entry } => (offset, entry),
            Found::Bad { offset, bytes, .. } => return Err(damage(offset, DamageKind::Frame { bytes })),
        };
        let entry =
            decode(Bytes::copy_from_slice(entry)).map_err(|error| damage(offset, DamageKind::NotAnEntry(error)))?;
        chains.add(&entry, offset).map_err(|kind| damage(offset, kind))?;
        each(&entry);
    }
    Ok(Verified {
        heights: chains.index.heights(),
        bytes,
    })
}

#[derive(Default)]
struct Chains {
    index: Index,
    heads: std::collections::BTreeMap<Author, EntryId>,
}

impl Chains {
    fn add(&mut self, entry: &Entry, offset: u64) -> Result<(), DamageKind> {
        let (author, seq) = (entry.author, entry.seq);
        let out_of_place = |rule| DamageKind::OutOfPlace { author, seq, rule };
        Coming::new(&self.index)
            .add(&entry.draft, entry.bytes.len())
            .map_err(out_of_place)?;
        let seen = entry.seen.iter().map(|seen| self.lamport(&seen.author, seen.seq));
        if let Some(previous) = seen.max().filter(|seen| *seen >= entry.lamport) {
            let found = entry.lamport;
            return Err(out_of_place(Rule::LamportGrows { previous, found }));
        }
        if self.heads.insert(author, entry.id) != entry.previous {
            return Err(DamageKind::Chain { author, seq });
        }
        self.index.push(&author, offset, entry.lamport);
        Ok(())
    }

    fn lamport(&self, author: &Author, seq: Seq) -> Lamport {
        let position: Option<Position> = self.index.find(author, seq);
        position
            .map(|position| self.index.record(position).lamport)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::testing::{Workload, decode, folder};

    #[test]
    fn a_good_log_passes_and_a_bad_byte_is_named() {
        let mut workload = Workload::new(3);
        let log = workload.log(40);
        let mut count = 0;
        let verified = verify(&workload.disk, folder(), decode, |_| count += 1).unwrap();
        assert_eq!((verified.heights, count), (log.heights(), 40));
        let path = folder().join(LOG_FILE);
        workload.disk.tamper(&path, |bytes| bytes[600] ^= 1);
        let error = verify(&workload.disk, folder(), decode, |_| {}).unwrap_err();
        assert!(
            error.to_string().starts_with("/room/log is damaged at byte "),
            "{error}"
        );
        assert!(verify(&workload.disk, Path::new("/none"), decode, |_| {}).is_ok());
    }
}
