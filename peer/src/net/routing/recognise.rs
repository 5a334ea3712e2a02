//! Whether a registry is the right one, which is settled before anything is said to it.

use peerchat_identity::Fingerprint;

use super::{LoginError, RegistryConfig};
use crate::{
    known_registries::{KnownRegistries, KnownRegistry},
    net::host,
};

/// Answers the fingerprint that the registry at `at` shows if it is the right one. It is the one that was given, or else the one that was
/// met at this address before; at a first meeting a registry of this machine is believed, and any other is for the user to judge. Several
/// registries have one authority, so of a list it is the one that was met at any of them. Once the peer has conversations it is that of those.
pub(super) fn recognise(
    config: &RegistryConfig,
    at: &str,
    found: Option<Fingerprint>,
    is_hosted_here: bool,
) -> Result<Fingerprint, LoginError> {
    let found = judge(config, at, found, is_hosted_here)?;
    match config.authority.get() {
        Some(own) if *own != found => Err(LoginError::Elsewhere {
            address: at.to_owned(),
            found,
            own: *own,
        }),
        _ => Ok(found),
    }
}

fn judge(
    config: &RegistryConfig,
    at: &str,
    found: Option<Fingerprint>,
    is_hosted_here: bool,
) -> Result<Fingerprint, LoginError> {
    let address = || at.to_owned();
    let found = found.ok_or_else(|| LoginError::Unavailable {
        address: address(),
        reason: "it shows no certificate".to_owned(),
    })?;
    let changed = |known| LoginError::Changed {
        address: address(),
        found,
        known,
        file: config.known.path().display().to_string(),
    };
    if let Some(meant) = config.fingerprint {
        return if meant == found { Ok(found) } else { Err(changed(meant)) };
    }
    let known = find(config, at)?.map(|known| known.fingerprint);
    match (list_authority(config)?, known) {
        (Some(meant), _) if meant == found => Ok(found),
        (Some(meant), Some(known)) if meant == known => Err(changed(known)),
        (Some(meant), _) => Err(LoginError::Foreign {
            address: address(),
            found,
            meant,
        }),
        (None, Some(known)) if known == found => Ok(found),
        // Its folder was lost: nobody knows better than its host.
        (None, _) if is_hosted_here => Ok(found),
        (None, Some(known)) => Err(changed(known)),
        // Whoever can listen at a loopback address is on this machine already.
        (None, None) if host::loopback(at).is_some() => Ok(found),
        (None, None) => Err(LoginError::Unknown {
            address: address(),
            found,
        }),
    }
}

/// The authority that the registries most probably have, before any of them was asked: the one that was given, or was met at most of them.
/// None where none was met, or it cannot be read, which is told when one is asked.
pub fn expected(given: Option<Fingerprint>, addresses: &[String], known: &KnownRegistries) -> Option<Fingerprint> {
    let met = addresses.iter().filter_map(|address| known.find(address).ok()?);
    let met: Vec<_> = met.map(|known| known.fingerprint).collect();
    given.or_else(|| common(met.into_iter()))
}

/// The authority of all registries of a list, if it is known: where it was not given, the one that was met at most of them, or that a
/// survey has found. None where there is one registry alone.
pub(super) fn list_authority(config: &RegistryConfig) -> Result<Option<Fingerprint>, LoginError> {
    if config.addresses.len() == 1 || config.fingerprint.is_some() {
        return Ok(config.fingerprint);
    }
    let mut known = Vec::new();
    for address in &config.addresses {
        known.extend(find(config, address)?.map(|known| known.fingerprint));
    }
    Ok(common(known.into_iter()).or_else(|| config.surveyed.get().copied()))
}

/// What most of them are; of several that are equally many the first.
pub(super) fn common(found: impl Iterator<Item = Fingerprint> + Clone) -> Option<Fingerprint> {
    let mut best: Option<(usize, Fingerprint)> = None;
    for one in found.clone() {
        let count = found.clone().filter(|other| *other == one).count();
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, one));
        }
    }
    best.map(|(_, found)| found)
}

/// What is known of the registry at `address`.
///
/// # Errors
/// It cannot be read.
pub(super) fn find(config: &RegistryConfig, address: &str) -> Result<Option<KnownRegistry>, LoginError> {
    let known = config.known.find(address);
    known.map_err(|error| LoginError::Refused(format!("cannot read {}: {error}", config.known.path().display())))
}

/// Remembers a registry; `folder` is where one that a peer of this machine hosts keeps what it must not lose, or empty.
pub(super) fn remember(config: &RegistryConfig, at: &str, fingerprint: Fingerprint, folder: &str) {
    let known = KnownRegistry {
        fingerprint,
        folder: (!folder.is_empty() && host::loopback(at).is_some()).then(|| folder.into()),
    };
    if let Err(error) = config.known.keep(at, &known) {
        tracing::warn!(file = %config.known.path().display(), %error, "cannot remember the registry");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;

    const ELSEWHERE: &str = "registry.example:10001";
    const HERE: &str = "127.0.0.1:10001";

    fn fingerprint(letter: char) -> Fingerprint {
        format!("SHA256:{}A", letter.to_string().repeat(42)).parse().unwrap()
    }

    fn config(data: &TempDir, addresses: &[&str], meant: Option<Fingerprint>) -> RegistryConfig {
        RegistryConfig {
            addresses: addresses.iter().map(|one| (*one).to_owned()).collect(),
            preferred: addresses.iter().map(|one| (*one).to_owned()).collect(),
            advertise: "127.0.0.1:1".to_owned(),
            may_host: false,
            data: data.path().to_owned(),
            known: KnownRegistries::in_folder(data.path()),
            fingerprint: meant,
            surveyed: Arc::default(),
            authority: Arc::default(),
            password: None,
            invitation: None,
        }
    }

    #[test]
    fn a_registry_of_another_machine_is_asked_about_once_and_must_stay_the_same() {
        let data = TempDir::new().unwrap();
        let (a, b) = (fingerprint('A'), fingerprint('B'));
        let elsewhere = config(&data, &[ELSEWHERE], None);
        let asked = recognise(&elsewhere, ELSEWHERE, Some(a), false).unwrap_err();
        assert!(matches!(&asked, LoginError::Unknown { found, .. } if *found == a));
        assert!(
            asked.to_string().contains(&format!("--registry-fingerprint {a}")),
            "{asked}"
        );
        remember(&elsewhere, ELSEWHERE, a, "/of/no/use/there");
        assert_eq!(elsewhere.known.find(ELSEWHERE).unwrap().unwrap().folder, None);
        assert_eq!(recognise(&elsewhere, ELSEWHERE, Some(a), false).unwrap(), a);
        let changed = recognise(&elsewhere, ELSEWHERE, Some(b), false).unwrap_err();
        assert!(matches!(changed, LoginError::Changed { known, .. } if known == a));
        // Who was told the new one says so.
        assert_eq!(
            recognise(&config(&data, &[ELSEWHERE], Some(b)), ELSEWHERE, Some(b), false).unwrap(),
            b
        );
        let other = recognise(&config(&data, &[ELSEWHERE], Some(b)), ELSEWHERE, Some(a), false).unwrap_err();
        assert!(matches!(other, LoginError::Changed { known, .. } if known == b));
        assert!(matches!(
            recognise(&elsewhere, ELSEWHERE, None, false),
            Err(LoginError::Unavailable { .. })
        ));
    }

    #[test]
    fn one_of_this_machine_is_believed_at_first_and_one_of_this_process_always() {
        let data = TempDir::new().unwrap();
        let (a, b) = (fingerprint('A'), fingerprint('B'));
        let here = config(&data, &[HERE], None);
        assert_eq!(recognise(&here, HERE, Some(a), false).unwrap(), a);
        remember(&here, HERE, a, "/data/registry@127.0.0.1:10001");
        let known = here.known.find(HERE).unwrap().unwrap();
        assert_eq!(known.folder, Some("/data/registry@127.0.0.1:10001".into()));
        assert!(matches!(
            recognise(&here, HERE, Some(b), false),
            Err(LoginError::Changed { .. })
        ));
        assert_eq!(recognise(&here, HERE, Some(b), true).unwrap(), b);
    }

    #[test]
    fn a_list_is_one_registry_and_has_one_authority() {
        let data = TempDir::new().unwrap();
        let (a, b) = (fingerprint('A'), fingerprint('B'));
        let list = [ELSEWHERE, "two.example:10001", "three.example:10001"];
        let config = config(&data, &list, None);
        assert_eq!(list_authority(&config).unwrap(), None);
        remember(&config, list[1], a, "");
        assert_eq!(list_authority(&config).unwrap(), Some(a));
        // Whoever was never met is believed when it shows what another one of the list has shown.
        assert_eq!(recognise(&config, ELSEWHERE, Some(a), false).unwrap(), a);
        let foreign = recognise(&config, list[2], Some(b), false).unwrap_err();
        assert!(
            matches!(&foreign, LoginError::Foreign { found, meant, .. } if (*found, *meant) == (b, a)),
            "{foreign}"
        );
        assert!(foreign.to_string().contains(list[2]), "{foreign}");
        let changed = recognise(&config, list[1], Some(b), false).unwrap_err();
        assert!(matches!(changed, LoginError::Changed { known, .. } if known == a));
        // One that was met alone before, as another one, is right when it has become one of these.
        remember(&config, list[0], a, "");
        remember(&config, list[2], b, "");
        assert_eq!(recognise(&config, list[2], Some(a), false).unwrap(), a);
        assert!(recognise(&config, list[2], Some(b), false).is_err());
        let meant = RegistryConfig {
            fingerprint: Some(b),
            ..config
        };
        assert_eq!(recognise(&meant, list[2], Some(b), false).unwrap(), b);
        assert!(recognise(&meant, list[0], Some(a), false).is_err());
    }

    #[test]
    fn what_a_survey_has_found_counts_where_none_was_met() {
        let data = TempDir::new().unwrap();
        let (a, b) = (fingerprint('A'), fingerprint('B'));
        let config = config(&data, &[HERE, ELSEWHERE], None);
        config.surveyed.set(b).unwrap();
        assert!(matches!(
            recognise(&config, HERE, Some(a), false),
            Err(LoginError::Foreign { .. })
        ));
        assert_eq!(recognise(&config, ELSEWHERE, Some(b), false).unwrap(), b);
    }

    #[test]
    fn the_authority_of_most_is_that_of_all_and_of_two_the_first() {
        let [a, b] = ['A', 'B'].map(fingerprint);
        assert_eq!(common([a, b, b].into_iter()), Some(b));
        assert_eq!(common([b, a, b].into_iter()), Some(b));
        assert_eq!(common([b, a].into_iter()), Some(b));
        assert_eq!(common([].into_iter()), None);
    }
}
