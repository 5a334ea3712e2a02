//! Whether a registry is the right one, which is settled before anything is said to it.

use peerchat_identity::Fingerprint;

use super::{LoginError, RegistryConfig};
use crate::{known_registries::KnownRegistry, net::host};

/// Answers the fingerprint if it is the right one. It is the one that was given, or else the one that was met at this address before; at
/// a first meeting a registry of this machine is believed, and any other is for the user to judge.
pub(super) fn recognise(
    config: &RegistryConfig,
    found: Option<Fingerprint>,
    is_hosted_here: bool,
) -> Result<Fingerprint, LoginError> {
    let found = found.ok_or_else(|| LoginError::Unavailable {
        address: config.address.clone(),
        reason: "it shows no certificate".to_owned(),
    })?;
    let changed = |known| LoginError::Changed {
        address: config.address.clone(),
        found,
        known,
        file: config.known.path().display().to_string(),
    };
    if let Some(meant) = config.fingerprint {
        return if meant == found { Ok(found) } else { Err(changed(meant)) };
    }
    let known = config
        .known
        .find(&config.address)
        .map_err(|error| LoginError::Refused(format!("cannot read {}: {error}", config.known.path().display())))?;
    match known {
        Some(known) if known.fingerprint == found => Ok(found),
        // Its folder was lost: nobody knows better than its host.
        _ if is_hosted_here => Ok(found),
        Some(known) => Err(changed(known.fingerprint)),
        // Whoever can listen at a loopback address is on this machine already.
        None if host::loopback(&config.address).is_some() => Ok(found),
        None => Err(LoginError::Unknown {
            address: config.address.clone(),
            found,
        }),
    }
}

/// Remembers a registry; `folder` is where one that a peer of this machine hosts keeps what it must not lose, or empty.
pub(super) fn remember(config: &RegistryConfig, fingerprint: Fingerprint, folder: &str) {
    let known = KnownRegistry {
        fingerprint,
        folder: (!folder.is_empty() && host::loopback(&config.address).is_some()).then(|| folder.into()),
    };
    if let Err(error) = config.known.keep(&config.address, &known) {
        tracing::warn!(file = %config.known.path().display(), %error, "cannot remember the registry");
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::known_registries::KnownRegistries;

    const ELSEWHERE: &str = "registry.example:10001";
    const HERE: &str = "127.0.0.1:10001";

    fn fingerprint(letter: char) -> Fingerprint {
        format!("SHA256:{}A", letter.to_string().repeat(42)).parse().unwrap()
    }

    fn config(data: &TempDir, address: &str, meant: Option<Fingerprint>) -> RegistryConfig {
        RegistryConfig {
            address: address.to_owned(),
            advertise: "127.0.0.1:1".to_owned(),
            may_host: false,
            data: data.path().to_owned(),
            known: KnownRegistries::in_folder(data.path()),
            fingerprint: meant,
            password: None,
            invitation: None,
        }
    }

    #[test]
    fn a_registry_of_another_machine_is_asked_about_once_and_must_stay_the_same() {
        let data = TempDir::new().unwrap();
        let (a, b) = (fingerprint('A'), fingerprint('B'));
        let elsewhere = config(&data, ELSEWHERE, None);
        let asked = recognise(&elsewhere, Some(a), false).unwrap_err();
        assert!(matches!(&asked, LoginError::Unknown { found, .. } if *found == a));
        assert!(
            asked.to_string().contains(&format!("--registry-fingerprint {a}")),
            "{asked}"
        );
        remember(&elsewhere, a, "/of/no/use/there");
        assert_eq!(elsewhere.known.find(ELSEWHERE).unwrap().unwrap().folder, None);
        assert_eq!(recognise(&elsewhere, Some(a), false).unwrap(), a);
        let changed = recognise(&elsewhere, Some(b), false).unwrap_err();
        assert!(matches!(changed, LoginError::Changed { known, .. } if known == a));
        // Who was told the new one says so.
        assert_eq!(
            recognise(&config(&data, ELSEWHERE, Some(b)), Some(b), false).unwrap(),
            b
        );
        let other = recognise(&config(&data, ELSEWHERE, Some(b)), Some(a), false).unwrap_err();
        assert!(matches!(other, LoginError::Changed { known, .. } if known == b));
        assert!(matches!(
            recognise(&elsewhere, None, false),
            Err(LoginError::Unavailable { .. })
        ));
    }

    #[test]
    fn one_of_this_machine_is_believed_at_first_and_one_of_this_process_always() {
        let data = TempDir::new().unwrap();
        let (a, b) = (fingerprint('A'), fingerprint('B'));
        let here = config(&data, HERE, None);
        assert_eq!(recognise(&here, Some(a), false).unwrap(), a);
        remember(&here, a, "/data/registry@127.0.0.1:10001");
        let known = here.known.find(HERE).unwrap().unwrap();
        assert_eq!(known.folder, Some("/data/registry@127.0.0.1:10001".into()));
        assert!(matches!(
            recognise(&here, Some(b), false),
            Err(LoginError::Changed { .. })
        ));
        assert_eq!(recognise(&here, Some(b), true).unwrap(), b);
    }
}
