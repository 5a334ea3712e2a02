//! Log-ins at the registry, each over a connection of its own, as many at a time as the registry works on: first of users whose names
//! are free, then of the same ones, who are known by their keys.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use peerchat_identity::DeviceKey;
use tokio::task::JoinSet;

use crate::{
    bench::{
        Bench, BenchError,
        outcome::{Outcome, per_second},
        relay::{Count, Relay},
        samples::Samples,
        site::Site,
    },
    cli::bench::Scenario,
    net::log_in_once,
    node::types::UserName,
};

/// How many log-ins are under way.
const AT_ONCE: usize = 32;

/// Somebody who logs in.
struct Caller {
    user: UserName,
    key: DeviceKey,
}

/// Measures it.
pub async fn run(bench: &Bench, part: &Path) -> Result<Outcome, BenchError> {
    let wanted = bench.settings.messages(Scenario::Login);
    let site = Site::new(&bench.crew, part).await?;
    let callers = (0..=wanted).map(|number| {
        Ok::<_, BenchError>(Caller {
            user: UserName::new(&format!("caller{number}")).map_err(wrong)?,
            key: DeviceKey::generate().map_err(wrong)?,
        })
    });
    let mut callers = callers.collect::<Result<Vec<_>, _>>()?;
    let first = callers.remove(0);
    let callers = Arc::new(callers);

    let bytes = Count::default();
    let relay = Relay::start(&bytes).await?;
    relay.lead_to(site.at.clone());
    log_in_once(&relay.address, &first.key, &first.user)
        .await
        .map_err(wrong)?;
    let bytes = bytes.bytes();

    bench.progress.step("login", "new users");
    let (new, new_ns) = all(&site.at, &callers, true).await?;
    bench.progress.step("login", "known users");
    let (_, known_ns) = all(&site.at, &callers, false).await?;
    site.end().await?;
    let mut outcome = Outcome::new("login", 1, 1, wanted);
    outcome.sampled = "one log-in of a new user, from dialling on, with 32 under way";
    outcome.samples = new;
    outcome.figure("new", per_second(wanted, new_ns), "/s");
    outcome.figure("known", per_second(wanted, known_ns), "/s");
    outcome.figure("tls", bytes as f64, "B");
    Ok(outcome)
}

/// Lets everybody log in once. Answers how long each took, and all of them together in nanoseconds.
async fn all(registry: &str, callers: &Arc<Vec<Caller>>, is_new: bool) -> Result<(Samples, u64), BenchError> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..AT_ONCE {
        let (registry, callers, next) = (registry.to_owned(), Arc::clone(callers), Arc::clone(&next));
        tasks.spawn(async move {
            let mut ns = Vec::new();
            while let Some(caller) = callers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let begun = Instant::now();
                let found = log_in_once(&registry, &caller.key, &caller.user).await.map_err(wrong)?;
                ns.push(begun.elapsed().as_nanos() as u64);
                if found != is_new {
                    return Err(BenchError::Wrong(format!("{} is taken for another", caller.user)));
                }
            }
            Ok::<_, BenchError>(ns)
        });
    }
    let mut samples = Samples::default();
    while let Some(done) = tasks.join_next().await {
        samples.add(done.map_err(wrong)??);
    }
    Ok((samples, begun.elapsed().as_nanos() as u64))
}

fn wrong(error: impl std::fmt::Display) -> BenchError {
    BenchError::Wrong(error.to_string())
}
