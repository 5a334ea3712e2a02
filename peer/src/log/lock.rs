//! One process per data folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::disk::IoError;

const FILE: &str = "lock";

/// Holds a data folder until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    /// Never unlinked: another process may be about to lock the same file.
    file: File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process uses it.
    #[error(
        "{} is in use by {}: end it, or choose another folder with --data",
        folder.display(),
        match pid { Some(pid) => format!("process {pid}"), None => "another process".to_owned() }
    )]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The process, if it could be found out.
        pid: Option<u32>,
    },
    /// The disk refuses.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl DataLock {
    /// Takes the folder, which must be there.
    ///
    /// # Errors
    /// Another process has it, or the disk refuses.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(FILE);
        let error = |action| {
            let path = path.clone();
            move |source| LockError::Io(IoError::new(&path, action, source))
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(error("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = fs::read_to_string(&path).unwrap_or_default();
                return Err(LockError::Held {
                    folder: folder.to_owned(),
                    pid: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(error("lock")(source)),
        }
        // Only for the message of the one who comes second.
        file.set_len(0).map_err(error("write to"))?;
        writeln!(file, "{}", std::process::id()).map_err(error("write to"))?;
        Ok(Self { file })
    }
}

impl Drop for DataLock {
    fn drop(&mut self) {
        // Closing the file unlocks it too, unless a child process has inherited it.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataLock::acquire(folder.path()).unwrap();
        let error = DataLock::acquire(folder.path()).unwrap_err();
        assert!(
            error.to_string().contains(&format!("process {}", std::process::id())),
            "{error}"
        );
        drop(first);
        DataLock::acquire(folder.path()).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_its_name() {
        let error = DataLock::acquire(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot open /nowhere/at/all/lock: "),
            "{error}"
        );
    }
}
