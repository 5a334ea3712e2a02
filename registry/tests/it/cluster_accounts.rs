//! Accounts that the nodes of a cluster share: a name is one device's, whichever node it was asked for at, and whatever is killed or parted.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tonic::{Code, Status};

use crate::{caller::*, cluster_site::*, harness::*};

/// A killed leader keeps nobody from registering for longer than this.
const TAKE_OVER_MAX: Duration = Duration::from_secs(4);

/// Logs in with a device; whether the name was free.
async fn log_in(cluster: &Cluster, node: u8, user: &str, n: u8) -> Result<bool, Status> {
    let caller = Caller::try_log_in(cluster.node(node), n, login(user, "127.0.0.1:4444")).await?;
    Ok(caller.answer.is_new_account)
}

/// The same, as soon as the cluster takes it.
async fn log_in_soon(cluster: &Cluster, node: u8, user: &str, n: u8) -> Result<bool, Status> {
    let deadline = Instant::now() + 2 * SOON;
    loop {
        match log_in(cluster, node, user, n).await {
            Err(status) if is_to_come_back(&status) => {
                assert!(Instant::now() < deadline, "{status}\n{}", cluster.logs());
            }
            done => return done,
        }
    }
}

/// Whether a call is to be made again.
fn is_to_come_back(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded
    )
}

#[tokio::test]
async fn an_account_is_the_same_at_all_nodes_at_once() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    let password = "correct horse";
    let mut alice = Caller::log_in_with(cluster.node(1), "Alice", 1, password)
        .await
        .unwrap();
    assert!(alice.answer.is_new_account);
    for node in [2, 3] {
        assert!(!log_in(&cluster, node, "alice", 1).await.unwrap());
        let (code, text) = refused(log_in(&cluster, node, "alice", 9).await);
        assert_eq!(code, Code::AlreadyExists, "{text}");
        let wrong = Caller::log_in_with(cluster.node(node), "alice", 9, "wrong horse").await;
        assert_eq!(refused(wrong).0, Code::PermissionDenied);
        let new = Caller::log_in_with(cluster.node(node), "alice", 10 + node, password).await;
        assert!(!new.unwrap().answer.is_new_account);
        // Whoever lets in a device elsewhere a moment ago is not refused.
        assert!(!log_in(&cluster, 4 - node, "alice", 10 + node).await.unwrap());
    }
    let mut alice = match alice.devices().await {
        Ok(devices) => {
            assert_eq!(devices.devices.len(), 3);
            alice
        }
        // Its lease went to another node.
        Err(_) => Caller::log_in(cluster.node(1), "alice", 1).await,
    };
    alice.set_password("battery staple").await.unwrap();
    alice.revoke(12).await.unwrap();
    for node in [3, 2, 1] {
        let (code, text) = refused(log_in(&cluster, node, "alice", 12).await);
        assert_eq!(code, Code::PermissionDenied, "{text}");
        assert!(text.contains("revoked"), "{text}");
        let old = Caller::log_in_with(cluster.node(node), "alice", 20 + node, password).await;
        assert_eq!(refused(old).0, Code::PermissionDenied);
        let new = Caller::log_in_with(cluster.node(node), "alice", 20 + node, "battery staple").await;
        new.unwrap();
    }
}

#[tokio::test]
async fn of_three_who_want_one_name_at_three_nodes_one_gets_it() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    for round in 0..5 {
        let name = format!("name{round}");
        let n = 3 * round + 1;
        let (one, two, three) = tokio::join!(
            log_in(&cluster, 1, &name, n),
            log_in(&cluster, 2, &name, n + 1),
            log_in(&cluster, 3, &name, n + 2)
        );
        let mut won = 0;
        for wanted in [one, two, three] {
            match wanted {
                Ok(is_new) => won += u32::from(is_new),
                Err(status) => assert_eq!(status.code(), Code::AlreadyExists, "{status}"),
            }
        }
        assert_eq!(won, 1);
    }
}

#[tokio::test]
async fn a_majority_is_enough_and_less_says_so() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    assert!(log_in(&cluster, 3, "alice", 1).await.unwrap());
    cluster.kill(3);
    let killed = Instant::now();
    assert!(log_in_soon(&cluster, 1, "bob", 2).await.unwrap());
    let took = killed.elapsed();
    println!("from kill -9 of the leader to the next served registration: {took:?}");
    assert!(took < TAKE_OVER_MAX, "{took:?}");
    let again = Instant::now();
    assert!(log_in(&cluster, 2, "carol", 3).await.unwrap());
    println!("a registration: {:?}", again.elapsed());

    cluster.kill(2);
    cluster.led_by(1, &[1]).await;
    let (code, text) = refused(log_in(&cluster, 1, "dave", 4).await);
    assert_eq!(code, Code::Unavailable, "{text}");
    assert!(text.contains("1 of 3") && text.contains("needs 2"), "{text}");
    // Nobody can know whether she has let it in elsewhere.
    let (code, text) = refused(log_in(&cluster, 1, "alice", 9).await);
    assert_eq!(code, Code::Unavailable, "{text}");
    // Whoever is known is in, and all else goes on.
    let mut bob = Caller::log_in(cluster.node(1), "bob", 2).await;
    bob.join("tea").await.unwrap();
    assert!(bob.find("alice").await.unwrap().is_empty());
    let (code, text) = refused(bob.set_password("correct horse").await);
    assert_eq!(code, Code::Unavailable, "{text}");

    cluster.start(2);
    cluster.decide(&[1, 2]).await;
    // It may have been decided after all, and that is as good.
    log_in(&cluster, 1, "dave", 4).await.unwrap();
    cluster.start(3);
    cluster.decide(&[1, 2, 3]).await;
    for (name, n) in [("alice", 1), ("bob", 2), ("carol", 3), ("dave", 4)] {
        assert!(!log_in(&cluster, 3, name, n).await.unwrap(), "{name}");
    }
}

#[tokio::test]
async fn a_parted_network_gives_a_name_to_one_side() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    assert!(log_in(&cluster, 1, "alice", 1).await.unwrap());
    cluster.accounts_agree(&[1, 2, 3]).await;
    cluster.isolate(3);
    cluster.led_by(2, &[1, 2]).await;
    let (few, many) = tokio::join!(log_in(&cluster, 3, "bob", 3), log_in_soon(&cluster, 1, "bob", 2));
    assert!(many.unwrap());
    let (code, text) = refused(few);
    assert_eq!(code, Code::Unavailable, "{text}");
    assert!(text.contains("1 of 3"), "{text}");
    assert!(!log_in(&cluster, 3, "alice", 1).await.unwrap());
    cluster.heal();
    cluster.led_by(3, &[1, 2, 3]).await;
    cluster.decide(&[1, 2, 3]).await;
    let (code, text) = refused(log_in(&cluster, 3, "bob", 3).await);
    assert_eq!(code, Code::AlreadyExists, "{text}");
    assert!(!log_in(&cluster, 3, "bob", 2).await.unwrap());
    let mut counts = BTreeMap::new();
    for node in 1..=3 {
        let mut bob = Caller::log_in(cluster.node(node), "bob", 2).await;
        counts.insert(node, bob.devices().await.unwrap().devices.len());
    }
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

/// What was acknowledged while the leader is killed is there, and nothing is there twice.
#[tokio::test]
async fn a_leader_that_is_killed_amid_registrations_loses_none_and_gives_none_twice() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    for round in 0..3_u8 {
        let names: Vec<String> = (0..12).map(|n| format!("name{round}-{n}")).collect();
        let first = 60 * round + 1;
        // Each name is wanted at the two that stay.
        let mut wanted = Vec::new();
        for (name, n) in names.iter().zip(first..) {
            for (node, device) in [(1, n), (2, n + 12)] {
                let address = cluster.node(node).address.clone();
                let name = name.clone();
                wanted.push(tokio::spawn(async move {
                    let deadline = Instant::now() + 2 * SOON;
                    loop {
                        let channel = dial(&address, key(device), endpoint()).await;
                        match Caller::over(channel, login(&name, "127.0.0.1:4444")).await {
                            Ok(_) => return (name, Some(device)),
                            Err(status) if status.code() == Code::AlreadyExists => return (name, None),
                            Err(status) => assert!(is_to_come_back(&status) && Instant::now() < deadline, "{status}"),
                        }
                    }
                }));
            }
        }
        cluster.kill(3);
        let mut owners = BTreeMap::new();
        for wanted in wanted {
            if let (name, Some(device)) = wanted.await.unwrap() {
                assert_eq!(owners.insert(name, device), None, "it was given twice");
            }
        }
        assert_eq!(owners.len(), names.len());
        cluster.start(3);
        cluster.led_by(3, &[1, 2, 3]).await;
        cluster.accounts_agree(&[1, 2, 3]).await;
        for (name, device) in &owners {
            assert!(!log_in(&cluster, 3, name, *device).await.unwrap(), "{name} was lost");
        }
    }
}

#[tokio::test]
async fn an_invite_to_a_cluster_is_made_from_anywhere_by_whoever_holds_its_authority() {
    let mut cluster = Cluster::new(&[1, 2, 3]).await;
    for id in 1..=3 {
        cluster.start_and(id, &["--registration", "invite"]);
    }
    cluster.decide(&[1, 2, 3]).await;
    let ca = cluster.ca();
    let invite = async |ca: &std::path::Path, at: &str| {
        run_whole(&["invite", "--ca", ca.to_str().unwrap(), "--registry", at]).await
    };
    let list = format!("127.0.0.1:1,{}", cluster.node(2).address);
    let (code, printed, text) = invite(&ca, &list).await;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = refused(log_in(&cluster, 1, "alice", 1).await);
    assert_eq!(code, Code::PermissionDenied, "{text}");
    let invited = |user: &str| {
        let mut request = login(user, "127.0.0.1:4444");
        request.invitation = printed.trim().to_owned();
        request
    };
    let alice = Caller::try_log_in(cluster.node(3), 1, invited("alice")).await.unwrap();
    assert!(alice.answer.is_new_account);
    let (code, text) = refused(Caller::try_log_in(cluster.node(1), 2, invited("bob")).await);
    assert_eq!(code, Code::PermissionDenied);
    assert!(text.contains("has been used"), "{text}");

    let other = tempfile::tempdir().unwrap();
    let other = other.path().join("ca");
    init(&other).await;
    let (code, _, text) = invite(&other, &cluster.node(2).address).await;
    assert_eq!(code, Some(1));
    assert!(
        text.contains("is a registry of another authority than that in --ca"),
        "{text}"
    );
    // On a node's own folder it would be known to that one alone.
    let data = cluster.data(1);
    let (code, text) = run(&["invite", "--data", data.to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("--registry HOST:PORT"), "{text}");
    cluster.kill(1);
    cluster.kill(3);
    let (code, _, text) = invite(&ca, &cluster.node(2).address).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("of 3") && text.contains("needs 2"), "{text}");
}
