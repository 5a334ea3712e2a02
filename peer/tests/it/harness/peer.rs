//! A peer's process, with what it was told and what it has said.

use std::{
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{DEADLINE, program, wait_for};

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

    /// Types a line that brings up messages again. Returns them in their order, and the event that ends them. Nothing new may come
    /// meanwhile.
    pub fn replayed(&mut self, line: &str) -> (Vec<Value>, Value) {
        self.type_line(line);
        let mut messages = Vec::new();
        let end = self.wait(line, |event| {
            if event["event"] == "message" {
                assert_eq!(event["replayed"], true, "nobody writes any more: {event}");
                messages.push(event.clone());
            }
            event["event"] == "replayed"
        });
        (messages, end)
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
fn is_delivered(event: &Value, id: &str, to: &str) -> bool {
    event["event"] == "delivered" && event["id"] == *id && event["to"] == *to
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended already where these fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
