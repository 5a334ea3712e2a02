//! Real processes on loopback: registries and peers in JSON mode, each with its data in a temporary folder. Nothing waits for a time
//! to pass, only for a condition, with one deadline for all that is generous on a busy machine.

mod cluster;
mod networks;
mod order;
mod peer;
mod relay;
mod spot;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

pub use self::{
    cluster::{Cluster, registry_program},
    networks::Networks,
    order::{assert_causal, assert_unnoticed},
    peer::Peer,
    relay::Relay,
    spot::Spot,
};
use peerchat::{
    log::{RealDisk, read_seals},
    node::sealing::Seal,
};
use peerchat_identity::secret_file;
use peerchat_proto::names::UserName;
use peerchat_registry::{
    Settings,
    accounts::{Accounts, Policy, WallTime, password::Password, rules::Registration, store::Place},
    authority::Authority,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// How long anything may take that a test waits for.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a user has the seal of an entry of a room, without which nobody but its author can pass it on.
pub fn has_seal(data: &Path, user: &str, room: &str, id: &str) -> bool {
    let folder = data.join(user).join("rooms").join(room);
    let mut is_there = false;
    let is_it = |seal: Option<Seal>, _| is_there |= seal.is_some_and(|seal| seal.id.to_string() == id);
    read_seals(&RealDisk, &folder, is_it).unwrap();
    is_there
}

/// Says that a test is skipped, since what it `needs` is not here. Fails where `CI` is set, so that nobody takes it there for passed.
pub fn skipped(needs: &str) {
    assert!(std::env::var_os("CI").is_none(), "{needs} must be here where CI is set");
    println!("skipped: needs {needs}");
}

/// An address where nothing listens, and that nobody is given while it is free for a moment: below the ports that the system
/// hands out by itself.
pub fn lasting_address() -> SocketAddr {
    wait_for("a free port", || {
        let port = fastrand::u16(10_000..32_000);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        TcpListener::bind(address).ok().map(|_| address)
    })
}

/// A registry in this process, at an address that stays the same when it is killed and started again.
pub struct Registry {
    pub address: SocketAddr,
    /// Its authority and its accounts.
    folder: TempDir,
    /// How long its certificates are valid.
    lifetime: Duration,
    running: Option<(Runtime, CancellationToken)>,
}

impl Registry {
    pub fn start(lifetime: Duration) -> Self {
        let mut registry = Self {
            lifetime,
            address: lasting_address(),
            folder: TempDir::new().unwrap(),
            running: None,
        };
        registry.restart();
        registry
    }

    /// Ends it without a word to anybody, and forgets who is where.
    pub fn kill(&mut self) {
        if let Some((runtime, _)) = self.running.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    /// Gives the account of a user a password, as a device of his could.
    pub fn set_password(&self, name: &str, password: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let policy = Policy {
            registration: Registration::Open,
            certificate_lifetime: self.lifetime,
        };
        let name = UserName::new(name).unwrap();
        let password = Arc::new(Password::new(password.trim()).unwrap());
        runtime.block_on(async {
            let accounts = Accounts::open(&Place::Folder(self.folder()), policy).await.unwrap();
            let devices = accounts.devices(&name).await.unwrap();
            let first = devices.first().expect("he has a device").device;
            accounts
                .set_password(&name, first, &password, WallTime::now())
                .await
                .unwrap();
            accounts.close().await;
        });
    }

    /// The fingerprint of its authority.
    pub fn origin(&self) -> [u8; 32] {
        Authority::open(&self.folder()).unwrap().trust().fingerprint().bytes()
    }

    /// Where it keeps its authority and its accounts.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("registry")
    }

    pub fn restart(&mut self) {
        self.kill();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = self.address;
        let listener = wait_for("the registry's port", || {
            runtime.block_on(peerchat_registry::bind(address)).ok()
        });
        let settings = Settings {
            folder: Some(self.folder()),
            certificate_lifetime: self.lifetime,
            ..Settings::in_memory()
        };
        let registry = runtime.block_on(peerchat_registry::Registry::open(settings)).unwrap();
        let stop = CancellationToken::new();
        runtime.spawn(peerchat_registry::serve(listener, registry, stop.clone()));
        self.running = Some((runtime, stop));
    }
}

/// A folder for the data of some peers, and the registry that they use.
pub struct Site {
    pub data: TempDir,
    pub registry: Registry,
}

impl Site {
    pub fn new() -> Self {
        Self::with_certificates_of(Duration::from_secs(12 * 3_600))
    }

    /// A site whose registry issues certificates that are valid for so long.
    pub fn with_certificates_of(lifetime: Duration) -> Self {
        Self {
            data: TempDir::new().unwrap(),
            registry: Registry::start(lifetime),
        }
    }

    /// Starts a peer, and waits until it is ready.
    pub fn peer(&self, name: &str) -> Peer {
        self.peer_with(name, &[])
    }

    pub fn peer_with(&self, name: &str, args: &[&str]) -> Peer {
        let mut peer = Peer::spawn(self.data.path(), &self.registry.address.to_string(), name, args);
        peer.wait("ready", |event| event["event"] == "ready");
        peer
    }

    /// Starts another device of a user, with its data in a folder of its own, and waits until it is ready.
    pub fn second_device(&self, name: &str, data: &Path) -> Peer {
        let password = self.password_file(name);
        if !data.join(name).exists() {
            self.registry
                .set_password(name, &fs::read_to_string(&password).unwrap());
        }
        let args = ["--password-file", password.as_str()];
        let mut peer = Peer::spawn(data, &self.registry.address.to_string(), name, &args);
        peer.wait("ready", |event| event["event"] == "ready");
        peer
    }

    /// Starts peers and puts all of them into a room.
    pub fn room(&self, room: &str, names: &[&str]) -> Vec<Peer> {
        let mut peers: Vec<Peer> = names.iter().map(|name| self.peer(name)).collect();
        for peer in &mut peers {
            peer.join(room);
        }
        for peer in &mut peers {
            for other in names.iter().filter(|name| **name != peer.name) {
                peer.see(&format!("#{room}"), other);
            }
        }
        peers
    }

    /// A file with the password of a user, to be given when his account is made and when a further device of his comes.
    pub fn password_file(&self, name: &str) -> String {
        let path = self.data.path().join(format!("password@{name}"));
        if !path.exists() {
            secret_file::write(&path, format!("the password of {name}\n").as_bytes()).unwrap();
        }
        path.to_str().unwrap().to_owned()
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    /// What `peerchat log CONVERSATION --json` prints.
    pub fn log(&self, name: &str, conversation: &str) -> String {
        log_in(self.data.path(), name, conversation)
    }

    /// The texts in a log, in canonical order.
    pub fn texts(&self, name: &str, conversation: &str) -> Vec<String> {
        let text = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["text"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        self.log(name, conversation).lines().map(text).collect()
    }

    /// Every one of them has the same log of a room, byte for byte, and all their logs are sound. Returns the texts in order.
    pub fn assert_same_logs(&self, names: &[&str], room: &str) -> Vec<String> {
        let first = self.log(names[0], room);
        for name in names {
            self.assert_sound(name);
            // Not assert_eq: nobody reads two logs of a hundred thousand lines.
            assert!(
                self.log(name, room) == first,
                "{name} and {} differ in {room}",
                names[0]
            );
        }
        self.texts(names[0], room)
    }

    /// `peerchat verify` finds nothing wrong.
    pub fn assert_sound(&self, name: &str) {
        let output = peerchat(self.data.path(), &["verify", "--user", name]);
        let (found, error) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{name}: {found}{error}");
    }
}

/// What `peerchat log CONVERSATION --json` prints of the data in a folder.
pub fn log_in(data: &Path, name: &str, conversation: &str) -> String {
    let output = peerchat(data, &["log", conversation, "--user", name, "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Fails unless every one of `texts` is in `found` exactly once, and nothing else is.
pub fn assert_each_once<T: AsRef<str>>(found: &[String], texts: impl IntoIterator<Item = T>) {
    let mut expected: Vec<String> = texts.into_iter().map(|text| text.as_ref().to_owned()).collect();
    let mut found = found.to_vec();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

/// Runs `peerchat` to its end.
pub fn peerchat(data: &Path, args: &[&str]) -> std::process::Output {
    program()
        .args(args)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// `peerchat`, with nothing of this machine's settings.
pub fn program() -> Command {
    Spot::default().program(Path::new(env!("CARGO_BIN_EXE_peerchat")))
}
