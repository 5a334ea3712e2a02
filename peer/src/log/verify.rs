//! Looks through a log without changing it.

use std::path::Path;

use bytes::Bytes;

use super::{
    Damage, DamageKind, LOG_FILE, LogError, Position, Rule,
    disk::{Disk, DiskFile},
    forked::read_forked,
    format::{HEADER_BYTES, Header, Kind, VERSION, decode_header},
    index::Index,
    index_file::{self, Records},
    scan::{Found, Frames},
    writer::Coming,
};
use crate::node::types::{Author, Decode, Entry, EntryId, Heights, Lamport, Seq};

/// A log that is as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many entries of every author there are.
    pub heights: Heights,
    /// How many bytes header and whole frames take.
    pub bytes: u64,
    /// How many bytes come after them: what a crash left of its last write, or what a running peer is writing. Nothing of it was ever
    /// acknowledged.
    pub torn: u64,
}

/// Checks the log in `folder`: every frame, that every entry is one, the chain of every author, that causes come before effects in the
/// log and in canonical order, and that all is there that the index tells of. Hands every entry to `each` with its place in the file, for
/// rules of its own. Changes nothing; a folder without a log is one without entries.
///
/// # Errors
/// The first [`LogError::Damaged`]; the disk refuses; or a newer version wrote the log.
pub fn verify<D: Disk>(
    disk: &D,
    folder: &Path,
    decode: Decode,
    mut each: impl FnMut(Entry, u64),
) -> Result<Verified, LogError> {
    let path = folder.join(LOG_FILE);
    let damage = |offset, kind| {
        let path = path.clone();
        LogError::from(Damage { path, offset, kind })
    };
    // Looked at first: a peer that runs writes to the log before it writes to the index.
    let index = index_file::open(disk, folder)?;
    let known = Records::new(index.as_ref()).count_rest()?;
    let Some(file) = disk.open(&path)? else {
        return match known {
            0 => Ok(Verified::default()),
            entries => Err(damage(0, DamageKind::Missing { entries })),
        };
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
    let mut bytes = file.len()?;
    let mut torn = 0;
    let mut frames = Frames::new(&file, life, bytes);
    let mut chains = Chains::default();
    chains.index.forked = read_forked(disk, folder)?;
    while let Some(found) = frames.next()? {
        let (offset, entry) = match found {
            Found::Frame { offset, entry } => (offset, entry),
            Found::Bad {
                offset,
                bytes: tail,
                at_end: true,
            } => {
                (bytes, torn) = (offset, tail);
                break;
            }
            Found::Bad { offset, bytes, .. } => return Err(damage(offset, DamageKind::Frame { bytes })),
        };
        let entry =
            decode(Bytes::copy_from_slice(entry)).map_err(|error| damage(offset, DamageKind::NotAnEntry(error)))?;
        chains.add(&entry, offset).map_err(|kind| damage(offset, kind))?;
        each(entry, offset);
    }
    let known = index.filter(|index| index.life == life).map_or(0, |_| known);
    let entries = known.saturating_sub(u64::from(chains.index.len()));
    if entries > 0 {
        return Err(damage(bytes, DamageKind::Missing { entries }));
    }
    Ok(Verified {
        heights: chains.index.heights(),
        bytes,
        torn,
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
        // What one who contradicts himself showed this author may be another entry than the one that is here.
        let seen = entry
            .seen
            .iter()
            .filter(|seen| !self.index.forked.contains(&seen.author));
        let seen = seen.map(|seen| self.lamport(&seen.author, seen.seq));
        if let Some(previous) = seen.max().filter(|seen| *seen >= entry.lamport) {
            let found = entry.lamport;
            return Err(out_of_place(Rule::LamportGrows { previous, found }));
        }
        let head = self.heads.insert(author, entry.id);
        // What an author's first entry follows from says under which authority the conversation is.
        if head.is_some_and(|head| head != entry.previous) {
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
    use crate::log::{INDEX_FILE, format::RECORD_BYTES};

    #[test]
    fn a_good_log_passes_and_a_bad_byte_is_named() {
        let mut workload = Workload::new(3);
        let log = workload.log(40);
        let mut count = 0;
        let verified = verify(&workload.disk, folder(), decode, |_, _| count += 1).unwrap();
        assert_eq!((verified.heights, count), (log.heights(), 40));
        let path = folder().join(LOG_FILE);
        workload.disk.tamper(&path, |bytes| bytes[600] ^= 1);
        let error = verify(&workload.disk, folder(), decode, |_, _| {}).unwrap_err();
        assert!(
            error.to_string().starts_with("/room/log is damaged at byte "),
            "{error}"
        );
        assert!(verify(&workload.disk, Path::new("/none"), decode, |_, _| {}).is_ok());
    }

    #[test]
    fn what_the_index_knows_and_the_log_lacks_is_damage() {
        let mut workload = Workload::new(3);
        let mut log = workload.log(40);
        log.sync().unwrap();
        let path = folder().join(LOG_FILE);
        let last = log.index.record(Position(37)).offset;
        workload.disk.tamper(&path, |bytes| bytes.truncate(last as usize + 9));
        let missing = |entries| {
            LogError::from(Damage {
                path: path.clone(),
                offset: last,
                kind: DamageKind::Missing { entries },
            })
        };
        let error = verify(&workload.disk, folder(), decode, |_, _| {}).unwrap_err();
        assert_eq!(error.to_string(), missing(3).to_string());
        let index = folder().join(INDEX_FILE);
        workload
            .disk
            .tamper(&index, |bytes| bytes.truncate(HEADER_BYTES + 30 * RECORD_BYTES));
        let verified = verify(&workload.disk, folder(), decode, |_, _| {}).unwrap();
        assert_eq!(
            (verified.heights.version(), verified.torn),
            (37, 9),
            "an index that knows less is only short"
        );
        workload.disk.remove(&path).unwrap();
        let error = verify(&workload.disk, folder(), decode, |_, _| {}).unwrap_err();
        assert!(
            error.to_string().contains("30 entries that had been there are gone"),
            "{error}"
        );
    }
}
