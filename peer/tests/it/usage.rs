//! `peerchat log` and `peerchat verify` beside a peer and without one, and command lines that make no sense.

use std::{io::Read as _, process::Stdio};

use crate::harness::{Site, peerchat, program, wait_for};

/// The exit code and stderr.
fn fails(site: &Site, args: &[&str]) -> (i32, String) {
    let output = peerchat(site.data.path(), args);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_log_is_read_while_its_peer_runs_and_when_it_has_ended() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    for n in 0..20 {
        let text = format!("text {n}");
        peers[0].say(&text);
        peers[1].hear(&text);
    }
    let while_it_runs = site.log("alice", "#lobby");
    assert_eq!(while_it_runs.lines().count(), 20);
    site.assert_sound("alice");
    let verified = peerchat(site.data.path(), &["verify", "--user", "alice"]);
    let verified = String::from_utf8(verified.stdout).unwrap();
    assert!(
        verified.starts_with("#lobby  ok  version 20  authors 1  "),
        "{verified}"
    );
    for peer in peers {
        peer.quit();
    }
    assert_eq!(site.log("alice", "#lobby"), while_it_runs);
    assert_eq!(site.log("bob", "#lobby"), while_it_runs);
    site.assert_sound("bob");
    let text = peerchat(site.data.path(), &["log", "#lobby", "--user", "alice"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert_eq!(text.lines().count(), 20);
    assert!(text.lines().next().unwrap().ends_with("  alice  text 0"), "{text}");
}

#[test]
fn a_log_is_whole_at_every_moment_while_its_peer_writes() {
    const ENTRIES: usize = 2_000;
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    for n in 0..ENTRIES {
        alice.type_line(&format!("{n} {}", "x".repeat(n % 500)));
    }
    // Both read the file while it grows under them.
    let read = |before: usize| {
        site.assert_sound("alice");
        let now = site.log("alice", "#lobby").lines().count();
        assert!(now >= before, "{now} after {before}");
        now
    };
    let mut entries = 0;
    wait_for("all entries", || {
        entries = read(entries);
        (entries == ENTRIES).then_some(())
    });
    alice.quit();
    read(ENTRIES);
}

#[test]
fn who_or_what_is_not_there_is_a_clear_error() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.say("hi");
    alice.quit();
    for command in [&["verify"][..], &["log", "#lobby"]] {
        let (code, message) = fails(&site, &[command, &["--user", "nobody"]].concat());
        assert_eq!(code, 1);
        assert!(
            message.contains("nobody has no data in") && message.contains("--data"),
            "{message}"
        );
    }
    for missing in ["#kitchen", "@bob"] {
        let (code, message) = fails(&site, &["log", missing, "--user", "alice"]);
        assert_eq!(code, 1);
        assert!(
            message.contains(missing) && message.contains("there are: #lobby"),
            "{message}"
        );
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let site = Site::new();
    for args in [
        &["log", "lobby", "--user", "alice"][..],
        &["log", "--user", "alice"],
        &["log", "#lobby"],
        &["verify"],
        &["chatt"],
        &["chat", "alice", "--registry", "nowhere"],
        &["chat", "alice", "--registry", "h:1,nowhere"],
        &["chat", "alice", "--registry", "h:1,,h:2"],
        &["chat", "alice", "--registry", "h:1", "--registry", "h:1"],
        &["chat", "alice", "--registry", "h:1,h:2,h:3,h:4,h:5,h:6,h:7,h:8,h:9"],
        &["chat", "alice", "--listen", "127.0.0.1"],
        &["chat", "alice", "--advertise", "x:y"],
        &["chat", "alice", "bob"],
    ] {
        let (code, message) = fails(&site, args);
        assert_eq!(code, 2, "{args:?}: {message}");
        assert!(!message.is_empty());
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_printing_quietly() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    // More than the pipe holds.
    let long = "x".repeat(60_000);
    for _ in 0..10 {
        alice.say(&long);
    }
    alice.quit();
    for format in [None, Some("--json")] {
        let mut command = program();
        command.args(["log", "#lobby", "--user", "alice"]).args(format);
        command.arg("--data").arg(site.data.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut start = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut start).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), &*output.stderr),
            (Some(0), &b""[..]),
            "{format:?}"
        );
    }
}
