//! Peers whose clock is hours, days or decades wrong, or jumps while they run.

use std::{fs, path::Path};

use crate::{
    cluster_clocks::{with_clock, with_clock_of},
    harness::{Peer, Site, Spot},
};

fn spawn_at(site: &Site, spot: &Spot, name: &str) -> Peer {
    let mut command = spot.program(Path::new(env!("CARGO_BIN_EXE_peerchat")));
    let registry = site.registry.address.to_string();
    command.args(["chat", name, "--json", "--no-host-registry", "--registry", &registry]);
    command.arg("--data").arg(site.data.path());
    let mut peer = Peer::run(name, command);
    peer.wait("ready", |event| event["event"] == "ready");
    peer
}

#[test]
fn who_has_a_wrong_clock_talks_and_is_told_of_it() {
    let site = Site::new();
    let mut carol = site.peer("carol");
    carol.join("lobby");
    let mut texts = Vec::new();
    // The last one is long before any certificate of a registry begins.
    for (name, offset, apart) in [
        ("dave", "-28950s", "8 h 2 min behind the registry's"),
        ("erin", "+46950s", "13 h 2 min ahead of the registry's"),
        ("frank", "+182000s", "2 d 2 h ahead of the registry's"),
        ("grace", "-1728005400s", "20000 d 1 h behind the registry's"),
    ] {
        let Some(spot) = with_clock(offset) else { return };
        let mut peer = spawn_at(&site, &spot, name);
        let told = peer.error("clock_wrong");
        assert!(told.contains(apart) && told.matches(" UTC").count() == 2, "{told}");
        peer.type_line("/status");
        let status = peer.wait("status", |event| event["event"] == "status");
        let ahead_ms = status["registries"][0]["clock_ahead_ms"].as_i64().unwrap();
        assert_eq!(ahead_ms < 0, offset.starts_with('-'), "{status}");
        peer.join("lobby");
        peer.see("#lobby", "carol");
        let (one, other) = (format!("carol to {name}"), format!("{name} to carol"));
        carol.say(&one);
        peer.hear(&one);
        peer.say(&other);
        carol.hear(&other);
        texts.extend([one, other]);
        peer.quit();
    }
    let wrong = carol.events().iter().any(|event| event["code"] == "clock_wrong");
    assert!(!wrong, "a clock that is right is told of");
    carol.quit();
    assert_eq!(site.assert_same_logs(&["carol", "grace"], "#lobby"), texts);
}

#[test]
fn a_clock_that_jumps_cuts_nobody_off_with_or_without_the_registry() {
    let mut site = Site::new();
    let clock = site.data.path().join("clock");
    fs::write(&clock, "+0s\n").unwrap();
    let Some(spot) = with_clock_of(&clock) else { return };
    let mut carol = spawn_at(&site, &spot, "carol");
    let mut dave = site.peer("dave");
    for peer in [&mut carol, &mut dave] {
        peer.join("lobby");
    }
    carol.see("#lobby", "dave");
    carol.say("before");
    dave.hear("before");
    for (offset, told) in [("+1d\n", "1 d 0 h ahead of"), ("-3d\n", "behind")] {
        fs::write(&clock, offset).unwrap();
        let message = carol.error("clock_wrong");
        assert!(message.contains(told), "{message}");
        carol.say(offset.trim());
        dave.hear(offset.trim());
    }
    // Who comes now is met by a new handshake.
    let mut erin = site.peer("erin");
    erin.join("lobby");
    erin.see("#lobby", "carol");
    carol.see("#lobby", "erin");
    site.registry.kill();
    fs::write(&clock, "+9d\n").unwrap();
    let message = carol.error("clock_wrong");
    assert!(message.contains("ahead of"), "{message}");
    carol.say("nine days ahead");
    dave.hear("nine days ahead");
    erin.hear("nine days ahead");
    fs::write(&clock, "+0s\n").unwrap();
    let message = carol.error("clock_wrong");
    assert!(message.contains("right again"), "{message}");
    for peer in [carol, dave, erin] {
        peer.quit();
    }
}
