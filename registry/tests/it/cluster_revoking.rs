//! Devices that are revoked at one node while another one has not heard of it.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::{caller::*, cluster_site::*, harness::*};

/// How often a peer renews its lease.
const RENEWAL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_device_that_was_revoked_beyond_a_cut_is_out_when_the_network_is_whole_again() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    let password = "correct horse";
    for n in [1, 2] {
        Caller::log_in_with(cluster.node(1), "alice", n, password)
            .await
            .unwrap();
    }
    cluster.accounts_agree(&[1, 2, 3]).await;
    cluster.isolate(3);
    cluster.led_by(2, &[1, 2]).await;
    // Node 3 cannot know.
    Caller::log_in(cluster.node(1), "alice", 1)
        .await
        .revoke(2)
        .await
        .unwrap();
    let mut thief = Caller::log_in(cluster.node(3), "alice", 2).await;
    let mut watcher = thief.watch(&[]).await;
    cluster.heal();
    cluster.led_by(3, &[1, 2, 3]).await;
    let deadline = Instant::now() + 3 * SOON;
    let end = loop {
        watcher.renew(&thief.lease, &[]).await;
        match timeout(RENEWAL, watcher.next()).await {
            Ok(Err(end)) => break end,
            Ok(Ok(None)) => panic!("a stream ends with a reason"),
            Ok(Ok(Some(_))) | Err(_) => assert!(Instant::now() < deadline, "it is in still\n{}", cluster.logs()),
        }
    };
    assert!(end.message().contains("revoked"), "{end}");
    assert!(thief.find("alice").await.is_err());
}
