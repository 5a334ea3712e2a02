//! What people type: long, broken, and meant to deceive.

use serde_json::Value;

use crate::harness::{Site, peerchat};

/// The limit of a text, as the design fixes it.
const TEXT_BYTES_MAX: usize = 64 * 1024;

#[test]
fn a_text_of_64_kib_passes_and_one_byte_more_is_refused() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    let most = "é".repeat(TEXT_BYTES_MAX / 2);
    assert_eq!(most.len(), TEXT_BYTES_MAX);
    alice.type_line(&format!("{most}x"));
    let message = alice.error("text_too_long");
    assert!(message.contains("65537") && message.contains("65536"), "{message}");
    alice.type_line(&format!("/msg bob {most}x"));
    alice.error("text_too_long");
    // What follows such a line was most likely for bob as well.
    alice.type_line("not for all");
    alice.error("no_conversation");
    alice.type_line("/switch #lobby");
    alice.say(&most);
    assert_eq!(bob.hear(&most)["version"], 1, "nothing else came");
    for peer in peers {
        peer.quit();
    }
    assert_eq!(site.texts("bob", "#lobby"), [most]);
    site.assert_sound("alice");
}

#[test]
fn what_is_no_line_of_text_is_told_and_the_next_one_is_read() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let [alice, bob] = &mut peers[..] else { unreachable!() };
    alice.type_bytes(b"ok\xff\xfe\n");
    let message = alice.error("usage");
    assert!(message.contains("not UTF-8 from byte 3"), "{message}");
    alice.type_bytes(b"cut off in a letter \xf0\x9f\xa6\n");
    alice.error("usage");
    let many = vec![b'x'; 9 * 1024 * 1024];
    alice.type_bytes(&many);
    alice.type_bytes(b"\n");
    let message = alice.error("text_too_long");
    assert!(message.contains("65536"), "{message}");
    alice.type_bytes(b"\0\n");
    alice.say("and on");
    bob.hear("and on");
    assert_eq!(bob.version(), 2, "the text of one NUL and the last one");
}

/// Texts that would forge a line, drive a terminal or turn a line around.
const DECEPTIVE: [&str; 9] = [
    "\u{1b}[2J\u{1b}[1;1Hgone",
    "\u{1b}]0;title\u{7}",
    "\u{9b}31mred",
    "a\rb",
    "back\u{8}\u{8}\u{8}\u{8}",
    "\u{202e}gnihtemos",
    "\u{2066}x\u{2069}",
    "a\u{2028}b\u{85}c",
    "tab\tand \u{feff}nothing",
];

#[test]
fn deceptive_texts_arrive_unaltered_and_are_shown_harmless() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    for text in DECEPTIVE {
        peers[0].say(text);
        peers[1].hear(text);
    }
    for peer in peers {
        peer.quit();
    }
    assert_eq!(site.texts("bob", "#lobby"), DECEPTIVE);
    let json = site.log("bob", "#lobby");
    assert_eq!(json.lines().count(), DECEPTIVE.len());
    assert!(json.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let shown = peerchat(site.data.path(), &["log", "#lobby", "--user", "bob"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.lines().count(), DECEPTIVE.len(), "{shown:?}");
    let drives = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}')
    };
    assert!(!shown.contains(drives), "{shown:?}");
    let entry = |line: &str| line.starts_with("20") && line.get(19..28) == Some("  alice  ");
    assert!(shown.lines().all(entry), "{shown:?}");
}
