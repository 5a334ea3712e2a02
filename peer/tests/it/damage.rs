//! Files of a log that are damaged while no peer runs: what `peerchat verify` says of them, what the next start says, and that all comes
//! back from the others.

use std::{fs, path::PathBuf};

use crate::harness::{Peer, Site, peerchat};

/// The length of the header of `log` and `index`.
const HEADER: usize = 48;
/// The length of a record of `index`.
const RECORD: usize = 24;
/// How many entries there are when the damage happens.
const ENTRIES: usize = 20;

/// What happens to a file; `None` deletes it.
type Harm = fn(&mut Vec<u8>) -> Option<()>;

struct Damage {
    what: &'static str,
    file: &'static str,
    harm: Harm,
    /// What `peerchat verify` says; nothing where the log is whole.
    verified: Option<&'static str>,
    /// What the peer says at its start; nothing where nothing is lost or may have been.
    told: Option<&'static str>,
}

/// Damage by which nothing is lost.
const fn harmless(what: &'static str, file: &'static str, harm: Harm) -> Damage {
    Damage {
        what,
        file,
        harm,
        verified: None,
        told: None,
    }
}

fn truncated(bytes: &mut Vec<u8>, len: usize) -> Option<()> {
    bytes.truncate(len);
    Some(())
}

fn flipped(bytes: &mut [u8], at: usize) -> Option<()> {
    bytes[at] ^= 0x10;
    Some(())
}

const LOG: [Damage; 11] = [
    Damage {
        what: "cut off in the last entry",
        file: "log",
        harm: |bytes| truncated(bytes, bytes.len() - 5),
        verified: Some("1 entries that had been there are gone"),
        told: Some("1 entries that had been there are gone"),
    },
    Damage {
        what: "cut off in the middle",
        file: "log",
        harm: |bytes| truncated(bytes, bytes.len() / 2),
        verified: Some("entries that had been there are gone"),
        told: Some("entries that had been there are gone"),
    },
    Damage {
        what: "cut off after the header",
        file: "log",
        harm: |bytes| truncated(bytes, HEADER),
        verified: Some("20 entries that had been there are gone"),
        told: Some("20 entries that had been there are gone"),
    },
    Damage {
        what: "cut off in the header",
        file: "log",
        harm: |bytes| truncated(bytes, HEADER / 2),
        verified: Some("log is damaged at byte 0: no header"),
        told: Some("log is damaged at byte "),
    },
    Damage {
        what: "emptied",
        file: "log",
        harm: |bytes| truncated(bytes, 0),
        verified: Some("log is damaged at byte 0: no header"),
        told: Some("20 entries that had been there are gone"),
    },
    Damage {
        what: "deleted",
        file: "log",
        harm: |_| None,
        verified: Some("20 entries that had been there are gone"),
        told: Some("20 entries that had been there are gone"),
    },
    Damage {
        what: "a bit in the middle",
        file: "log",
        harm: |bytes| {
            let middle = bytes.len() / 2;
            flipped(bytes, middle)
        },
        verified: Some("bytes without a whole frame"),
        told: Some("bytes without a whole frame"),
    },
    Damage {
        what: "a bit in the first entry",
        file: "log",
        harm: |bytes| flipped(bytes, HEADER + 30),
        verified: Some("log is damaged at byte 48"),
        told: Some("log.damaged-1 is damaged at byte 48"),
    },
    Damage {
        what: "half of it overwritten",
        file: "log",
        harm: |bytes| {
            let (from, to) = (bytes.len() / 4, bytes.len() * 3 / 4);
            bytes[from..to].fill(0xa5);
            Some(())
        },
        verified: Some("bytes without a whole frame"),
        told: Some("bytes without a whole frame"),
    },
    Damage {
        what: "the header overwritten",
        file: "log",
        harm: |bytes| {
            bytes[..HEADER].fill(0);
            Some(())
        },
        verified: Some("log is damaged at byte 0: no header"),
        told: Some("log is damaged at byte 0: no header"),
    },
    harmless("garbage at the end", "log", |bytes| {
        bytes.extend([0x77; 333]);
        Some(())
    }),
];

/// What is beside the log can be made anew, so nobody need be told.
const BESIDE: [Damage; 7] = [
    harmless("deleted", "index", |_| None),
    harmless("cut off", "index", |bytes| truncated(bytes, HEADER + 7 * RECORD + 3)),
    harmless("a bit in the middle", "index", |bytes| {
        flipped(bytes, HEADER + 9 * RECORD + 2)
    }),
    harmless("the header overwritten", "index", |bytes| {
        bytes[..HEADER].fill(0xff);
        Some(())
    }),
    harmless("emptied", "index", |bytes| truncated(bytes, 0)),
    harmless("deleted", "resume", |_| None),
    harmless("a bit", "resume", |bytes| flipped(bytes, 15)),
];

fn path(site: &Site, file: &str) -> PathBuf {
    site.folder("alice").join("rooms/lobby").join(file)
}

fn talk(peers: &mut [Peer], what: &str) {
    for n in 0..ENTRIES / 2 {
        for (from, to) in [(0, 1), (1, 0)] {
            let text = format!("{what}: {n} from {}", peers[from].name);
            peers[from].say(&text);
            peers[to].hear(&text);
        }
    }
}

/// Harms a file of alice's, and has her start again and get back from bob what she lost.
fn survive(damage: &Damage) {
    let what = format!("{}: {}", damage.file, damage.what);
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    talk(&mut peers, &what);
    peers.remove(0).quit();
    let bob = &mut peers[0];
    bob.say("while alice is away");

    let path = path(&site, damage.file);
    let mut bytes = fs::read(&path).unwrap();
    match (damage.harm)(&mut bytes) {
        Some(()) => fs::write(&path, &bytes).unwrap(),
        None => fs::remove_file(&path).unwrap(),
    }

    let verified = peerchat(site.data.path(), &["verify", "--user", "alice"]);
    let message = String::from_utf8(verified.stderr).unwrap();
    match damage.verified {
        None => assert_eq!((verified.status.code(), &*message), (Some(0), ""), "{what}"),
        Some(why) => {
            assert_eq!(verified.status.code(), Some(1), "{what}: {message}");
            let file = path.to_str().unwrap();
            assert!(message.contains(why) && message.contains(file), "{what}: {message}");
            assert!(message.contains("is damaged at byte "), "{what}: {message}");
        }
    }

    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.wait_version(ENTRIES as u64 + 1);
    let errors: Vec<String> = alice
        .events()
        .iter()
        .filter(|event| event["event"] == "error")
        .map(|event| {
            format!(
                "{}: {}",
                event["code"].as_str().unwrap(),
                event["message"].as_str().unwrap()
            )
        })
        .collect();
    match damage.told {
        None => assert!(errors.is_empty(), "{what}: {errors:?}"),
        Some(why) => {
            let told = errors
                .iter()
                .find(|error| error.contains(why))
                .unwrap_or_else(|| panic!("{what}: {errors:?}"));
            let file = path.to_str().unwrap();
            assert!(
                told.starts_with("log_damaged: #lobby: ") && told.contains(file),
                "{what}: {told}"
            );
        }
    }
    // What she writes now collides with nothing that she wrote before.
    alice.say("alice again");
    assert_eq!(bob.hear("alice again")["version"], ENTRIES as u64 + 2, "{what}");
    bob.say("welcome");
    alice.hear("welcome");
    assert!(!bob.events().iter().any(|event| event["event"] == "error"), "{what}");
    alice.quit();
    peers.remove(0).quit();
    let log = site.log("bob", "#lobby");
    assert_eq!(log.lines().count(), ENTRIES + 3, "{what}");
    assert_eq!(site.log("alice", "#lobby"), log, "{what}");
    site.assert_sound("alice");
    site.assert_sound("bob");
}

#[test]
fn a_damaged_log_is_named_and_comes_back_from_the_others() {
    LOG.iter().for_each(survive);
}

#[test]
fn what_is_beside_the_log_is_made_anew() {
    BESIDE.iter().for_each(survive);
}

#[test]
fn a_torn_write_of_a_killed_peer_is_cut_off_silently() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    talk(&mut peers, "before");
    // Durable at both, so that the index covers it.
    peers[0].say("covered");
    peers[0].wait("durable", |event| {
        event["event"] == "delivered" && event["durable"] == true
    });
    peers.remove(0).kill();
    let path = path(&site, "log");
    let mut bytes = fs::read(&path).unwrap();
    // What a crash leaves of a write: the start of a frame, here of one that the log has already.
    let start = bytes[HEADER..HEADER + 40].to_vec();
    bytes.extend(start);
    fs::write(&path, bytes).unwrap();
    let verified = peerchat(site.data.path(), &["verify", "--user", "alice"]);
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(
        verified.status.success() && said.contains("40 bytes of a write that was not finished"),
        "{said}"
    );
    assert_eq!(site.log("alice", "#lobby").lines().count(), ENTRIES + 1);
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.say("again");
    peers[0].hear("again");
    assert!(!alice.events().iter().any(|event| event["event"] == "error"));
    alice.quit();
    peers.remove(0).quit();
    assert_eq!(site.log("alice", "#lobby"), site.log("bob", "#lobby"));
    site.assert_sound("alice");
}

#[test]
fn a_damaged_log_is_there_as_far_as_it_can_be_read_when_nobody_else_is() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("diary");
    for n in 0..ENTRIES {
        alice.say(&format!("day {n}"));
    }
    alice.quit();
    let path = site.folder("alice").join("rooms/diary/log");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let printed = peerchat(site.data.path(), &["log", "#diary", "--user", "alice", "--json"]);
    let message = String::from_utf8(printed.stderr).unwrap();
    assert!(
        printed.status.code() == Some(1) && message.contains("is damaged at byte "),
        "{message}"
    );
    let before = String::from_utf8(printed.stdout).unwrap().lines().count();
    assert!(
        (1..ENTRIES).contains(&before),
        "what comes before the damage is printed"
    );
    let mut alice = site.peer("alice");
    let told = alice.error("log_damaged");
    assert!(told.contains("log.damaged-1"), "{told}");
    let waiting = format!("{} entries are not in the log", ENTRIES - before - 1);
    let told = alice.error("log_damaged");
    assert!(told.contains(&waiting) && told.contains("log.damaged-1"), "{told}");
    alice.join("diary");
    assert_eq!(alice.version(), before as u64);
    alice.quit();
    // What lies behind the damage waits for what is missing, and new entries do not. That is told at every start.
    let mut alice = site.peer("alice");
    let told = alice.error("log_damaged");
    assert!(told.starts_with("#diary: ") && told.contains(&waiting), "{told}");
    assert!(told.contains("the next one of this author is"), "{told}");
    alice.join("diary");
    alice.say("a new day");
    alice.type_line("/version");
    let version = alice.wait("version", |event| event["event"] == "version");
    let heights = version["heights"].as_object().unwrap();
    let mut heights: Vec<u64> = heights.values().map(|height| height.as_u64().unwrap()).collect();
    heights.sort_unstable();
    assert_eq!(
        heights,
        [1, before as u64],
        "she writes as a new author, so that no seq is used twice"
    );
    alice.quit();
    assert_eq!(site.texts("alice", "#diary").len(), before + 1);
    let verified = peerchat(site.data.path(), &["verify", "--user", "alice"]);
    let said = String::from_utf8(verified.stdout).unwrap();
    assert_eq!(verified.status.code(), Some(1), "the conversation is not whole: {said}");
    let aside = said.lines().find(|line| line.starts_with("#diary  waiting: ")).unwrap();
    assert!(aside.contains("log.damaged-1"), "{said}");
    // Whoever does not want these entries deletes the file.
    fs::remove_file(site.folder("alice").join("rooms/diary/log.damaged-1")).unwrap();
    site.assert_sound("alice");
    let alice = site.peer("alice");
    assert!(!alice.events().iter().any(|event| event["event"] == "error"));
}
