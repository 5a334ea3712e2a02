//! Accounts of a cluster whose nodes lose their disks, are away for long, or have a disk that refuses.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use peerchat_identity::{connect, tls};
use peerchat_proto::v1::{self, cluster_service_client::ClusterServiceClient};
use peerchat_registry::authority::Authority;
use sqlx::Connection as _;
use tokio::task::JoinSet;
use tonic::{Code, transport::Channel};

use crate::{caller::*, cluster_site::*, harness::*};

/// More changes than are kept for a node that has none.
const CHANGES: u32 = 8_400;

/// Calls that are under way at once over one connection.
const AT_ONCE: u32 = 32;

#[tokio::test]
async fn a_node_that_lost_its_disk_has_all_accounts_again_and_counts() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    for n in 1..=5 {
        Caller::log_in(cluster.node(1), &format!("user{n}"), n).await;
    }
    cluster.kill(2);
    cluster.lose_disk(2);
    Caller::log_in(cluster.node(3), "user6", 6).await;
    cluster.start(2);
    cluster.accounts_agree(&[1, 2, 3]).await;
    // From now on it is one of a majority.
    cluster.kill(3);
    cluster.led_by(2, &[1, 2]).await;
    cluster.decide(&[1, 2]).await;
    for n in 1..=6 {
        let user = Caller::log_in(cluster.node(2), &format!("user{n}"), n).await;
        assert!(!user.answer.is_new_account);
    }
    assert!(Caller::log_in(cluster.node(2), "user7", 7).await.answer.is_new_account);
    cluster.kill(1);
    cluster.start(3);
    cluster.decide(&[2, 3]).await;
    assert!(!Caller::log_in(cluster.node(3), "user7", 7).await.answer.is_new_account);
}

/// An operator's connection to a node.
async fn operator(cluster: &Cluster, node: u8) -> ClusterServiceClient<Channel> {
    let authority = Authority::find(&cluster.ca()).unwrap().unwrap();
    let (certificate, key) = authority.operator_identity().unwrap();
    let config = tls::node_client(certificate, key, authority.trust()).unwrap();
    let stream = connect::connect(&cluster.node(node).address, tls::registry_name(), Arc::clone(&config))
        .await
        .unwrap();
    ClusterServiceClient::new(connect::grpc(stream, endpoint()).await.unwrap())
}

#[tokio::test]
async fn a_node_that_needs_what_is_kept_no_longer_gets_all_accounts() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    Caller::log_in(cluster.node(1), "alice", 1).await;
    let mut adding = JoinSet::new();
    let deadline = Instant::now() + 12 * SOON;
    for node in 1..=3_u8 {
        for lane in 0..AT_ONCE {
            let mut operator = operator(&cluster, node).await;
            adding.spawn(async move {
                for round in 0..CHANGES / (3 * AT_ONCE) + 1 {
                    let mut hash = [node; 32];
                    hash[..4].copy_from_slice(&lane.to_le_bytes());
                    hash[4..8].copy_from_slice(&round.to_le_bytes());
                    let (hash, lifetime_s) = (hash.to_vec().into(), 3_600);
                    let request = v1::AddInviteRequest { hash, lifetime_s };
                    // On a machine that is busy with other things it may take too long.
                    while let Err(status) = operator.add_invite(request.clone()).await {
                        let is_slow = matches!(status.code(), Code::Unavailable | Code::Cancelled);
                        assert!(is_slow && Instant::now() < deadline, "{status}");
                    }
                }
            });
        }
    }
    let begun = Instant::now();
    adding.join_all().await;
    println!("{CHANGES} changes took {:?}", begun.elapsed());
    cluster.accounts_agree(&[1, 2, 3]).await;
    cluster.kill(1);
    cluster.lose_disk(1);
    cluster.start(1);
    cluster.node(1).logged("took the accounts of another node").await;
    cluster.accounts_agree(&[1, 2, 3]).await;
    cluster.kill(3);
    cluster.led_by(2, &[1, 2]).await;
    cluster.decide(&[1, 2]).await;
    assert!(!Caller::log_in(cluster.node(1), "alice", 1).await.answer.is_new_account);
}

#[tokio::test]
async fn when_most_disks_are_lost_nothing_is_decided_until_the_operator_gives_up_what_they_had() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    Caller::log_in(cluster.node(1), "alice", 1).await;
    cluster.accounts_agree(&[1, 2, 3]).await;
    for id in 1..=3 {
        cluster.stop(id).await;
    }
    for id in [1, 2] {
        cluster.lose_disk(id);
    }
    for id in 1..=3 {
        cluster.start(id);
    }
    let told = cluster
        .until(&[3], |ledgers| {
            ledgers[0].standing.contains("the disks of 1, 2 are empty")
        })
        .await;
    assert!(!told[0].is_taking_part);
    let wanted = Caller::try_log_in(cluster.node(3), 2, login("bob", "127.0.0.1:4444")).await;
    let (code, text) = refused(wanted);
    assert_eq!(code, Code::Unavailable, "{text}");
    assert!(text.contains("the disks of 1, 2 are empty"), "{text}");
    assert!(!Caller::log_in(cluster.node(3), "alice", 1).await.answer.is_new_account);

    for id in [1, 2] {
        cluster.stop(id).await;
        cluster.start_and(id, &["--accept-lost-accounts"]);
    }
    cluster.accounts_agree(&[1, 2, 3]).await;
    assert!(Caller::log_in(cluster.node(1), "bob", 2).await.answer.is_new_account);
    assert!(!Caller::log_in(cluster.node(2), "alice", 1).await.answer.is_new_account);
}

#[tokio::test]
async fn a_node_that_cannot_store_accounts_takes_no_part_until_it_can() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    Caller::log_in(cluster.node(1), "alice", 1).await;
    cluster.accounts_agree(&[1, 2, 3]).await;
    // Somebody holds the leader's database for longer than it waits.
    let file = cluster.data(3).join("registry/accounts.sqlite");
    let mut held = sqlx::SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut held).await.unwrap();
    let wanted = Caller::try_log_in(cluster.node(1), 2, login("bob", "127.0.0.1:4444")).await;
    assert!(wanted.is_ok() || refused(wanted).0 == Code::Unavailable);
    cluster.node(3).logged("this node takes no part until it can").await;
    cluster.led_by(2, &[1, 2]).await;
    cluster.decide(&[1, 2]).await;
    let status = cluster.status(3).await.unwrap().ledger.unwrap();
    assert!(!status.is_taking_part && status.standing.contains("busy"), "{status:?}");
    assert!(Caller::log_in(cluster.node(2), "carol", 3).await.answer.is_new_account);

    sqlx::query("ROLLBACK").execute(&mut held).await.unwrap();
    held.close().await.unwrap();
    cluster.led_by(3, &[1, 2, 3]).await;
    cluster.accounts_agree(&[1, 2, 3]).await;
    assert!(!Caller::log_in(cluster.node(3), "carol", 3).await.answer.is_new_account);
}

#[tokio::test]
async fn accounts_of_a_registry_alone_and_of_a_cluster_are_not_mixed() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    Caller::log_in(cluster.node(1), "alice", 1).await;
    cluster.stop(1).await;
    let data = cluster.data(1);
    let (code, text) = run(&["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("has the accounts of a cluster"), "{text}");

    cluster.lose_disk(1);
    let alone = Registry::start_in(&data);
    Caller::log_in(&alone, "mallory", 9).await;
    alone.stop().await;
    let (list, ca) = (cluster.list(1), cluster.ca());
    let arguments = ["--listen", "127.0.0.1:0", "--id", "1", "--cluster", &list];
    let folders = ["--ca", ca.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let (code, text) = run(&[&arguments[..], &folders].concat()).await;
    assert_eq!(code, Some(1));
    assert!(
        text.contains("was part of no cluster") && text.contains("--data"),
        "{text}"
    );
    tokio::time::timeout(Duration::from_secs(30), cluster.decide(&[2, 3]))
        .await
        .unwrap();
}
