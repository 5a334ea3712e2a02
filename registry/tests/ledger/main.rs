//! The shipped ledger together with the shipped election, driven through loss, delay, duplication, reordering, partition (also of one
//! direction, and of some from some), crash, lost disk, restart, hand-over, stalls and slow disks, all at random, all from one seed.
//!
//! What must always hold is checked at every step: see `checks.rs`. When the network is quiet and a majority is together, what is proposed at
//! any of its nodes must be applied within a bound, and all of them must end equal. A seed that fails is printed, and replays the same run:
//!
//!     LEDGER_SEED=42 cargo test -p peerchat-registry --test ledger
//!     LEDGER_SEEDS=100000 cargo test --release -p peerchat-registry --test ledger

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod checks;
mod faults;
mod lost;
mod node;
mod world;

use std::{env, panic, thread};

use checks::Totals;
use world::World;

/// How many seeds are run where the command line does not say.
const SEEDS: u64 = 1_000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}"))
    })
}

fn run(seed: u64) -> Result<Totals, String> {
    let outcome = panic::catch_unwind(|| World::new(seed).run());
    outcome.map_err(|_| format!("seed {seed} failed: replay it with LEDGER_SEED={seed}"))
}

#[test]
fn what_a_majority_has_stored_is_the_same_everywhere_and_for_ever() {
    if let Some(seed) = number("LEDGER_SEED") {
        println!("{:?}", run(seed).unwrap());
        return;
    }
    let seeds = number("LEDGER_SEEDS").unwrap_or(SEEDS);
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
    let total = totals.into_iter().fold(Totals::default(), Totals::plus);
    println!("{seeds} seeds: {total:?}");
    // A simulation in which nothing happens proves nothing.
    if seeds >= 100 {
        total.assert_everything_happened();
    }
}
