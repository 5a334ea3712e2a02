//! New devices that wait at one registry of a site, and are approved at another one.

use peerchat_proto::v1::link_device_response::Step;
use tonic::Code;

use crate::{caller::*, cluster_site::Cluster, harness::*, servers::Kind, shared::Site};

/// A device of the tests that nobody approves.
const STRANGER: &str = "2222-3333";

/// Device 2 waits at `there`, and `alice`, who is at another one, lets it in.
async fn is_approved_elsewhere(alice: &mut Caller, bob: &mut Caller, there: &Registry, others: &[&Registry]) {
    let mut stream = alice.watch(&[]).await;
    let mut linking = Linking::ask(there.channel(2).await, "alice").await.unwrap();
    let code = linking.code().await;
    assert_eq!(stream.heard().await, "attempt 2 127.0.0.1 Waits");
    assert_eq!(refused(bob.approve(&code).await).0, Code::NotFound, "it is for alice");

    let approved = alice.approve(&code).await.unwrap();
    assert_eq!(
        (approved.device.to_vec(), approved.label.as_str()),
        (device(2), "phone")
    );
    assert!(matches!(linking.next().await, Ok(Some(Step::Approved(_)))));
    assert!(matches!(linking.next().await, Ok(None)), "that was all");
    let second = Caller::try_log_in(there, 2, login("alice", "127.0.0.1:1"))
        .await
        .unwrap();
    assert!(!second.answer.is_new_account);
    assert_eq!(
        refused(alice.approve(&code).await).0,
        Code::NotFound,
        "a code is good once"
    );
    let (wrong, text) = refused(alice.approve(STRANGER).await);
    assert_eq!(wrong, Code::NotFound);
    assert!(
        text.contains("no new device of yours waits with this code") && text.contains("did not answer"),
        "{text}"
    );
    for registry in others.iter().chain([&there]) {
        let log = registry.log();
        assert!(!log.contains(&code), "a code is never logged:\n{log}");
    }
}

#[tokio::test]
async fn registries_that_share_a_table_pass_approvals_on() {
    let Some(mut site) = Site::start(Kind::Postgres).await else {
        return;
    };
    let (a, b, c) = (site.registry(), site.registry(), site.registry());
    let mut alice = Caller::log_in(&a, "alice", 1).await;
    let mut bob = Caller::log_in(&c, "bob", 3).await;
    is_approved_elsewhere(&mut alice, &mut bob, &b, &[&a, &c]).await;

    // What the registry where it waits says of it is said where the code was typed.
    let mut linking = Linking::ask(b.channel(4).await, "alice").await.unwrap();
    let code = linking.code().await;
    Caller::log_in(&c, "dave", 4).await;
    let (refusal, text) = refused(alice.approve(&code).await);
    assert_eq!(refusal, Code::PermissionDenied);
    assert!(text.contains("another user's"), "{text}");

    let mut linking = Linking::ask(b.channel(5).await, "alice").await.unwrap();
    let code = linking.code().await;
    site.redis.kill();
    let (away, text) = refused(alice.approve(&code).await);
    assert_eq!(away, Code::Unavailable);
    assert!(text.contains("table of leases does not answer"), "{text}");
}

#[tokio::test]
async fn nodes_of_a_cluster_pass_approvals_on() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let mut alice = Caller::log_in(cluster.node(1), "alice", 1).await;
    let mut bob = Caller::log_in(cluster.node(3), "bob", 3).await;
    let others = [cluster.node(1), cluster.node(3)];
    is_approved_elsewhere(&mut alice, &mut bob, cluster.node(2), &others).await;
}
