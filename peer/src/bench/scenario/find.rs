//! Look-ups at the registry, over one pool of connections, as many at a time as the registry works on.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use peerchat_identity::DeviceKey;
use tokio::task::JoinSet;

use crate::{
    bench::{
        Bench, BenchError,
        floor::Mesh,
        outcome::{Floor, Outcome, per_second},
        samples::Samples,
        site::{Site, Where},
    },
    cli::bench::Scenario,
    net::Lookups,
    node::types::UserName,
};

/// The connections of the pool, and how many look-ups are under way over each.
const CONNECTIONS: usize = 4;
const AT_ONCE: usize = 8;
/// As many bytes as a device with its address has, which is what a look-up finds.
const FOUND_BYTES: usize = 64;
/// How many peers there are to be found.
const PEERS: usize = 4;

/// Measures it.
pub async fn run(bench: &Bench, part: &Path) -> Result<Outcome, BenchError> {
    let wanted = bench.settings.messages(Scenario::Find);
    let mut site = Site::new(&bench.crew, part).await?;
    site.fill(PEERS, Where::Room).await?;
    let key = DeviceKey::generate().map_err(wrong)?;
    let asker = UserName::new("asker").map_err(wrong)?;
    let lookups = Arc::new(
        Lookups::open(&site.at, &key, &asker, CONNECTIONS)
            .await
            .map_err(wrong)?,
    );
    let peers = site
        .peers
        .iter()
        .map(|peer| Ok((UserName::new(&peer.name).map_err(wrong)?, peer.listen.clone())));
    let peers = Arc::new(peers.collect::<Result<Vec<_>, BenchError>>()?);
    bench.progress.step("find", "the floor");
    let mut mesh = Mesh::pool(&bench.crew, CONNECTIONS).await?;
    let (floor_ns, floor) = mesh.one(AT_ONCE, wanted, FOUND_BYTES).await?;
    mesh.end().await?;
    bench.progress.step("find", "asking");
    let asked = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for task in 0..CONNECTIONS * AT_ONCE {
        let (lookups, peers, asked) = (Arc::clone(&lookups), Arc::clone(&peers), Arc::clone(&asked));
        tasks.spawn(async move {
            let mut ns = Vec::new();
            loop {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                if number >= wanted {
                    return Ok::<_, BenchError>(ns);
                }
                let (user, address) = &peers[usize::try_from(number).unwrap_or_default() % PEERS];
                let begun = Instant::now();
                let found = lookups.find(task, user).await.map_err(wrong)?;
                ns.push(begun.elapsed().as_nanos() as u64);
                if found != std::slice::from_ref(address) {
                    return Err(BenchError::Wrong(format!(
                        "{user} is at {address}, and was found at {found:?}"
                    )));
                }
            }
        });
    }
    let mut samples = Samples::default();
    while let Some(done) = tasks.join_next().await {
        samples.add(done.map_err(wrong)??);
    }
    let elapsed = begun.elapsed().as_nanos() as u64;
    drop(lookups);
    site.end().await?;
    let mut outcome = Outcome::new("find", PEERS, 1, wanted);
    outcome.sampled = "one look-up, with 32 under way over 4 connections";
    outcome.samples = samples;
    outcome.floor = Some(Floor {
        name: "bare gRPC calls over mutual TLS",
        samples: floor,
    });
    outcome.figure("lookups", per_second(wanted, elapsed), "/s");
    outcome.figure("floor_calls", per_second(wanted, floor_ns), "/s");
    Ok(outcome)
}

fn wrong(error: impl std::fmt::Display) -> BenchError {
    BenchError::Wrong(error.to_string())
}
