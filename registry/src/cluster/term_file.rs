//! The highest term that a node has seen, on its disk.
//!
//! One line, `node ID term NUMBER`, replaced as a whole. The id is there so that two nodes that were given the same folder find out; the
//! lock beside it, so that they do also while both run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use peerchat_identity::secret_file::{self, SecretFileError};

use super::term::{NodeId, Term};

/// The file, and its lock, in the data folder.
const TERM_FILE: &str = "cluster.term";
const LOCK_FILE: &str = "cluster.lock";

/// The file is this process's own for as long as this lives.
#[derive(Debug)]
pub(super) struct TermFile {
    path: PathBuf,
    own: NodeId,
    _lock: fs::File,
}

/// The term cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum TermFileError {
    /// The disk refuses, or others can get at the file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The lock cannot be had.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else has it.
    #[error("{} is in use by another process: each node has a data folder of its own; choose one with --data", path.display())]
    InUse {
        /// The lock.
        path: PathBuf,
    },
    /// It is another node's.
    #[error("{} is that of node {found}: each node has a data folder of its own; choose one with --data", path.display())]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
    },
    /// It says something else.
    #[error(
        "{} does not say `node ID term NUMBER`; restore a copy of it, or remove it and start this node while a majority of the others runs",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl TermFile {
    /// The file in a folder, and the term in it: [`Term::NONE`] where it is not there yet.
    ///
    /// # Errors
    /// [`TermFileError`].
    pub(super) fn open(folder: &Path, own: NodeId) -> Result<(Self, Term), TermFileError> {
        secret_file::private_folder(folder)?;
        let lock = lock(folder.join(LOCK_FILE))?;
        let path = folder.join(TERM_FILE);
        let term = match secret_file::read(&path)? {
            None => Term::NONE,
            Some(line) => match parse(&line) {
                Some((node, term)) if node == own => term,
                Some((found, _)) => return Err(TermFileError::OtherNode { path, found }),
                None => return Err(TermFileError::Damaged { path }),
            },
        };
        let file = Self { path, own, _lock: lock };
        Ok((file, term))
    }

    /// Keeps a term. When this has succeeded, no crash takes it back.
    ///
    /// # Errors
    /// The disk refuses; the former term is still there.
    pub(super) fn keep(&self, term: Term) -> Result<(), SecretFileError> {
        let line = format!("node {} term {term}\n", self.own);
        secret_file::write(&self.path, line.as_bytes())
    }
}

fn lock(path: PathBuf) -> Result<fs::File, TermFileError> {
    secret_file::private_file(&path)?;
    let failed = |path, source| TermFileError::Lock { path, source };
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(source) => return Err(failed(path, source)),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(TermFileError::InUse { path }),
        Err(fs::TryLockError::Error(source)) => Err(failed(path, source)),
    }
}

pub(super) fn parse(line: &[u8]) -> Option<(NodeId, Term)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (node, term) = line.strip_prefix("node ")?.split_once(" term ")?;
    let number = term
        .parse()
        .ok()
        .filter(|_| term.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((node.parse().ok()?, Term::new(number)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_there_again_and_no_other_nodes() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let (two, three) = (NodeId::new(2).unwrap(), NodeId::new(3).unwrap());
        let (file, term) = TermFile::open(&folder, two).unwrap();
        assert_eq!(term, Term::NONE);
        let term = term.next_of(three).unwrap();
        file.keep(term).unwrap();
        assert!(matches!(TermFile::open(&folder, two), Err(TermFileError::InUse { .. })));
        drop(file);
        let (file, kept) = TermFile::open(&folder, two).unwrap();
        assert_eq!(kept, term);
        file.keep(term.next_of(two).unwrap()).unwrap();
        drop(file);
        let other = TermFile::open(&folder, three).unwrap_err();
        assert!(matches!(other, TermFileError::OtherNode { found, .. } if found == two));
    }

    #[test]
    fn what_is_damaged_is_an_error_and_no_new_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("data");
        let two = NodeId::new(2).unwrap();
        drop(TermFile::open(&folder, two).unwrap());
        for text in [
            "",
            "node 2 term",
            "node 2 term 203",
            "node 2 term +203\n",
            "node 2 term 200\n",
            "node 0 term 203\n",
        ] {
            secret_file::write(&folder.join(TERM_FILE), text.as_bytes()).unwrap();
            let error = TermFile::open(&folder, two).unwrap_err();
            assert!(matches!(error, TermFileError::Damaged { .. }), "{text}");
        }
    }
}
