//! The device's key: an Ed25519 key pair, made at the first start and kept in the user's data folder for that user only.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use peerchat_identity::DeviceKey;

const FILE: &str = "device.key";

/// The key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The disk refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others can read it.
    #[error("others can read {} (mode {mode:o}): a device's key is its owner's alone; run chmod 600 on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no key.
    #[error("{} is no Ed25519 key in PKCS#8; move it away to become a new device", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system has no random numbers.
    #[error("the system has no random numbers for a new key")]
    NoRandomness,
}

/// The device of a user's data folder; a new one where the folder has no key.
///
/// # Errors
/// The file cannot be read or written, is no key, or can be read by others.
pub fn device(folder: &Path) -> Result<DeviceKey, KeyError> {
    let path = folder.join(FILE);
    let io = |action| {
        let path = path.clone();
        move |source| KeyError::Io { action, path, source }
    };
    match fs::read(&path) {
        Ok(pkcs8) => {
            let mode = fs::metadata(&path).map_err(io("look at"))?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Exposed { path, mode });
            }
            DeviceKey::from_pkcs8(&pkcs8).map_err(|_| KeyError::Malformed { path })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = DeviceKey::generate().map_err(|_| KeyError::NoRandomness)?;
            // Written beside and renamed, so that a crash leaves no half a key.
            let next = folder.join(format!("{FILE}.tmp"));
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&next).map_err(io("make"))?;
            file.write_all(key.pkcs8())
                .and_then(|()| file.sync_all())
                .map_err(io("write"))?;
            fs::rename(&next, &path).map_err(io("make"))?;
            Ok(key)
        }
        Err(source) => Err(io("read")(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_stays_the_same_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let device = |folder| device(folder).map(|key| key.public());
        let first = device(folder.path()).unwrap();
        assert_eq!(device(folder.path()).unwrap(), first);
        let path = folder.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            device(folder.path()),
            Err(KeyError::Exposed { mode: 0o640, .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"no key").unwrap();
        assert!(matches!(device(folder.path()), Err(KeyError::Malformed { .. })));
        fs::remove_file(&path).unwrap();
        assert_ne!(device(folder.path()).unwrap(), first, "a new key is another device");
    }
}
