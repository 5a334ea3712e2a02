//! The log of the program, for those who look for a fault, holds nothing up.

use rustix::process::Signal;

use crate::harness::{Peer, Site, program};

/// More texts than it takes to fill a pipe with what is logged of them.
const TEXTS: usize = 500;

#[test]
fn a_peer_whose_log_nobody_reads_talks_on_and_ends_in_order() {
    let site = Site::new();
    let mut command = program();
    command.env("PEERCHAT_LOG", "debug");
    command.args(["chat", "alice", "--json", "--no-host-registry", "--registry"]);
    command
        .arg(site.registry.address.to_string())
        .arg("--data")
        .arg(site.data.path());
    let mut alice = Peer::run("alice", command);
    alice.join("lobby");
    let mut bob = site.peer("bob");
    bob.join("lobby");
    alice.see("#lobby", "bob");
    for n in 0..TEXTS {
        alice.say(&format!("text {n}"));
        bob.hear(&format!("text {n}"));
    }
    alice.signal(Signal::TERM);
    assert!(alice.end().success());
    let log = alice.stderr();
    assert!(log.len() > 60 * 1024, "the pipe was full: {} bytes", log.len());
    bob.quit();
}
