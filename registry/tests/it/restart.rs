//! What outlives the program, and who may read it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use tonic::Code;

use crate::{caller::*, harness::*};

const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn authority_accounts_and_revoked_devices_outlive_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start_in(folder.path());
    let fingerprint = registry.fingerprint().await;
    registry.logged(&format!("fingerprint={fingerprint}")).await;
    let mut alice = Caller::log_in_with(&registry, "Alice", 1, PASSWORD).await.unwrap();
    Caller::log_in_with(&registry, "alice", 2, PASSWORD).await.unwrap();
    alice.revoke(2).await.unwrap();
    Caller::log_in(&registry, "bob", 3).await;
    registry.stop().await;

    let (code, printed, _) = run_whole(&["fingerprint", "--data", folder.path().to_str().unwrap()]).await;
    assert_eq!((code, printed.trim()), (Some(0), fingerprint.to_string().as_str()));
    let registry = Registry::start_in(folder.path());
    assert_eq!(registry.fingerprint().await, fingerprint);
    let mut bob = Caller::log_in(&registry, "bob", 3).await;
    assert!(!bob.answer.is_new_account);
    assert_eq!(bob.find("alice").await.unwrap(), [], "known, but offline");
    let mut client = bob.client.clone();
    let request = peerchat_proto::v1::FindRequest {
        lease: bob.lease.clone().into(),
        user: "ALICE".to_owned(),
    };
    assert_eq!(client.find(request).await.unwrap().into_inner().user, "Alice");
    assert_eq!(refused(bob.find("nobody").await).0, Code::NotFound);
    let mut stream = bob.try_watch(&[]).await.unwrap();
    assert_eq!(stream.heard().await, "revoked 2");
    let refusal = refused(Caller::log_in_with(&registry, "alice", 2, PASSWORD).await);
    assert_eq!(refusal.0, Code::PermissionDenied);
    let refusal = refused(Caller::try_log_in(&registry, 4, login("alice", "127.0.0.1:1")).await);
    assert_eq!(refusal.0, Code::AlreadyExists);
    Caller::log_in_with(&registry, "alice", 4, PASSWORD).await.unwrap();
}

/// Killed in the middle, it has kept whatever it has answered.
#[tokio::test]
async fn a_name_that_was_given_away_is_not_free_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start_in(folder.path());
    let fingerprint = registry.fingerprint().await;
    Caller::log_in(&registry, "alice", 1).await;
    // Which kills it.
    drop(registry);
    let registry = Registry::start_in(folder.path());
    assert_eq!(registry.fingerprint().await, fingerprint);
    let refusal = refused(Caller::try_log_in(&registry, 2, login("alice", "127.0.0.1:1")).await);
    assert_eq!(refusal.0, Code::AlreadyExists);
}

#[tokio::test]
async fn in_memory_nothing_outlives_it() {
    let registry = Registry::start();
    registry.logged("end with this process").await;
    let fingerprint = registry.fingerprint().await;
    drop(registry);
    assert_ne!(Registry::start().fingerprint().await, fingerprint);
}

#[tokio::test]
async fn what_it_keeps_is_its_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let registry = Registry::start_in(parent.path());
    Caller::log_in(&registry, "alice", 1).await;
    let folder = parent.path().join("registry");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    for expected in ["ca.key", "ca.der", "accounts.sqlite", "accounts.sqlite-wal"] {
        assert!(files.iter().any(|file| file == expected), "{expected} in {files:?}");
    }
    registry.stop().await;

    for file in ["ca.key", "accounts.sqlite"] {
        let path = folder.join(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let data = parent.path().to_str().unwrap();
        let (code, text) = run(&["--listen", "127.0.0.1:0", "--data", data]).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(file) && text.contains("chmod"), "{text}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[tokio::test]
async fn a_lost_key_is_an_error_and_no_new_registry() {
    let parent = tempfile::tempdir().unwrap();
    Registry::start_in(parent.path()).stop().await;
    fs::remove_file(parent.path().join("registry/ca.key")).unwrap();
    let data = parent.path().to_str().unwrap();
    for command in [
        &["--listen", "127.0.0.1:0", "--data", data][..],
        &["fingerprint", "--data", data],
    ] {
        let (code, text) = run(command).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("ca.key is missing") && text.contains("restore a copy"),
            "{text}"
        );
    }
}
