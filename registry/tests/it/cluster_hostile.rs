//! Peers and networks that do to a cluster what they should not.

use tonic::Code;

use crate::{caller::*, cluster_site::*, harness::*};

/// As many users as fit into a request, with names that are three times as long as they were typed.
fn too_many_users() -> Vec<String> {
    (0..6_000)
        .map(|n| format!("{n:04}{}", "\u{1D160}".repeat(19)))
        .collect()
}

#[tokio::test]
async fn a_peer_that_wants_to_watch_too_many_users_stops_nobody_else() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let users = too_many_users();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    // At a follower, and at the leader, from where it would go to all.
    for node in [1, 3] {
        let mut mallory = Caller::log_in(cluster.node(node), "mallory", 1).await;
        let mut watcher = mallory.watch(&[]).await;
        watcher.renew(&mallory.lease, &users).await;
        let (code, text) = refused(watcher.changes.message().await);
        assert_eq!(code, Code::ResourceExhausted, "{text}");
        assert!(text.contains("at most 1024 users"), "{text}");
        // Nor does it help to name them at once.
        let mut mallory = Caller::log_in(cluster.node(node), "mallory", 1).await;
        assert_eq!(refused(mallory.try_watch(&users).await).0, Code::ResourceExhausted);
    }
    let mut alice = Caller::log_in(cluster.node(1), "alice", 2).await;
    let mut bob = Caller::log_in(cluster.node(2), "bob", 3).await;
    alice.join("tea").await.unwrap();
    assert_eq!(bob.join("tea").await.unwrap().members.len(), 2);
    cluster.agree(&[1, 2, 3]).await;
}

#[tokio::test]
async fn a_follower_whose_stream_dies_without_a_word_begins_another_one() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    cluster.hush(1, 3);
    let mut alice = Caller::log_in(cluster.node(3), "alice", 1).await;
    alice.join("tea").await.unwrap();
    // The leader is there, and the way to it is good: only what went over it is gone.
    cluster.agree(&[1, 2, 3]).await;
    let mut bob = Caller::log_in(cluster.node(1), "bob", 2).await;
    assert_eq!(bob.join("tea").await.unwrap().members.len(), 2);
}

#[tokio::test]
async fn a_node_that_hears_its_leader_and_cannot_follow_it_says_so() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    // It is told that node 3 leads, and cannot ask it for anything.
    cluster.cut(1, 3);
    let told = cluster.node(1).logged("cannot follow the leader").await;
    assert!(told.contains("takes no change"), "{told}");
    cluster.heal();
    cluster.node(1).logged("follows the leader again").await;
    cluster.agree(&[1, 2, 3]).await;
}
