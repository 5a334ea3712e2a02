//! Leases that the nodes of a cluster share: peers at different nodes, and nodes that are killed, parted and restarted.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tonic::{Code, Status};

use crate::{caller::*, cluster_site::*, harness::*};

/// A killed leader is noticed by nobody for longer than this.
const TAKE_OVER_MAX: Duration = Duration::from_secs(3);

/// A peer of these tests: it logs in anew, at another node, as often as it must.
struct Peer {
    name: String,
    n: u8,
    caller: Caller,
    watcher: Watcher,
}

impl Peer {
    async fn at(cluster: &Cluster, node: u8, name: &str, n: u8) -> Self {
        let deadline = Instant::now() + SOON;
        loop {
            match Self::try_at(cluster, node, name, n).await {
                Ok(peer) => return peer,
                Err(status) => assert!(Instant::now() < deadline, "{name} cannot log in: {status}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn try_at(cluster: &Cluster, node: u8, name: &str, n: u8) -> Result<Self, Status> {
        let request = login(name, &address(n));
        let mut caller = Caller::try_log_in(cluster.node(node), n, request).await?;
        let mut watcher = caller.try_watch(&[]).await?;
        assert_eq!(watcher.heard().await, "revoked ");
        let name = name.to_owned();
        Ok(Self {
            name,
            n,
            caller,
            watcher,
        })
    }

    /// Joins as soon as the cluster takes it.
    async fn join(&mut self, room: &str) -> Vec<String> {
        let deadline = Instant::now() + SOON;
        loop {
            match self.caller.join(room).await {
                Ok(joined) => return joined.members.into_iter().map(|peer| peer.user).collect(),
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "{status}");
                    assert!(Instant::now() < deadline, "{} cannot join: {status}", self.name);
                }
            }
        }
    }

    async fn hears(&mut self, expected: &str) {
        assert_eq!(self.watcher.heard().await, expected, "{}", self.name);
    }

    /// Renews its lease, as peers do.
    async fn renew(&self) {
        self.watcher.renew(&self.caller.lease, &[]).await;
    }
}

/// What all rooms of a node are to somebody who is there.
async fn table(cluster: &Cluster, node: u8, peer: &Peer) -> BTreeMap<String, u32> {
    let mut at = Caller::log_in(cluster.node(node), &peer.name, peer.n).await;
    let rooms = at.list_rooms().await.unwrap();
    rooms.into_iter().map(|room| (room.name, room.members)).collect()
}

#[tokio::test]
async fn peers_at_different_nodes_see_each_other() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let mut alice = Peer::at(&cluster, 1, "alice", 1).await;
    let mut bob = Peer::at(&cluster, 2, "bob", 2).await;
    let mut carol = Peer::at(&cluster, 3, "carol", 3).await;
    assert_eq!(alice.join("tea").await, ["alice"]);
    assert_eq!(bob.join("tea").await, ["alice", "bob"]);
    alice.hears("#tea bob Here").await;
    assert_eq!(carol.join("tea").await, ["alice", "bob", "carol"]);
    alice.hears("#tea carol Here").await;
    bob.hears("#tea carol Here").await;

    bob.watcher.renew(&bob.caller.lease, &["carol", "dave"]).await;
    bob.hears("carol Here").await;
    bob.hears("offline dave Left").await;
    assert_eq!(carol.caller.find("alice").await.unwrap()[0].address, "127.0.0.1:40001");

    assert!(!carol.caller.leave("tea").await.unwrap());
    alice.hears("#tea carol Left").await;
    bob.hears("#tea carol Left").await;
    carol.caller.log_out().await.unwrap();
    bob.hears("carol Left").await;
    cluster.agree(&[1, 2, 3]).await;
    cluster.node(3).logged("logged out user=carol").await;

    // Of a peer that is gone without a word the log of the node that leads tells as well, and no other one's.
    bob.renew().await;
    drop(alice);
    bob.hears("#tea alice Lost").await;
    cluster.agree(&[1, 2, 3]).await;
    cluster.node(3).logged("lease lost user=alice").await;
    for node in [1, 2] {
        for end in ["logged out user=carol", "lease lost user=alice"] {
            assert!(!cluster.node(node).has_logged(end), "node {node}: {end}");
        }
    }
}

#[tokio::test]
async fn a_killed_leader_is_replaced_and_nobody_is_lost_who_comes_back() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let mut alice = Peer::at(&cluster, 1, "alice", 1).await;
    let mut bob = Peer::at(&cluster, 2, "bob", 2).await;
    let mut carol = Peer::at(&cluster, 3, "carol", 3).await;
    for peer in [&mut alice, &mut bob, &mut carol] {
        peer.join("tea").await;
    }
    alice.hears("#tea bob Here").await;
    alice.hears("#tea carol Here").await;
    bob.hears("#tea carol Here").await;

    cluster.kill(3);
    let killed = Instant::now();
    // Reading takes no leader.
    assert_eq!(alice.caller.find("carol").await.unwrap().len(), 1);
    assert_eq!(alice.join("cake").await, ["alice"]);
    let took = killed.elapsed();
    println!("from kill -9 of the leader to the next served join: {took:?}");
    assert!(took < TAKE_OVER_MAX, "{took:?}");
    // The peer of the dead node comes to another one, and nobody hears that it was away.
    let mut carol = Peer::at(&cluster, 1, "carol", 3).await;
    assert_eq!(carol.join("tea").await, ["alice", "bob", "carol"]);
    bob.join("cake").await;
    alice.hears("#cake bob Here").await;

    cluster.start(3);
    cluster.led_by(3, &[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let dave = Peer::at(&cluster, 3, "dave", 4).await;
    assert_eq!(
        table(&cluster, 3, &dave).await,
        [("cake".into(), 2), ("tea".into(), 3)].into()
    );
    carol.join("cake").await;
    alice.hears("#cake carol Here").await;
    bob.hears("#cake carol Here").await;
}

#[tokio::test]
async fn who_does_not_come_back_from_a_dead_node_is_lost_in_the_usual_time() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let mut alice = Peer::at(&cluster, 1, "alice", 1).await;
    let mut bob = Peer::at(&cluster, 2, "bob", 2).await;
    alice.join("tea").await;
    bob.join("tea").await;
    alice.hears("#tea bob Here").await;
    let killed = Instant::now();
    cluster.kill(2);
    alice.hears("#tea bob Lost").await;
    let took = killed.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(8),
        "{took:?}"
    );
    // The dead node cannot tell its operator.
    cluster.node(3).logged("lease lost user=bob").await;
}

#[tokio::test]
async fn the_peers_of_a_node_that_stands_still_are_lost_as_those_of_a_dead_one_and_come_back_with_it() {
    let cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let mut alice = Peer::at(&cluster, 2, "alice", 1).await;
    let mut bob = Peer::at(&cluster, 1, "bob", 2).await;
    alice.join("tea").await;
    bob.join("tea").await;
    alice.hears("#tea bob Here").await;
    let stopped = Instant::now();
    cluster.node(1).signal("STOP");
    alice.hears("#tea bob Lost").await;
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(7), "{took:?}");
    cluster.node(1).signal("CONT");
    cluster.agree(&[1, 2, 3]).await;
    // He is told that his lease has ended, and logs in anew.
    assert_eq!(refused(bob.watcher.changes.message().await).0, Code::Unauthenticated);
    let mut bob = Peer::at(&cluster, 1, "bob", 2).await;
    assert_eq!(bob.join("tea").await, ["alice", "bob"]);
    alice.hears("#tea bob Here").await;
}

#[tokio::test]
async fn both_sides_of_a_parted_network_go_on_and_are_one_again() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let mut alice = Peer::at(&cluster, 1, "alice", 1).await;
    let mut carol = Peer::at(&cluster, 3, "carol", 3).await;
    cluster.isolate(3);
    cluster.led_by(2, &[1, 2]).await;
    assert_eq!(alice.join("here").await, ["alice"]);
    assert_eq!(carol.join("there").await, ["carol"]);
    // Longer than the leases of those who are out of reach.
    let parted = Instant::now();
    while alice.caller.find("carol").await.unwrap().len() == 1 || carol.caller.find("alice").await.unwrap().len() == 1 {
        assert!(parted.elapsed() < SOON, "they are lost to each other");
        alice.renew().await;
        carol.renew().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.heal();
    cluster.led_by(3, &[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    assert_eq!(alice.caller.find("carol").await.unwrap().len(), 1);
    assert_eq!(carol.caller.find("alice").await.unwrap().len(), 1);
    assert_eq!(carol.join("here").await, ["alice", "carol"]);
    alice.hears("#here carol Here").await;
    assert_eq!(alice.join("there").await, ["alice", "carol"]);
    carol.hears("#there alice Here").await;
}

#[tokio::test]
async fn a_rolling_restart_is_noticed_by_nobody() {
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    cluster.agree(&[1, 2, 3]).await;
    let mut peers = Vec::new();
    for n in 1..=3 {
        let mut peer = Peer::at(&cluster, n, &format!("peer{n}"), n).await;
        peer.join("tea").await;
        peers.push((n, peer));
    }
    // They have heard of each other coming.
    for (n, peer) in &mut peers {
        for later in *n + 1..=3 {
            peer.hears(&format!("#tea peer{later} Here")).await;
        }
    }
    for node in 1..=3 {
        let begun = Instant::now();
        cluster.stop(node).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        for (at, peer) in &mut peers {
            if *at == node {
                *at = node % 3 + 1;
                *peer = Peer::at(&cluster, *at, &peer.name.clone(), peer.n).await;
                assert_eq!(peer.join("tea").await, ["peer1", "peer2", "peer3"]);
            } else {
                peer.renew().await;
            }
        }
        cluster.start(node);
        cluster.led_by(3, &[1, 2, 3]).await;
        cluster.agree(&[1, 2, 3]).await;
    }
    // The next thing that they hear is this, and not that anybody was away.
    let mut dave = Peer::at(&cluster, 1, "dave", 9).await;
    dave.join("tea").await;
    for (_, peer) in &mut peers {
        peer.hears("#tea dave Here").await;
    }
}
