//! One sender as fast as it goes. First how fast that is; then at a fixed part of it, with latencies from the moment at which a message
//! was meant to be sent: a stall counts for all that had to wait, and not for one message only.
//!
//! Where acks are to be durable, their floor is what a stored ack takes under the same load, and one sync of the idle disk.

use std::path::Path;

use super::talk::WARM_UP;
use crate::bench::{
    Bench, BenchError,
    floor::{Mesh, syncs},
    outcome::{Floor, Outcome, per_second},
    samples::Samples,
    site::{Site, Where},
    wire::{Load, Order, Report},
};

/// The part of the highest rate at which latencies are taken: busy, and not over the edge.
const PART: f64 = 0.7;

/// Measures a stream to one receiver, to two, and to many.
pub async fn run(bench: &Bench, part: &Path) -> Result<Vec<Outcome>, BenchError> {
    let mut outcomes = Vec::new();
    for receivers in bench.settings.receivers() {
        let folder = part.join(receivers.to_string());
        std::fs::create_dir(&folder).map_err(|source| BenchError::Folder {
            path: folder.clone(),
            source,
        })?;
        outcomes.push(to(bench, receivers, &folder).await?);
    }
    Ok(outcomes)
}

async fn to(bench: &Bench, receivers: usize, folder: &Path) -> Result<Outcome, BenchError> {
    let name = format!("stream-{receivers}");
    let (messages, payload) = (bench.settings.streamed(receivers), bench.settings.payload);
    bench.progress.step(&name, "starting");
    let mut site = Site::new(&bench.crew, folder).await?;
    site.fill(receivers + 1, Where::Room).await?;
    let mut mesh = Mesh::start(&bench.crew, receivers + 1, 1).await?;
    let stored = |count| Load {
        count,
        payload,
        others: receivers,
        durable: false,
    };
    let load = |count| Load {
        durable: bench.settings.durable,
        ..stored(count)
    };
    stream(&mut site, load(WARM_UP), None).await?;
    bench.progress.step(&name, "the floor");
    let floor = per_second(messages, mesh.stream(messages, payload).await?);
    bench.progress.step(&name, "as fast as it goes");
    let (elapsed, _) = stream(&mut site, load(messages), None).await?;
    let rate = per_second(messages, elapsed);
    bench.progress.step(&name, "at 70 % of that");
    let (_, samples) = stream(&mut site, load(messages), Some(rate * PART)).await?;
    let (mut sent, mut synced) = (2 * messages + WARM_UP, None);
    if bench.settings.durable {
        bench.progress.step(&name, "at 70 % of that, without syncs");
        let (_, mut acks) = stream(&mut site, stored(messages), Some(rate * PART)).await?;
        let syncs = syncs(folder, payload)?.0;
        for (ack, sync) in acks.0.iter_mut().zip(syncs.iter().cycle()) {
            *ack += sync;
        }
        sent += messages;
        synced = Some(Floor {
            name: "a stored ack at the same rate, and one sync",
            samples: acks,
        });
    }
    bench.progress.step(&name, "comparing the logs");
    mesh.end().await?;
    let checked = site.check(Where::Room, sent).await?;
    site.end().await?;

    let mut outcome = Outcome::new(name, receivers + 1, 1, messages);
    outcome.sampled = "at 70 % of the highest rate, from when it was meant to be sent until all have it";
    outcome.samples = samples;
    outcome.floor = synced;
    outcome.figure("entries", rate, "/s");
    outcome.figure("deliveries", rate * receivers as f64, "/s");
    // What was lost would have been found missing by the comparison, which ends the bench.
    outcome.figure("lost", sent.saturating_sub(checked.entries) as f64, "");
    outcome.figure("entries_checked", checked.entries as f64, "");
    outcome.figure("floor_entries", floor, "/s");
    outcome.figure("part_of_floor", rate / floor, "");
    Ok(outcome)
}

async fn stream(site: &mut Site, load: Load, per_second: Option<f64>) -> Result<(u64, Samples), BenchError> {
    let sender = &mut site.peers[0];
    match sender.ask(&Order::Stream { load, per_second }).await? {
        Report::Streamed { elapsed_ns, ns } => Ok((elapsed_ns, Samples(ns))),
        other => Err(sender.unexpected(&other)),
    }
}
