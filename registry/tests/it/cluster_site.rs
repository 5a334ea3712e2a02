//! Clusters of real processes. Between each two nodes is a relay of each direction's own, so a test can part them; a node's list names its
//! relays, which stay where they are while processes come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use peerchat_registry::cluster::{ClusterStatus, LedgerStatus, ask_status, table::order::Position};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::harness::{Registry, SOON, run_whole};

/// Where a relay leads to; nowhere while it is cut, or its node has not started yet.
type Way = watch::Sender<Option<SocketAddr>>;

/// From now on a relay passes nothing on over the connections that it has, and breaks none of them.
type Hush = watch::Sender<()>;

/// A cluster. Its processes end with it.
pub(crate) struct Cluster {
    folder: TempDir,
    nodes: BTreeMap<u8, Registry>,
    relays: BTreeMap<(u8, u8), (SocketAddr, Way, Hush)>,
    /// Pairs that cannot talk.
    cut: BTreeSet<(u8, u8)>,
    ids: Vec<u8>,
}

impl Cluster {
    /// A cluster of which nothing runs yet, with an authority.
    pub(crate) async fn new(ids: &[u8]) -> Self {
        let cluster = Self {
            folder: tempfile::tempdir().unwrap(),
            nodes: BTreeMap::new(),
            relays: relays(ids).await,
            cut: BTreeSet::new(),
            ids: ids.to_vec(),
        };
        init(&cluster.ca()).await;
        cluster
    }

    /// A cluster that runs and has its leader.
    pub(crate) async fn running(ids: &[u8]) -> Self {
        let mut cluster = Self::new(ids).await;
        for id in ids {
            cluster.start(*id);
        }
        cluster.led_by(*ids.last().unwrap(), ids).await;
        cluster.decide(ids).await;
        cluster
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca")
    }

    pub(crate) fn data(&self, id: u8) -> PathBuf {
        self.folder.path().join(format!("node-{id}"))
    }

    /// The list as a node has it.
    pub(crate) fn list(&self, of: u8) -> String {
        let entries = self.ids.iter().map(|id| format!("{id}={}", self.relays[&(of, *id)].0));
        entries.collect::<Vec<_>>().join(",")
    }

    pub(crate) fn start(&mut self, id: u8) {
        let (list, ca) = (self.list(id), self.ca());
        self.start_as(id, &list, &ca);
    }

    pub(crate) fn start_as(&mut self, id: u8, list: &str, ca: &Path) {
        self.start_with(id, list, ca, &[]);
    }

    /// Starts a node that is told something more.
    pub(crate) fn start_and(&mut self, id: u8, more: &[&str]) {
        let (list, ca) = (self.list(id), self.ca());
        self.start_with(id, &list, &ca, more);
    }

    fn start_with(&mut self, id: u8, list: &str, ca: &Path, more: &[&str]) {
        let (number, data) = (id.to_string(), self.data(id));
        let arguments = ["--id", &number, "--cluster", list, "--ca", ca.to_str().unwrap()];
        let data = ["--data", data.to_str().unwrap()];
        self.nodes
            .insert(id, Registry::start_with(&[&arguments[..], &data, more].concat()));
        self.lay_ways();
    }

    /// Takes the disk of a node that does not run.
    pub(crate) fn lose_disk(&self, id: u8) {
        std::fs::remove_dir_all(self.data(id)).unwrap();
    }

    pub(crate) fn node(&self, id: u8) -> &Registry {
        &self.nodes[&id]
    }

    /// Ends a node without warning.
    pub(crate) fn kill(&mut self, id: u8) {
        self.nodes.remove(&id);
        self.lay_ways();
    }

    /// Ends a node in order.
    pub(crate) async fn stop(&mut self, id: u8) {
        let node = self.nodes.remove(&id).unwrap();
        node.stop().await;
        self.lay_ways();
    }

    /// Parts a node from all others.
    pub(crate) fn isolate(&mut self, id: u8) {
        for other in self.ids.iter().filter(|other| **other != id) {
            self.cut.extend([(id, *other), (*other, id)]);
        }
        self.lay_ways();
    }

    /// One node cannot dial another one.
    pub(crate) fn cut(&mut self, from: u8, to: u8) {
        self.cut.insert((from, to));
        self.lay_ways();
    }

    /// The connections that one node has made to another one go on without a word.
    pub(crate) fn hush(&self, from: u8, to: u8) {
        self.relays[&(from, to)].2.send_replace(());
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.lay_ways();
    }

    fn lay_ways(&self) {
        for (pair, (_, way, _)) in &self.relays {
            let target = self.nodes.get(&pair.1).filter(|_| !self.cut.contains(pair));
            let target = target.map(|node| node.address.parse().unwrap());
            way.send_if_modified(|way| std::mem::replace(way, target) != target);
        }
    }

    /// What a node says of the cluster.
    pub(crate) async fn status(&self, id: u8) -> Option<ClusterStatus> {
        ask_status(&self.nodes[&id].address).await.ok()?.1
    }

    /// Waits until all of these name this leader, under one term, which is answered with the time that it took.
    pub(crate) async fn led_by(&self, leader: u8, nodes: &[u8]) -> (u64, Duration) {
        let begun = Instant::now();
        loop {
            let mut found = Vec::new();
            for id in nodes {
                let status = self.status(*id).await;
                found.push(status.and_then(|status| Some((status.leader?.number(), status.term?))));
            }
            if let Some((id, term)) = found[0]
                && id == leader
                && found.iter().all(|other| *other == found[0])
            {
                return (term, begun.elapsed());
            }
            assert!(
                begun.elapsed() < SOON,
                "{leader} does not lead {nodes:?}: {found:?}\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until all of these have the same table of leases, under the leadership that they name.
    pub(crate) async fn agree(&self, nodes: &[u8]) -> Position {
        let begun = Instant::now();
        loop {
            let mut found = Vec::new();
            for id in nodes {
                let status = self.status(*id).await;
                found.push(
                    status.and_then(|status| status.table.filter(|table| Some(table.term.number()) == status.term)),
                );
            }
            if let Some(position) = found[0]
                && found.iter().all(|other| *other == found[0])
            {
                return position;
            }
            assert!(begun.elapsed() < SOON, "they do not agree: {found:?}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until all of these take part in what is decided about accounts.
    pub(crate) async fn decide(&self, nodes: &[u8]) {
        self.until(nodes, |ledgers| ledgers.iter().all(|ledger| ledger.is_taking_part))
            .await;
    }

    /// Waits until all of these take part, and have made the same number of changes in their accounts: which.
    pub(crate) async fn accounts_agree(&self, nodes: &[u8]) -> u64 {
        let agree = |ledgers: &[LedgerStatus]| {
            let first = ledgers[0].applied;
            let is_there = |ledger: &LedgerStatus| ledger.is_taking_part && ledger.applied == first;
            ledgers.iter().all(is_there) && ledgers.iter().all(|ledger| ledger.committed == first)
        };
        self.until(nodes, agree).await[0].applied
    }

    /// Waits until what these say of their ledgers is as it should be.
    pub(crate) async fn until(&self, nodes: &[u8], is_good: impl Fn(&[LedgerStatus]) -> bool) -> Vec<LedgerStatus> {
        let begun = Instant::now();
        loop {
            let mut found = Vec::new();
            for id in nodes {
                found.extend(self.status(*id).await.and_then(|status| status.ledger));
            }
            if found.len() == nodes.len() && is_good(&found) {
                return found;
            }
            assert!(
                begun.elapsed() < 2 * SOON,
                "it does not come: {found:?}\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn logs(&self) -> String {
        let logs = self
            .nodes
            .iter()
            .map(|(id, node)| format!("node {id}:\n{}", node.log()));
        logs.collect()
    }
}

/// Makes an authority; what that said.
pub(crate) async fn init(ca: &Path) -> String {
    let (code, printed, text) = run_whole(&["init", "--ca", ca.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{text}");
    printed
}

async fn relays(ids: &[u8]) -> BTreeMap<(u8, u8), (SocketAddr, Way, Hush)> {
    let mut relays = BTreeMap::new();
    for from in ids {
        for to in ids {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (way, hush) = (Way::new(None), Hush::new(()));
            tokio::spawn(relay(listener, way.subscribe(), hush.subscribe()));
            relays.insert((*from, *to), (address, way, hush));
        }
    }
    relays
}

/// Passes on each connection for as long as its way stays the same.
async fn relay(listener: TcpListener, mut way: watch::Receiver<Option<SocketAddr>>, mut hush: watch::Receiver<()>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let Some(target) = *way.borrow_and_update() else {
            continue;
        };
        let mut changed = way.clone();
        hush.mark_unchanged();
        let mut hushed = hush.clone();
        tokio::spawn(async move {
            let Ok(mut far) = TcpStream::connect(target).await else {
                return;
            };
            let is_hushed = tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => false,
                _ = changed.changed() => false,
                _ = hushed.changed() => true,
            };
            if is_hushed {
                let _ = changed.changed().await;
            }
        });
    }
}
