//! A disk that answers no sync delays durable marks, and nothing else.

use std::{
    fs,
    process::{Command, Stdio},
};

use peerchat::log::DataLock;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Peer, Site, skipped, wait_for};

/// What waits for the disk.
const SYNCS: &str = "fsync,fdatasync,sync_file_range,syncfs";

/// A peer of which each thread is answered so many syncs, and none after that: a thread that makes one more stands still.
fn stuck(site: &Site, name: &str, answered: usize) -> Option<Peer> {
    let inject = format!("inject={SYNCS}:delay_enter=2000s:when={}+", answered + 1);
    let mut command = Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", &inject]);
    let mut probe = Command::new("strace");
    probe.args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", &inject, "true"]);
    let probed = probe.stderr(Stdio::null()).status();
    if !probed.is_ok_and(|status| status.success()) {
        skipped("strace, and leave to trace a process");
        return None;
    }
    // Its id is written down: where the tracer is ended, it goes on.
    let script = "echo $$ > \"$0\"; exec \"$@\"";
    command.args(["sh", "-c", script]).arg(site.data.path().join("pid"));
    command.args([env!("CARGO_BIN_EXE_peerchat"), "chat", name, "--json"]);
    command.args(["--no-host-registry", "--registry", &site.registry.address.to_string()]);
    command.arg("--data").arg(site.data.path());
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    let mut peer = Peer::run(name, command);
    peer.wait("ready", |event| event["event"] == "ready");
    Some(peer)
}

/// Ends it; nothing of the disk is waited for.
fn kill(site: &Site, mut peer: Peer) {
    let pid = fs::read_to_string(site.data.path().join("pid")).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    // It would wait for its delays.
    peer.child.kill().unwrap();
    peer.child.wait().unwrap();
    let lock = || DataLock::acquire(&site.folder(&peer.name)).ok();
    wait_for("the end of the peer", || lock().map(drop));
}

/// Says and hears, in a room that is there and in one that begins.
fn talk(alice: &mut Peer, bob: &mut Peer, round: &str) {
    bob.join("lobby");
    for text in ["I am here", "and go on"] {
        let text = format!("{text}, {round}");
        bob.say(&text);
        alice.hear(&text);
        let answer = format!("heard: {text}");
        alice.say(&answer);
        bob.hear(&answer);
    }
    bob.join(&format!("other-{round}"));
    bob.say("alone here");
    bob.type_line("/switch #lobby");
    let text = format!("back, {round}");
    bob.say(&text);
    alice.hear(&text);
}

#[test]
fn who_waits_for_the_disk_for_ever_says_and_hears_all_the_same() {
    let site = Site::new();
    let mut alice = site.peer("alice");
    alice.join("lobby");
    // The first start of all makes a folder and a key, and waits for three syncs.
    let Some(mut bob) = stuck(&site, "bob", 3) else { return };
    talk(&mut alice, &mut bob, "new");
    let is_durable_at_bob =
        |event: &&serde_json::Value| event["event"] == "delivered" && event["durable"] == true && event["to"] == "bob";
    assert_eq!(alice.events().iter().find(is_durable_at_bob), None, "no sync has ended");
    let failed = |event: &&serde_json::Value| event["event"] == "error";
    assert_eq!(bob.events().iter().find(failed), None);
    kill(&site, bob);
    // What was stored is there, and becomes durable where the disk answers.
    let mut bob = site.peer("bob");
    bob.join("lobby");
    alice.wait_all("durable at bob", |events| {
        events.iter().find(is_durable_at_bob).map(drop)
    });
    bob.quit();
    // A later one takes its permits from the disk, each with one sync, side by side.
    let Some(mut bob) = stuck(&site, "bob", 1) else { return };
    talk(&mut alice, &mut bob, "again");
    kill(&site, bob);
    alice.quit();
    let texts = site.texts("bob", "#lobby");
    assert!(texts.contains(&"back, again".to_owned()), "{texts:?}");
    site.assert_sound("bob");
}
