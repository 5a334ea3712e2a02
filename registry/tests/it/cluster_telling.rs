//! What a cluster that can decide nothing tells whoever asks for something.

use tonic::Code;

use crate::{caller::*, cluster_site::*, harness::*};

#[tokio::test]
async fn every_node_of_a_cluster_that_has_not_begun_names_who_is_missing() {
    let mut cluster = Cluster::new(&[1, 2, 3]).await;
    cluster.start(1);
    cluster.start(2);
    cluster.led_by(2, &[1, 2]).await;
    let ca = cluster.ca();
    for node in [1, 2] {
        let address = &cluster.node(node).address;
        let asked = Caller::try_log_in(cluster.node(node), 1, login("alice", "127.0.0.1:4444")).await;
        let (code, told) = refused(asked);
        assert_eq!(code, Code::Unavailable);
        let (code, printed) = run(&["invite", "--ca", ca.to_str().unwrap(), "--registry", address]).await;
        assert_eq!(code, Some(1));
        for text in [told, printed] {
            assert!(
                text.contains("has no accounts yet") && text.contains("start 3;"),
                "node {node}: {text}"
            );
        }
    }
    // The log has it too, once.
    let standing = "a new cluster begins only with all of its nodes: start 3";
    cluster.node(2).logged(standing).await;
    assert_eq!(cluster.node(2).log().matches(standing).count(), 1);

    cluster.start(3);
    cluster.decide(&[1, 2, 3]).await;
    Caller::log_in(cluster.node(1), "alice", 1).await;
}
