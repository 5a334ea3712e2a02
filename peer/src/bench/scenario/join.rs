//! A newcomer pulls a long history.

use std::path::Path;

use crate::{
    bench::{
        Bench, BenchError,
        floor::Mesh,
        outcome::{Floor, Outcome, per_second},
        samples::Samples,
        site::{ROOM, Site, Where},
        wire::{Load, Order, Report},
    },
    cli::bench::Scenario,
};

/// Measures it.
pub async fn run(bench: &Bench, part: &Path) -> Result<Outcome, BenchError> {
    let entries = bench.settings.messages(Scenario::Join);
    let mut site = Site::new(&bench.crew, part).await?;
    site.fill(1, Where::Room).await?;
    bench.progress.step("join", "writing the history");
    write(&mut site, entries, bench.settings.payload).await?;
    bench.progress.step("join", "the floor");
    let mut mesh = Mesh::start(&bench.crew, 2, 1).await?;
    let floor = mesh.many(entries, bench.settings.entry_bytes()).await?;
    mesh.end().await?;
    let mut newcomer = site.extra(&Site::name(1), None).await?;
    bench.progress.step("join", "pulling it");
    let (joined, synced) = match newcomer.ask(&Order::Enter { room: ROOM.into() }).await? {
        Report::Entered {
            joined_ns,
            synced_ns,
            pulled,
        } if pulled == entries => (joined_ns, synced_ns),
        other => return Err(newcomer.unexpected(&other)),
    };
    site.peers.push(newcomer);
    bench.progress.step("join", "comparing the logs");
    let checked = site.check(Where::Room, entries).await?;
    site.end().await?;
    let mut outcome = Outcome::new("join", 2, 1, entries);
    outcome.sampled = "from the command until all is pulled and in the log";
    outcome.samples = Samples(vec![synced]);
    outcome.floor = Some(Floor {
        name: "a bare gRPC stream of as many bytes over mutual TLS",
        samples: Samples(vec![floor]),
    });
    outcome.figure("entries", per_second(entries, synced), "/s");
    outcome.figure("first_screen", joined as f64, "ns");
    outcome.figure("entries_checked", checked.entries as f64, "");
    Ok(outcome)
}

/// Lets the only peer of a site write a history.
pub async fn write(site: &mut Site, entries: u64, payload: usize) -> Result<(), BenchError> {
    let order = Order::Fill(Load {
        count: entries,
        payload,
        others: 0,
        durable: false,
    });
    crate::bench::site::done(&mut site.peers[0], &order).await
}
