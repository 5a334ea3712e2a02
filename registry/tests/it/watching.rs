//! What watchers hear, and how their streams end.

use std::time::{Duration, Instant};

use peerchat_proto::v1::{self, watch_response::Change};
use tonic::Code;

use crate::{caller::*, harness::*};

#[tokio::test]
async fn members_and_watched_users_are_told() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    alice.join("lobby").await.unwrap();
    let mut stream = alice.watch(&["bob"]).await;
    assert_eq!(stream.heard().await, "offline bob Left");
    let mut bob = Caller::log_in(&registry, "bob", 2).await;
    assert_eq!(stream.heard().await, "bob Here");
    bob.join("LOBBY").await.unwrap();
    assert_eq!(stream.heard().await, "#lobby bob Here");
    bob.leave("lobby").await.unwrap();
    assert_eq!(stream.heard().await, "#lobby bob Left");
    bob.join("lobby").await.unwrap();
    assert_eq!(stream.heard().await, "#lobby bob Here");
    bob.log_out().await.unwrap();
    assert_eq!(stream.heard().await, "#lobby bob Lost", "he has not left the room");
    assert_eq!(stream.heard().await, "bob Left");

    stream.renew(&[], &["alice"]).await;
    assert_eq!(stream.heard().await, "alice Here", "later requests need no lease");
}

#[tokio::test]
async fn what_happens_between_log_in_and_watch_is_not_missed() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    alice.join("lobby").await.unwrap();
    Caller::log_in(&registry, "bob", 2).await.join("lobby").await.unwrap();
    assert_eq!(alice.watch(&[]).await.heard().await, "#lobby bob Here");
}

#[tokio::test]
async fn a_killed_peer_is_lost_in_seconds_and_a_reconnecting_one_is_not() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    alice.join("lobby").await.unwrap();
    let mut stream = alice.watch(&[]).await;
    let mut bob = Caller::log_in(&registry, "bob", 2).await;
    bob.join("lobby").await.unwrap();
    assert_eq!(stream.heard().await, "#lobby bob Here");
    let bobs_stream = bob.watch(&[]).await;

    // Bob's connection breaks, he is back at once with a new one, and joins again.
    drop((bob, bobs_stream));
    let mut bob = Caller::log_in(&registry, "bob", 2).await;
    bob.join("lobby").await.unwrap();
    let bobs_stream = bob.watch(&[]).await;
    // Then it breaks for good.
    drop((bob, bobs_stream));
    let since = Instant::now();
    assert_eq!(
        stream.heard().await,
        "#lobby bob Lost",
        "nothing was told of the reconnection"
    );
    assert!(since.elapsed() > Duration::from_secs(2) && since.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_second_log_in_ends_the_first_stream() {
    let registry = Registry::start();
    let mut first = Caller::log_in(&registry, "alice", 1).await;
    let mut stream = first.watch(&[]).await;
    let mut second = Caller::log_in(&registry, "alice", 1).await;
    assert_eq!(refused(stream.next().await).0, Code::Aborted);
    assert_eq!(refused(first.find("alice").await).0, Code::Unauthenticated);
    second.find("alice").await.unwrap();
}

#[tokio::test]
async fn a_lease_has_one_stream() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let mut stream = alice.watch(&[]).await;
    let again = v1::WatchRequest {
        lease: alice.lease.clone().into(),
        users: Vec::new(),
    };
    let mut other = alice
        .client
        .watch(tokio_stream::once(again))
        .await
        .unwrap()
        .into_inner();
    let (code, text) = refused(other.message().await);
    assert_eq!(code, Code::FailedPrecondition);
    assert!(text.contains("log in again"), "{text}");
    stream.renew(&alice.lease, &["alice"]).await;
    assert_eq!(stream.heard().await, "alice Here", "the first one goes on");

    alice.log_out().await.unwrap();
    assert!(
        stream.next().await.unwrap().is_none(),
        "a log-out ends the stream without an error"
    );
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_disturbs_nobody() {
    let registry = Registry::start();
    // A small window, so that little is on its way.
    let endpoint = endpoint().initial_stream_window_size(65_535);
    let channel = dial(&registry.address, key(1), endpoint).await;
    let mut slow = Caller::over(channel, login("slow", "127.0.0.1:1")).await.unwrap();
    slow.join("lobby").await.unwrap();
    let mut unread = slow.watch(&[]).await;

    // A long name and address make large changes, which fill buffers soon.
    let address = format!("{}a:1", "a.".repeat(126));
    let request = login(&"\u{1f980}".repeat(64), &address);
    let mut busy = Caller::try_log_in(&registry, 2, request).await.unwrap();
    let mut stream = busy.watch(&["slow"]).await;
    assert_eq!(stream.heard().await, "slow Here");
    for _ in 0..4_000 {
        busy.join("lobby").await.unwrap();
        busy.leave("lobby").await.unwrap();
        if registry.has_logged("reads too slowly") {
            break;
        }
    }
    registry.logged("reads too slowly").await;
    let mut last = Ok(Some(Change::Ready(v1::WatchReady {})));
    while matches!(last, Ok(Some(_))) {
        last = unread.next().await;
    }
    assert_eq!(refused(last).0, Code::ResourceExhausted);
    assert_eq!(stream.heard().await, "slow Lost", "it did not log in again");
}
