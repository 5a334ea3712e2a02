//! The commands and flags of a cluster.

use std::{fs, os::unix::fs::MetadataExt as _};

use crate::{caller::Caller, cluster_site::*, harness::*};

#[tokio::test]
async fn an_authority_is_made_once_and_is_its_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let ca = parent.path().join("ca");
    let printed = init(&ca).await;
    let mode = |name: &str| fs::metadata(ca.join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("."), mode("ca.key"), mode("ca.der")), (0o700, 0o600, 0o600));
    let path = ca.to_str().unwrap();
    let (code, fingerprint, _) = run_whole(&["fingerprint", "--ca", path]).await;
    assert_eq!(code, Some(0));
    assert!(
        printed.contains(fingerprint.trim()) && printed.contains("--cluster 1=HOST:PORT"),
        "{printed}"
    );

    let key = fs::read(ca.join("ca.key")).unwrap();
    let (code, text) = run(&["init", "--ca", path]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("ca.key is there already"), "{text}");
    assert_eq!(fs::read(ca.join("ca.key")).unwrap(), key);
    // What is left of one is one as well.
    fs::remove_file(ca.join("ca.key")).unwrap();
    let (code, text) = run(&["init", "--ca", path]).await;
    assert_eq!(code, Some(1), "{text}");
}

#[tokio::test]
async fn registries_share_an_authority_without_a_cluster_too() {
    let parent = tempfile::tempdir().unwrap();
    let ca = parent.path().join("ca");
    init(&ca).await;
    let path = ca.to_str().unwrap();
    let (_, fingerprint, _) = run_whole(&["fingerprint", "--ca", path]).await;
    for _ in 0..2 {
        let registry = Registry::start_with(&["--ca", path]);
        assert_eq!(registry.fingerprint().await.to_string(), fingerprint.trim());
    }
    let nowhere = parent.path().join("nowhere");
    let (code, text) = run(&["--listen", "127.0.0.1:0", "--ca", nowhere.to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(
        text.contains("there is no authority in") && text.contains("init --ca"),
        "{text}"
    );
}

#[tokio::test]
async fn wrong_lists_are_wrong_usage() {
    for (arguments, expected) in [
        (
            "--id 4 --cluster 1=127.0.0.1:1,2=127.0.0.1:2 --ca x",
            "--id 4 is not in --cluster",
        ),
        (
            "--id 1 --cluster 1=127.0.0.1:1,1=127.0.0.1:2 --ca x",
            "two nodes have the id 1",
        ),
        (
            "--id 1 --cluster 1=127.0.0.1:1,2=127.0.0.1:1 --ca x",
            "have the same address",
        ),
        ("--id 1 --cluster 1=127.0.0.1:1 --ca x", "at least two nodes"),
        ("--id 1 --cluster 1=127.0.0.1:1,2=no_host:1 --ca x", "`2=no_host:1`"),
        ("--id 1 --cluster 1=127.0.0.1:1,2=127.0.0.1:2", "--ca"),
        ("--id 1", "--cluster"),
        ("init", "--ca"),
    ] {
        let (code, text) = run(&arguments.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(expected), "{arguments}: {text}");
    }
}

#[tokio::test]
async fn an_own_entry_that_is_not_this_machines_says_what_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let (ca, data) = (parent.path().join("ca"), parent.path().join("data"));
    init(&ca).await;
    for (host, reason) in [
        ("192.0.2.1", "Cannot assign requested address"),
        ("no-such-host.invalid", "lookup"),
    ] {
        let list = format!("1={host}:10001,2=127.0.0.1:2,3=127.0.0.1:3");
        let (ca, data) = (ca.to_str().unwrap(), data.to_str().unwrap());
        let (code, text) = run(&["--id", "1", "--cluster", &list, "--ca", ca, "--data", data]).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&format!("cannot listen on {host}:10001")), "{text}");
        assert!(text.contains("--listen") && text.contains(reason), "{text}");
    }
}

#[tokio::test]
async fn two_nodes_cannot_have_one_data_folder() {
    let mut cluster = Cluster::new(&[1, 2, 3]).await;
    cluster.start(1);
    let (ca, data, list) = (cluster.ca(), cluster.data(1), cluster.list(2));
    let arguments = ["--listen", "127.0.0.1:0", "--id", "2", "--cluster", &list];
    let folders = ["--ca", ca.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let all = [&arguments[..], &folders].concat();
    let (code, text) = run(&all).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("in use by another process") && text.contains("--data"),
        "{text}"
    );
    cluster.led_by(1, &[1]).await;
    cluster.kill(1);
    let (code, text) = run(&all).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("is that of node 1"), "{text}");
}

#[tokio::test]
async fn status_tells_people_and_scripts() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    let (term, _) = cluster.led_by(3, &[1, 2, 3]).await;
    Caller::log_in(cluster.node(1), "alice", 1).await;
    let decided = cluster.accounts_agree(&[1, 2, 3]).await.to_string();
    let revision = cluster.agree(&[1, 2, 3]).await.revision.to_string();
    let asked = cluster.node(1).address.clone();
    let (code, table, text) = run_whole(&["status", "--registry", &asked]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        table.starts_with(&format!("Node 1 of 3 at {asked} (SHA256:")),
        "{table}"
    );
    let words = |line: &str| line.split_whitespace().skip(3).map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<_> = table.lines().skip(2).map(words).collect();
    let term = term.to_string();
    let expected = [
        ["STATE", "LEADER", "TERM", "REVISION", "LAG", "ACCOUNTS", "BEHIND"],
        ["follower", "3", &term, &revision, "0", &decided, "0"],
        ["follower", "3", &term, &revision, "0", &decided, "0"],
        ["leader", "3", &term, &revision, "0", &decided, "0"],
    ];
    assert_eq!(rows, expected, "{table}");

    cluster.kill(3);
    let (term, _) = cluster.led_by(2, &[1, 2]).await;
    // The first that answers is enough.
    let gone = "127.0.0.1:1";
    let (code, json, text) = run_whole(&["status", "--registry", gone, "--registry", &asked, "--json"]).await;
    assert_eq!(code, Some(0), "{text}");
    let head = format!("\"clustered\":true,\"id\":1,\"leader\":2,\"term\":{term},\"members\":[{{\"id\":1,");
    assert!(json.contains(&head), "{json}");
    assert!(
        json.contains(
            "\"reachable\":false,\"state\":null,\"leader\":null,\"term\":null,\"revision\":null,\"lag\":null,\"ledger\":null}]}"
        ),
        "{json}"
    );
    assert_eq!(json.lines().count(), 1);

    let alone = Registry::start();
    let (code, printed, _) = run_whole(&["status", "--registry", &alone.address]).await;
    assert_eq!(code, Some(0));
    assert!(printed.contains("is not part of a cluster"), "{printed}");
    // One that is astray in a list hides none of the others.
    let both = format!("{},{asked}", alone.address);
    let (code, table, _) = run_whole(&["status", "--registry", &both]).await;
    assert_eq!(code, Some(0));
    let odd = format!("{} was asked as well and is not part of a cluster", alone.address);
    assert!(table.starts_with("Node 1 of 3") && table.contains(&odd), "{table}");
    let (_, json, _) = run_whole(&["status", "--registry", &alone.address, "--json"]).await;
    assert!(json.contains("\"clustered\":false}"), "{json}");
    let (code, text) = run(&["status", "--registry", gone]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("cannot reach 127.0.0.1:1"), "{text}");
}
