//! A registry in somebody else's process.

use peerchat_registry::{
    BindError, Registry, Settings,
    authority::Authority,
    bind,
    cluster::{ClusterSettings, Leadership, election::Role, ledger::Limits, term::NodeId},
    serve,
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    caller::*,
    harness::{SOON, refused},
};

async fn in_memory() -> Registry {
    Registry::open(Settings::in_memory()).await.unwrap()
}

async fn log_in(address: &str) -> Caller {
    let channel = dial(address, key(1), endpoint()).await;
    Caller::over(channel, login("alice", "127.0.0.1:1")).await.unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn it_runs_in_a_host_and_leaves_the_port_free() {
    let shutdown = CancellationToken::new();
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    assert!(matches!(bind(address).await, Err(BindError::Taken(taken)) if taken == address.to_string()));
    let serving = tokio::spawn(serve(listener, in_memory().await, shutdown.clone()));

    let mut alice = log_in(&address.to_string()).await;
    let mut stream = alice.watch(&[]).await;
    shutdown.cancel();
    assert_eq!(refused(stream.next().await).0, Code::Unavailable);
    tokio::time::timeout(SOON, serving)
        .await
        .expect("it ends")
        .unwrap()
        .unwrap();
    bind(address).await.expect("the port is free again");
}

#[tokio::test(flavor = "current_thread")]
async fn dropping_it_cuts_its_connections() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve(listener, in_memory().await, CancellationToken::new()));
    let mut alice = log_in(&address.to_string()).await;
    let mut stream = alice.watch(&[]).await;
    serving.abort();
    assert!(stream.next().await.is_err());
}

#[tokio::test(flavor = "current_thread")]
async fn a_host_tells_its_folder_to_those_who_can_go_on_with_it() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("registry");
    let mut fingerprints = Vec::new();
    for is_first in [true, false] {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let registry = Registry::open(Settings::hosted(folder.clone())).await.unwrap();
        fingerprints.push(registry.fingerprint());
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, registry, shutdown.clone()));
        let alice = log_in(&address.to_string()).await;
        assert_eq!(alice.answer.folder, folder.to_str().unwrap());
        assert_eq!(alice.answer.is_new_account, is_first);
        shutdown.cancel();
        serving.await.unwrap().unwrap();
    }
    assert_eq!(fingerprints[0], fingerprints[1], "the successor has the same authority");
}

/// Whatever follows the leader watches it.
#[tokio::test(flavor = "current_thread")]
async fn who_leads_can_be_watched() {
    let parent = tempfile::tempdir().unwrap();
    let ca = parent.path().join("ca");
    Authority::create(&ca).unwrap();
    let listeners = [
        bind("127.0.0.1:0".parse().unwrap()).await.unwrap(),
        bind("127.0.0.1:0".parse().unwrap()).await.unwrap(),
    ];
    let [one, two] = [0, 1].map(|n| listeners[n].local_addr().unwrap());
    let list = format!("1={one},2={two}");
    let mut nodes = Vec::new();
    for (id, listener) in (1..).zip(listeners) {
        let own = NodeId::new(id).unwrap();
        let settings = Settings {
            folder: Some(parent.path().join(id.to_string())),
            ca: Some(ca.clone()),
            cluster: Some(ClusterSettings {
                own,
                members: list.parse().unwrap(),
                accepts_lost_accounts: false,
                limits: Limits::DEFAULT,
            }),
            ..Settings::in_memory()
        };
        let registry = Registry::open(settings).await.unwrap();
        let (watched, shutdown) = (registry.leadership().unwrap(), CancellationToken::new());
        let serving = tokio::spawn(serve(listener, registry, shutdown.clone()));
        nodes.push((watched, shutdown, serving));
    }
    let becomes = async |node: usize, is_it: &dyn Fn(&Leadership) -> bool| {
        let mut watched = nodes[node].0.clone();
        let found = tokio::time::timeout(SOON, watched.wait_for(is_it)).await;
        found.expect("in time").expect("it serves").clone()
    };
    let two = NodeId::new(2).unwrap();
    let follows =
        |leadership: &Leadership| matches!(leadership.role, Role::Follower(term) if term.leader() == Some(two));
    becomes(0, &follows).await;
    let reaches = |leadership: &Leadership| leadership.reachable.contains(&two);
    becomes(0, &reaches).await;
    nodes[1].1.cancel();
    becomes(0, &|leadership| matches!(leadership.role, Role::Leader(_))).await;
    becomes(0, &|leadership| leadership.reachable.is_empty()).await;
    assert_eq!(
        nodes[1].0.borrow().role,
        Role::Election,
        "who has handed over leads no more"
    );
    nodes[0].1.cancel();
    for (_, _, serving) in nodes {
        serving.await.unwrap().unwrap();
    }
}
