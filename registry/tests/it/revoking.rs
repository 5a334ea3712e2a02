//! The end of a device.

use tonic::Code;

use crate::{caller::*, harness::*};

const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn a_revoked_device_is_out_at_once_and_for_ever() {
    let registry = Registry::start();
    let mut alice = Caller::log_in_with(&registry, "alice", 1, PASSWORD).await.unwrap();
    let mut bob = Caller::log_in(&registry, "bob", 2).await;
    let mut bobs_stream = bob.watch(&[]).await;
    let mut lost = Caller::log_in_with(&registry, "alice", 3, PASSWORD).await.unwrap();
    let mut lost_stream = lost.watch(&[]).await;

    alice.revoke(3).await.unwrap();
    let (code, text) = refused(lost_stream.next().await);
    assert_eq!(code, Code::PermissionDenied);
    assert!(text.contains("revoked and can never log in again"), "{text}");
    assert_eq!(refused(lost.find("bob").await).0, Code::Unauthenticated);
    assert_eq!(refused(lost.renew_certificate().await).0, Code::Unauthenticated);
    for password in ["", PASSWORD] {
        let refusal = refused(Caller::log_in_with(&registry, "alice", 3, password).await);
        assert_eq!(refusal.0, Code::PermissionDenied);
    }
    let refusal = refused(Caller::try_log_in(&registry, 3, login("mallory", "127.0.0.1:1")).await);
    assert_eq!(refusal.0, Code::PermissionDenied, "nor under another name");
    let refusal = refused(Linking::ask(registry.channel(3).await, "alice").await);
    assert_eq!(refusal.0, Code::PermissionDenied, "nor by asking");
    let listed = alice.devices().await.unwrap().devices;
    assert!(listed.iter().all(|listed| listed.device != device(3)));

    assert_eq!(
        bobs_stream.heard().await,
        "revoked 3",
        "who knows nothing of alice is told too"
    );
    let mut carol = Caller::log_in(&registry, "carol", 4).await;
    let mut stream = carol.try_watch(&["alice"]).await.unwrap();
    assert_eq!(
        stream.heard().await,
        "revoked 3",
        "and who comes later, before all else"
    );
    assert_eq!(stream.heard().await, "alice Here");
    registry.logged("device revoked").await;
}

#[tokio::test]
async fn it_is_told_once() {
    let registry = Registry::start();
    let mut alice = Caller::log_in_with(&registry, "alice", 1, PASSWORD).await.unwrap();
    Caller::log_in_with(&registry, "alice", 2, PASSWORD).await.unwrap();
    let mut bob = Caller::log_in(&registry, "bob", 3).await;
    let mut stream = bob.watch(&[]).await;
    for _ in 0..10 {
        alice.revoke(2).await.unwrap();
    }
    assert_eq!(stream.heard().await, "revoked 2");
    stream.renew(&[], &["bob"]).await;
    assert_eq!(stream.heard().await, "bob Here", "the others told nobody anything");
}

#[tokio::test]
async fn a_device_ends_only_those_of_its_user_and_never_the_last_without_a_password() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let mut bob = Caller::log_in(&registry, "bob", 2).await;
    let mut stream = bob.watch(&["bob"]).await;
    assert_eq!(stream.heard().await, "bob Here");
    assert_eq!(refused(alice.revoke(2).await).0, Code::NotFound);
    let (code, text) = refused(alice.revoke(1).await);
    assert_eq!(code, Code::FailedPrecondition);
    assert!(text.contains("set a password first"), "{text}");
    alice.set_password(PASSWORD).await.unwrap();
    alice.revoke(1).await.unwrap();
    assert_eq!(stream.heard().await, "revoked 1", "bob was not disturbed before");
    assert_eq!(refused(alice.find("bob").await).0, Code::Unauthenticated);
    Caller::log_in_with(&registry, "alice", 3, PASSWORD).await.unwrap();
}

/// Whoever logs in while he is revoked may be refused or thrown out, but is never in afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_logs_in_while_it_is_revoked_is_out_as_well() {
    let registry = Registry::start();
    let mut alice = Caller::log_in_with(&registry, "alice", 1, PASSWORD).await.unwrap();
    for n in 10..26 {
        Caller::log_in_with(&registry, "alice", n, PASSWORD).await.unwrap();
        let channel = registry.channel(n).await;
        let logging_in = tokio::spawn(async move {
            let mut last = None;
            for _ in 0..1_000 {
                match Caller::over(channel.clone(), login("alice", "127.0.0.1:1")).await {
                    Ok(caller) => last = Some(caller),
                    Err(status) => return (status.code(), last),
                }
            }
            panic!("a revoked device logs in all the time");
        });
        alice.revoke(n).await.unwrap();
        let (code, last) = logging_in.await.unwrap();
        assert_eq!(code, Code::PermissionDenied);
        if let Some(mut last) = last {
            assert_eq!(refused(last.renew_certificate().await).0, Code::Unauthenticated);
        }
        assert_eq!(
            alice.find("alice").await.unwrap().len(),
            1,
            "only the first one is left"
        );
    }
}
