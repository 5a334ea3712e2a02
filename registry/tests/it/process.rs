//! Starting and ending the program.

use std::process::{Command, Stdio};

use tonic::Code;

use crate::{caller::*, harness::*};

#[tokio::test]
async fn a_signal_ends_it_cleanly_and_watchers_are_told() {
    for name in ["TERM", "INT"] {
        let mut registry = Registry::start();
        let mut alice = Caller::log_in(&registry, "alice", 1).await;
        let mut stream = alice.watch(&[]).await;
        registry.signal(name);
        let (code, text) = refused(stream.next().await);
        assert_eq!(code, Code::Unavailable);
        assert!(text.contains("the registry is shutting down"), "{text}");
        assert_eq!(registry.ended().await.code(), Some(0));
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_clear_error() {
    let registry = Registry::start();
    let (code, text) = run(&["--listen", &registry.address]).await;
    assert_eq!(code, Some(1));
    assert!(
        text.contains(&format!("{} is in use by another program", registry.address)),
        "{text}"
    );
    assert!(text.contains("--listen"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, text) = run(&["--listen", "127.0.0.1:0", "--data", file.to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(
        text.contains("cannot create the data folder") && text.contains("Not a directory"),
        "{text}"
    );
    let (code, text) = run(&["--listen", "127.0.0.1:0", "--data", file.join("x").to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(
        text.contains("cannot create the data folder") && text.contains("Not a directory"),
        "{text}"
    );
}

#[tokio::test]
async fn a_backup_in_the_wrong_place_is_named_and_in_the_right_one_is_the_same_registry() {
    let parent = tempfile::tempdir().unwrap();
    let data = |name: &str| parent.path().join(name);
    let registry = Registry::start_with(&["--data", data("old").to_str().unwrap()]);
    let fingerprint = registry.fingerprint().await.to_string();
    registry.stop().await;

    let (copy, new) = (data("copy"), data("new"));
    std::fs::rename(data("old").join("registry"), &copy).unwrap();
    let path = copy.to_str().unwrap();
    for arguments in [&["--listen", "127.0.0.1:0"][..], &["invite"], &["fingerprint"]] {
        let (code, text) = run(&[arguments, &["--data", path]].concat()).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains(&format!("move all files of that folder into {path}/registry")),
            "{text}"
        );
    }
    assert!(!copy.join("registry").exists());
    std::fs::create_dir(&new).unwrap();
    std::fs::rename(&copy, new.join("registry")).unwrap();
    let registry = Registry::start_with(&["--data", new.to_str().unwrap()]);
    assert_eq!(registry.fingerprint().await.to_string(), fingerprint);
}

#[tokio::test]
async fn an_invite_that_would_be_good_nowhere_is_not_made() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["invite"][..],
        &["invite", "--listen", "0.0.0.0:7"],
        &["invite", "--ca", "x"],
    ] {
        let mut command = program();
        command.args(arguments).env("XDG_DATA_HOME", home.path());
        let (code, printed, text) = output_of(command).await;
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{text}");
        assert!(
            text.contains("good nowhere") && text.contains("--registry HOST:PORT"),
            "{text}"
        );
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is made");
}

#[tokio::test]
async fn wrong_usage_is_exit_2() {
    for arguments in [&["--listen", "nowhere"][..], &["--colour"], &["extra"]] {
        let (code, text) = run(arguments).await;
        assert_eq!(code, Some(2), "{text}");
    }
}

#[tokio::test]
async fn as_many_peers_are_taken_as_the_system_allows_files() {
    // Most systems begin with less than they allow.
    let mut limited = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_peerchat-registry");
    limited.args(["-c", r#"ulimit -n 400 && ulimit -Sn 300 && exec "$0" "$@""#, program]);
    limited.env_remove("RUST_LOG").stdin(Stdio::null());
    let registry = Registry::start_by(limited, &[]);
    registry.logged("no more than 200 peers can be connected").await;
}
