//! The temporary folder of a bench.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::BenchError;

/// A folder that is its owner's alone, and is removed at the end.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one where the system keeps what is temporary, which `TMPDIR` says.
    ///
    /// # Errors
    /// There is no room, or nothing may be made there.
    pub fn new() -> Result<Self, BenchError> {
        let name = format!("peerchat-bench-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| BenchError::Folder {
            path: path.clone(),
            source,
        })?;
        Ok(Self(path))
    }

    /// A folder in it, for one scenario.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn part(&self, name: &str) -> Result<PathBuf, BenchError> {
        let path = self.0.join(name);
        match fs::create_dir(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(BenchError::Folder { path, source }),
        }
    }

    /// Removes a part whose figures are taken, so that a long bench takes no more of the disk than its largest scenario.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn clear(&self, part: &Path) -> Result<(), BenchError> {
        match fs::remove_dir_all(part) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(BenchError::Folder {
                path: part.to_owned(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nobody can be told of it here, and what is left is in the folder for what is temporary.
        let _left = fs::remove_dir_all(&self.0);
    }
}
