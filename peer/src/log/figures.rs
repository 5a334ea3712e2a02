//! How long things take with a million entries.

use std::{sync::Arc, time::Instant};

use super::{
    Log, RealDisk,
    testing::{author, decode, entry, said},
};
use crate::node::types::{Entry, Heights, Seq};

#[test]
#[ignore = "measures: cargo test --release -p peerchat --lib figures -- --ignored --nocapture"]
fn figures_of_a_million_entries() {
    const COUNT: u64 = 1_000_000;
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("room");
    let text = "x".repeat(200 - 68);
    let timed = |what: &str, start: Instant| println!("{what}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let (mut log, _) = Log::open(RealDisk, &data, decode).unwrap();
    let all: Vec<Arc<Entry>> = (0..COUNT)
        .map(|n| said(1 + n % 20, 1 + n / 20, 1 + n, &format!("{n:06} {text}")))
        .collect();
    let start = Instant::now();
    for entries in all[..900_000].chunks(256) {
        log.append(entries).unwrap();
    }
    timed("append 900,000 in batches of 256", start);
    let start = Instant::now();
    for entries in all[900_000..].chunks(1) {
        log.append(entries).unwrap();
    }
    timed("append 100,000 one by one", start);
    let start = Instant::now();
    log.sync().unwrap();
    timed("sync", start);
    println!("log: {} bytes", log.bytes());
    let start = Instant::now();
    log.close(None).unwrap();
    timed("close", start);
    let start = Instant::now();
    let (log, opened) = Log::open(RealDisk, &data, decode).unwrap();
    timed("open with index", start);
    drop(opened);
    for (what, text) in [
        ("search without a hit", "nowhere"),
        ("in Chinese", "你好"),
        ("with a thousand hits", "0999 "),
    ] {
        let start = Instant::now();
        let (mut scan, mut longest) = (log.search(text, 50), 0.0);
        loop {
            let slice = Instant::now();
            let done = scan.advance(&log, 1 << 20).unwrap();
            longest = slice.elapsed().as_secs_f64().max(longest);
            if done {
                break;
            }
        }
        let hits = scan.finish(&log).unwrap().entries.len();
        timed(
            &format!("{what}: {hits}, longest slice of 1 MiB {:.1} ms, all", longest * 1e3),
            start,
        );
    }
    let start = Instant::now();
    assert_eq!(log.last(50).unwrap().len(), 50);
    timed("last 50", start);
    let start = Instant::now();
    assert_eq!(log.canonical().filter(Result::is_ok).count() as u64, COUNT);
    timed("all in canonical order", start);
    let mut lacks_one = log.heights();
    lacks_one.0.insert(author(20), Seq(COUNT / 20 - 1));
    for (what, have) in [
        ("all of history", Heights::default()),
        ("history that lacks one", lacks_one),
    ] {
        let start = Instant::now();
        let mut history = log.history(&have, &log.heights());
        while !log
            .read_batch(&mut history, |_, seq| Some(seq))
            .unwrap()
            .entries
            .is_empty()
        {}
        timed(what, start);
    }
    drop(log);
    std::fs::remove_file(data.join("index")).unwrap();
    let start = Instant::now();
    let (mut log, _) = Log::open(RealDisk, &data, decode).unwrap();
    timed("open without index", start);
    let start = Instant::now();
    for n in 0..200 {
        log.append(&[entry(50, n + 1, n + 1)]).unwrap();
        log.sync().unwrap();
    }
    timed("200 times append and sync", start);
}
