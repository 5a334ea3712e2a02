//! Names, rooms and leases, call by call.

use std::time::{Duration, Instant};

use peerchat_proto::v1;
use tonic::Code;

use crate::{caller::*, harness::*};

#[tokio::test]
async fn a_user_is_found_where_he_listens() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "Alice", 1).await;
    let mut bob = Caller::log_in(&registry, "bob", 2).await;
    let peers = bob.find("ALICE").await.unwrap();
    assert_eq!(
        (peers[0].user.as_str(), peers[0].address.as_str()),
        ("Alice", "127.0.0.1:40001")
    );
    assert_eq!(peers[0].device, device(1));
    assert_eq!(refused(bob.find("carol").await).0, Code::NotFound);

    alice.log_out().await.unwrap();
    assert_eq!(bob.find("alice").await.unwrap(), [], "known, but offline");
    assert_eq!(refused(alice.find("bob").await).0, Code::Unauthenticated);
    assert!(
        registry
            .logged("logged in user=Alice")
            .await
            .contains("127.0.0.1:40001")
    );
    registry.logged("logged out user=Alice").await;
}

#[tokio::test]
async fn the_answer_tells_lease_and_address() {
    let registry = Registry::start();
    let mut client = registry.client(1).await;
    for announced in ["0.0.0.0:4444", "[::]:4444", "127.0.0.1:4444"] {
        let answer = client.log_in(login("alice", announced)).await.unwrap().into_inner();
        assert_eq!(answer.address, "127.0.0.1:4444");
        assert_eq!((answer.lease.len(), answer.lease_ms), (16, 15_000));
    }
}

#[tokio::test]
async fn rooms_come_and_go_with_their_members() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let mut bob = Caller::log_in(&registry, "bob", 2).await;
    assert!(alice.join("Lobby").await.unwrap().created);
    registry.logged("room created room=lobby user=alice").await;
    let joined = bob.join("lobby").await.unwrap();
    assert!(!joined.created);
    let users: Vec<_> = joined.members.iter().map(|peer| peer.user.as_str()).collect();
    assert_eq!(users, ["alice", "bob"]);

    assert!(!alice.leave("lobby").await.unwrap());
    assert_eq!(refused(alice.leave("lobby").await).0, Code::FailedPrecondition);
    assert!(bob.leave("lobby").await.unwrap());
    registry.logged("room dismissed room=lobby").await;
}

#[tokio::test]
async fn rooms_are_listed_in_pages() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    for room in ["c", "a", "b"] {
        alice.join(room).await.unwrap();
    }
    let mut ask = v1::ListRoomsRequest {
        lease: alice.lease.clone().into(),
        page_size: 2,
        after: String::new(),
    };
    let first = alice.client.list_rooms(ask.clone()).await.unwrap().into_inner();
    let names: Vec<_> = first
        .rooms
        .iter()
        .map(|room| (room.name.as_str(), room.members))
        .collect();
    assert_eq!((names, first.more), (vec![("a", 1), ("b", 1)], true));
    ask.after = "B".to_owned();
    ask.page_size = 0;
    let rest = alice.client.list_rooms(ask).await.unwrap().into_inner();
    assert_eq!(
        (rest.rooms[0].name.as_str(), rest.rooms.len(), rest.more),
        ("c", 1, false)
    );
}

/// The one test that waits for a whole lease: alice's connection stays, but she renews nothing.
#[tokio::test]
async fn a_peer_that_stops_renewing_is_gone_within_its_lease() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    alice.join("lobby").await.unwrap();
    let _alices_stream = alice.watch(&[]).await;
    let silent_since = Instant::now();
    let mut bob = Caller::log_in(&registry, "bob", 2).await;
    bob.join("lobby").await.unwrap();
    let mut stream = bob.watch(&["alice"]).await;
    assert_eq!(stream.heard().await, "alice Here");

    let (requests, lease) = (stream.requests.clone(), bob.lease.clone());
    let renewing = tokio::spawn(async move {
        let request = v1::WatchRequest {
            lease: lease.into(),
            users: Vec::new(),
        };
        while requests.send(request.clone()).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    });
    let lost = stream.next_within(Duration::from_secs(20)).await.unwrap().unwrap();
    assert!(format!("{lost:?}").contains("Lost"), "{lost:?}");
    assert!(silent_since.elapsed() >= Duration::from_secs(14), "not before its time");
    assert!(silent_since.elapsed() < Duration::from_secs(17), "and hardly after it");
    assert_eq!(stream.heard().await, "alice Lost");
    registry.logged("lease lost user=alice").await;
    renewing.abort();
}
