//! Accounts of a registry that ran alone, for a cluster and for a database: its users come back as if nothing had been.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tempfile::TempDir;
use tonic::Code;

use crate::{
    caller::*,
    cluster_site::*,
    harness::*,
    servers::{Kind, Server, secret},
};

const PASSWORD: &str = "correct horse";

/// A registry alone that has ended, and what it kept: alice has two devices and a password, bob one device and one that is revoked.
struct Alone {
    folder: TempDir,
    fingerprint: String,
    invite: String,
}

impl Alone {
    async fn run() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::start_in(folder.path());
        let alice = Caller::log_in_with(&registry, "Alice", 1, PASSWORD).await.unwrap();
        assert!(alice.answer.is_new_account);
        Caller::log_in_with(&registry, "alice", 2, PASSWORD).await.unwrap();
        let mut bob = Caller::log_in_with(&registry, "bob", 3, "battery staple")
            .await
            .unwrap();
        Caller::log_in_with(&registry, "bob", 4, "battery staple")
            .await
            .unwrap();
        bob.revoke(4).await.unwrap();
        let data = folder.path().to_str().unwrap();
        let (code, invite, text) = run_whole(&["invite", "--data", data]).await;
        assert_eq!(code, Some(0), "{text}");
        let fingerprint = registry.fingerprint().await.to_string();
        registry.stop().await;
        Self {
            folder,
            fingerprint,
            invite: invite.trim().to_owned(),
        }
    }

    fn from(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// Makes its authority that of a cluster, as docs/cluster.md says.
    fn give_authority(&self, ca: &Path) {
        let _ = fs::remove_dir_all(ca);
        fs::create_dir(ca).unwrap();
        fs::set_permissions(ca, fs::Permissions::from_mode(0o700)).unwrap();
        for file in ["ca.key", "ca.der"] {
            let of = self.folder.path().join("registry").join(file);
            // The mode goes with it.
            fs::copy(of, ca.join(file)).unwrap();
        }
    }
}

/// A cluster of three which has the authority of a registry alone; its nodes are told something beside that.
async fn cluster_of(alone: &Alone, more: &[&str]) -> Cluster {
    let mut cluster = Cluster::new(&[1, 2, 3]).await;
    alone.give_authority(&cluster.ca());
    for id in 1..=3 {
        cluster.start_and(id, more);
    }
    cluster.decide(&[1, 2, 3]).await;
    cluster
}

async fn import(from: &str, ca: &Path, at: &str) -> (Option<i32>, String, String) {
    run_whole(&["import", "--from", from, "--ca", ca.to_str().unwrap(), "--registry", at]).await
}

/// All that was granted and refused by the registry alone is so here.
async fn all_is_as_it_was(node: &Registry) {
    for (user, n) in [("alice", 1), ("alice", 2), ("bob", 3)] {
        let known = Caller::log_in(node, user, n).await;
        assert!(!known.answer.is_new_account, "{user} {n}");
    }
    let (code, text) = refused(Caller::log_in_with(node, "bob", 4, "battery staple").await.map(|_| ()));
    assert_eq!(code, Code::PermissionDenied);
    assert!(text.contains("revoked"), "{text}");
    let mallory = Caller::log_in_with(node, "alice", 9, "wrong horse").await;
    assert_eq!(refused(mallory).0, Code::PermissionDenied);
    let mut alice = Caller::log_in(node, "alice", 1).await;
    let devices = alice.devices().await.unwrap().devices;
    assert!(devices.iter().any(|known| known.device == device(2)));
}

#[tokio::test]
async fn a_cluster_goes_on_with_the_accounts_of_a_registry_alone() {
    let alone = Alone::run().await;
    // It takes no new names.
    let mut cluster = cluster_of(&alone, &["--registration", "invite"]).await;
    let ca = cluster.ca();
    // Nobody sees another registry.
    assert_eq!(cluster.node(2).fingerprint().await.to_string(), alone.fingerprint);
    let list = format!("127.0.0.1:1,{}", cluster.node(1).address);
    let (code, printed, text) = import(alone.from(), &ca, &list).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 accounts, 4 devices and 1 open invite"), "{text}");
    let told = "imported 2 accounts with 4 devices, and 1 invite; 0 accounts were there already";
    assert_eq!(printed.trim(), told);
    cluster.accounts_agree(&[1, 2, 3]).await;
    for id in 1..=3 {
        all_is_as_it_was(cluster.node(id)).await;
    }
    let new = Caller::log_in_with(cluster.node(2), "alice", 5, PASSWORD)
        .await
        .unwrap();
    assert!(!new.answer.is_new_account, "her password is hers");
    let mut carol = login("carol", "127.0.0.1:4444");
    carol.invitation = alone.invite.clone();
    let carol = Caller::try_log_in(cluster.node(3), 6, carol).await.unwrap();
    assert!(carol.answer.is_new_account, "the invite is good still");

    // Twice does no harm, and undoes nothing: what changed since stays changed.
    let mut alice = Caller::log_in(cluster.node(1), "alice", 1).await;
    alice.revoke(2).await.unwrap();
    alice.set_password("another horse").await.unwrap();
    let inner = alone.folder.path().join("registry");
    cluster.kill(1);
    let list = format!("127.0.0.1:1,{}", cluster.node(2).address);
    let (code, printed, text) = import(inner.to_str().unwrap(), &ca, &list).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(printed.contains("0 accounts with 0 devices"), "{printed}");
    assert!(printed.contains("2 accounts were there already"), "{printed}");
    let node = cluster.node(3);
    let (code, text) = refused(Caller::log_in_with(node, "alice", 2, "another horse").await);
    assert_eq!(code, Code::PermissionDenied, "{text}");
    let old = Caller::log_in_with(node, "alice", 7, PASSWORD).await;
    assert_eq!(refused(old).0, Code::PermissionDenied);
    Caller::log_in_with(node, "alice", 7, "another horse").await.unwrap();
}

#[tokio::test]
async fn what_is_somebody_elses_is_told_by_name_and_stays_his() {
    let alone = Alone::run().await;
    let cluster = cluster_of(&alone, &[]).await;
    let node = cluster.node(1).address.clone();
    // A stranger was faster with one name, and a device of the other's has become a third one's.
    Caller::log_in(cluster.node(1), "Alice", 8).await;
    Caller::log_in(cluster.node(1), "carol", 3).await;
    // Who peers that know neither side would have to believe is told at once.
    let mut dave = Caller::log_in(cluster.node(2), "dave", 10).await;
    let mut stream = dave.watch(&[]).await;
    for _ in 0..2 {
        let (code, printed, text) = import(alone.from(), &cluster.ca(), &node).await;
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{text}");
        assert!(
            text.contains("Alice: not taken, since the name is somebody else's"),
            "{text}"
        );
        assert!(
            text.contains("bob: device") && text.contains("a device of carol"),
            "{text}"
        );
        assert!(text.contains("Not taken: 1 account and 1 device"), "{text}");
    }
    assert_eq!(stream.heard().await, "revoked 4");
    let (code, text) = refused(Caller::try_log_in(cluster.node(2), 1, login("alice", "127.0.0.1:1")).await);
    assert_eq!(code, Code::AlreadyExists, "{text}");
    assert!(!Caller::log_in(cluster.node(2), "carol", 3).await.answer.is_new_account);
    let bob = Caller::log_in_with(cluster.node(3), "bob", 11, "battery staple")
        .await
        .unwrap();
    assert!(!bob.answer.is_new_account, "what could be taken was");
}

/// Peers come back by themselves as soon as there is a registry, which may be before the operator has typed anything.
#[tokio::test]
async fn who_took_his_name_anew_before_the_import_is_himself() {
    let alone = Alone::run().await;
    let cluster = cluster_of(&alone, &[]).await;
    assert!(Caller::log_in(cluster.node(1), "alice", 2).await.answer.is_new_account);
    let (code, _, text) = import(alone.from(), &cluster.ca(), &cluster.node(3).address).await;
    assert_eq!(code, Some(0), "{text}");
    all_is_as_it_was(cluster.node(2)).await;
}

#[tokio::test]
async fn a_database_takes_the_accounts_of_a_registry_alone() {
    let alone = Alone::run().await;
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let Some(server) = Server::start(kind).await else {
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca");
        alone.give_authority(&ca);
        let (ca, url) = (ca.to_str().unwrap(), folder.path().join("url"));
        secret(&url, &server.create("site").await);
        let url = ["--accounts-file", url.to_str().unwrap()];
        for known in [0, 2] {
            let arguments = [&["import", "--from", alone.from()], &url[..]].concat();
            let (code, printed, text) = run_whole(&arguments).await;
            assert_eq!(code, Some(0), "{text}");
            assert!(printed.contains(&format!("{known} accounts were there")), "{printed}");
        }
        let registry = Registry::start_with(&[&["--ca", ca, "--registration", "closed"], &url[..]].concat());
        all_is_as_it_was(&registry).await;
        assert_eq!(registry.fingerprint().await.to_string(), alone.fingerprint);
        registry.stop().await;
    }
}

#[tokio::test]
async fn an_import_that_cannot_be_says_why() {
    let alone = Alone::run().await;
    let empty = tempfile::tempdir().unwrap();
    let cluster = Cluster::running(&[1, 2]).await;
    let node = cluster.node(1).address.clone();
    let (code, _, text) = import(empty.path().to_str().unwrap(), &cluster.ca(), &node).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("there are no accounts in"), "{text}");
    assert!(fs::read_dir(empty.path()).unwrap().next().is_none(), "nothing is made");
    // Of another authority than the registry that is asked.
    let ca = empty.path().join("ca");
    alone.give_authority(&ca);
    let (code, _, text) = import(alone.from(), &ca, &node).await;
    assert_eq!(code, Some(1));
    assert!(
        text.contains("stopped at account 1 of 2") && text.contains("is a registry of another authority"),
        "{text}"
    );
    // A node's own database is changed by its cluster alone.
    let own = cluster.data(1).join("registry/accounts.sqlite");
    let url = format!("sqlite:{}", own.display());
    Caller::log_in(cluster.node(1), "alice", 1).await;
    let (code, text) = run(&["import", "--from", alone.from(), "--accounts", &url]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("a node of a cluster"), "{text}");
    // Nor does a node start on such a folder, and says what to do.
    let list = format!("1={node},2=127.0.0.1:1");
    let (code, text) = run(&[
        "--id",
        "1",
        "--cluster",
        &list,
        "--ca",
        ca.to_str().unwrap(),
        "--data",
        alone.from(),
        "--listen",
        "127.0.0.1:0",
    ])
    .await;
    assert_eq!(code, Some(1));
    assert!(text.contains("peerchat-registry import"), "{text}");
    for arguments in [
        &["import"][..],
        &["import", "--from", "x"],
        &["import", "--from", "x", "--registry", "127.0.0.1:1"],
        &[
            "import",
            "--from",
            "x",
            "--registry",
            "127.0.0.1:1",
            "--ca",
            "x",
            "--accounts",
            "sqlite:x",
        ],
    ] {
        assert_eq!(run(arguments).await.0, Some(2), "{arguments:?}");
    }
}
