//! A start with a long log.

use std::{path::Path, time::Instant};

use super::join;
use crate::{
    bench::{
        Bench, BenchError,
        outcome::Outcome,
        process,
        samples::Samples,
        site::{ROOM, Site, Where, done},
        wire::Order,
    },
    cli::bench::Scenario,
};

/// How often: the first start finds everything still in memory as the one that wrote it left it, and so do the others.
const STARTS: usize = 5;

/// Measures it.
pub async fn run(bench: &Bench, part: &Path) -> Result<Outcome, BenchError> {
    let entries = bench.settings.messages(Scenario::Open);
    let mut site = Site::new(&bench.crew, part).await?;
    site.fill(1, Where::Room).await?;
    bench.progress.step("open", "writing the log");
    join::write(&mut site, entries, bench.settings.payload).await?;
    let mut outcome = Outcome::new("open", 1, 1, entries);
    let (mut samples, mut memory) = (Samples::default(), 0);
    for start in 1..=STARTS {
        bench.progress.step("open", &format!("start {start} of {STARTS}"));
        for peer in site.peers.drain(..) {
            peer.end().await?;
        }
        let begun = Instant::now();
        let peer = site.extra(&Site::name(0), None).await?;
        samples.0.push(begun.elapsed().as_nanos() as u64);
        memory = memory.max(process::resident_bytes(peer.pid)?);
        site.peers.push(peer);
    }
    bench.progress.step("open", "reading the log");
    done(&mut site.peers[0], &Order::Join { room: ROOM.into() }).await?;
    let checked = site.check(Where::Room, entries).await?;
    site.end().await?;
    outcome.sampled = "from the start of the process until it is ready for its user";
    outcome.samples = samples;
    outcome.figure("resident", memory as f64, "B");
    outcome.figure("entries_checked", checked.entries as f64, "");
    Ok(outcome)
}
