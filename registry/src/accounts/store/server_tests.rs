//! At a server: who holds what, what it decides by itself, and a way to it that is cut.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use peerchat_proto::names::UserName;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{testing::settle, tests::fresh, *};
use crate::{
    accounts::{DeviceLabel, change::Proof},
    routes::DeviceId,
    servers::{Kind, Server},
};

const NOW: WallTime = WallTime(1_800_000_000);

/// How long anything may take that heals by itself.
const SOON: Duration = Duration::from_secs(60);

async fn run(connection: &mut AnyConnection, sql: &str) {
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

#[tokio::test]
async fn tables_that_another_one_is_changing_are_waited_for_and_then_left_alone() {
    let Some(server) = Server::start(Kind::MariaDb).await else {
        return;
    };
    let url = server.create("held").await;
    let mut other = AnyConnection::connect(&url).await.unwrap();
    run(&mut other, "DO GET_LOCK('peerchat_schema', 0)").await;
    let place = Place::Url(url.parse().unwrap());
    let error = Store::open(&place).await.unwrap_err();
    let is_busy = matches!(
        error,
        OpenError::Database {
            source: StoreError::Busy,
            ..
        }
    );
    assert!(is_busy, "{error:?}");
    run(&mut other, "DO RELEASE_LOCK('peerchat_schema')").await;
    let store = Store::open(&place).await.unwrap();
    // It does not keep the lock.
    Store::open(&place).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn what_postgres_was_told_of_isolation_changes_nothing() {
    let Some(server) = Server::start(Kind::Postgres).await else {
        return;
    };
    let url = server.create("strict").await;
    let mut operator = AnyConnection::connect(&url).await.unwrap();
    let strict = "ALTER DATABASE strict SET default_transaction_isolation = 'serializable'";
    run(&mut operator, strict).await;
    let store = Store::open(&Place::Url(url.parse().unwrap())).await.unwrap();
    settle(&store, "alice", 0, Proof::None).await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 1..=10 {
        let store = store.clone();
        tasks.spawn(async move {
            let (alice, label) = (UserName::new("alice").unwrap(), DeviceLabel::new(""));
            store
                .approve(&alice, DeviceId([0; 32]), DeviceId([n; 32]), &label, NOW)
                .await
        });
    }
    for approved in tasks.join_all().await {
        approved.unwrap();
    }
}

/// A way to a server, of which all connections that there are can be cut: nothing gets through, and nobody is told.
async fn way_to(server: &Server, tasks: &mut JoinSet<()>) -> (SocketAddr, watch::Sender<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, to, cut) = (listener.local_addr().unwrap(), server.address(), watch::Sender::new(0));
    let cuts = cut.clone();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut cut = cuts.subscribe();
            connections.spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                let is_cut = tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => false,
                    _ = cut.changed() => true,
                };
                if is_cut {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (address, cut)
}

async fn a_cut_way_takes_no_connection_for_good(kind: Kind) {
    let Some(server) = Server::start(kind).await else {
        return;
    };
    let mut tasks = JoinSet::new();
    let (way, cut) = way_to(&server, &mut tasks).await;
    let Place::Url(url) = fresh(&server, "far").await else {
        panic!("it is at a server");
    };
    let url = url.reveal().replace(&server.address().to_string(), &way.to_string());
    let store = Store::open(&Place::Url(url.parse().unwrap())).await.unwrap();
    settle(&store, "alice", 1, Proof::None).await.unwrap();
    // All that it may have are in use.
    let mut used = Vec::new();
    let deadline = Instant::now() + SOON;
    while used.len() < store.dialect.connections(false) as usize {
        // On a busy machine one takes its time.
        match store.write().await {
            Ok(work) => used.push(work),
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
    }
    cut.send_modify(|cuts| *cuts += 1);
    for mut work in used {
        tasks.spawn(async move {
            let answer = work.one("SELECT name FROM accounts", &[]).await;
            assert!(matches!(answer, Err(StoreError::Away)), "{:?}", answer.err());
        });
    }
    let deadline = Instant::now() + SOON;
    let (alice, device) = (UserName::new("alice").unwrap(), DeviceId([1; 32]));
    while let Err(error) = store.look_up(&alice, device, None, NOW).await {
        assert!(Instant::now() < deadline, "there are ways that are not cut: {error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_cut_way_to_mariadb_takes_no_connection_for_good() {
    a_cut_way_takes_no_connection_for_good(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_cut_way_to_postgres_takes_no_connection_for_good() {
    a_cut_way_takes_no_connection_for_good(Kind::Postgres).await;
}
