//! Names of users and rooms that break a rule, and those that just keep it.

use std::collections::BTreeSet;

use crate::harness::{Site, peerchat};

/// Names that break a rule, each with what the error must say.
fn bad() -> Vec<(String, &'static str)> {
    let bad = [
        ("..", "means a folder"),
        (".", "means a folder"),
        ("a/b", "this one has /"),
        ("../b", "this one has /"),
        ("a#b", "this one has #"),
        ("a@b", "this one has @"),
        ("a:b", "this one has :"),
        ("a\u{1}b", "U+0001"),
        ("a\u{1b}[2Jb", "U+001B"),
        ("a\u{202e}b", "U+202E"),
        ("a\u{200b}b", "U+200B"),
    ];
    let mut bad: Vec<_> = bad.map(|(name, why)| (name.to_owned(), why)).into();
    bad.push(("x".repeat(65), "at most 64 characters; this one has 65"));
    bad.push(("🦀".repeat(65), "at most 64 characters; this one has 65"));
    // Folding makes two letters of each.
    bad.push(("ß".repeat(33), "at most 64 characters; this one has 66"));
    bad
}

/// No character that could drive the reader's terminal.
fn assert_harmless(text: &str) {
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(bad), "{text:?}");
}

#[test]
fn a_bad_name_at_the_prompt_is_refused_with_the_rule() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    for (name, why) in bad() {
        for command in [
            format!("/join {name}"),
            format!("/join #{name}"),
            format!("/msg {name} hi"),
            format!("/msg @{name}"),
        ] {
            alice.type_line(&command);
            let message = alice.error("bad_name");
            assert!(message.contains(why), "{command:?}: {message}");
            assert_harmless(&message);
        }
    }
    for nothing in ["/join", "/join  ", "/join a b", "/msg", "/msg "] {
        alice.type_line(nothing);
        assert!(alice.error("usage").contains("/join lobby") || nothing.starts_with("/msg"));
    }
    alice.join("lobby");
    alice.say("still here");
    alice.quit();
    let kept: Vec<_> = std::fs::read_dir(site.folder("alice").join("rooms")).unwrap().collect();
    assert_eq!(kept.len(), 1, "no folder is made for what is no name");
    assert!(!site.folder("alice").join("direct").exists());
}

#[test]
fn a_bad_name_on_the_command_line_is_wrong_usage() {
    let data = tempfile::TempDir::new().unwrap();
    let mut bad = bad();
    bad.push((String::new(), "at least one character"));
    bad.push(("a b".into(), "U+0020"));
    for (name, why) in bad {
        for args in [
            &["chat", &name, "--json", "--no-host-registry"][..],
            &["chat", "alice", "--json", "--no-host-registry", "--join", &name],
            &["verify", "--user", &name],
            &["log", &format!("#{name}"), "--user", "alice"],
            &["log", "#lobby", "--user", &name],
        ] {
            let output = peerchat(data.path(), args);
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?}: {message}");
            assert!(message.contains(why), "{args:?}: {message}");
            assert_harmless(&message);
        }
    }
    assert_eq!(data.path().read_dir().unwrap().count(), 0, "nothing is made");
}

#[test]
fn the_longest_names_pass() {
    let crabs = "🦀".repeat(64);
    let (upper, lower) = ("Ä".repeat(64), "ä".repeat(64));
    let site = Site::new();
    let mut peers = [site.peer(&crabs), site.peer(&upper)];
    for peer in &mut peers {
        peer.join(&crabs);
    }
    let [crab, other] = &mut peers;
    let room = format!("#{crabs}");
    crab.see(&room, &upper);
    other.see(&room, &crabs);
    crab.say("from one");
    let heard = other.hear("from one");
    assert_eq!(
        (heard["conversation"].as_str(), heard["author"].as_str()),
        (Some(&*room), Some(&*crabs))
    );
    // Names are compared case-folded, and shown as their owners write them.
    crab.type_line(&format!("/msg {lower} to you"));
    assert_eq!(other.hear("to you")["conversation"], format!("@{crabs}"));
    for peer in peers {
        peer.quit();
    }
    let logs: BTreeSet<String> = [&crabs, &upper].iter().map(|name| site.log(name, &room)).collect();
    assert_eq!(logs.len(), 1, "both hold the same");
}
