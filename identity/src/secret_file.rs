//! Files that hold a secret: their owner's alone, whole or not there at all.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// The longest secret that is read.
const BYTES_MAX: u64 = 64 * 1024;

/// A secret that cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The disk refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others can get at it.
    #[error("others can get at {} (mode {mode:o}), which is its owner's alone; run chmod {wanted:o} on it", path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// Too long to be a secret.
    #[error("{} has more than {BYTES_MAX} bytes and cannot be what it should be", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SecretFileError {
    move |source| SecretFileError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Makes sure that a folder is there and that only its owner can look into it.
///
/// # Errors
/// It cannot be made, or is there and open to others.
pub fn private_folder(path: &Path) -> Result<(), SecretFileError> {
    match fs::metadata(path) {
        Ok(metadata) => refuse_exposed(path, metadata.mode(), 0o700),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(path).map_err(failed("create the folder", path))
        }
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// Makes sure that a file is there and that only its owner can look into it, for whoever writes it otherwise.
///
/// # Errors
/// It cannot be made, or is there and open to others.
pub fn private_file(path: &Path) -> Result<(), SecretFileError> {
    let mut options = OpenOptions::new();
    // Not cut off where it is there, and never opened to others, not even for the moment in which it is made.
    options.append(true).create(true).mode(0o600);
    let file = options.open(path).map_err(failed("make", path))?;
    let metadata = file.metadata().map_err(failed("look at", path))?;
    refuse_exposed(path, metadata.mode(), 0o600)
}

/// Reads a secret; none where there is no such file.
///
/// # Errors
/// The file cannot be read, or others can read it too.
pub fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, SecretFileError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    // Of the open file, which nobody can exchange any more.
    let metadata = file.metadata().map_err(failed("look at", path))?;
    refuse_exposed(path, metadata.mode(), 0o600)?;
    let length = usize::try_from(metadata.len().min(BYTES_MAX)).unwrap_or_default();
    // Reserved as a whole: a buffer that grows leaves copies behind.
    let mut secret = Zeroizing::new(Vec::with_capacity(length + 1));
    let read = file.take(BYTES_MAX + 1).read_to_end(&mut secret);
    if read.map_err(failed("read", path))? as u64 > BYTES_MAX {
        return Err(SecretFileError::TooLong { path: path.to_owned() });
    }
    Ok(Some(secret))
}

/// Writes a secret beside its place and renames it, so that a crash leaves no half of it.
///
/// # Errors
/// The disk refuses.
pub fn write(path: &Path, secret: &[u8]) -> Result<(), SecretFileError> {
    let next = path.with_extension("tmp");
    // A left-over of a crash may have other permissions.
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &next)(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&next).map_err(failed("make", &next))?;
    file.write_all(secret)
        .and_then(|()| file.sync_all())
        .map_err(failed("write", &next))?;
    fs::rename(&next, path).map_err(failed("make", path))?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("sync", folder))
}

fn refuse_exposed(path: &Path, mode: u32, wanted: u32) -> Result<(), SecretFileError> {
    let mode = fs::Permissions::from_mode(mode).mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(SecretFileError::Exposed { path, mode, wanted });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_its_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        private_folder(&folder).unwrap();
        private_folder(&folder).unwrap();
        let path = folder.join("key");
        assert!(read(&path).unwrap().is_none());
        fs::write(folder.join("key.tmp"), "left by a crash").unwrap();
        write(&path, b"secret").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().as_slice(), b"secret");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            read(&path),
            Err(SecretFileError::Exposed {
                mode: 0o640,
                wanted: 0o600,
                ..
            })
        ));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(
            private_folder(&folder),
            Err(SecretFileError::Exposed { mode: 0o750, .. })
        ));
    }

    #[test]
    fn a_file_of_somebody_elses_format_is_its_owners_alone_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database");
        private_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::write(&path, "kept").unwrap();
        private_file(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"kept");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(private_file(&path), Err(SecretFileError::Exposed { .. })));
        assert!(matches!(private_file(&path.join("x")), Err(SecretFileError::Io { .. })));
    }

    #[test]
    fn what_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write(&path, &vec![0; usize::try_from(BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(read(&path), Err(SecretFileError::TooLong { .. })));
    }
}
