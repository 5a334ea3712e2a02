//! Accounts of a cluster whose nodes lose their disks, are away for long, or have a disk that refuses.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use peerchat_registry::{
    ServeError, Settings, bind,
    cluster::{ClusterSettings, LedgerStatus, ask_status, ledger::Limits, term::NodeId},
    serve,
};
use sqlx::Connection as _;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{caller::*, cluster_site::*, harness::*};

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

/// A node in this process.
struct Hosted {
    serving: JoinHandle<Result<(), ServeError>>,
    shutdown: CancellationToken,
}

/// Nodes that keep so little of what was decided that a node which is away for a moment needs all accounts.
struct HostedCluster {
    folder: TempDir,
    addresses: Vec<SocketAddr>,
    nodes: BTreeMap<u64, Hosted>,
}

impl HostedCluster {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        init(&folder.path().join("ca")).await;
        let mut addresses = Vec::new();
        let mut listeners = Vec::new();
        for _ in 0..3 {
            let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            listeners.push(listener);
        }
        let nodes = BTreeMap::new();
        let mut cluster = Self {
            folder,
            addresses,
            nodes,
        };
        for (id, listener) in (1..).zip(listeners) {
            cluster.serve(id, listener).await;
        }
        cluster
    }

    fn address(&self, id: u64) -> String {
        self.addresses[usize::try_from(id).unwrap() - 1].to_string()
    }

    async fn serve(&mut self, id: u64, listener: TcpListener) {
        let entries = (1..)
            .zip(&self.addresses)
            .map(|(id, address)| format!("{id}={address}"));
        let list = entries.collect::<Vec<_>>().join(",");
        let settings = Settings {
            folder: Some(self.folder.path().join(id.to_string())),
            ca: Some(self.folder.path().join("ca")),
            cluster: Some(ClusterSettings {
                own: NodeId::new(id).unwrap(),
                members: list.parse().unwrap(),
                accepts_lost_accounts: false,
                limits: Limits {
                    kept: 8,
                    kept_max: 24,
                    part: 500,
                    ..Limits::DEFAULT
                },
            }),
            ..Settings::in_memory()
        };
        let registry = peerchat_registry::Registry::open(settings).await.unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, registry, shutdown.clone()));
        self.nodes.insert(id, Hosted { serving, shutdown });
    }

    async fn stop(&mut self, id: u64) {
        let node = self.nodes.remove(&id).unwrap();
        node.shutdown.cancel();
        node.serving.await.unwrap().unwrap();
    }

    async fn start(&mut self, id: u64) {
        let address = self.addresses[usize::try_from(id).unwrap() - 1];
        self.serve(id, bind(address).await.unwrap()).await;
    }

    /// Whether a name was free, as soon as it can be said.
    async fn log_in(&self, id: u64, user: &str, n: u8) -> bool {
        let deadline = Instant::now() + 2 * SOON;
        loop {
            let channel = dial(&self.address(id), key(n), endpoint()).await;
            match Caller::over(channel, login(user, "127.0.0.1:4444")).await {
                Ok(caller) => return caller.answer.is_new_account,
                Err(status) => assert!(Instant::now() < deadline, "{status}"),
            }
        }
    }

    /// Waits until a node has all that is decided, and counts.
    async fn has_all(&self, id: u64) {
        let deadline = Instant::now() + 2 * SOON;
        loop {
            let mut ledgers = Vec::new();
            for of in self.nodes.keys() {
                let asked = ask_status(&self.address(*of)).await;
                ledgers.extend(asked.ok().and_then(|(_, status)| Some((*of, status?.ledger?))));
            }
            let decided = ledgers.iter().map(|(_, ledger)| ledger.committed).max();
            let is_there = |(of, ledger): &(u64, LedgerStatus)| {
                *of == id && ledger.is_taking_part && Some(ledger.applied) == decided
            };
            if ledgers.iter().any(is_there) {
                return;
            }
            assert!(Instant::now() < deadline, "{id} lacks something: {ledgers:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_node_that_needs_what_is_kept_no_longer_gets_all_accounts() {
    let mut cluster = HostedCluster::new().await;
    assert!(cluster.log_in(1, "user1", 1).await);
    cluster.has_all(1).await;
    // More than are kept for anybody.
    cluster.stop(1).await;
    for n in 2..=40 {
        assert!(cluster.log_in(2 + u64::from(n % 2), &format!("user{n}"), n).await);
    }
    cluster.start(1).await;
    cluster.has_all(1).await;
    // One that has nothing at all.
    cluster.stop(2).await;
    std::fs::remove_dir_all(cluster.folder.path().join("2")).unwrap();
    cluster.start(2).await;
    cluster.has_all(2).await;
    cluster.stop(3).await;
    for id in [1, 2] {
        for n in 1..=40 {
            assert!(
                !cluster.log_in(id, &format!("user{n}"), n).await,
                "user{n} at node {id}"
            );
        }
    }
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
    assert!(
        !status.is_taking_part && status.standing.contains("cannot store"),
        "{status:?}"
    );
    assert!(Caller::log_in(cluster.node(2), "carol", 3).await.answer.is_new_account);

    sqlx::query("ROLLBACK").execute(&mut held).await.unwrap();
    held.close().await.unwrap();
    cluster.led_by(3, &[1, 2, 3]).await;
    cluster.accounts_agree(&[1, 2, 3]).await;
    assert!(!Caller::log_in(cluster.node(3), "carol", 3).await.answer.is_new_account);
}

#[tokio::test]
async fn before_its_cluster_has_begun_a_nodes_folder_is_used_for_nothing_else() {
    let mut cluster = Cluster::new(&[1, 2, 3]).await;
    cluster.start(1);
    let listening = cluster.status(1).await;
    assert!(listening.is_some());
    let data = cluster.data(1);
    let data = data.to_str().unwrap();
    let (code, text) = run(&["invite", "--data", data]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("--registry HOST:PORT"), "{text}");
    cluster.stop(1).await;
    let (code, text) = run(&["--listen", "127.0.0.1:0", "--data", data]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("has the accounts of a cluster"), "{text}");
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
    // And goes on as it was.
    let alone = Registry::start_in(&data);
    assert!(!Caller::log_in(&alone, "mallory", 9).await.answer.is_new_account);
    alone.stop().await;
    tokio::time::timeout(Duration::from_secs(30), cluster.decide(&[2, 3]))
        .await
        .unwrap();
}
