//! Whoever takes all places at a registry keeps no newcomer out.

use std::{process::Stdio, sync::Arc, time::Duration};

use peerchat_identity::{connect, tls};
use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{caller::*, harness::*};

/// How many files the registry may open, and so how many connections it takes: half as many.
const FILES: usize = 300;

/// What a client of HTTP/2 says first: the preface and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn with_few_files() -> Registry {
    let mut limited = std::process::Command::new("sh");
    let program = env!("CARGO_BIN_EXE_peerchat-registry");
    limited.args(["-c", &format!(r#"ulimit -n {FILES} && exec "$0" "$@""#), program]);
    limited.env_remove("RUST_LOG").stdin(Stdio::null());
    Registry::start_by(limited, &[])
}

/// How a stranger takes a place.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// It says nothing at all.
    Plain,
    /// It speaks HTTP/2 without a certificate, and asks nothing.
    Nameless,
    /// It asks once whether the registry is well, which everybody may.
    Asking,
}

/// One place, taken again whenever it is lost. Counts each time.
async fn hold(way: Way, address: String, tls: Arc<ClientConfig>, taken: watch::Sender<usize>) {
    loop {
        let held = async {
            if matches!(way, Way::Plain) {
                let mut stream = TcpStream::connect(&address).await?;
                taken.send_modify(|taken| *taken += 1);
                return stream.read(&mut [0]).await.map(drop);
            }
            let mut stream = connect::connect(address.as_str(), tls::registry_name(), Arc::clone(&tls)).await?;
            if matches!(way, Way::Asking) {
                let channel = connect::grpc(stream, endpoint()).await.map_err(std::io::Error::other)?;
                let mut client = HealthClient::new(channel);
                client
                    .check(HealthCheckRequest::default())
                    .await
                    .map_err(std::io::Error::other)?;
                taken.send_modify(|taken| *taken += 1);
                // A tonic channel tells of its end only to who asks.
                sleep(Duration::from_secs(3_600)).await;
                return Ok(());
            }
            stream.write_all(PREFACE).await?;
            taken.send_modify(|taken| *taken += 1);
            let mut heard = [0; 256];
            while stream.read(&mut heard).await? > 0 {}
            Ok(())
        };
        // Whatever has ended it.
        let _: std::io::Result<()> = held.await;
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_take_all_places_keep_no_newcomer_out_and_disturb_nobody_who_is_in() {
    peerchat_identity::open_files::allow_most();
    for way in [Way::Plain, Way::Nameless, Way::Asking] {
        let registry = with_few_files();
        let mut alice = Caller::log_in(&registry, "alice", 1).await;
        let mut stream = alice.watch(&[]).await;
        let (_, tls) = shown(&registry.address).await;
        let (taken, mut count) = watch::channel(0);
        let mut strangers = JoinSet::new();
        for _ in 0..2 * FILES / 3 {
            strangers.spawn(hold(way, registry.address.clone(), Arc::clone(&tls), taken.clone()));
        }
        count.wait_for(|taken| *taken >= 2 * FILES / 3).await.unwrap();
        registry.logged("when there was no place left").await;
        stream.renew(&[], &["bob"]).await;
        assert_eq!(stream.heard().await, "offline bob Left", "{way:?}");
        for n in 2..6 {
            let name = if n == 2 { "bob".to_owned() } else { format!("user-{n}") };
            let began = Instant::now();
            // As a peer does: a connection that breaks is dialled again.
            let mut newcomer = loop {
                let dialled = try_dial(&registry.address, key(n), endpoint()).await;
                let logged_in = match dialled {
                    Ok(channel) => Caller::over(channel, login(&name, &address(n))).await,
                    Err(away) => Err(away),
                };
                match logged_in {
                    Ok(newcomer) => break newcomer,
                    Err(error) => assert!(began.elapsed() < SOON, "{way:?}: {name} is kept out: {error}"),
                }
            };
            newcomer.watch(&[]).await;
            if n == 2 {
                assert_eq!(stream.heard().await, "bob Here", "{way:?}");
            }
            drop(newcomer);
        }
        strangers.abort_all();
        registry.stop().await;
    }
}

#[tokio::test]
async fn who_asks_nothing_is_closed_and_who_waits_with_a_lease_is_not() {
    let registry = Registry::start();
    let mut alice = Caller::log_in(&registry, "alice", 1).await;
    let stream = alice.watch(&[]).await;
    // Another connection of hers, over which nothing is asked for now.
    let mut beside = registry.client(1).await;
    // It speaks HTTP/2 as it should, and answers when it is asked whether it is there.
    let _stranger = registry.nameless_channel().await;
    let deadline = Instant::now() + 2 * SOON;
    while !registry.has_logged("nothing was asked over it") {
        assert!(Instant::now() < deadline, "{}", registry.log());
        stream.renew(&alice.lease, &[]).await;
        sleep(Duration::from_millis(200)).await;
    }
    let lease = alice.lease.clone().into();
    let found = beside
        .find(peerchat_proto::v1::FindRequest {
            lease,
            user: "alice".to_owned(),
        })
        .await;
    assert_eq!(found.unwrap().into_inner().peers.len(), 1);
    stream.renew(&[], &["alice"]).await;
}
