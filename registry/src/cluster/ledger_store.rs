//! What a node keeps for the ledger, in its data folder.
//!
//! A line that says whose it is, a random number, and then one frame for each [`LedgerStore::keep`]: a mark, a length, a check sum that contains the
//! random number, and the records. A frame is synced before the next one is begun. So where the end of the file is no
//! whole frame, a crash has torn what nobody relied on yet, and it is cut off; where a whole one comes later, the disk has lost something, which is
//! an error and never passed over: this node might have said that it has it. When the file has grown to several times what is in it, it is
//! replaced as a whole.

pub(super) mod record;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use peerchat_identity::secret_file::{self, SecretFileError};
use ring::digest::{SHA256, digest};

use super::{
    ledger::{Kept, Record},
    term::NodeId,
};

/// The file in the data folder.
const LEDGER_FILE: &str = "cluster.ledger";

const MARK: [u8; 4] = *b"\xf1LDG";
const SALT: usize = 16;
const SUM: usize = 8;
const HEAD: usize = MARK.len() + 8 + SUM;

/// A file that is smaller is never replaced.
const REPLACED_FROM: u64 = 4 * 1_024 * 1_024;

/// How many times larger than when it was last replaced the file becomes.
const GROWS_TO: u64 = 4;

/// The file, for as long as this lives. That no other process has it is seen to by the lock of the term's file.
#[derive(Debug)]
pub struct LedgerStore {
    path: PathBuf,
    own: NodeId,
    salt: [u8; SALT],
    kept: Kept,
    file: fs::File,
    size: u64,
    replaced_size: u64,
    /// A write has failed, and it is not known what of it is there.
    is_broken: bool,
}

/// What was decided cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerStoreError {
    /// The disk refuses, or others can get at the file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The disk refuses.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has refused before, and was not mended.
    #[error("{} could not be written before", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// It is another node's, or of another kind.
    #[error("{} is not the ledger of node {own}: each node has a data folder of its own; choose one with --data", path.display())]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// Whose it should be.
        own: NodeId,
    },
    /// Something in its middle is lost.
    #[error(
        "{} is damaged at byte {at}; restore the disk, or remove the file and start this node while all others run, from whom it then catches up",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
    },
}

impl LedgerStore {
    /// Whether a folder is that of a node.
    pub fn is_in(folder: &Path) -> bool {
        folder.join(LEDGER_FILE).exists()
    }

    /// The file in a folder, and what is in it: nothing where it is not there yet. `salt` is random.
    ///
    /// # Errors
    /// [`LedgerStoreError`].
    pub fn open(folder: &Path, own: NodeId, salt: [u8; SALT]) -> Result<(Self, Kept), LedgerStoreError> {
        secret_file::private_folder(folder)?;
        let path = folder.join(LEDGER_FILE);
        if !path.exists() {
            secret_file::write(&path, &head(own, salt))?;
        }
        secret_file::private_file(&path)?;
        let failed = |source| LedgerStoreError::Write {
            path: path.clone(),
            source,
        };
        let bytes = fs::read(&path).map_err(failed)?;
        let salt_at = head(own, salt).len() - SALT;
        let salt = bytes.get(salt_at..).and_then(|rest| rest.first_chunk::<SALT>());
        let salt = salt.filter(|salt| bytes.starts_with(&head(own, **salt)));
        let Some(salt) = salt.copied() else {
            return Err(LedgerStoreError::OtherNode { path, own });
        };
        let (mut kept, mut at) = (Kept::default(), salt_at + SALT);
        while let Some((records, next)) = frame(&bytes, at, &salt) {
            records.iter().for_each(|record| kept.take(record));
            at = next;
        }
        if (at + 1..bytes.len()).any(|later| frame(&bytes, later, &salt).is_some()) {
            return Err(LedgerStoreError::Damaged { path, at });
        }
        let file = fs::OpenOptions::new().append(true).open(&path).map_err(failed)?;
        let size = at as u64;
        file.set_len(size).and_then(|()| file.sync_all()).map_err(failed)?;
        let store = Self {
            path,
            own,
            salt,
            kept: kept.clone(),
            file,
            size,
            replaced_size: size,
            is_broken: false,
        };
        Ok((store, kept))
    }

    /// Keeps records, all or none. When this has succeeded, no crash takes them back.
    ///
    /// # Errors
    /// The disk refuses; then nothing more is taken.
    pub fn keep(&mut self, records: &[Record]) -> Result<(), LedgerStoreError> {
        if self.is_broken {
            let path = self.path.clone();
            return Err(LedgerStoreError::Broken { path });
        }
        self.is_broken = true;
        records.iter().for_each(|record| self.kept.take(record));
        let bytes = framed(records, &self.salt);
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        written.map_err(|source| self.failed(source))?;
        self.size += bytes.len() as u64;
        if self.size > REPLACED_FROM.max(self.replaced_size.saturating_mul(GROWS_TO)) {
            self.replace()?;
        }
        self.is_broken = false;
        Ok(())
    }

    /// Keeps what has failed to be kept, by writing all there is to another file. When this has succeeded, it goes on as if nothing had failed.
    ///
    /// # Errors
    /// The disk refuses still.
    pub fn mend(&mut self) -> Result<(), LedgerStoreError> {
        self.replace()?;
        self.is_broken = false;
        Ok(())
    }

    fn replace(&mut self) -> Result<(), LedgerStoreError> {
        let mut bytes = head(self.own, self.salt);
        bytes.extend(framed(&record::records_of(&self.kept), &self.salt));
        secret_file::write(&self.path, &bytes)?;
        let opened = fs::OpenOptions::new().append(true).open(&self.path);
        self.file = opened.map_err(|source| self.failed(source))?;
        self.size = bytes.len() as u64;
        self.replaced_size = self.size;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> LedgerStoreError {
        let path = self.path.clone();
        LedgerStoreError::Write { path, source }
    }
}

fn head(own: NodeId, salt: [u8; SALT]) -> Vec<u8> {
    let mut head = format!("peerchat ledger 1 of node {own:02}\n").into_bytes();
    head.extend_from_slice(&salt);
    head
}

fn sum(salt: &[u8; SALT], payload: &[u8]) -> [u8; SUM] {
    let hash = digest(&SHA256, &[salt, payload].concat());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

fn framed(records: &[Record], salt: &[u8; SALT]) -> Vec<u8> {
    let mut payload = Vec::new();
    records.iter().for_each(|record| record::encode(record, &mut payload));
    let length = (payload.len() as u64).to_le_bytes();
    [&MARK[..], &length, &sum(salt, &payload), &payload].concat()
}

/// The frame that begins here, if it is whole, and where the next one begins.
fn frame(bytes: &[u8], at: usize, salt: &[u8; SALT]) -> Option<(Vec<Record>, usize)> {
    let (mark, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (expected, rest) = rest.split_first_chunk::<SUM>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let payload = rest.get(..length).filter(|_| *mark == MARK)?;
    let records = (sum(salt, payload) == *expected).then(|| record::decode(payload))??;
    Some((records, at + HEAD + length))
}

#[cfg(test)]
#[path = "ledger_store_tests.rs"]
mod tests;
