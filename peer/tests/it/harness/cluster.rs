//! Clusters of registries. Each node is a process of `peerchat-registry`, at an address that stays its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Peer, Spot, assert_each_once, lasting_address, log_in, wait_for};

/// A cluster, and a folder for the data of its peers. Its processes end with it.
pub struct Cluster {
    pub data: TempDir,
    folder: TempDir,
    /// Where each node is, and in which spot it runs.
    seats: BTreeMap<u8, (SocketAddr, Spot)>,
    running: BTreeMap<u8, Child>,
    /// By which peers know all of the nodes.
    fingerprint: String,
}

impl Cluster {
    /// Three nodes on this machine, which run and have their leader.
    pub fn start() -> Self {
        let mut cluster = Self::at((1..=3).map(|id| (id, (lasting_address(), Spot::default()))));
        cluster.start_all();
        cluster
    }

    /// A cluster of which nothing runs yet.
    pub fn at(seats: impl IntoIterator<Item = (u8, (SocketAddr, Spot))>) -> Self {
        let folder = TempDir::new().unwrap();
        let ca = folder.path().join("ca");
        let made = Spot::default()
            .program(registry_program())
            .args(["init", "--ca", ca.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let printed = String::from_utf8(made.stdout).unwrap();
        let fingerprint = printed.split_whitespace().find(|word| word.starts_with("SHA256:"));
        Self {
            data: TempDir::new().unwrap(),
            fingerprint: fingerprint.expect("init prints the fingerprint").to_owned(),
            folder,
            seats: seats.into_iter().collect(),
            running: BTreeMap::new(),
        }
    }

    /// Starts all nodes, and waits for their leader.
    pub fn start_all(&mut self) {
        let all = self.ids();
        for id in &all {
            self.start_node(*id);
        }
        self.wait_led(*all.last().unwrap(), &all);
    }

    pub fn ids(&self) -> Vec<u8> {
        self.seats.keys().copied().collect()
    }

    pub fn address(&self, id: u8) -> String {
        self.seats[&id].0.to_string()
    }

    /// Addresses of nodes as a peer is given them.
    pub fn list(&self, ids: &[u8]) -> String {
        let addresses: Vec<String> = ids.iter().map(|id| self.address(*id)).collect();
        addresses.join(",")
    }

    /// Goes on with the authority of a registry that had this folder, as docs/cluster.md says.
    pub fn adopt(&self, folder: &Path) {
        for file in ["ca.key", "ca.der"] {
            // The mode goes with it.
            fs::copy(folder.join(file), self.ca().join(file)).unwrap();
        }
    }

    /// Where the authority is.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca")
    }

    /// Starts a node, and waits until it listens.
    pub fn start_node(&mut self, id: u8) {
        self.start_node_with(id, &[]);
    }

    /// The same, with more arguments.
    pub fn start_node_with(&mut self, id: u8, args: &[&str]) {
        let (_, spot) = &self.seats[&id];
        let members: Vec<String> = self
            .seats
            .iter()
            .map(|(id, (address, _))| format!("{id}={address}"))
            .collect();
        let mut command = spot.program(registry_program());
        command
            .args(["--id", &id.to_string(), "--cluster", &members.join(",")])
            .arg("--ca")
            .arg(self.ca())
            .arg("--data")
            .arg(self.folder.path().join(format!("node-{id}")))
            .args(args);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file(id))
            .unwrap();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        self.running.insert(id, child);
        assert!(line.starts_with("listening on "), "node {id}: {}", self.log(id));
    }

    /// kill -9.
    pub fn kill_node(&mut self, id: u8) {
        let mut child = self.running.remove(&id).expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends a node in order.
    pub fn stop_node(&mut self, id: u8) {
        self.signal_node(id, Signal::TERM);
        let mut child = self.running.remove(&id).expect("it runs");
        let status = wait_for(&format!("the end of node {id}"), || child.try_wait().unwrap());
        assert!(status.success(), "node {id}: {}", self.log(id));
    }

    pub fn signal_node(&self, id: u8, signal: Signal) {
        kill_process(Pid::from_child(&self.running[&id]), signal).unwrap();
    }

    /// All that a node has logged in all of its runs.
    pub fn log(&self, id: u8) -> String {
        fs::read_to_string(self.log_file(id)).unwrap_or_default()
    }

    fn log_file(&self, id: u8) -> PathBuf {
        self.folder.path().join(format!("node-{id}.log"))
    }

    /// What `peerchat-registry status` says when it asks this node; none where that does not answer.
    pub fn status(&self, id: u8) -> Option<Value> {
        let (address, spot) = &self.seats[&id];
        let mut command = spot.program(registry_program());
        let asked = command.args(["status", "--json", "--registry", &address.to_string()]);
        let output = asked.stdin(Stdio::null()).output().unwrap();
        let printed = || serde_json::from_slice(&output.stdout).expect("status prints JSON");
        output.status.success().then(printed)
    }

    /// Waits until each of these nodes, as the first of them is told, says that `leader` leads, under one term and with the leader's
    /// table. Returns how long that took.
    pub fn wait_led(&self, leader: u8, nodes: &[u8]) -> Duration {
        let begun = Instant::now();
        wait_for(&format!("{nodes:?} to be led by {leader}"), || {
            let status = self.status(nodes[0])?;
            let members = status["members"].as_array()?;
            let word = |id: &u8| members.iter().find(|member| member["id"] == *id);
            let words: Option<Vec<&Value>> = nodes.iter().map(word).collect();
            let words = words?;
            let is_led =
                |word: &&Value| word["leader"] == leader && word["term"] == words[0]["term"] && word["lag"] == 0;
            words.iter().all(is_led).then_some(())
        });
        begun.elapsed()
    }

    /// Starts a peer that knows these nodes, in this order, and waits until it is ready.
    pub fn peer(&self, name: &str, nodes: &[u8]) -> Peer {
        self.peer_at(&Spot::default(), name, nodes, &[])
    }

    /// The same with more arguments, in a spot of its own.
    pub fn peer_at(&self, spot: &Spot, name: &str, nodes: &[u8], args: &[&str]) -> Peer {
        let mut command = spot.program(Path::new(env!("CARGO_BIN_EXE_peerchat")));
        command
            .args(["chat", name, "--json", "--registry", &self.list(nodes)])
            .args(["--registry-fingerprint", &self.fingerprint, "--data"])
            .arg(self.data.path())
            .args(args);
        let mut peer = Peer::run(name, command);
        peer.wait("ready", |event| event["event"] == "ready");
        peer
    }

    /// Waits until each node knows exactly these as members of a room.
    pub fn wait_members(&self, room: &str, expected: &BTreeSet<&str>) {
        for (id, (address, spot)) in &self.seats {
            let name = format!("looker{id}");
            let listen = format!("{}:0", address.ip());
            let mut looker = self.peer_at(spot, &name, &[*id], &["--listen", &listen]);
            // Not in the room meanwhile, so that looking changes nothing.
            wait_for(&format!("the members of #{room} at node {id}"), || {
                looker.type_line("/list");
                let list = looker.wait("list", |event| event["event"] == "list");
                let rooms = list["rooms"].as_array()?;
                let found = rooms.iter().find(|found| found["conversation"] == format!("#{room}"))?;
                (found["members"] == expected.len()).then_some(())
            });
            // And by their names, which the registry tells whoever joins.
            looker.type_line(&format!("/join {room}"));
            let joined = looker.wait("joined", |event| event["event"] == "joined");
            let members = joined["members"].as_array().unwrap().iter();
            let members = members.map(|member| member.as_str().unwrap());
            let others: BTreeSet<&str> = members.filter(|member| *member != name).collect();
            assert_eq!(others, *expected, "at node {id}");
            looker.type_line("/leave");
            looker.wait("left", |event| event["event"] == "left");
            looker.quit();
        }
    }

    /// All of these have the same log of a conversation, byte for byte, and in it each of these texts once.
    pub fn assert_same_logs<T: AsRef<str>>(&self, names: &[T], conversation: &str, texts: &[String]) {
        let log = |name: &T| log_in(self.data.path(), name.as_ref(), conversation);
        let first = log(&names[0]);
        for name in names {
            // Not assert_eq: nobody reads two logs of thousands of lines.
            assert!(log(name) == first, "{} and {} differ", name.as_ref(), names[0].as_ref());
        }
        let text = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["text"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let found: Vec<String> = first.lines().map(text).collect();
        assert_each_once(&found, texts);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (id, child) in &mut self.running {
            // It has ended already where these fail.
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                let log = fs::read_to_string(self.folder.path().join(format!("node-{id}.log"))).unwrap_or_default();
                println!("node {id} has logged:\n{log}");
            }
        }
    }
}

/// `peerchat-registry`. The tests of this package have only its library built for them, so the program is built where it is not there
/// or older than any of its sources.
pub fn registry_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_peerchat")).parent().unwrap();
        let program = folder.join("peerchat-registry");
        if !is_fresh(&program) {
            let profile = folder.file_name().unwrap().to_str().unwrap();
            let profile = if profile == "debug" { "dev" } else { profile };
            let built = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
                .args([
                    "build",
                    "--quiet",
                    "--offline",
                    "--locked",
                    "--package",
                    "peerchat-registry",
                ])
                .args(["--bin", "peerchat-registry", "--profile", profile, "--target-dir"])
                .arg(folder.parent().unwrap())
                .status()
                .unwrap();
            assert!(built.success(), "peerchat-registry cannot be built");
        }
        program
    })
}

/// Whether a program is newer than all of its sources. Cargo names them in a file beside it.
fn is_fresh(program: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let sources = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let Some((_, sources)) = sources.split_once(": ") else {
        return false;
    };
    let built = changed(program);
    built.is_some()
        && sources
            .split_whitespace()
            .all(|source| changed(Path::new(source)).is_some_and(|at| Some(at) <= built))
}
