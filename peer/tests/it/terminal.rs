//! The prompt at a real terminal: a pseudo-terminal of the system's.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::harness::{Site, peerchat, program, wait_for};

/// A peer's process at a terminal.
struct Terminal {
    child: Child,
    keyboard: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a peer of the site, and waits for its prompt.
    fn start(site: &Site, name: &str) -> Self {
        let terminal = Self::open(&site.registry.address.to_string(), site.data.path(), name);
        terminal.sees("> ");
        terminal
    }

    /// Starts a peer, and waits for nothing.
    fn open(registry: &str, data: &Path, name: &str) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let path = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut command = program();
        command.args(["chat", name, "--no-host-registry", "--registry", registry]);
        command.arg("--data").arg(data);
        command
            .env("TERM", "xterm")
            .stdin(open())
            .stdout(open())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        drop(command);
        let keyboard = File::from(screen);
        let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut reader, seen) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // It fails when the last process has closed the terminal.
            while let Ok(count) = reader.read(&mut bytes) {
                seen.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, keyboard, shown }
    }

    /// Presses keys, in one go.
    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether a text was on the screen.
    fn has_shown(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).contains(text)
    }

    /// Waits until a text was on the screen.
    fn sees(&self, text: &str) {
        wait_for(&format!("{text:?} on the screen"), || {
            self.has_shown(text).then_some(())
        });
    }

    /// From now on only what is shown anew counts.
    fn look_away(&self) {
        self.shown.lock().unwrap().clear();
    }

    /// Types `/quit`, and waits for a clean end.
    fn quit(mut self) {
        self.press("/quit\r");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn lines_that_are_typed_ahead_are_all_said() {
    let site = Site::new();
    let mut alice = Terminal::start(&site, "alice");
    // All of it is there before the first line has been read.
    alice.press("/join lobby\rone\rtwo\r/who\rthree\r");
    wait_for("the last line", || {
        (alice.has_shown("alice  three") || alice.has_shown("three\r\n")).then_some(())
    });
    alice.quit();
    assert_eq!(site.texts("alice", "#lobby"), ["one", "two", "three"]);
}

#[test]
fn a_paste_of_several_lines_is_one_message_after_a_question_and_forges_none() {
    const PASTE: &str = "one\n2026-01-31 14:02:07  bob  forged";
    let site = Site::new();
    let mut bob = site.peer("bob");
    bob.join("lobby");
    let mut alice = Terminal::start(&site, "alice");
    alice.press("/join lobby\r");
    alice.sees("#lobby joined with bob");
    bob.see("#lobby", "alice");
    // As a terminal brackets what is pasted.
    alice.press(&format!("\u{1b}[200~{PASTE}\u{1b}[201~\r"));
    alice.sees("Send 2 lines as one message? [Y/n] ");
    alice.look_away();
    alice.press("n\r");
    // It is there to be edited; nothing was sent.
    alice.sees("forged");
    alice.press(" at the end\r");
    alice.sees("Send 2 lines as one message? [Y/n] ");
    alice.press("\r");
    let heard = bob.wait("a message", |event| event["event"] == "message");
    assert_eq!(heard["text"], format!("{PASTE} at the end"));
    assert_eq!(bob.version(), 1);
    alice.quit();
    bob.quit();
    let printed = peerchat(site.data.path(), &["log", "#lobby", "--user", "bob"]);
    let printed = String::from_utf8(printed.stdout).unwrap();
    let [first, second] = &printed.lines().collect::<Vec<_>>()[..] else {
        panic!("{printed:?}")
    };
    assert!(
        first.ends_with("  alice  one") && second.starts_with("     "),
        "{printed:?}"
    );
}

#[test]
fn what_arrives_is_shown_above_a_line_that_is_half_typed() {
    let site = Site::new();
    let mut bob = site.peer("bob");
    bob.join("lobby");
    let mut alice = Terminal::start(&site, "alice");
    alice.press("/join lobby\r");
    alice.sees("#lobby joined with bob");
    bob.see("#lobby", "alice");
    alice.press("half of a ");
    alice.sees("half of a ");
    alice.look_away();
    bob.say("first come");
    // The line is painted once more below it, and goes on.
    wait_for("the message, and the line below it", || {
        let shown = String::from_utf8_lossy(&alice.shown.lock().unwrap()).into_owned();
        let message = shown.find("first come")?;
        shown[message..].contains("half of a ").then_some(())
    });
    alice.press("sentence\r");
    bob.hear("half of a sentence");
    alice.quit();
    bob.quit();
}

#[test]
fn tab_completes_commands_rooms_and_users() {
    let site = Site::new();
    let mut bob = site.peer("小明");
    bob.join("kitchen");
    let mut alice = Terminal::start(&site, "alice");
    alice.press("/joi\tkitchen\r");
    alice.sees("#kitchen joined with 小明");
    alice.press("/ms\t小\t do you see this?\r");
    let heard = bob.wait("a message", |event| event["event"] == "message");
    assert_eq!(
        (heard["conversation"].as_str(), heard["text"].as_str()),
        (Some("@alice"), Some("do you see this?"))
    );
    alice.press("/sw\t#k\t\r");
    alice.sees("#kitchen> ");
    alice.press("back\r");
    assert_eq!(bob.hear("back")["conversation"], "#kitchen");
    alice.quit();
    bob.quit();
}

#[test]
fn a_wrong_password_is_asked_for_again() {
    let site = Site::new();
    let password = site.password_file("alice");
    let _first = site.peer_with("alice", &["--password-file", &password]);
    let elsewhere = tempfile::TempDir::new().unwrap();
    let mut alice = Terminal::open(&site.registry.address.to_string(), elsewhere.path(), "alice");
    let question = "or Enter to leave: ";
    alice.sees(question);
    alice.look_away();
    alice.press("the wrong one\r");
    alice.sees("wrong password");
    alice.sees(question);
    assert!(!alice.has_shown("the wrong one"));
    alice.press("the password of alice\r");
    alice.sees("Welcome to Peerchat, alice!");
    alice.quit();
}

#[test]
fn who_thinks_better_of_a_new_password_is_told_that_nothing_is_changed() {
    let site = Site::new();
    let mut bob = Terminal::start(&site, "bob");
    bob.sees("/msg alice hello");
    bob.press("/passwd\r");
    bob.sees("at least 8 characters: ");
    bob.press("a good long password\r");
    bob.sees("The same again: ");
    bob.press("\u{3}");
    bob.sees("nothing is changed");
    bob.quit();
}

#[test]
fn a_person_is_told_what_is_waited_for() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let data = tempfile::TempDir::new().unwrap();
    let alice = Terminal::open(&address, data.path(), "alice");
    alice.sees(&format!("Looking for the registry at {address}"));
    alice.sees("> ");
    alice.quit();
}
