//! The files `contradiction-…` beside a log: of each author who is proved to contradict himself, the proof.
//!
//! Each is written once, as a whole. One that is damaged is a lost proof, which comes again from whoever else has it.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    Log, LogError,
    disk::{Disk, DiskFile, IoError, beside},
    forked::author_of,
    format::{FRAME_HEAD_BYTES, HEADER_BYTES, Header, Kind, Life, decode_header, encode_frame, encode_header},
    introductions::frames,
    seals::{CONTENT_BYTES, content, seal_of},
};
use crate::node::{
    contradiction::Contradiction,
    limits::{CONTRADICTION_BYTES_MAX, CONTRADICTION_ENTRIES_MAX, FORKED_MAX},
    types::{Author, Decode},
};

/// What is no longer than this is synced at once. Only who means harm makes longer ones, and nobody is to wait for the disk for his sake;
/// those that a loss of power takes come again from whoever else has them.
const SYNCED_BYTES_MAX: usize = 1024 * 1024;

const PREFIX: &str = "contradiction-";

const FILE_BYTES_MAX: usize = HEADER_BYTES
    + 2 * (FRAME_HEAD_BYTES + CONTENT_BYTES)
    + CONTRADICTION_ENTRIES_MAX * FRAME_HEAD_BYTES
    + CONTRADICTION_BYTES_MAX;

impl<D: Disk> Log<D> {
    /// Keeps what proves that an author contradicts himself. It is durable when this returns, but for a very long one: nobody is to
    /// wait for the disk meanwhile, so a loss of power may take that. It comes again, and until then what names what is missing is not served.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep_contradiction(&self, proof: &Contradiction) -> Result<(), LogError> {
        self.keep(proof, SYNCED_BYTES_MAX)
    }

    fn keep(&self, proof: &Contradiction, synced_bytes_max: usize) -> Result<(), LogError> {
        let life = Life(self.disk.random());
        let mut bytes = encode_header(Kind::Contradiction, life).to_vec();
        for seal in [&proof.seal, &proof.other] {
            encode_frame(life, &content(seal), &mut bytes);
        }
        for entry in &proof.entries {
            encode_frame(life, &entry.bytes, &mut bytes);
        }
        let path = self.folder.join(contradiction_file(&proof.author()));
        if bytes.len() <= synced_bytes_max {
            return Ok(self.disk.replace(&path, &bytes)?);
        }
        let next = beside(&path, ".tmp");
        self.disk.create(&next)?.write_at(0, &bytes)?;
        Ok(self.disk.rename(&next, &path)?)
    }

    /// What proves that an author contradicts himself; none where there is nothing, or where it is damaged.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn contradiction(&self, author: &Author) -> Result<Option<Contradiction>, LogError> {
        Ok(read(&self.disk, &self.folder, author, self.decode)?)
    }

    /// The authors of whom there is such a proof. Reads them all: one that is damaged is asked for again, and there are few.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn contradictions(&self) -> Result<BTreeSet<Author>, LogError> {
        let mut found = BTreeSet::new();
        read_contradictions(&self.disk, &self.folder, self.decode, |author, proof| {
            found.extend(proof.map(|_| author));
        })?;
        Ok(found)
    }
}

/// Hands out what the files of a log's folder prove, with the author after whom each is named; none where one is damaged.
///
/// # Errors
/// The disk refuses.
pub fn read_contradictions<D: Disk>(
    disk: &D,
    folder: &Path,
    entry: Decode,
    mut each: impl FnMut(Author, Option<Contradiction>),
) -> Result<(), IoError> {
    let names = disk.list(folder)?;
    let authors = names.iter().filter_map(|name| {
        let (device, incarnation) = name.strip_prefix(PREFIX)?.split_once('-')?;
        author_of(device, incarnation)
    });
    for author in authors.take(FORKED_MAX) {
        each(author, read(disk, folder, &author, entry)?);
    }
    Ok(())
}

fn read<D: Disk>(disk: &D, folder: &Path, author: &Author, entry: Decode) -> Result<Option<Contradiction>, IoError> {
    let bytes = disk.read_small(&folder.join(contradiction_file(author)), FILE_BYTES_MAX)?;
    let proof = bytes.and_then(|bytes| decode(&bytes.into(), entry));
    Ok(proof.filter(|proof| proof.author() == *author))
}

/// The name of the file that proves that an author contradicts himself.
pub fn contradiction_file(Author { device, incarnation }: &Author) -> String {
    format!("{PREFIX}{device}-{incarnation:016x}")
}

fn decode(bytes: &Bytes, entry: Decode) -> Option<Contradiction> {
    let (Header::Good(life) | Header::Half(life)) = decode_header(Kind::Contradiction, bytes) else {
        return None;
    };
    let (found, end) = frames(bytes, life);
    let [seal, other, entries @ ..] = &found[..] else {
        return None;
    };
    let entries = entries.iter().map(|bytes| entry(bytes.clone()).ok().map(Arc::new));
    let proof = Contradiction {
        seal: seal_of(seal)?,
        other: seal_of(other)?,
        entries: entries.collect::<Option<_>>()?,
    };
    (end == bytes.len() && proof.entries.len() as u64 == proof.needs()).then_some(proof)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        log::{
            MemoryDisk,
            testing::{author, decode, entry, folder},
        },
        node::{
            sealing::Seal,
            types::{EntryId, Seq},
        },
    };

    fn proof() -> Contradiction {
        let seal = |seq, id| Seal {
            author: author(1),
            seq: Seq(seq),
            id: EntryId([id; 32]),
            signature: [7; 64],
        };
        Contradiction {
            seal: seal(2, 1),
            other: seal(4, 2),
            entries: vec![entry(1, 3, 3), entry(1, 4, 4)],
        }
    }

    #[test]
    fn a_proof_is_there_again_and_one_that_is_damaged_is_none() {
        let disk = MemoryDisk::new(1);
        let log = Log::open(disk.clone(), folder(), decode).unwrap().0;
        let proof = proof();
        log.keep_contradiction(&proof).unwrap();
        assert_eq!(log.contradictions().unwrap(), [author(1)].into());
        let found = log.contradiction(&author(1)).unwrap().expect("it is there");
        assert_eq!(format!("{found:?}"), format!("{proof:?}"));
        assert_eq!(log.contradiction(&author(2)).unwrap(), None);
        let path = folder().join(contradiction_file(&author(1)));
        disk.tamper(&path, |bytes| bytes[300] ^= 1);
        assert_eq!(log.contradiction(&author(1)).unwrap(), None);
        assert!(log.contradictions().unwrap().is_empty(), "it is to come again");
        disk.tamper(&path, |bytes| bytes.truncate(100));
        assert_eq!(log.contradiction(&author(1)).unwrap(), None);
    }

    #[test]
    fn a_long_proof_waits_for_no_disk_and_a_loss_of_power_leaves_all_of_it_or_none() {
        let mut kept = BTreeSet::new();
        for seed in 0..20 {
            let disk = MemoryDisk::new(seed);
            let log = Log::open(disk.clone(), folder(), decode).unwrap().0;
            let before = disk.operations();
            log.keep(&proof(), 0).unwrap();
            assert_eq!(disk.operations() - before, 3, "made, written, renamed");
            let again = |disk: MemoryDisk| {
                let log = Log::open(disk, folder(), decode).unwrap().0;
                log.contradiction(&author(1)).unwrap().map(|proof| format!("{proof:?}"))
            };
            assert_eq!(again(disk.kill()), Some(format!("{:?}", proof())));
            let left = again(disk.power_loss());
            kept.insert(left.is_some());
            assert!(left.is_none_or(|left| left == format!("{:?}", proof())));
        }
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn another_one_outlasts_a_loss_of_power() {
        for seed in 0..20 {
            let disk = MemoryDisk::new(seed);
            let log = Log::open(disk.clone(), folder(), decode).unwrap().0;
            log.keep_contradiction(&proof()).unwrap();
            let log = Log::open(disk.power_loss(), folder(), decode).unwrap().0;
            assert!(log.contradiction(&author(1)).unwrap().is_some());
        }
    }
}
