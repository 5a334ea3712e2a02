//! Starting and ending the program.

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
async fn wrong_usage_is_exit_2() {
    for arguments in [&["--listen", "nowhere"][..], &["--colour"], &["extra"]] {
        let (code, text) = run(arguments).await;
        assert_eq!(code, Some(2), "{text}");
    }
}
