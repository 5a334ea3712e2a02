//! Whether this process may be the registry of an address, and with which folder.
//!
//! Whoever hosts takes the place for everybody of the machine. So nobody hosts where another registry was met: it may only be starting
//! anew, and whoever knows it would be told that somebody stands in between.

use std::{net::SocketAddr, path::PathBuf};

use super::{LoginError, RegistryConfig, recognise::find};
use crate::known_registries::HostFolder;

/// Whether a registry may be hosted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hosting {
    /// With what is in this folder, or will be.
    In(PathBuf),
    /// For this reason, as it is told to the user.
    NotHere(String),
}

/// Where the registry at `at`, which is `here`, may be hosted: in the folder of the host before, so that accounts and authority stay. Where
/// none was met there, or the folder of the host before is gone for good, it is one of this data folder's own. Not where the one that was
/// met was no peer's, or where another than that is meant.
///
/// # Errors
/// What is known of registries cannot be read.
pub(super) fn hosting_folder(config: &RegistryConfig, at: &str, here: SocketAddr) -> Result<Hosting, LoginError> {
    // No user has a name with @ in it, so it is no user's folder.
    let own = config.data.join(format!("registry@{at}"));
    let known = match find(config, at)? {
        Some(known) => Some(known),
        // `localhost` is the same place under another name.
        None => find(config, &here.to_string())?,
    };
    let file = config.known.path().display();
    let foreign = Hosting::NotHere(format!(
        "none is hosted here instead, since another registry was met at this address: start that one; or, if it is gone for good, take \
         the line of {at} out of {file}"
    ));
    let Some(known) = known else {
        return Ok(match config.fingerprint {
            None => Hosting::In(own),
            Some(meant) => Hosting::NotHere(format!(
                "none is hosted here, since the one with the fingerprint {meant} is meant: start that one"
            )),
        });
    };
    if config.fingerprint.is_some_and(|meant| meant != known.fingerprint) {
        return Ok(foreign);
    }
    Ok(match known.host_folder() {
        HostFolder::There(folder) => Hosting::In(folder),
        HostFolder::Gone if config.fingerprint.is_none() => Hosting::In(own),
        HostFolder::Gone | HostFolder::Nobodys => foreign,
        HostFolder::Unusable(folder) => Hosting::NotHere(format!(
            "none is hosted here, since the one that was met keeps its accounts in {}, which cannot be used: start the peer that hosted \
             it, or take the line of {at} out of {file}",
            folder.display()
        )),
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use peerchat_identity::Fingerprint;
    use tempfile::TempDir;

    use super::*;
    use crate::known_registries::{KnownRegistries, KnownRegistry};

    const AT: &str = "127.0.0.1:10001";

    fn config(data: &Path) -> RegistryConfig {
        RegistryConfig {
            addresses: vec![AT.to_owned()],
            preferred: vec![AT.to_owned()],
            advertise: "127.0.0.1:1".to_owned(),
            may_host: true,
            data: data.to_owned(),
            known: KnownRegistries::in_folder(data),
            fingerprint: None,
            surveyed: Arc::default(),
            authority: Arc::default(),
            password: None,
            invitation: None,
        }
    }

    fn fingerprint(letter: &str) -> Fingerprint {
        format!("SHA256:{}A", letter.repeat(42)).parse().unwrap()
    }

    fn asked(config: &RegistryConfig) -> Hosting {
        hosting_folder(config, AT, AT.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_first_hosts_and_the_next_goes_on_with_the_same_folder() {
        let data = TempDir::new().unwrap();
        let config = config(data.path());
        let own = data.path().join("registry@127.0.0.1:10001");
        assert_eq!(asked(&config), Hosting::In(own.clone()));
        let other = data.path().join("of another peer");
        fs::create_dir(&other).unwrap();
        let known = KnownRegistry {
            fingerprint: fingerprint("A"),
            folder: Some(other.clone()),
        };
        config.known.keep(AT, &known).unwrap();
        assert_eq!(asked(&config), Hosting::In(other.clone()));
        fs::remove_dir(&other).unwrap();
        assert_eq!(asked(&config), Hosting::In(own));
        // What is there and is no folder is not a lost one.
        fs::write(&other, "").unwrap();
        assert!(matches!(asked(&config), Hosting::NotHere(why) if why.contains("cannot be used")));
    }

    #[test]
    fn nobody_takes_the_place_of_a_registry_that_is_no_peers() {
        let data = TempDir::new().unwrap();
        let mut config = config(data.path());
        let known = KnownRegistry {
            fingerprint: fingerprint("A"),
            folder: None,
        };
        config.known.keep(AT, &known).unwrap();
        assert!(matches!(asked(&config), Hosting::NotHere(why) if why.contains("start that one")));
        let here = AT.parse().unwrap();
        let by_name = hosting_folder(&config, "localhost:10001", here).unwrap();
        assert!(matches!(by_name, Hosting::NotHere(_)), "{by_name:?}");
        let elsewhere = hosting_folder(&config, "127.0.0.1:10002", "127.0.0.1:10002".parse().unwrap());
        assert!(matches!(elsewhere, Ok(Hosting::In(_))), "{elsewhere:?}");
        // One that is meant is not what would be hosted.
        config.fingerprint = Some(fingerprint("B"));
        let meant = hosting_folder(&config, "127.0.0.1:10002", "127.0.0.1:10002".parse().unwrap());
        assert!(matches!(meant, Ok(Hosting::NotHere(_))), "{meant:?}");
    }
}
