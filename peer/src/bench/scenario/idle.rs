//! What peers take that have links and nothing to say, and one that has no link.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    bench::{
        Bench, BenchError,
        outcome::Outcome,
        process,
        relay::{Count, Relay},
        site::{Site, Where},
    },
    cli::bench::Scenario,
};

/// How long the peers are left alone before they are watched: what they told each other at the beginning has arrived.
const SETTLE: Duration = Duration::from_secs(2);
const MINUTE_S: f64 = 60.0;

/// Measures it.
pub async fn run(bench: &Bench, part: &Path) -> Result<Outcome, BenchError> {
    let members = bench.settings.members(Scenario::Idle);
    let mut site = Site::new(&bench.crew, part).await?;
    let lonely = site.extra("lonely", None).await?;
    let lonely_bytes = process::resident_bytes(lonely.pid)?;
    lonely.end().await?;

    let (links, leases) = (Count::default(), Count::default());
    let to_registry = Relay::start(&leases).await?;
    to_registry.lead_to(std::mem::replace(&mut site.at, to_registry.address.clone()));
    let mut relays = vec![to_registry];
    for number in 0..members {
        let relay = Relay::start(&links).await?;
        let peer = site.extra(&Site::name(number), Some(&relay.address)).await?;
        relay.lead_to(peer.listen.clone());
        relays.push(relay);
        site.peers.push(peer);
    }
    site.gather(Where::Room).await?;
    // A link's bytes are those of both its ends, and what is said to the registry is one peer's.
    let bytes = || 2 * links.bytes() + leases.bytes();
    let cpu =
        |site: &Site| -> Result<u64, BenchError> { site.peers.iter().map(|peer| process::cpu_ns(peer.pid)).sum() };
    bench.progress.step("idle", "letting them settle");
    tokio::time::sleep(SETTLE).await;
    bench
        .progress
        .step("idle", &format!("watching for {} s", bench.settings.seconds));
    let (begun, cpu_before, bytes_before) = (Instant::now(), cpu(&site)?, bytes());
    tokio::time::sleep(Duration::from_secs(bench.settings.seconds)).await;
    let (elapsed, cpu_ns, bytes) = (begun.elapsed(), cpu(&site)? - cpu_before, bytes() - bytes_before);
    let memory = site.peers.iter().map(|peer| process::resident_bytes(peer.pid));
    let memory = memory
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .max()
        .unwrap_or_default();
    // Nobody has lost anybody meanwhile.
    site.all_linked().await?;
    site.end().await?;

    let mut outcome = Outcome::new("idle", members, 0, 0);
    // All peers are alike, so what one takes is a part of the sum.
    let minutes = elapsed.as_secs_f64() / MINUTE_S;
    let peers = members as f64;
    outcome.figure("cpu", cpu_ns as f64 / peers / minutes, "ns/min");
    outcome.figure("part_of_a_core", cpu_ns as f64 / peers / elapsed.as_nanos() as f64, "");
    outcome.figure("tls", bytes as f64 / peers / minutes, "B/min");
    outcome.figure("resident", memory as f64, "B");
    outcome.figure("resident_without_links", lonely_bytes as f64, "B");
    Ok(outcome)
}
