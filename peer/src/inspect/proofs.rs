//! Checking the seals beside a log, and the introductions of those who made them.

use std::{collections::BTreeMap, path::Path};

use super::InspectError;
use crate::{
    log::{self, LOG_FILE, LogError, RealDisk, SEALS_FILE, contradiction_file},
    net::convert::decode_entry,
    node::{
        sealing::Seal,
        types::{Author, Conversation, DeviceId, Entry, Heights, Seq, UserName},
    },
    seal::{self, Judge},
};

/// Whose the devices are, by the introductions in a user's folder. One that is not believed proves nothing and is left out: it may be of
/// another registry.
pub(super) fn introduced(folder: &Path, judge: &dyn Judge) -> Result<BTreeMap<DeviceId, UserName>, InspectError> {
    let certificates = log::read_introductions(&RealDisk, folder)?.into_iter();
    let introductions = certificates.filter_map(|certificate| seal::introduction(certificate, judge).ok());
    Ok(introductions.map(|known| (known.device, known.user)).collect())
}

/// The seals beside a log, to be held against its entries.
pub(super) struct Proofs<'a> {
    title: &'a str,
    folder: &'a Path,
    seals: BTreeMap<(Author, Seq), (Seal, u64)>,
    introduced: &'a BTreeMap<DeviceId, UserName>,
    wrong: Option<InspectError>,
}

impl<'a> Proofs<'a> {
    /// Reads the seals of a conversation and judges their signatures, and the proofs that authors contradict themselves.
    pub(super) fn read(
        title: &'a str,
        (conversation, folder): (&Conversation, &'a Path),
        introduced: &'a BTreeMap<DeviceId, UserName>,
        judge: &dyn Judge,
    ) -> Result<Self, LogError> {
        let mut proofs = Self {
            title,
            folder,
            seals: BTreeMap::new(),
            introduced,
            wrong: None,
        };
        let mut found = Vec::new();
        log::read_seals(&RealDisk, folder, |seal, offset| found.push((seal, offset)))?;
        for (seal, offset) in found {
            match seal {
                None => proofs.is_wrong(SEALS_FILE, offset, "no whole seal, where one must be"),
                Some(seal) if !seal::is_good(judge, conversation, &seal) => {
                    let what = format!(
                        "the seal of entry {} of {} is not its author's",
                        seal.seq.0, seal.author
                    );
                    proofs.is_wrong(SEALS_FILE, offset, &what);
                }
                Some(seal) => {
                    proofs.seals.insert((seal.author, seal.seq), (seal, offset));
                }
            }
        }
        log::read_contradictions(&RealDisk, folder, decode_entry, |author, proof| {
            if !proof.is_some_and(|proof| seal::is_proved(judge, conversation, &proof)) {
                proofs.is_wrong(
                    &contradiction_file(&author),
                    0,
                    "it does not prove that its author contradicts himself",
                );
            }
        })?;
        Ok(proofs)
    }

    /// Holds an entry, which is at a place in the log, against its seal and its author's introduction.
    pub(super) fn check(&mut self, entry: &Entry, place: u64) {
        let Author { device, .. } = entry.author;
        if let (Some(user), Some(certified)) = (&entry.user, self.introduced.get(&device))
            && user != certified
        {
            let what = format!("device {device} writes as {user}, but it is {certified}'s");
            self.is_wrong(LOG_FILE, place, &what);
        }
        if let Some((seal, offset)) = self.seals.get(&(entry.author, entry.seq))
            && seal.id != entry.id
        {
            let (seq, author) = (entry.seq.0, entry.author);
            let what = format!("the seal of entry {seq} of {author} is of another entry than the log's");
            self.is_wrong(SEALS_FILE, *offset, &what);
        }
    }

    /// How many of the entries that are held are proved to be their authors'.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn finish(self, held: &Heights) -> Result<u64, InspectError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let mut proved: BTreeMap<Author, Seq> = BTreeMap::new();
        for (author, seq) in self.seals.into_keys() {
            // A log that lost its end may have seals of what it lost.
            if seq <= held.of(&author) && self.introduced.contains_key(&author.device) {
                proved.insert(author, seq);
            }
        }
        Ok(Heights(proved).version())
    }

    fn is_wrong(&mut self, file: &str, offset: u64, what: &str) {
        if self.wrong.is_none() {
            self.wrong = Some(InspectError::BadSeal {
                title: self.title.to_owned(),
                path: self.folder.join(file),
                offset,
                what: what.to_owned(),
            });
        }
    }
}
