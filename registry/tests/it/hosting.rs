//! A registry in somebody else's process.

use peerchat_registry::{BindError, Registry, Settings, bind, serve};
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
