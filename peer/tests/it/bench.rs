//! `peerchat bench` with small counts: that it measures what it says, and leaves nothing behind. Never how fast.

mod ends;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::program;

/// A bench whose temporary folder is below `temporary`.
fn bench(temporary: &Path, args: &[&str]) -> Command {
    let mut command = program();
    command.arg("bench").args(args).env("TMPDIR", temporary);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs it to its end; nothing may be left of it.
fn run(args: &[&str]) -> Output {
    let temporary = TempDir::new().unwrap();
    let output = bench(temporary.path(), args).output().unwrap();
    assert_nothing_left(temporary.path());
    output
}

fn run_well(args: &[&str]) -> String {
    let output = run(args);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// The processes of a bench have its folder on their command lines, or in their environment.
fn processes_of(temporary: &Path) -> Vec<String> {
    let mark = temporary.to_str().unwrap();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        let state = fs::read_to_string(process.path().join("status")).unwrap_or_default();
        let is_over = state
            .lines()
            .any(|line| line.starts_with("State:") && line.contains("zombie"));
        if !is_over && String::from_utf8_lossy(&environment).contains(mark) {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}

fn assert_nothing_left(temporary: &Path) {
    assert_eq!(processes_of(temporary), Vec::<String>::new());
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0, "a folder is left");
}

fn json(args: &[&str]) -> Value {
    let text = run_well(&[args, &["--format", "json"]].concat());
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The first scenario of what was found.
fn scenario(args: &[&str]) -> Value {
    json(args)["scenarios"][0].clone()
}

/// The percentiles of some samples rise.
fn assert_sane(latency: &Value, count: u64) {
    assert_eq!(latency["count"], count, "{latency}");
    let keys = ["min_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns"];
    let values: Vec<u64> = keys.iter().map(|key| latency[key].as_u64().unwrap()).collect();
    assert!(values[0] > 0 && values.is_sorted(), "{latency}");
    // A bucket may end a little above the greatest in it.
    assert!(
        latency["max_ns"].as_u64().unwrap() >= values[3] - values[3] / 500,
        "{latency}"
    );
}

#[test]
fn every_message_of_a_conversation_is_a_sample() {
    for (name, senders, members) in [("pair", 1, 2), ("mutual", 2, 2), ("room3", 1, 3), ("room3-two", 2, 3)] {
        let found = scenario(&["--scenario", name, "--messages", "7"]);
        assert_eq!(found["name"], name);
        assert_eq!(
            (found["senders"].as_u64(), found["members"].as_u64()),
            (Some(senders), Some(members))
        );
        assert_sane(&found["latency"], 7 * senders);
        assert_sane(&found["floor"]["latency"], 7 * senders);
        assert!(found["ratio"].as_f64().unwrap() > 0.0);
        // Twenty of each are sent before those that count.
        assert_eq!(found["figures"]["entries_checked"], (27 * senders) as f64);
        assert!(found["seed_ns"].as_u64().unwrap() >= 4_000_000);
    }
}

#[test]
fn durable_acks_are_waited_for() {
    let found = json(&[
        "--scenario",
        "pair",
        "--messages",
        "3",
        "--ack",
        "durable",
        "--payload",
        "1",
    ]);
    assert_eq!(found["settings"]["durable"], true);
    let floor = found["scenarios"][0]["floor"]["name"].as_str().unwrap();
    assert!(floor.ends_with("and one sync"), "{floor}");
    assert_sane(&found["scenarios"][0]["latency"], 3);
    assert!(found["scenarios"][0]["figures"]["sync_p50_ns"].as_f64().unwrap() > 0.0);
}

#[test]
fn durable_acks_of_a_stream_are_measured_against_stored_ones_and_a_sync() {
    let wanted = [
        "--scenario",
        "stream",
        "--members",
        "2",
        "--messages",
        "200",
        "--ack",
        "durable",
    ];
    let found = scenario(&wanted);
    assert_eq!(found["floor"]["name"], "a stored ack at the same rate, and one sync");
    assert_sane(&found["latency"], 200);
    assert_sane(&found["floor"]["latency"], 200);
    // Once as fast as it goes, twice at a rate, and twenty before those.
    assert_eq!(found["figures"]["entries_checked"], 620.0);
}

#[test]
fn a_room_is_as_large_as_it_is_wanted() {
    for (name, members) in [("room", "4"), ("room20", "5")] {
        let found = scenario(&["--scenario", name, "--members", members, "--messages", "3"]);
        assert_eq!(found["members"].to_string(), members);
        assert_sane(&found["latency"], 3);
    }
}

#[test]
fn samples_are_lines_of_digits() {
    let text = run_well(&[
        "--scenario",
        "room",
        "--members",
        "3",
        "--messages",
        "11",
        "--format",
        "samples",
    ]);
    let samples: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(samples.len(), 11);
    assert!(samples.iter().all(|ns| *ns > 0));
    let stream = [
        "--scenario",
        "stream",
        "--members",
        "2",
        "--messages",
        "500",
        "--format",
        "samples",
    ];
    let text = run_well(&stream);
    let (rate, lost) = text.strip_suffix('\n').unwrap().split_once(' ').unwrap();
    assert!(rate.parse::<u64>().unwrap() > 0);
    assert_eq!(lost, "0");
}

#[test]
fn a_stream_is_measured_against_its_schedule() {
    let found = scenario(&["--scenario", "stream", "--members", "3", "--messages", "800"]);
    assert_eq!(found["name"], "stream-2");
    assert_sane(&found["latency"], 800);
    let figures = &found["figures"];
    let figure = |name: &str| figures[name].as_f64().unwrap();
    assert!(figure("entries_per_second") > 0.0 && figure("floor_entries_per_second") > 0.0);
    // Both were rounded when they were printed.
    let deliveries = figure("deliveries_per_second") / figure("entries_per_second");
    assert!((deliveries - 2.0).abs() < 1e-9, "{deliveries}");
    assert_eq!(figure("lost"), 0.0);
}

#[test]
fn histories_look_ups_and_starts_are_measured() {
    let found = json(&[
        "--scenario",
        "join",
        "--scenario",
        "find",
        "--scenario",
        "login",
        "--scenario",
        "open",
        "--messages",
        "300",
    ]);
    let names: Vec<_> = found["scenarios"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names, ["join", "find", "login", "open"]);
    for (number, count) in [(0, 1), (1, 300), (2, 300), (3, 5)] {
        assert_sane(&found["scenarios"][number]["latency"], count);
    }
    for number in [0, 1] {
        // What is pulled and what is looked up has a floor, too.
        assert!(found["scenarios"][number]["ratio"].as_f64().unwrap() > 0.0, "{found}");
    }
    assert!(
        found["scenarios"][1]["figures"]["floor_calls_per_second"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    assert!(found["scenarios"][0]["figures"]["first_screen_ns"].as_f64().unwrap() > 0.0);
    assert!(found["scenarios"][1]["figures"]["lookups_per_second"].as_f64().unwrap() > 0.0);
    for figure in ["new_per_second", "known_per_second", "tls_bytes"] {
        assert!(
            found["scenarios"][2]["figures"][figure].as_f64().unwrap() > 0.0,
            "{figure}"
        );
    }
    assert!(found["scenarios"][3]["figures"]["resident_bytes"].as_f64().unwrap() > 1e6);
    assert!(!found["version"].as_str().unwrap().is_empty() && found["machine"]["cores"].as_u64().unwrap() > 0);
}

#[test]
fn idle_peers_are_watched() {
    let found = scenario(&["--scenario", "idle", "--members", "3", "--seconds", "1"]);
    let figure = |name: &str| found["figures"][name].as_f64().unwrap();
    assert!(figure("resident_bytes") > 1e6 && figure("resident_without_links_bytes") > 1e6);
    assert!(figure("cpu_ns_per_minute") >= 0.0 && figure("tls_bytes_per_minute") >= 0.0);
}

#[test]
fn the_table_and_the_page_tell_the_same() {
    let place = TempDir::new().unwrap();
    let page = place.path().join("bench.html");
    let report = page.to_str().unwrap();
    let table = run_well(&[
        "--scenario",
        "pair",
        "--scenario",
        "room3",
        "--messages",
        "5",
        "--report",
        report,
    ]);
    for word in [
        "pair",
        "room3",
        "p50",
        "ratio",
        "6.88 ms",
        "All logs were complete and equal.",
    ] {
        assert!(table.contains(word), "{word} is not in\n{table}");
    }
    let page = fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    for word in [
        "<svg",
        "prefers-color-scheme",
        "pair",
        "room3",
        "half a round trip",
        "ngircd",
    ] {
        assert!(page.contains(word), "{word} is not on the page");
    }
    // It needs nothing from elsewhere.
    for word in ["<script", "http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(word), "{word} is on the page");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "a draft is left");
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    for (args, word) in [
        (&["--messages", "0"][..], "0"),
        (&["--messages", "99999999999"], "99999999999"),
        (&["--messages", "many"], "many"),
        (&["--payload", "0"], "0"),
        (&["--payload", "65537"], "65536"),
        (&["--members", "1", "--scenario", "room"], "1"),
        (&["--members", "101", "--scenario", "room"], "100"),
        (&["--members", "3", "--scenario", "pair"], "--members"),
        (&["--scenario", "pear"], "pear"),
        (&["--format", "samples"], "--scenario"),
        (&["--ack", "soon"], "soon"),
        (&["--seconds", "0"], "0"),
        (
            &["--scenario", "room3", "--messages", "100000", "--payload", "65536"],
            "--messages may be",
        ),
    ] {
        let output = run(args);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {complaint}");
        assert!(complaint.contains(word), "{args:?}: {complaint}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn a_page_that_cannot_be_written_is_known_before_anything_is_measured() {
    for place in ["/nonexistent/bench.html", "/", "/proc/bench.html"] {
        let output = run(&["--scenario", "pair", "--messages", "4000000", "--report", place]);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(
            complaint.contains("cannot write the report") && complaint.contains(place),
            "{complaint}"
        );
    }
}

#[test]
fn the_figures_of_the_seed_are_told_with_their_origin() {
    let text = run_well(&["--seed-figures"]);
    for word in ["Python", "6.88 ms", "4 ms", "6 ms", "about 10 ms"] {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
}
