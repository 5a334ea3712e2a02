//! A disk that refuses, and what else keeps a peer from starting.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Peer, Site, skipped, wait_for};

/// Starts a peer that must not start: exit 1, one event, the same on stderr. Returns its code and what it says.
fn refused(site: &Site, data: &Path, name: &str, args: &[&str]) -> (String, String) {
    let mut peer = Peer::spawn(data, &site.registry.address.to_string(), name, args);
    assert_eq!(peer.end().code(), Some(1));
    let events = peer.events();
    let [error] = &events[..] else { panic!("{events:?}") };
    assert_eq!(error["event"], "error");
    let text = |field: &str| error[field].as_str().unwrap().to_owned();
    assert_eq!(peer.stderr(), format!("peerchat: {}\n", text("message")));
    (text("code"), text("message"))
}

fn talk(peers: &mut [Peer], text: &str) {
    peers[0].say(text);
    peers[1].hear(text);
}

#[test]
fn a_data_folder_is_for_one_process() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    for name in ["alice", "ALICE"] {
        let (code, message) = refused(&site, site.data.path(), name, &[]);
        assert_eq!(code, "data_in_use");
        assert!(
            message.contains(&format!("process {}", peers[0].child.id())),
            "{message}"
        );
        assert!(message.contains(site.folder("alice").to_str().unwrap()), "{message}");
    }
    talk(&mut peers, "undisturbed");
    // A process that was killed holds nothing.
    peers.remove(0).kill();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    alice.say("back");
    peers[0].hear("back");
    alice.quit();
}

#[test]
fn a_name_is_the_first_devices() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    let elsewhere = TempDir::new().unwrap();
    for name in ["alice", "Alice"] {
        let (code, message) = refused(&site, elsewhere.path(), name, &[]);
        assert_eq!(code, "name_in_use");
        assert!(message.contains("this name is taken"), "{message}");
        let told = peers[0].error("account_attempt");
        assert!(told.contains("127.0.0.1"), "{told}");
    }
    talk(&mut peers, "undisturbed");
    // Neither does it become free when she leaves.
    peers.remove(0).quit();
    assert_eq!(refused(&site, elsewhere.path(), "alice", &[]).0, "name_in_use");
}

#[test]
fn a_folder_that_cannot_be_used_is_a_clear_error() {
    let site = Site::new();
    let data = TempDir::new().unwrap();
    let file = data.path().join("file");
    fs::write(&file, "in the way").unwrap();
    for folder in [file.clone(), file.join("below")] {
        let (code, message) = refused(&site, &folder, "alice", &[]);
        assert_eq!(code, "disk_failed");
        assert!(message.contains(folder.to_str().unwrap()), "{message}");
    }
    let (code, message) = refused(&site, data.path(), "file", &[]);
    assert!(
        code == "disk_failed" && message.contains(file.to_str().unwrap()),
        "{code}: {message}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "in the way");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_a_clear_error() {
    let site = Site::new();
    let data = TempDir::new().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write wherever the disk lets it.
    let may_write_all = fs::write(data.path().join("probe"), "").is_ok();
    let mounted = may_write_all && mount(data.path(), "ro");
    let _unmounts = mounted.then(|| SmallDisk(data.path()));
    if may_write_all && !mounted {
        skipped("a tmpfs mount, or a user who is not root");
        return;
    }
    let (code, message) = refused(&site, data.path(), "alice", &[]);
    assert_eq!(code, "disk_failed");
    assert!(message.contains(data.path().to_str().unwrap()), "{message}");
}

#[test]
fn an_address_that_cannot_be_listened_at_is_a_clear_error() {
    let site = Site::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // An address of the net for documentation, which no machine has.
    for address in [address.as_str(), "192.0.2.1:1"] {
        let (code, message) = refused(&site, site.data.path(), "alice", &["--listen", address]);
        assert_eq!(code, "refused");
        assert!(message.contains(address) && message.contains("--listen"), "{message}");
    }
    // What teaches a newcomer is for the first start that comes to something.
    for is_first in [true, false] {
        let alice = site.peer("alice");
        assert_eq!(alice.events()[0]["first_start"], is_first);
        alice.quit();
    }
}

/// The ids in events of a kind.
fn ids(events: &[Value], is_it: impl Fn(&Value) -> bool) -> BTreeSet<&str> {
    events
        .iter()
        .filter(|event| is_it(event))
        .filter_map(|event| event["id"].as_str())
        .collect()
}

/// A writer and a reader whose disk is full after some time: both end, and all that either acknowledged is there when there is room
/// again.
fn fill_up(site: &Site, full: impl Fn(&str) -> Peer, make_room: impl FnOnce()) {
    let mut carol = site.peer("carol");
    carol.join("lobby");
    let mut writer = full("alice");
    writer.join("lobby");
    let text = "x".repeat(10_000);
    let line = format!("{text}\n");
    for _ in 0..60 {
        // It ends in the middle of this.
        if writer.try_type(line.as_bytes()).is_err() {
            break;
        }
    }
    ends_in_order(&mut writer);
    let mut reader = full("bob");
    reader.join("lobby");
    carol.see("#lobby", "bob");
    for n in 0..60 {
        carol.say(&format!("{n} {text}"));
    }
    ends_in_order(&mut reader);
    carol.say("the end");

    make_room();
    let written = writer.events();
    let sent = ids(&written, |event| event["event"] == "sent");
    assert!(!sent.is_empty());
    let heard = carol.events();
    let acked = ids(&heard, |event| event["event"] == "delivered" && event["to"] == "bob");
    for (name, acked) in [("alice", &sent), ("bob", &acked)] {
        let log = site.log(name, "#lobby");
        let missing: Vec<_> = acked.iter().filter(|id| !log.contains(**id)).collect();
        assert!(missing.is_empty(), "{name} acknowledged and lost {missing:?}");
        let mut peer = site.peer(name);
        peer.join("lobby");
        wait_for("the same log", || {
            (site.log(name, "#lobby") == site.log("carol", "#lobby")).then_some(())
        });
        peer.quit();
        site.assert_sound(name);
    }
    carol.quit();
}

/// The disk is full: an error that says so, and exit code 1.
fn ends_in_order(peer: &mut Peer) {
    let message = peer.error("disk_failed");
    assert!(message.contains("/rooms/lobby/"), "{message}");
    assert_eq!(peer.end().code(), Some(1));
    let events = peer.events();
    let errors = events.iter().filter(|event| event["event"] == "error");
    assert_eq!(errors.count(), 1, "it is told once: {:?}", events.last());
    assert_eq!(events.last().unwrap()["event"], "bye");
    assert!(peer.stderr().starts_with("peerchat: "));
}

/// A peer that a shell starts after it has set limits.
fn limited(site: &Site, registry: &str, name: &str, limits: &str) -> Peer {
    let script = format!("{limits}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_peerchat"), "chat", name]);
    command.args(["--json", "--no-host-registry", "--registry", registry, "--data"]);
    command.arg(site.data.path()).env("XDG_CONFIG_HOME", "/nonexistent");
    let mut peer = Peer::run(name, command);
    peer.wait("ready", |event| event["event"] == "ready");
    peer
}

#[test]
fn a_peer_with_more_conversations_than_open_files_goes_on_and_starts_again() {
    let site = Site::new();
    let registry = site.registry.address.to_string();
    let few = || limited(&site, &registry, "alice", "ulimit -n 64");
    let mut bob = site.peer("bob");
    let mut alice = few();
    for n in 0..40 {
        let room = format!("room{n}");
        alice.join(&room);
        alice.say(&format!("first in {room}"));
    }
    alice.quit();
    let mut alice = few();
    for n in [0, 20, 39] {
        let room = format!("room{n}");
        bob.join(&room);
        let first = format!("first in {room}");
        bob.wait_all(&first, |events| {
            events.iter().any(|event| event["text"] == *first).then_some(())
        });
        alice.type_line(&format!("/switch #{room}"));
        alice.say(&format!("again in {room}"));
        bob.hear(&format!("again in {room}"));
    }
    assert!(!alice.events().iter().any(|event| event["event"] == "error"));
    alice.quit();
    bob.quit();
    site.assert_sound("alice");
}

#[test]
fn who_has_lost_the_data_folder_is_told_before_anything_more_is_taken() {
    let site = Site::new();
    let mut peers = site.room("lobby", &["alice", "bob"]);
    talk(&mut peers, "while all is well");
    let losses: [fn(&Path); 2] = [
        |folder| fs::rename(folder, folder.with_extension("elsewhere")).unwrap(),
        |folder| fs::remove_dir_all(folder).unwrap(),
    ];
    for (name, lose) in ["carol", "dave"].into_iter().zip(losses) {
        let mut peer = site.peer(name);
        peer.join("lobby");
        peer.say("before");
        peers[1].hear("before");
        // The index has a record of 24 bytes for each entry that is durable.
        let index = site.folder(name).join("rooms/lobby/index");
        wait_for("all is durable", || {
            let entries = site.log(name, "#lobby").lines().count() as u64;
            (fs::metadata(&index).ok()?.len() == 48 + 24 * entries).then_some(())
        });
        lose(&site.folder(name));
        // What comes from the others may have ended it already.
        let _ended = peer.try_type(b"nobody takes this\n");
        let message = peer.error("disk_failed");
        assert!(message.contains("no longer where it was"), "{message}");
        assert_eq!(peer.end().code(), Some(1));
        assert!(!peer.events().iter().any(|event| event["text"] == "nobody takes this"));
    }
    talk(&mut peers, "and the others go on");
}

#[test]
fn a_file_that_cannot_grow_loses_nothing() {
    let site = Site::new();
    let registry = site.registry.address.to_string();
    // Files of 512 blocks at most, and no signal for a longer one, so that the write fails as on a full disk.
    let limited = |name: &str| limited(&site, &registry, name, "trap '' XFSZ; ulimit -f 512");
    fill_up(&site, limited, || {});
}

/// A file system of so many bytes on a folder, while it lives.
struct SmallDisk<'d>(&'d Path);

impl<'d> SmallDisk<'d> {
    /// None where this user may not mount anything.
    fn on(folder: &'d Path) -> Option<Self> {
        mount(folder, "size=400k").then_some(Self(folder))
    }

    fn grow(&self) {
        assert!(mount(self.0, "remount,size=40m"));
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, since a peer of a test that failed may still use it.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn mount(folder: &Path, options: &str) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder);
    command
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_loses_nothing() {
    let site = Site::new();
    for name in ["alice", "bob"] {
        fs::create_dir(site.folder(name)).unwrap();
    }
    let (of_alice, of_bob) = (site.folder("alice"), site.folder("bob"));
    let disks = [SmallDisk::on(&of_alice), SmallDisk::on(&of_bob)];
    let [Some(alice), Some(bob)] = &disks else {
        skipped("a tmpfs mount");
        return;
    };
    fill_up(
        &site,
        |name| site.peer(name),
        || {
            alice.grow();
            bob.grow();
        },
    );
}
