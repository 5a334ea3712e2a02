//! Real processes on loopback: registries and peers in JSON mode, each with its data in a temporary folder. Nothing waits for a time
//! to pass, only for a condition, with one deadline for all that is generous on a busy machine.

use std::{
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
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
    running: Option<(Runtime, CancellationToken)>,
}

impl Registry {
    pub fn start() -> Self {
        let mut registry = Self {
            address: lasting_address(),
            running: None,
        };
        registry.restart();
        registry
    }

    /// Ends it without a word to anybody, and forgets all that it knew.
    pub fn kill(&mut self) {
        if let Some((runtime, _)) = self.running.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
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
        let stop = CancellationToken::new();
        runtime.spawn(peerchat_registry::serve(listener, stop.clone()));
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
        Self {
            data: TempDir::new().unwrap(),
            registry: Registry::start(),
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

    pub fn folder(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    /// What `peerchat log CONVERSATION --json` prints.
    pub fn log(&self, name: &str, conversation: &str) -> String {
        let output = peerchat(self.data.path(), &["log", conversation, "--user", name, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
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
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerchat"));
    command
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env_remove("PEERCHAT_LOG");
    command
}

#[derive(Default)]
struct Heard {
    events: Vec<Value>,
    over: bool,
    /// Stdout is not read.
    deaf: bool,
}

/// A peer's process in JSON mode.
pub struct Peer {
    pub name: String,
    pub child: Child,
    stdin: Option<ChildStdin>,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    /// Up to where `wait` has looked.
    seen: usize,
}

impl Peer {
    pub fn spawn(data: &Path, registry: &str, name: &str, args: &[&str]) -> Self {
        Self::spawn_hosting(data, registry, name, &[args, &["--no-host-registry"]].concat())
    }

    /// A peer that hosts a registry where none listens.
    pub fn spawn_hosting(data: &Path, registry: &str, name: &str, args: &[&str]) -> Self {
        let mut command = program();
        command.args(["chat", name, "--json", "--registry", registry]);
        command.arg("--data").arg(data).args(args);
        Self::run(name, command)
    }

    pub fn run(name: &str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = Arc::clone(&heard);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON on stdout: {line}"));
                let mut heard = told.0.lock().unwrap();
                heard.events.push(event);
                told.1.notify_all();
                drop(told.1.wait_while(heard, |heard| heard.deaf).unwrap());
            }
            told.0.lock().unwrap().over = true;
            told.1.notify_all();
        });
        Self {
            name: name.to_owned(),
            stdin: child.stdin.take(),
            child,
            heard,
            seen: 0,
        }
    }

    /// Types a line.
    pub fn type_line(&mut self, line: &str) {
        self.type_bytes(format!("{line}\n").as_bytes());
    }

    /// Sends bytes as they are, which need not be text.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        self.try_type(bytes).unwrap();
    }

    /// Sends bytes to a process that may have ended.
    pub fn try_type(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(bytes)?;
        stdin.flush()
    }

    /// Waits for an error with a code. Returns what it says.
    pub fn error(&mut self, code: &str) -> String {
        let error = self.wait(code, |event| event["event"] == "error" && event["code"] == *code);
        error["message"].as_str().unwrap().to_owned()
    }

    /// Types many lines as fast as the peer reads them.
    pub fn type_lines<T: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = T>) {
        let mut stdin = BufWriter::new(self.stdin.as_mut().expect("stdin is open"));
        for line in lines {
            writeln!(stdin, "{}", line.as_ref()).unwrap();
        }
        stdin.flush().unwrap();
    }

    /// Reads stdout no longer, or goes on reading it.
    pub fn set_deaf(&self, deaf: bool) {
        self.heard.0.lock().unwrap().deaf = deaf;
        self.heard.1.notify_all();
    }

    /// The first event from where the last wait ended for which `is_it` says so.
    pub fn wait(&mut self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let end = Instant::now() + DEADLINE;
        let (heard, news) = &*self.heard;
        let mut heard = heard.lock().unwrap();
        loop {
            while self.seen < heard.events.len() {
                self.seen += 1;
                if is_it(&heard.events[self.seen - 1]) {
                    return heard.events[self.seen - 1].clone();
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            let tail = || {
                heard
                    .events
                    .iter()
                    .rev()
                    .take(8)
                    .rev()
                    .map(Value::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            assert!(
                !heard.over,
                "{} ended and {what} never came; last:\n{}",
                self.name,
                tail()
            );
            assert!(
                !left.is_zero(),
                "{} waited in vain for {what}; last:\n{}",
                self.name,
                tail()
            );
            heard = news.wait_timeout(heard, left).unwrap().0;
        }
    }

    /// Waits, from where the last wait ended, for so many events for which `is_it` says so.
    pub fn wait_count(&mut self, what: &str, count: usize, mut is_it: impl FnMut(&Value) -> bool) {
        for n in 1..=count {
            self.wait(&format!("{what} ({n} of {count})"), &mut is_it);
        }
    }

    /// All that was heard so far.
    pub fn events(&self) -> Vec<Value> {
        self.heard.0.lock().unwrap().events.clone()
    }

    /// Waits until a condition on all that was heard holds, whatever earlier waits have seen.
    pub fn wait_all<T>(&self, what: &str, mut condition: impl FnMut(&[Value]) -> Option<T>) -> T {
        wait_for(&format!("{what} at {}", self.name), || {
            condition(&self.heard.0.lock().unwrap().events)
        })
    }

    /// Joins a room and waits until its history is there. Returns the event `synced`.
    pub fn join(&mut self, room: &str) -> Value {
        self.type_line(&format!("/join {room}"));
        let title = format!("#{room}");
        self.wait("joined", |event| {
            event["event"] == "joined" && event["conversation"] == *title
        });
        self.wait("synced", |event| {
            event["event"] == "synced" && event["conversation"] == *title
        })
    }

    /// Waits until `other` is known to be in a conversation.
    pub fn see(&self, conversation: &str, other: &str) {
        self.wait_all(&format!("{other} in {conversation}"), |events| {
            let here = |event: &&Value| {
                event["conversation"] == *conversation
                    && ((event["event"] == "presence" && event["online"] == true && event["user"] == *other)
                        || (event["event"] == "joined"
                            && event["members"]
                                .as_array()
                                .unwrap()
                                .iter()
                                .any(|member| *member == *other)))
            };
            events.iter().find(here).map(|_| ())
        });
    }

    /// Writes a text into the current conversation and waits until it is in the own log. Returns its id.
    pub fn say(&mut self, text: &str) -> String {
        self.type_line(text);
        let sent = self.wait(text, |event| event["event"] == "sent" && event["text"] == *text);
        sent["id"].as_str().unwrap().to_owned()
    }

    /// Waits until an own entry is in another's log.
    pub fn wait_stored(&self, id: &str, to: &str) {
        self.wait_all(&format!("{id} stored at {to}"), |events| {
            events.iter().find(|event| is_delivered(event, id, to)).map(|_| ())
        });
    }

    /// What was shown of a conversation: own texts and those of others, in the order in which they came, without replays.
    pub fn shown(&self, conversation: &str) -> Vec<String> {
        let events = self.events();
        let lines = events.iter().filter(|event| {
            event["conversation"] == *conversation
                && (event["event"] == "sent" || event["event"] == "message" && event["replayed"] == false)
        });
        lines.map(|event| event["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until the peer says that the registry is `connected`, `hosting` or `lost`.
    pub fn wait_registry(&mut self, state: &str) {
        self.wait(&format!("the registry {state}"), |event| {
            event["event"] == "registry" && event["state"] == *state
        });
    }

    /// Waits for a message with a text.
    pub fn hear(&mut self, text: &str) -> Value {
        self.wait(text, |event| event["event"] == "message" && event["text"] == *text)
    }

    /// The version of a conversation, as the peer says it.
    pub fn version(&mut self) -> u64 {
        self.type_line("/version");
        self.wait("version", |event| event["event"] == "version")["version"]
            .as_u64()
            .unwrap()
    }

    /// Waits until the current conversation has a version.
    pub fn wait_version(&mut self, version: u64) {
        wait_for(&format!("version {version} at {}", self.name), || {
            (self.version() == version).then_some(())
        });
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The heights of the current conversation, as the peer says them.
    pub fn heights(&mut self) -> Value {
        self.type_line("/version");
        self.wait("heights", |event| event["event"] == "version")["heights"].clone()
    }

    /// kill -9. Returns all that was heard up to the last line.
    pub fn kill(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.end();
        self.events()
    }

    /// Ends the input, and waits for a clean end, without a complaint.
    pub fn quit(mut self) {
        self.stdin = None;
        assert!(self.end().success(), "{} did not end well", self.name);
        assert_eq!(self.events().last().unwrap()["event"], "bye");
        assert_eq!(self.stderr(), "", "{} complains", self.name);
    }

    /// Waits for the process to end.
    pub fn end(&mut self) -> ExitStatus {
        let status = wait_for(&format!("the end of {}", self.name), || self.child.try_wait().unwrap());
        wait_for("the last event", || self.heard.0.lock().unwrap().over.then_some(()));
        status
    }

    /// What the process has written to stderr; once it has ended.
    pub fn stderr(&mut self) -> String {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut text).unwrap();
        text
    }
}

/// Whether an event says that an own entry is in another's log.
pub fn is_delivered(event: &Value, id: &str, to: &str) -> bool {
    event["event"] == "delivered" && event["id"] == *id && event["to"] == *to
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended already where these fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
