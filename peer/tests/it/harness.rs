//! Real processes on loopback: registries and peers in JSON mode, each with its data in a temporary folder. Nothing waits for a time
//! to pass, only for a condition, with one deadline for all that is generous on a busy machine.

use std::{
    io::{BufRead as _, BufReader, Write as _},
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

/// A registry in this process, at an address that stays the same when it is killed and started again.
pub struct Registry {
    pub address: SocketAddr,
    running: Option<(Runtime, CancellationToken)>,
}

impl Registry {
    pub fn start() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut registry = Self { address, running: None };
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

    /// `peerchat verify` finds nothing wrong.
    pub fn assert_sound(&self, name: &str) {
        let output = peerchat(self.data.path(), &["verify", "--user", name]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
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
        let mut command = program();
        command.args(["chat", name, "--json", "--no-host-registry", "--registry", registry]);
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
                told.0.lock().unwrap().events.push(event);
                told.1.notify_all();
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

    /// kill -9
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends the input, and waits for a clean end.
    pub fn quit(mut self) {
        self.stdin = None;
        assert!(self.end().success(), "{} did not end well", self.name);
        assert_eq!(self.events().last().unwrap()["event"], "bye");
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

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended already where these fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
