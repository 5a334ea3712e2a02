//! Registries that elect a leader: real processes that are killed, stopped, parted and brought back.

use std::{
    fs,
    time::{Duration, Instant},
};

use tonic::Code;

use crate::{caller::*, cluster_site::*, harness::refused};

/// A leader that is killed is replaced in this time.
const TAKE_OVER_MAX: Duration = Duration::from_secs(3);

/// As long as a leader is silent at least before it counts as dead.
const SILENCE_MIN: Duration = Duration::from_millis(750);

#[tokio::test]
async fn the_highest_leads_and_is_replaced_when_it_is_killed_and_leads_again_when_it_is_back() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    let (first, _) = cluster.led_by(3, &[1, 2, 3]).await;
    cluster.node(3).logged("this node leads").await;
    cluster.node(1).logged("another node leads").await;

    cluster.kill(3);
    let (second, took) = cluster.led_by(2, &[1, 2]).await;
    println!("from kill -9 of the leader to the next one: {took:?}");
    assert!(took < TAKE_OVER_MAX, "{took:?}");
    assert!(second > first);
    // Whoever is left is enough for peers.
    let mut alice = Caller::log_in(cluster.node(1), "alice", 1).await;
    alice.find("alice").await.unwrap();

    cluster.start(3);
    let (third, _) = cluster.led_by(3, &[1, 2, 3]).await;
    assert!(third > second, "it has not forgotten what was, or has learned it");
    let kept = fs::read_to_string(cluster.data(3).join("registry/cluster.term")).unwrap();
    assert_eq!(kept, format!("node 3 term {third}\n"));
    alice.find("alice").await.unwrap();
}

#[tokio::test]
async fn who_is_asked_to_end_hands_over_at_once() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    let mut fastest = Duration::MAX;
    // On a machine that is busy with other things, one of some is fast enough.
    for _ in 0..4 {
        cluster.node(3).signal("TERM");
        let (_, took) = cluster.led_by(2, &[1, 2]).await;
        fastest = fastest.min(took);
        if fastest < SILENCE_MIN {
            break;
        }
        cluster.stop(3).await;
        cluster.start(3);
        cluster.led_by(3, &[1, 2, 3]).await;
    }
    assert!(
        fastest < SILENCE_MIN,
        "nobody waits until a leader that has ended is missed: {fastest:?}"
    );
    println!("from SIGTERM to the next leader: {fastest:?}");
}

#[tokio::test]
async fn both_sides_of_a_parted_network_are_led_and_the_highest_leads_both_again() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    let (before, _) = cluster.led_by(3, &[1, 2, 3]).await;
    cluster.isolate(3);
    let (parted, _) = cluster.led_by(2, &[1, 2]).await;
    assert!(parted > before);
    let (alone, _) = cluster.led_by(3, &[3]).await;
    assert_eq!(alone, before);
    cluster.heal();
    let (healed, _) = cluster.led_by(3, &[1, 2, 3]).await;
    assert!(healed > parted);
}

#[tokio::test]
async fn one_of_three_leads_itself_and_serves() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    Caller::log_in(cluster.node(1), "alice", 1).await;
    for id in [3, 2, 1] {
        cluster.stop(id).await;
    }
    cluster.start(1);
    cluster.led_by(1, &[1]).await;
    let status = cluster.status(1).await.unwrap();
    let reachable: Vec<_> = status.members.iter().map(|member| member.is_reachable).collect();
    assert_eq!(reachable, [true, false, false]);
    Caller::log_in(cluster.node(1), "alice", 1).await;
    // The others are told of at the start and when something changes, and not at each try.
    cluster.node(1).logged("a node cannot be reached").await;
    cluster.start(2);
    cluster.led_by(2, &[1, 2]).await;
    cluster.node(1).logged("a node can be reached").await;
}

#[tokio::test]
async fn a_node_of_another_authority_is_refused_and_says_so() {
    let mut cluster = Cluster::new(&[1, 2, 3]).await;
    let other = tempfile::tempdir().unwrap();
    let other_ca = other.path().join("ca");
    init(&other_ca).await;
    cluster.start(1);
    cluster.start(2);
    let list = cluster.list(3);
    cluster.start_as(3, &list, &other_ca);
    cluster.led_by(2, &[1, 2]).await;
    for id in [1, 2, 3] {
        let line = cluster.node(id).logged("its certificate is of another authority").await;
        assert!(line.contains("same --ca"), "{line}");
    }
    cluster.led_by(3, &[3]).await;
    cluster.led_by(2, &[1, 2]).await;
}

#[tokio::test]
async fn nodes_with_different_lists_refuse_each_other_and_say_so() {
    let mut cluster = Cluster::new(&[1, 2, 3]).await;
    cluster.start(1);
    let list = format!("{},4=127.0.0.1:1", cluster.list(2));
    let ca = cluster.ca();
    cluster.start_as(2, &list, &ca);
    let told = "node 2 has the nodes [1, 2, 3, 4] in its list, and node 1 has [1, 2, 3]; give all the same --cluster";
    cluster.node(1).logged(told).await;
    cluster.node(2).logged(told).await;
    cluster.led_by(1, &[1]).await;
    cluster.node(2).logged("even number of nodes").await;
}

#[tokio::test]
async fn a_node_that_cannot_keep_its_term_takes_no_part_until_it_can() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    let mut alice = Caller::log_in(cluster.node(2), "alice", 1).await;
    // Nothing can be renamed to the name of a folder.
    let file = cluster.data(2).join("registry/cluster.term");
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("x")).unwrap();
    cluster.kill(3);
    cluster.node(2).logged("cannot keep the term").await;
    cluster.led_by(1, &[1]).await;
    // It tells what it knows, and takes no change: it follows nobody who would order it.
    alice.find("alice").await.unwrap();
    assert_eq!(refused(alice.join("tea").await).0, Code::Unavailable);
    Caller::log_in(cluster.node(1), "alice", 1).await;
    fs::remove_dir_all(&file).unwrap();
    cluster.node(2).logged("takes part in its cluster again").await;
    cluster.led_by(2, &[1, 2]).await;
}

#[tokio::test]
async fn a_leader_that_stood_still_is_not_believed_when_it_goes_on() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    let (before, _) = cluster.led_by(3, &[1, 2, 3]).await;
    cluster.node(3).signal("STOP");
    let begun = Instant::now();
    let (meanwhile, _) = cluster.led_by(2, &[1, 2]).await;
    assert!(begun.elapsed() < TAKE_OVER_MAX);
    cluster.node(3).signal("CONT");
    let (after, _) = cluster.led_by(3, &[1, 2, 3]).await;
    assert!(before < meanwhile && meanwhile < after);
}
