//! Many rounds of nodes that are killed while peers register, join and leave: in the end all nodes know the same, and what the peers know.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tonic::Code;

use crate::{caller::*, cluster_site::*, harness::*};

const ROUNDS: usize = 30;

const PEERS: u8 = 5;

const ROOMS: [&str; 3] = ["cake", "milk", "tea"];

/// A peer that logs in at another node when its own is gone, and joins its rooms again.
struct Peer {
    name: String,
    n: u8,
    /// Where it is, if it is anywhere.
    at: Option<(u8, Caller, Watcher)>,
    rooms: BTreeSet<&'static str>,
}

impl Peer {
    /// One thing that a peer does. False where it was told to try again.
    async fn act(&mut self, cluster: &Cluster, nodes: &[u8], chance: &mut fastrand::Rng) -> bool {
        if self.at.as_ref().is_none_or(|(node, ..)| !nodes.contains(node)) {
            self.at = None;
            return self.come_back(cluster, *chance.choice(nodes).unwrap()).await;
        }
        let Some((_, caller, watcher)) = &mut self.at else {
            return false;
        };
        watcher.renew(&caller.lease, &[]).await;
        let room = *chance.choice(&ROOMS).unwrap();
        let joins = chance.bool();
        let done = if joins {
            caller.join(room).await.map(drop)
        } else {
            caller.leave(room).await.map(drop)
        };
        match done.map_err(|status| status.code()) {
            Ok(()) | Err(Code::FailedPrecondition) => {
                if joins {
                    self.rooms.insert(room);
                } else {
                    self.rooms.remove(room);
                }
                true
            }
            // Whether it was done is not known, so it is done again: it means to be there.
            Err(Code::Unavailable) => {
                self.rooms.insert(room);
                false
            }
            Err(_) => {
                self.at = None;
                false
            }
        }
    }

    async fn come_back(&mut self, cluster: &Cluster, node: u8) -> bool {
        let Ok(mut caller) = Caller::try_log_in(cluster.node(node), self.n, login(&self.name, "127.0.0.1:4444")).await
        else {
            return false;
        };
        let Ok(watcher) = caller.try_watch(&[]).await else {
            return false;
        };
        for room in &self.rooms {
            if caller.join(room).await.is_err() {
                return false;
            }
        }
        self.at = Some((node, caller, watcher));
        true
    }
}

/// The first device that registers; each takes a name of its own. The next one is its rival.
const NEWCOMERS: u8 = 110;

/// A name is wanted by two devices at two nodes, until each has it or knows that it is the other's. Whose it is.
async fn register(cluster: &Cluster, name: &str, n: u8, nodes: &[u8]) -> u8 {
    let killed = Instant::now();
    let (mut open, mut owner) = (vec![(n, nodes[0]), (n + 1, nodes[1])], None);
    while let Some((n, node)) = open.pop() {
        match Caller::try_log_in(cluster.node(node), n, login(name, "127.0.0.1:4444")).await {
            Ok(_) => assert_eq!(owner.replace(n), None, "{name} was given twice"),
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => {
                assert!(
                    killed.elapsed() < SOON,
                    "{name} is kept waiting: {status}\n{}",
                    cluster.logs()
                );
                open.insert(0, (n, node));
            }
        }
    }
    owner.expect("somebody has it")
}

#[tokio::test]
async fn whatever_is_killed_all_tables_are_equal_at_the_end() {
    let mut chance = fastrand::Rng::with_seed(5);
    let mut cluster = Cluster::running(&[1, 2, 3]).await;
    let peer = |n| Peer {
        name: format!("peer{n}"),
        n,
        at: None,
        rooms: BTreeSet::new(),
    };
    let mut peers: Vec<Peer> = (1..=PEERS).map(peer).collect();
    let mut slowest = Duration::ZERO;
    let mut owners = BTreeMap::new();
    for newcomer in (NEWCOMERS..).step_by(2).take(ROUNDS) {
        let victim = chance.u8(1..=3);
        let left: Vec<u8> = (1..=3).filter(|node| *node != victim).collect();
        cluster.kill(victim);
        let killed = Instant::now();
        for peer in &mut peers {
            while !peer.act(&cluster, &left, &mut chance).await {
                assert!(
                    killed.elapsed() < SOON,
                    "{} is kept waiting\n{}",
                    peer.name,
                    cluster.logs()
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let name = format!("new{newcomer}");
        let owner = register(&cluster, &name, newcomer, &left).await;
        owners.insert(name, owner);
        slowest = slowest.max(killed.elapsed());
        cluster.start(victim);
        // In some rounds the next one is killed before the cluster is whole again.
        if chance.bool() {
            cluster.led_by(3, &[1, 2, 3]).await;
        }
    }
    println!("the slowest round took {slowest:?}");

    cluster.led_by(3, &[1, 2, 3]).await;
    cluster.accounts_agree(&[1, 2, 3]).await;
    for (name, owner) in &owners {
        for node in 1..=3 {
            let back = Caller::log_in(cluster.node(node), name, *owner).await;
            assert!(!back.answer.is_new_account, "{name} was lost at node {node}");
        }
    }
    let settled = Instant::now();
    loop {
        for peer in &mut peers {
            if let Some((_, caller, watcher)) = &peer.at {
                watcher.renew(&caller.lease, &[]).await;
            } else {
                peer.come_back(&cluster, 1).await;
            }
        }
        let position = cluster.agree(&[1, 2, 3]).await;
        let mut expected = BTreeMap::new();
        for room in peers.iter().flat_map(|peer| &peer.rooms) {
            *expected.entry((*room).to_owned()).or_insert(0) += 1;
        }
        let mut tables = Vec::new();
        for node in 1..=3 {
            tables.push(table(&cluster, node).await);
        }
        if tables.iter().all(|table| *table == expected) {
            break;
        }
        assert!(
            settled.elapsed() < SOON,
            "{position:?} {tables:?} {expected:?}\n{}",
            cluster.logs()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The rooms that somebody finds at a node, with how many are in them.
async fn table(cluster: &Cluster, node: u8) -> BTreeMap<String, u32> {
    let mut guest = Caller::log_in(cluster.node(node), "guest", 100).await;
    let rooms = guest.list_rooms().await.unwrap();
    rooms.into_iter().map(|room| (room.name, room.members)).collect()
}
