//! The shipped node with its logs, driven through loss, delay, duplication, reordering, partition, crash with loss of what was
//! not synced, full disks, restarts and late joins, all at random, all from one seed.
//!
//! What must always hold is checked after every step; at the end, after healing, all members must hold the same. A seed that fails
//! is printed, and replays the same run:
//!
//!     SIMULATION_SEED=42 cargo test -p peerchat --test simulation
//!     SIMULATION_SEEDS=100000 cargo test --release -p peerchat --test simulation

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod checks;
mod faults;
mod janus;
mod notary;
mod peer;
mod pulls;
mod registry;
mod wire;
mod world;

use std::{env, panic, thread};

use world::World;

/// How many seeds are run where the command line does not say.
const SEEDS: u64 = 1_000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}"))
    })
}

fn run(seed: u64) -> Result<world::Totals, String> {
    let outcome = panic::catch_unwind(|| World::new(seed).run());
    outcome.map_err(|_| format!("seed {seed} failed: replay it with SIMULATION_SEED={seed}"))
}

#[test]
fn whatever_happens_the_invariants_hold_and_all_members_end_equal() {
    if let Some(seed) = number("SIMULATION_SEED") {
        println!("{:?}", run(seed).unwrap());
        return;
    }
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let workers = thread::available_parallelism().map_or(2, |n| n.get() as u64);
    let totals = thread::scope(|scope| {
        let worker = |first| {
            move || {
                (first..seeds)
                    .step_by(workers as usize)
                    .map(run)
                    .collect::<Result<Vec<_>, _>>()
            }
        };
        let handles: Vec<_> = (0..workers).map(|first| scope.spawn(worker(first))).collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap().unwrap())
            .collect::<Vec<_>>()
    });
    let total = totals.into_iter().fold(world::Totals::default(), world::Totals::plus);
    println!("{seeds} seeds: {total:?}");
    // A simulation in which nothing happens proves nothing.
    if seeds >= 100 {
        total.assert_everything_happened();
    }
}
