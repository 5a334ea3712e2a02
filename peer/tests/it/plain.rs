//! Plain lines, where neither a terminal nor JSON is asked for: what a pipe types and reads.

use std::{
    io::{BufRead as _, BufReader},
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
