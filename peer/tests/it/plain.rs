//! Plain lines, where neither a terminal nor JSON is asked for: what a pipe types and reads.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use crate::harness::{Site, program, wait_for};

/// A peer in plain mode.
struct Plain {
    child: Child,
    stdin: Option<ChildStdin>,
    text: Arc<Mutex<String>>,
}

impl Plain {
    fn start(site: &Site, name: &str, args: &[&str]) -> Self {
        let mut command = program();
        command.args(["chat", name, "--no-host-registry", "--registry"]);
        command.arg(site.registry.address.to_string()).args(args);
        command.arg("--data").arg(site.data.path());
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let text = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let read = Arc::clone(&text);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *read.lock().unwrap() += &format!("{line}\n");
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            text,
        }
    }

    fn type_lines(&mut self, lines: &str) {
        self.stdin.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    /// Waits until a text is shown, and returns all that was shown by then.
    fn sees(&self, text: &str) -> String {
        wait_for(text, || {
            let shown = self.text.lock().unwrap();
            shown.contains(text).then(|| shown.clone())
        })
    }

    /// Ends its input.
    fn end(mut self) -> ExitStatus {
        drop(self.stdin.take());
        self.child.wait().unwrap()
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _over = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn who_comes_back_sees_what_was_said_last_and_then_what_he_missed() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let (mut bob, mut alice) = (peers.remove(1), peers.remove(0));
    for number in 0..60 {
        alice.say(&format!("said {number:02}"));
    }
    bob.wait_version(60);
    alice.quit();
    bob.say("missed");
    let alice = Plain::start(&site, "alice", &[]);
    let shown = alice.sees("missed");
    let place = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text} is not in:\n{shown}"));
    assert!(!shown.contains("said 09"), "the last 50 are enough:\n{shown}");
    let places = [
        "the last 50 in #lobby",
        "said 10",
        "said 59",
        "new since then",
        "missed",
    ]
    .map(place);
    assert!(places.is_sorted(), "{shown}");
    assert!(alice.end().success());
    let rooms = ["lobby", "another"];
    for room in rooms {
        // Whoever enters a room is shown that one.
        let alice = Plain::start(&site, "alice", &["--join", room]);
        let shown = alice.sees(&format!("→ #{room} "));
        assert!(!shown.contains("new since then"), "{shown}");
        assert!(alice.end().success());
    }
    // A room in which nothing was said is one to come back to as well.
    let alice = Plain::start(&site, "alice", &[]);
    alice.sees("You are in #another;");
    assert!(alice.end().success());
    bob.quit();
}

#[test]
fn a_pipe_ends_with_1_where_a_line_was_refused_and_says_nothing_to_the_wrong_ones() {
    let site = Site::new();
    let mut bob = site.peer("bob");
    bob.join("lobby");
    for (lines, code) in [
        ("hi\n/who\n", 0),
        ("/switch @carol\nfor carol\n", 1),
        ("/msg carol for carol\nfor carol\n", 1),
        ("/msg c@rol\nfor carol\n/switch lobby\nfor all\n", 1),
        ("/leave\nfor nobody\n", 1),
    ] {
        let mut alice = Plain::start(&site, "alice", &["--join", "lobby"]);
        alice.type_lines(lines);
        assert_eq!(alice.end().code(), Some(code), "{lines:?}");
    }
    bob.hear("hi");
    bob.hear("for all");
    bob.quit();
    assert_eq!(site.texts("bob", "#lobby"), ["hi", "for all"]);
}

#[test]
fn a_script_that_speaks_json_is_told_and_ends_well() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.type_line("/switch #nowhere");
    alice.error("not_joined");
    alice.type_line("for those elsewhere");
    let message = alice.error("no_conversation");
    assert!(message.contains("/switch #nowhere"), "{message}");
    alice.type_line("/leave @bob");
    assert_eq!(alice.error("not_joined"), "you are not in @bob");
    // It waits for the end, which is a clean one.
    alice.quit();
    assert!(!site.folder("alice").join("rooms").exists() || site.texts("alice", "#lobby").is_empty());
}

#[test]
fn a_direct_conversation_of_an_earlier_run_can_be_closed_and_one_that_never_was_cannot() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    let bob = site.peer("bob");
    alice.type_line("/msg bob hi");
    alice.wait("sent", |event| event["event"] == "sent");
    alice.quit();
    let mut alice = site.peer("alice");
    alice.type_line("/leave @bob");
    alice.wait("left", |event| {
        event["event"] == "left" && event["conversation"] == "@bob"
    });
    alice.type_line("/leave @bob");
    assert_eq!(alice.error("not_joined"), "you are not in @bob");
    alice.quit();
    bob.quit();
}
