//! A registry in somebody else's process.

use peerchat_registry::{BindError, bind, serve};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::harness::*;

#[tokio::test(flavor = "current_thread")]
async fn it_runs_in_a_host_and_leaves_the_port_free() {
    let shutdown = CancellationToken::new();
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    assert!(matches!(bind(address).await, Err(BindError::Taken(taken)) if taken == address));
    let serving = tokio::spawn(serve(listener, shutdown.clone()));

    let mut client = Client::connect(format!("http://{address}")).await.unwrap();
    let lease = client
        .log_in(login("alice", 1, "127.0.0.1:1"))
        .await
        .unwrap()
        .into_inner()
        .lease
        .to_vec();
    let mut alice = Caller { client, lease };
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
    let serving = tokio::spawn(serve(listener, CancellationToken::new()));
    let mut client = Client::connect(format!("http://{address}")).await.unwrap();
    let lease = client
        .log_in(login("alice", 1, "127.0.0.1:1"))
        .await
        .unwrap()
        .into_inner()
        .lease
        .to_vec();
    let mut stream = Caller { client, lease }.watch(&[]).await;
    serving.abort();
    assert!(stream.next().await.is_err());
}
