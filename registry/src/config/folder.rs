//! Where a registry keeps what must survive a restart.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy as _;

use super::Config;
use crate::{accounts::store, authority::KEY_FILE};

/// The folder of all registries of a user, in the XDG data folder.
const OF_ALL: &str = "peerchat-registry";

/// The folder in `--data` in which all is kept.
pub(crate) const IN_DATA: &str = "registry";

/// What shows that a registry was kept in a folder: its key, its accounts.
const KEPT: [&str; 2] = [KEY_FILE, store::FILE];

/// A data folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// It is not there and cannot be made.
    #[error("cannot create the data folder {}", path.display())]
    Create {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something else has its name.
    #[error("the data folder {} is not a folder; choose another one with --data", path.display())]
    NotAFolder {
        /// Which.
        path: PathBuf,
    },
    /// It is there, but no file can be made in it.
    #[error("cannot write in the data folder {}; allow it, or choose another one with --data", path.display())]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds itself what belongs one folder further in, as a copy of a registry's folder does.
    #[error(
        "{} has {found} of a registry, but --data DIR keeps a registry in DIR/{IN_DATA}, which has none here: another one \
        would begin, with a new key and no accounts. To go on with this one, move all files of that folder into {}, \
        both their owner's alone (chmod 700); or choose another folder with --data", data.display(), data.join(IN_DATA).display()
    )]
    OneTooFar {
        /// The folder of `--data`.
        data: PathBuf,
        /// What is in it.
        found: &'static str,
    },
    /// There is no place for a default one.
    #[error("cannot find a folder for accounts and keys; choose one with --data")]
    NoHome(#[source] etcetera::HomeDirError),
    /// A command needs one, and a registry on any free port has none.
    #[error("a registry on a port of its own choice keeps nothing; name its folder with --data")]
    Nothing,
}

impl Config {
    /// Where accounts and keys are kept: in a folder in `--data`, or else in one of this listening address, or of the
    /// entry of a node in its cluster's list. None means in memory: a
    /// registry on any free port is another one at each start.
    ///
    /// # Errors
    /// [`DataFolderError::NoHome`]; [`DataFolderError::OneTooFar`] where a registry is in `--data` itself.
    pub fn data_folder(&self) -> Result<Option<PathBuf>, DataFolderError> {
        if let Some(data) = &self.data {
            let data = data.clone();
            // A folder of its own, since one that its operator made is often open to others.
            let folder = data.join(IN_DATA);
            return match kept_in(&data, self.ca.is_some()) {
                Some(found) if kept_in(&folder, false).is_none() => Err(DataFolderError::OneTooFar { data, found }),
                _ => Ok(Some(folder)),
            };
        }
        if self.listen.is_some_and(|listen| listen.port() == 0) {
            return Ok(None);
        }
        let dirs = etcetera::base_strategy::Xdg::new().map_err(DataFolderError::NoHome)?;
        Ok(Some(dirs.data_dir().join(OF_ALL).join(self.listens_at())))
    }
}

/// What a folder holds of a registry, if anything. The key counts for nothing where the authority is named with `--ca`: it may well be in this folder.
fn kept_in(folder: &Path, is_ca_named: bool) -> Option<&'static str> {
    let counts = |name: &&str| !(is_ca_named && *name == KEY_FILE);
    KEPT.into_iter().filter(counts).find(|name| folder.join(name).exists())
}

/// Makes sure that there is a folder in which files can be made. Leaves nothing else behind.
///
/// # Errors
/// [`DataFolderError`] with the path and the system's reason.
pub fn prepare_data_folder(path: &Path) -> Result<(), DataFolderError> {
    let path = path.to_owned();
    if path.exists() && !path.is_dir() {
        return Err(DataFolderError::NotAFolder { path });
    }
    if let Err(source) = create(&path) {
        return Err(DataFolderError::Create { path, source });
    }
    // Permissions alone do not tell: the file system may be read-only.
    let probe = path.join(format!(".probe-{}", std::process::id()));
    let probed = fs::File::create(&probe).and_then(|_| fs::remove_file(&probe));
    probed.map_err(|source| DataFolderError::NotWritable { path, source })
}

/// Keys will be in it: it is its owner's alone from the first moment on.
fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_data_folder_is_made_and_left_empty() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        prepare_data_folder(&path).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        prepare_data_folder(&path).unwrap();
        peerchat_identity::secret_file::private_folder(&path).unwrap();

        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            prepare_data_folder(&file),
            Err(DataFolderError::NotAFolder { .. })
        ));
        assert!(matches!(
            prepare_data_folder(&file.join("x")),
            Err(DataFolderError::Create { .. })
        ));
    }

    #[test]
    fn a_copy_of_a_registrys_folder_begins_no_other_registry() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |arguments: &[&str]| {
            let data = ["peerchat-registry", "--data", parent.path().to_str().unwrap()];
            Config::parse_from(data.iter().chain(arguments)).data_folder()
        };
        let node = ["--id", "1", "--cluster", "1=127.0.0.1:1,2=127.0.0.1:2", "--ca", "x"];
        let copy = |name: &str| fs::write(parent.path().join(name), "").unwrap();
        copy("ca.key");
        let refused = folder(&[]).unwrap_err().to_string();
        assert!(
            refused.contains("has ca.key of a registry") && refused.contains("/registry,"),
            "{refused}"
        );
        assert!(folder(&["fingerprint"]).is_err());
        // The authority of a cluster, and the data of its node.
        assert!(folder(&node).is_ok());
        copy("accounts.sqlite");
        let refused = folder(&node).unwrap_err().to_string();
        assert!(refused.contains("has accounts.sqlite of a registry"), "{refused}");
        // One that has its place goes on there.
        fs::create_dir(parent.path().join(IN_DATA)).unwrap();
        assert!(folder(&[]).is_err());
        copy("registry/ca.key");
        assert_eq!(folder(&[]).unwrap(), Some(parent.path().join(IN_DATA)));
    }

    #[test]
    fn each_listening_address_has_a_folder_of_its_own() {
        let folder = |arguments: &[&str]| {
            let typed = ["peerchat-registry"].iter().chain(arguments);
            Config::parse_from(typed).data_folder().unwrap()
        };
        assert_eq!(folder(&["--listen", "127.0.0.1:0"]), None);
        assert_eq!(
            folder(&["--listen", "127.0.0.1:0", "--data", "x"]),
            Some("x/registry".into())
        );
        assert_eq!(folder(&["--data", "x"]), Some("x/registry".into()));
        assert!(folder(&[]).unwrap().ends_with("peerchat-registry/127.0.0.1:10001"));
        assert!(
            folder(&["--listen", "[::]:7"])
                .unwrap()
                .ends_with("peerchat-registry/[::]:7")
        );
    }
}
