//! From the send of one message to the last member's ack, one message at a time for each sender.

use std::path::Path;

use super::name;
use crate::{
    bench::{
        Bench, BenchError,
        floor::{Mesh, TcpEcho, syncs},
        outcome::{Floor, Outcome},
        samples::Samples,
        seed,
        site::{Site, Where},
        wire::{Load, Order},
    },
    cli::bench::Scenario,
};

/// So many messages of each sender go before those that count: the first ones wait for memory and for the clock of the processor.
pub const WARM_UP: u64 = 20;
/// Product and floor are measured by turns, so many times, so that whatever else the machine does falls on both.
const ROUNDS: u64 = 5;

/// Measures one of the scenarios.
pub async fn run(bench: &Bench, scenario: Scenario, part: &Path) -> Result<Outcome, BenchError> {
    let settings = &bench.settings;
    let (name, members) = (name(scenario), settings.members(scenario));
    let (senders, at) = match scenario {
        Scenario::Pair => (1, Where::Direct),
        Scenario::Mutual => (2, Where::Direct),
        Scenario::Room3Two => (2, Where::Room),
        _ => (1, Where::Room),
    };
    let (messages, payload) = (settings.messages(scenario), settings.payload);
    let mut site = Site::new(&bench.crew, part).await?;
    site.fill(members, at).await?;
    let mut mesh = Mesh::start(&bench.crew, members, senders).await?;
    let mut tcp = match scenario {
        Scenario::Pair => Some(TcpEcho::start(&bench.crew).await?),
        _ => None,
    };
    let load = |count| Load {
        count,
        payload,
        others: members - 1,
        durable: settings.durable,
    };
    talk(&mut site, senders, load(WARM_UP)).await?;
    mesh.talk(WARM_UP, payload).await?;

    let mut outcome = Outcome::new(&name, members, senders, messages);
    let (mut floor, mut bare) = (Samples::default(), Samples::default());
    for round in 0..ROUNDS {
        let count = share(messages, round);
        if count == 0 {
            continue;
        }
        bench.progress.step(&name, &format!("round {} of {ROUNDS}", round + 1));
        if let Some(tcp) = &mut tcp {
            bare.add(tcp.talk(count, payload).await?.0);
        }
        let mut echoes = mesh.talk(count, payload).await?.0;
        if settings.durable {
            let synced = syncs(part, payload)?.0;
            for (echo, sync) in echoes.iter_mut().zip(synced.iter().cycle()) {
                *echo += sync;
            }
        }
        floor.add(echoes);
        outcome.samples.add(talk(&mut site, senders, load(count)).await?.0);
    }
    bench.progress.step(&name, "comparing the logs");
    mesh.end().await?;
    let checked = site.check(at, senders as u64 * (messages + WARM_UP)).await?;
    site.end().await?;
    if let Some(tcp) = tcp {
        tcp.end().await?;
    }
    outcome.sampled = match settings.durable {
        true => "from the send until all have synced it",
        false => "from the send until all have it in their logs",
    };
    outcome.floor = Some(Floor {
        name: match (members, settings.durable) {
            (2, false) => "bare gRPC echo over mutual TLS",
            (2, true) => "bare gRPC echo over mutual TLS, and one sync",
            (_, false) => "bare gRPC mesh over mutual TLS",
            (_, true) => "bare gRPC mesh over mutual TLS, and one sync",
        },
        samples: floor,
    });
    outcome.seed_ms = seed::published_ms(scenario);
    outcome.figure("entries_checked", checked.entries as f64, "");
    if let Some(bare) = bare.latency() {
        outcome.figure("tcp_echo_p50", bare.p50_ns as f64, "ns");
        let sync = syncs(part, payload)?.latency();
        outcome.figure("sync_p50", sync.map_or(0.0, |sync| sync.p50_ns as f64), "ns");
    }
    Ok(outcome)
}

/// How many of so many messages belong to a round.
fn share(messages: u64, round: u64) -> u64 {
    messages / ROUNDS + u64::from(round < messages % ROUNDS)
}

/// All senders at once.
async fn talk(site: &mut Site, senders: usize, load: Load) -> Result<Samples, BenchError> {
    let mut samples = Samples::default();
    for sender in &mut site.peers[..senders] {
        sender.tell(&Order::Talk(load)).await?;
    }
    for sender in &mut site.peers[..senders] {
        samples.add(sender.samples().await?);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rounds_together_are_all_messages() {
        for messages in [1, 4, 5, 7, 1_000, 1_003] {
            assert_eq!((0..ROUNDS).map(|round| share(messages, round)).sum::<u64>(), messages);
        }
    }
}
