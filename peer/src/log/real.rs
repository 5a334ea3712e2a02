//! The disk of the machine.

use std::{
    collections::hash_map::RandomState,
    fs::{self, DirBuilder, File, Metadata},
    hash::{BuildHasher as _, Hasher as _},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
};

use super::{
    disk::{Disk, DiskFile, IoError, Stamp},
    file_pool::{Pool, Pooled},
};

/// Folders are for their owner only: a chat is private.
const FOLDER_MODE: u32 = 0o700;
/// Files as well.
const FILE_MODE: u32 = 0o600;

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// A file of the machine, open while it is needed.
#[derive(Debug, Clone)]
pub struct RealFile(Arc<Pooled>);

impl RealFile {
    fn error(&self, action: &'static str) -> impl Fn(io::Error) -> IoError {
        move |source| IoError::new(self.0.path(), action, source)
    }

    fn meta(&self) -> Result<Metadata, IoError> {
        let file = self.0.file().map_err(self.error("examine"))?;
        file.metadata().map_err(self.error("examine"))
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, IoError> {
        let file = self.0.file().map_err(self.error("read"))?;
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error("read")(error)),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let file = self.0.file_to_write().map_err(self.error("write to"))?;
        file.write_all_at(bytes, offset).map_err(self.error("write to"))
    }

    fn write_loose_at(&self, offset: u64, bytes: &[u8]) -> Result<(), IoError> {
        let file = self.0.file().map_err(self.error("write to"))?;
        file.write_all_at(bytes, offset).map_err(self.error("write to"))
    }

    fn truncate(&self, len: u64) -> Result<(), IoError> {
        let file = self.0.file_to_write().map_err(self.error("shorten"))?;
        file.set_len(len).map_err(self.error("shorten"))
    }

    fn len(&self) -> Result<u64, IoError> {
        Ok(self.meta()?.len())
    }

    fn sync(&self) -> Result<(), IoError> {
        self.0.sync().map_err(self.error("sync"))
    }

    fn check_place(&self) -> Result<(), IoError> {
        self.0.check_place().map_err(self.error("use"))
    }

    fn stamp(&self) -> Result<Stamp, IoError> {
        let meta = self.meta()?;
        Ok(Stamp {
            inode: meta.ino(),
            changed: i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec()),
        })
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn open(&self, path: &Path) -> Result<Option<RealFile>, IoError> {
        match Pool::of_process().open(path, |path| File::options().read(true).write(true).open(path)) {
            Ok(file) => Ok(Some(RealFile(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IoError::new(path, "open", error)),
        }
    }

    fn create(&self, path: &Path) -> Result<RealFile, IoError> {
        let mut options = File::options();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE);
        let file = Pool::of_process().open(path, |path| options.open(path));
        file.map(RealFile).map_err(|error| IoError::new(path, "create", error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), IoError> {
        fs::rename(from, to).map_err(|error| IoError::new(from, "rename", error))
    }

    fn remove(&self, path: &Path) -> Result<(), IoError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(IoError::new(path, "remove", error)),
            _ => Ok(()),
        }
    }

    fn list(&self, folder: &Path) -> Result<Vec<String>, IoError> {
        let error = |source| IoError::new(folder, "list", source);
        let entries = match Pool::of_process().with_room(|| fs::read_dir(folder)) {
            Ok(entries) => entries,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(error(source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(error)?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    fn make_folder(&self, folder: &Path) -> Result<bool, IoError> {
        match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
            Ok(()) => Ok(true),
            Err(_) if folder.is_dir() => Ok(false),
            Err(error) => Err(IoError::new(folder, "create", error)),
        }
    }

    fn sync_folder(&self, folder: &Path) -> Result<(), IoError> {
        Pool::of_process()
            .with_room(|| File::open(folder))
            .and_then(|opened| opened.sync_all())
            .map_err(|error| IoError::new(folder, "sync", error))
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn random(&self) -> u64 {
        // Each of these hashers has keys from the system's source of randomness.
        RandomState::new().build_hasher().finish()
    }

    fn is_exposed(&self, path: &Path) -> Result<bool, IoError> {
        let meta = fs::metadata(path).map_err(|error| IoError::new(path, "examine", error))?;
        Ok(meta.mode() & 0o077 != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_and_folders_are_for_their_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a");
        RealDisk.create_folder(&folder).unwrap();
        RealDisk.create_folder(&folder).unwrap();
        let path = folder.join("f");
        RealDisk.replace(&path, b"hello").unwrap();
        assert_eq!(RealDisk.read_small(&path, 9).unwrap().unwrap(), b"hello");
        assert_eq!(
            RealDisk.read_small(&path, 2).unwrap().unwrap().len(),
            3,
            "too long shows"
        );
        assert_eq!(RealDisk.list(&folder).unwrap(), ["f"], "no temporary file stays");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        RealDisk.remove(&path).unwrap();
        RealDisk.remove(&path).unwrap();
        assert!(RealDisk.open(&path).unwrap().is_none());
        assert!(RealDisk.list(&root.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn errors_name_the_file_and_the_action() {
        let error = RealDisk.create(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot create /nowhere/at/all: "),
            "{error}"
        );
    }
}
