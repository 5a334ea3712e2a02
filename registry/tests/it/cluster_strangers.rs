//! Who may speak in a cluster: its nodes, each for itself, and nobody else.

use std::{sync::Arc, time::Duration};

use peerchat_identity::{DeviceCertificate, Trust, connect, tls};
use peerchat_proto::v1::{self, cluster_service_client::ClusterServiceClient, follow_request::Step};
use peerchat_registry::{
    authority::{Authority, NodeIdentity},
    cluster::term::NodeId,
};
use rustls::ClientConfig;
use tonic::{Code, transport::Channel};

use crate::{caller::*, cluster_site::*, harness::*};

type Speaker = ClusterServiceClient<Channel>;

const NODES: [u32; 3] = [1, 2, 3];

fn heartbeat(term: u64) -> v1::HeartbeatRequest {
    let nodes = NODES.to_vec();
    v1::HeartbeatRequest { nodes, term }
}

/// Somebody who shows what is in a configuration.
async fn speaker(registry: &Registry, config: Arc<ClientConfig>) -> Speaker {
    let stream = connect::connect(&registry.address, tls::registry_name(), config)
        .await
        .unwrap();
    Speaker::new(connect::grpc(stream, endpoint()).await.unwrap())
}

/// How a try to follow ends.
async fn follow(who: &mut Speaker, nodes: &[u32], term: u64) -> (Code, String) {
    let hello = v1::FollowHello {
        nodes: nodes.to_vec(),
        term,
        position: Some(v1::TablePosition::default()),
    };
    let steps = [Step::Hello(hello), Step::ClaimsEnd(v1::ClaimsEnd {})];
    let said = steps.map(|step| v1::FollowRequest { step: Some(step) });
    let mut told = who.follow(tokio_stream::iter(said)).await.unwrap().into_inner();
    loop {
        match told.message().await {
            // What waited when the own side ended.
            Ok(Some(_)) => {}
            Ok(None) => return (Code::Ok, String::new()),
            Err(status) => return (status.code(), status.message().to_owned()),
        }
    }
}

/// Whoever has the authority's key, and says that he is this node.
async fn as_node(cluster: &Cluster, id: u64, to: u8) -> Speaker {
    let authority = Authority::find(&cluster.ca()).unwrap().unwrap();
    let NodeIdentity { certificate, key, .. } = authority.node_identity(NodeId::new(id).unwrap()).unwrap();
    let config = tls::node_client(certificate, key, authority.trust()).unwrap();
    speaker(cluster.node(to), config).await
}

#[tokio::test]
async fn nobody_but_a_node_is_heard() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    let (term, _) = cluster.led_by(3, &[1, 2, 3]).await;
    let node = cluster.node(1);
    let later = term + 100;

    let mut nameless = Speaker::new(node.nameless_channel().await);
    let refusal = refused(nameless.heartbeat(heartbeat(later)).await);
    assert_eq!(refusal.0, Code::Unauthenticated);
    let mut device = Speaker::new(node.channel(1).await);
    let refusal = refused(device.heartbeat(heartbeat(later)).await);
    assert_eq!(refusal.0, Code::PermissionDenied);
    // Of the right authority, and for a device.
    let alice = Caller::log_in(node, "alice", 1).await;
    let trust = Trust::new(alice.answer.authority.to_vec().into()).unwrap();
    let certificate = DeviceCertificate::parse(&alice.answer.certificate.to_vec().into()).unwrap();
    let mut device = speaker(
        node,
        tls::peer_client(key(1), &certificate, &trust, tls::system_clock()).unwrap(),
    )
    .await;
    let refusal = refused(device.heartbeat(heartbeat(later)).await);
    assert_eq!(refusal.0, Code::PermissionDenied);
    // For a node, and of another authority.
    let other = Authority::in_memory().unwrap();
    let NodeIdentity { certificate, key, .. } = other.node_identity(NodeId::new(3).unwrap()).unwrap();
    let config = tls::node_client(certificate, key, &trust).unwrap();
    let refusal = refused(speaker(node, config).await.heartbeat(heartbeat(later)).await);
    assert_eq!(refusal.0, Code::PermissionDenied);
    // Of the right authority, and of no member, or of the called node itself.
    for id in [4, 1] {
        let refusal = refused(as_node(&cluster, id, 1).await.heartbeat(heartbeat(later)).await);
        assert_eq!(refusal.0, Code::PermissionDenied, "{}", refusal.1);
    }
    node.logged("a call to the cluster from 127.0.0.1").await;
    assert_eq!(cluster.led_by(3, &[1, 2, 3]).await.0, term, "nobody was disturbed");
    // Nobody else gets the table.
    assert_eq!(follow(&mut nameless, &NODES, term).await.0, Code::Unauthenticated);
    assert_eq!(follow(&mut device, &NODES, term).await.0, Code::PermissionDenied);
    let mut four = as_node(&cluster, 4, 3).await;
    assert_eq!(follow(&mut four, &NODES, term).await.0, Code::PermissionDenied);
    // Who is there is no secret.
    nameless.get_status(v1::GetStatusRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_node_speaks_for_itself_alone_and_in_its_own_cluster() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    let (term, _) = cluster.led_by(3, &[1, 2, 3]).await;
    // Beside the one that runs nobody would be heard as node 2.
    cluster.kill(2);
    let mut two = as_node(&cluster, 2, 1).await;
    // The term is node 3's, whatever node 2 says.
    two.heartbeat(heartbeat(term + 100)).await.unwrap();
    two.resign(v1::ResignRequest {
        nodes: NODES.to_vec(),
        term,
    })
    .await
    .unwrap();
    let refusal = refused(two.heartbeat(heartbeat(7)).await);
    assert_eq!(refusal.0, Code::InvalidArgument);
    let request = v1::HeartbeatRequest {
        nodes: vec![1, 2, 3, 4],
        term,
    };
    let refusal = refused(two.heartbeat(request).await);
    assert_eq!(refusal.0, Code::FailedPrecondition);
    assert_eq!(follow(&mut two, &[1, 2], term).await.0, Code::FailedPrecondition);
    let (code, text) = follow(&mut two, &NODES, term).await;
    assert_eq!(
        (code, text.as_str()),
        (Code::Unavailable, "this node does not lead, or not under that term")
    );
    tokio::time::timeout(Duration::from_secs(3), async {
        assert_eq!(cluster.led_by(3, &[1, 3]).await.0, term);
    })
    .await
    .unwrap();
    let alone = Registry::start();
    let mut anybody = Speaker::new(alone.channel(1).await);
    let refusal = refused(anybody.heartbeat(heartbeat(term)).await);
    assert_eq!(refusal.0, Code::FailedPrecondition);
    assert!(refusal.1.contains("not part of a cluster"), "{}", refusal.1);
}

#[tokio::test]
async fn who_dials_a_node_gets_that_one_or_nobody() {
    let mut cluster = Cluster::new(&[1, 2, 3]).await;
    cluster.start(1);
    // Where node 2 should be, node 1 is.
    let list = format!("1=127.0.0.1:1,2={},3=127.0.0.1:3", cluster.node(1).address);
    let ca = cluster.ca();
    cluster.start_as(3, &list, &ca);
    cluster.node(3).logged("another registry is there").await;
}

#[tokio::test]
async fn the_same_id_twice_is_refused_and_told() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    let (list, ca, data) = (cluster.list(3), cluster.ca(), tempfile::tempdir().unwrap());
    let arguments = ["--id", "3", "--cluster", &list, "--ca", ca.to_str().unwrap()];
    let data = ["--data", data.path().to_str().unwrap()];
    let second = Registry::start_with(&[&arguments[..], &data].concat());
    let told = second.logged("another process is node 3 already").await;
    assert!(told.contains("an id of its own"), "{told}");
    for node in [1, 2] {
        cluster.node(node).logged("another process is node 3 already").await;
    }
    // Nobody takes the second one for node 3.
    cluster.led_by(3, &[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    // Each time it speaks it is refused, and is told of once.
    let refusals = |node: u8| {
        cluster
            .node(node)
            .log()
            .matches("another process is node 3 already")
            .count()
    };
    assert_eq!((refusals(1), refusals(2)), (1, 1));
}

/// A part of an account with a device.
fn account(user: &str, password: &str, devices: usize) -> v1::ImportAccountRequest {
    let known = |n: usize| v1::WholeDevice {
        device: vec![u8::try_from(n).unwrap(); 32].into(),
        added_by: "password".to_owned(),
        ..Default::default()
    };
    v1::ImportAccountRequest {
        user: user.to_owned(),
        account: Some(v1::ChangeImport {
            version: 1,
            password: password.to_owned(),
            created_s: 7,
            devices: (0..devices).map(known).collect(),
        }),
    }
}

#[tokio::test]
async fn accounts_are_brought_by_the_operator_alone_and_only_such_as_there_can_be() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    let node = cluster.node(1);
    let mut nameless = Speaker::new(node.nameless_channel().await);
    let mut device = Speaker::new(node.channel(1).await);
    let mut two = as_node(&cluster, 2, 1).await;
    let strangers = [
        (&mut nameless, Code::Unauthenticated),
        (&mut device, Code::PermissionDenied),
        (&mut two, Code::PermissionDenied),
    ];
    for (stranger, expected) in strangers {
        let refusal = refused(stranger.import_account(account("alice", "", 1)).await);
        assert_eq!(refusal.0, expected, "{}", refusal.1);
    }
    node.logged("an import from 127.0.0.1").await;

    let authority = Authority::find(&cluster.ca()).unwrap().unwrap();
    let (certificate, key) = authority.operator_identity().unwrap();
    let config = tls::node_client(certificate, key, authority.trust()).unwrap();
    let mut operator = speaker(node, config).await;
    let of_version = |version| {
        let mut request = account("alice", "", 1);
        request.account.as_mut().unwrap().version = version;
        request
    };
    let mut short = account("alice", "", 1);
    short.account.as_mut().unwrap().devices[0].device = vec![1].into();
    let wrong = [
        account("al ice", "", 1),
        account("alice", "", 33),
        account("alice", &"x".repeat(16 * 1_024), 1),
        of_version(0),
        of_version(2),
        short,
        v1::ImportAccountRequest::default(),
    ];
    for request in wrong {
        let refusal = refused(operator.import_account(request).await);
        assert_eq!(refusal.0, Code::InvalidArgument, "{}", refusal.1);
    }
    let alice = Caller::log_in(cluster.node(2), "alice", 1).await;
    assert!(alice.answer.is_new_account, "nothing of it was done");
    let answer = operator
        .import_account(account("bob", "", 32))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.fate(), answer.devices_added), (v1::ImportFate::Made, 32));
}
