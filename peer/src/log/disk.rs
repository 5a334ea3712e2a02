//! What the log asks of a disk. [`RealDisk`](super::real::RealDisk) is the one of the machine;
//! [`MemoryDisk`](super::memory::MemoryDisk) is one that can crash at every operation.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// The disk said no: to what, at which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct IoError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried, as in "cannot … the file".
    pub action: &'static str,
    /// What the system says.
    pub source: io::Error,
}

impl IoError {
    /// For `map_err`.
    pub fn new(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            action,
            source,
        }
    }

    /// Whether there is no room left: something that the user can mend.
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

/// What tells a file from a copy of it and from itself before a change. Changed by every write, never by reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// The number of the file in its file system: other for a copy.
    pub inode: u64,
    /// When content or attributes last changed, in nanoseconds as the system counts them. Unlike the time of modification,
    /// nobody can set it back, so a file that was overwritten by its own backup differs.
    pub changed: i128,
}

/// A file. Cheap to clone; a clone is the same file, so another thread can sync what this one writes.
pub trait DiskFile: fmt::Debug + Clone + Send + Sync + 'static {
    /// Fills `buffer` from `offset` on and tells how many bytes there were: fewer only at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, IoError>;

    /// Writes all of `bytes` at `offset`, in one call where the system does. After an error any part may be written.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError>;

    /// Writes as [`DiskFile::write_at`] does what a loss of power may take: nothing that is promised to anybody depends on it.
    ///
    /// # Errors
    /// What the system says.
    fn write_loose_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.write_at(offset, bytes)
    }

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, len: u64) -> Result<(), IoError>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> Result<u64, IoError>;

    /// Whether nothing is in it.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> Result<bool, IoError> {
        Ok(self.len()? == 0)
    }

    /// Returns when what was written survives a loss of power. Blocks for milliseconds, and on a slow disk for seconds.
    ///
    /// # Errors
    /// What the system says; then nothing is known about any write since the last sync, and a second try proves nothing. Also where
    /// [`DiskFile::check_place`] finds something.
    fn sync(&self) -> Result<(), IoError>;

    /// Sees to it that the file still has the name under which it was opened. A file without a name takes all that is written to it, and
    /// everything is gone with the process.
    ///
    /// # Errors
    /// Its folder was renamed or removed, or another file is in its place.
    fn check_place(&self) -> Result<(), IoError>;

    /// What tells this file from a copy.
    ///
    /// # Errors
    /// What the system says.
    fn stamp(&self) -> Result<Stamp, IoError>;
}

/// A file system. Cheap to clone; a clone is the same file system.
pub trait Disk: fmt::Debug + Clone + Send + Sync + 'static {
    /// Its open files.
    type File: DiskFile;

    /// Opens a file for reading and writing; none where there is no such file.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path) -> Result<Option<Self::File>, IoError>;

    /// Makes an empty file that only the user can read, or empties the one that is there. Its name is durable after
    /// [`Disk::sync_folder`].
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> Result<Self::File, IoError>;

    /// Renames a file, replacing one of the new name. Durable after [`Disk::sync_folder`].
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), IoError>;

    /// Removes a file; no error where there is none. Durable after [`Disk::sync_folder`].
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> Result<(), IoError>;

    /// The names in a folder, sorted, without those that are not UTF-8; none where there is no such folder.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, folder: &Path) -> Result<Vec<String>, IoError>;

    /// Makes one folder that only the user can enter; false where it is there. Its parent must be there. Durable after [`Disk::sync_folder`] of
    /// that.
    ///
    /// # Errors
    /// What the system says.
    fn make_folder(&self, folder: &Path) -> Result<bool, IoError>;

    /// The same, durably.
    ///
    /// # Errors
    /// What the system says.
    fn create_folder(&self, folder: &Path) -> Result<(), IoError> {
        match self.make_folder(folder)? {
            true => self.sync_folder(folder_of(folder)),
            false => Ok(()),
        }
    }

    /// Makes what happened to the names in a folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, folder: &Path) -> Result<(), IoError>;

    /// Whether there is a folder at a path.
    fn is_folder(&self, path: &Path) -> bool;

    /// A number that nobody else can know.
    fn random(&self) -> u64;

    /// Whether others than its owner can read a file. A disk that knows no owners says no.
    ///
    /// # Errors
    /// What the system says.
    fn is_exposed(&self, _path: &Path) -> Result<bool, IoError> {
        Ok(false)
    }

    /// Puts a small file in place of what is at `path`: after a crash there is the old one or the new one, whole, and once this
    /// returns, the new one.
    ///
    /// # Errors
    /// What the system says.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), IoError> {
        let next = beside(path, ".tmp");
        let file = self.create(&next)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        self.rename(&next, path)?;
        self.sync_folder(folder_of(path))
    }

    /// The same, but a loss of power may take it and leave anything.
    ///
    /// # Errors
    /// What the system says.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), IoError> {
        let next = beside(path, ".tmp");
        self.create(&next)?.write_at(0, bytes)?;
        self.rename(&next, path)
    }

    /// All of a small file; none where there is no such file. Of a longer file the first `max` + 1 bytes, so that the caller
    /// sees that it is too long.
    ///
    /// # Errors
    /// What the system says.
    fn read_small(&self, path: &Path, max: usize) -> Result<Option<Vec<u8>>, IoError> {
        let Some(file) = self.open(path)? else {
            return Ok(None);
        };
        let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(max + 1);
        let mut bytes = vec![0; len];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }
}

/// The folder that `path` is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `path` with something after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}
