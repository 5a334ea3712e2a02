//! A user's data folder: `<data>/<user>/`, for one process at a time; and in it one for each authority.

pub mod earlier;
pub mod places;

use std::path::{Path, PathBuf};

use crate::{
    log::{self, DataLock, Disk as _, IoError, LockError, RealDisk},
    node::types::UserName,
};

/// A user's data folder, held by this process.
#[derive(Debug)]
pub struct UserFolder {
    path: PathBuf,
    _lock: DataLock,
}

impl UserFolder {
    /// Opens the folder of a user below `data`, both of which are made where they are not there.
    ///
    /// # Errors
    /// Another process holds it, or the disk refuses.
    pub fn open(data: &Path, user: &UserName) -> Result<Self, LockError> {
        std::fs::create_dir_all(data).map_err(|source| IoError::new(data, "make the folder", source))?;
        let path = Self::path_of(data, user);
        RealDisk.create_folder(&path)?;
        // No process can hold a folder of that name.
        let lock = path.join("lock");
        if lock.is_dir() {
            let aside = path.join("lock.set-aside-1");
            std::fs::rename(&lock, aside).map_err(|source| IoError::new(&lock, "set aside", source))?;
        }
        Ok(Self {
            _lock: DataLock::acquire(&path)?,
            path,
        })
    }

    /// Where the folder of a user is, whether it is there or not.
    pub fn path_of(data: &Path, user: &UserName) -> PathBuf {
        data.join(log::folder_name(user.key()))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
