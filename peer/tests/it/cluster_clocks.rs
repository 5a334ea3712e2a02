//! A registry and a peer whose clocks are an hour wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::harness::{Cluster, Peer, Spot, assert_causal, lasting_address, skipped};

/// Longer than a lease without renewals.
const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(18);

/// Where the clock that can be set differs by so much, such as `+1h`. None where libfaketime is not installed.
pub(crate) fn with_clock(offset: &str) -> Option<Spot> {
    Some(with_any_clock()?.with("FAKETIME", offset))
}

/// Where the clock differs by what a file says, which is read each time.
pub(crate) fn with_clock_of(file: &Path) -> Option<Spot> {
    let spot = with_any_clock()?.with("FAKETIME_TIMESTAMP_FILE", file);
    Some(spot.with("FAKETIME_NO_CACHE", "1"))
}

fn with_any_clock() -> Option<Spot> {
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let below = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let below = below.filter_map(Result::ok).map(|entry| entry.path());
    let mut libraries = folders
        .iter()
        .cloned()
        .chain(below)
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    let Some(library) = libraries.find(|library| library.is_file()) else {
        skipped("faketime");
        return None;
    };
    let spot = Spot::default().with("LD_PRELOAD", library);
    // What a machine waits for by is right, as where somebody has set its clock wrong. One of the two for each version.
    let spot = spot.with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Some(spot.with("DONT_FAKE_MONOTONIC", "1"))
}

/// How far a clock that was read just now is from the right one.
fn is_off(read: &str, by: TimeDelta) -> bool {
    let read: DateTime<Utc> = read.parse().unwrap();
    // What a test may take, and more.
    (read - Utc::now() - by).abs() < TimeDelta::minutes(10)
}

/// The leader's clock is wrong, and that of one peer.
fn nobody_minds(offset: &str, by: TimeDelta) {
    let Some(wrong) = with_clock(offset) else { return };
    let spots = [(1, Spot::default()), (2, Spot::default()), (3, wrong.clone())];
    let mut cluster = Cluster::at(spots.map(|(id, spot)| (id, (lasting_address(), spot))));
    cluster.start_all();
    let first = cluster.log(3);
    let written = first.split_whitespace().next().unwrap();
    assert!(is_off(written, by), "node 3 has the wrong clock: {written}");

    let mut texts = Vec::new();
    let mut peers = vec![
        cluster.peer("alice", &[1, 2, 3]),
        cluster.peer("bob", &[2, 3, 1]),
        cluster.peer("carol", &[3, 1, 2]),
    ];
    for peer in &mut peers {
        peer.join("lobby");
    }
    // Dave's clock is wrong. He logs in at each of them in turn, with a certificate from each.
    for node in [3, 2, 1] {
        let mut dave = cluster.peer_at(&wrong, "dave", &[node], &[]);
        dave.join("lobby");
        for peer in &mut peers {
            dave.see("#lobby", &peer.name);
            let text = format!("{} to dave at {node}", peer.name);
            peer.say(&text);
            dave.hear(&text);
            texts.push(text);
        }
        let text = format!("dave at {node}");
        let id = dave.say(&text);
        let sent = dave.events().into_iter().find(|event| event["id"] == *id).unwrap();
        let sent_at = sent["sent_at"].as_str().unwrap();
        assert!(is_off(sent_at, by), "dave has the wrong clock: {sent_at}");
        for peer in &mut peers {
            peer.hear(&text);
        }
        texts.push(text);
        if node == 1 {
            peers.push(dave);
        } else {
            dave.type_line("/leave");
            dave.wait("left", |event| event["event"] == "left");
            dave.quit();
        }
    }
    let seen_to_go = |peers: &[Peer]| -> usize {
        let events = peers.iter().flat_map(|peer| peer.events());
        events
            .filter(|event| event["event"] == "presence" && event["online"] == false)
            .count()
    };
    let before = seen_to_go(&peers);
    let end = Instant::now() + LONGER_THAN_A_LEASE;
    // The right clock takes the lead, and later the wrong one again: the time of leases does not jump.
    cluster.kill_node(3);
    cluster.wait_led(2, &[1, 2]);
    cluster.start_node(3);
    cluster.wait_led(3, &[1, 2, 3]);
    while Instant::now() < end {
        assert_eq!(seen_to_go(&peers), before, "a lease has ended early");
        thread::sleep(Duration::from_millis(100));
    }
    cluster.wait_members("lobby", &["alice", "bob", "carol", "dave"].into());
    assert_causal(&peers, "#lobby");
    let names: Vec<String> = peers.iter().map(|peer| peer.name.clone()).collect();
    for peer in peers {
        peer.quit();
    }
    cluster.assert_same_logs(&names, "#lobby", &texts);
}

#[test]
fn nobody_minds_clocks_that_are_an_hour_ahead() {
    nobody_minds("+1h", TimeDelta::hours(1));
}

#[test]
fn nobody_minds_clocks_that_are_an_hour_behind() {
    nobody_minds("-1h", TimeDelta::hours(-1));
}
