//! What a device shows and keeps.

use std::{fs, os::unix::fs::PermissionsExt as _};

use peerchat_registry::authority::Authority;

use super::*;
use crate::node::types as names;

#[test]
fn the_device_stays_the_same_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let user = UserName::new("alice").unwrap();
    let device = |folder: &Path| Credentials::load(folder, &user, None).map(|credentials| credentials.device());
    let first = device(folder.path()).unwrap();
    assert_eq!(device(folder.path()).unwrap(), first);
    let path = folder.path().join(KEY);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = device(folder.path()).unwrap_err();
    assert!(matches!(
        exposed,
        CredentialsError::File(SecretFileError::Exposed { mode: 0o640, .. })
    ));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, b"no key").unwrap();
    assert!(matches!(device(folder.path()), Err(CredentialsError::Key { .. })));
    fs::remove_file(&path).unwrap();
    assert_ne!(device(folder.path()).unwrap(), first, "a new key is another device");
}

/// By the registry's time, whatever this machine's clock shows.
#[test]
fn a_certificate_counts_as_long_as_the_registry_says() {
    let folder = tempfile::tempdir().unwrap();
    let user = UserName::new("alice").unwrap();
    let hours = |n: u64| Duration::from_secs(n * 3_600);
    let authority = Authority::in_memory().unwrap();
    let named = names::Authority(authority.trust().fingerprint().bytes());
    let own = || Credentials::load(folder.path(), &user, Some(named)).unwrap();
    let credentials = own();
    let issue = |lifetime, at| authority.issue(&credentials.device().0, &user, lifetime, at).unwrap();
    let adopt = |certificate| credentials.adopt(certificate, authority.trust().authority().clone());
    for now in [SystemTime::now() - hours(9_000), SystemTime::now() + hours(9_000)] {
        credentials.clock().tell(now);
        adopt(issue(hours(12), now)).unwrap();
        assert!(credentials.shown().is_some());
        let others = issue(hours(1), now);
        let trust = credentials.shown().unwrap().trust.clone();
        assert!(trust.valid(&others, credentials.clock().now()).is_ok());
        for over in [now - hours(2), now + hours(3)] {
            let error = adopt(issue(hours(1), over)).unwrap_err();
            assert!(matches!(error, CredentialsError::Certificate(_)), "{error}");
        }
        credentials.clock().tell(now + hours(13));
        assert!(credentials.shown().is_none(), "it has ended");
    }
    credentials.keep().unwrap();
    // At the next start no registry is there. It is known at least that the certificate was issued.
    assert!(own().shown().is_some());
    let now = SystemTime::now() - hours(100);
    credentials.clock().tell(now);
    adopt(issue(hours(12), now)).unwrap();
    credentials.keep().unwrap();
    let later = own();
    assert!(later.shown().is_none() && later.lapsed().is_some());
}

#[test]
fn a_certificate_that_is_none_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let user = UserName::new("alice").unwrap();
    secret_file::write(&folder.path().join(CERTIFICATE), b"none").unwrap();
    secret_file::write(&folder.path().join(AUTHORITY_CERTIFICATE), b"none").unwrap();
    let authority = names::Authority([1; 32]);
    places::of(folder.path(), authority).unwrap();
    let credentials = Credentials::load(folder.path(), &user, Some(authority)).unwrap();
    assert!(credentials.shown().is_none());
    assert!(
        credentials
            .adopt(b"none".to_vec().into(), b"none".to_vec().into())
            .is_err()
    );
}
