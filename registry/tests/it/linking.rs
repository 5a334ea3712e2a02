//! A new device that an old one lets in by its code.

use std::time::{Duration, Instant};

use peerchat_proto::v1::link_device_response::Step;
use tonic::Code;

use crate::{caller::*, harness::*};

#[tokio::test]
async fn a_device_is_approved_by_its_code() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let mut bob = Caller::log_in(&registry, "bob", 3).await;
    let mut stream = alice.watch(&[]).await;
    let channel = registry.channel(2).await;
    let mut linking = Linking::ask(channel.clone(), "Alice").await.unwrap();
    let code = linking.code().await;
    assert_eq!(stream.heard().await, "attempt 2 127.0.0.1 Waits");

    let wrong = if code == "2222-2222" { "3333-3333" } else { "2222-2222" };
    let (refusal, text) = refused(alice.approve(wrong).await);
    assert_eq!(refusal, Code::NotFound);
    assert!(text.contains("no new device of yours waits with this code"), "{text}");
    assert_eq!(refused(bob.approve(&code).await).0, Code::NotFound, "it is for alice");
    let refusal = refused(Caller::over(channel.clone(), login("alice", "127.0.0.1:1")).await);
    assert_eq!(refusal.0, Code::AlreadyExists, "not yet");
    assert_eq!(stream.heard().await, "attempt 2 127.0.0.1 Refused");

    let typed = code.to_lowercase().replace('-', " ");
    let approved = alice.approve(&typed).await.unwrap();
    assert_eq!(
        (approved.device.to_vec(), approved.label.as_str()),
        (device(2), "phone")
    );
    assert!(matches!(linking.next().await, Ok(Some(Step::Approved(_)))));
    assert!(matches!(linking.next().await, Ok(None)), "that was all");
    let second = Caller::over(channel.clone(), login("alice", "127.0.0.1:1"))
        .await
        .unwrap();
    assert!(!second.answer.is_new_account);
    assert_eq!(alice.devices().await.unwrap().devices.len(), 2);
    assert_eq!(
        refused(alice.approve(&code).await).0,
        Code::NotFound,
        "a code is good once"
    );

    let mut again = Linking::ask(channel, "alice").await.unwrap();
    assert!(
        matches!(again.next().await, Ok(Some(Step::Approved(_)))),
        "it is in, and needs no code"
    );
    assert!(!registry.log().contains(&code), "a code is never logged");
}

/// Other calls have 5 s.
#[tokio::test]
async fn a_device_may_wait_longer_than_a_call_may_take() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let mut linking = Linking::ask(registry.channel(2).await, "alice").await.unwrap();
    let code = linking.code().await;
    let early = linking.next_within(Duration::from_secs(7)).await;
    assert!(early.is_none(), "{early:?}");
    let renewed = alice.approve(&code).await;
    assert!(renewed.is_ok(), "a lease lasts 15 s without renewal: {renewed:?}");
    assert!(matches!(linking.next().await, Ok(Some(Step::Approved(_)))));
}

#[tokio::test]
async fn who_asks_again_has_the_same_code_on_the_newer_stream() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let channel = registry.channel(2).await;
    let mut former = Linking::ask(channel.clone(), "alice").await.unwrap();
    let code = former.code().await;
    for _ in 0..100 {
        let mut newer = Linking::ask(channel.clone(), "alice").await.unwrap();
        assert_eq!(newer.code().await, code);
        assert_eq!(refused(former.next().await).0, Code::Aborted, "a device waits once");
        former = newer;
    }
    alice.approve(&code).await.unwrap();
    assert!(matches!(former.next().await, Ok(Some(Step::Approved(_)))));
}

#[tokio::test]
async fn as_many_wait_for_an_account_as_may() {
    let registry = Registry::start();
    let mut alice = Caller::log_in_with(&registry, "alice", 1, "correct horse")
        .await
        .unwrap();
    Caller::log_in(&registry, "bob", 2).await;
    let mut waiting = Vec::new();
    for n in 10..18 {
        let mut linking = Linking::ask(registry.channel(n).await, "alice").await.unwrap();
        waiting.push((linking.code().await, linking));
    }
    let (code, text) = refused(Linking::ask(registry.channel(18).await, "alice").await);
    assert_eq!(code, Code::ResourceExhausted);
    assert!(text.contains("8 new devices of this user wait"), "{text}");
    Linking::ask(registry.channel(18).await, "bob").await.unwrap();

    // One comes in with the password, another one is approved: there is room again.
    Caller::log_in_with(&registry, "alice", 10, "correct horse")
        .await
        .unwrap();
    assert!(matches!(waiting[0].1.next().await, Ok(Some(Step::Approved(_)))));
    alice.approve(&waiting[1].0).await.unwrap();
    for n in [18, 19] {
        let mut linking = Linking::ask(registry.channel(n).await, "alice").await.unwrap();
        waiting.push((linking.code().await, linking));
    }
    let channel = registry.channel(20).await;
    assert_eq!(
        refused(Linking::ask(channel.clone(), "alice").await).0,
        Code::ResourceExhausted
    );

    // One hangs up: there is room for one more, and his code is worth nothing.
    let (code, gone) = waiting.pop().unwrap();
    drop(gone);
    let deadline = Instant::now() + SOON;
    while let Err(status) = Linking::ask(channel.clone(), "alice").await {
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(Instant::now() < deadline, "who hangs up gives up");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(refused(alice.approve(&code).await).0, Code::NotFound);
}

#[tokio::test]
async fn wrong_codes_are_not_heard_for_ever() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let mut heard = 0;
    let text = loop {
        match refused(alice.approve("2222-2222").await) {
            (Code::NotFound, _) => heard += 1,
            (Code::ResourceExhausted, text) => break text,
            other => panic!("{other:?}"),
        }
        assert!(heard < 15, "the waits double");
    };
    assert!(heard >= 5 && text.contains("too many tries; wait "), "{heard}: {text}");
}

#[tokio::test]
async fn who_waits_is_told_of_the_end_of_the_registry() {
    let mut registry = Registry::start();
    Caller::log_in(&registry, "alice", 1).await;
    let mut linking = Linking::ask(registry.channel(2).await, "alice").await.unwrap();
    linking.code().await;
    registry.signal("TERM");
    assert_eq!(refused(linking.next().await).0, Code::Unavailable);
    assert_eq!(registry.ended().await.code(), Some(0), "{}", registry.log());
}
