//! The shipped election, driven through loss, delay, duplication, reordering, partition (also of one direction, and of some from some),
//! crash, restart, hand-over, stalls and slow disks, all at random, all from one seed.
//!
//! What must always hold is checked at every step: see `checks.rs`. When the network is quiet, each part of it must have one leader, its
//! highest node, within [`world::BOUND`] heartbeats, and keep it. A seed that fails is printed, and replays the same run:
//!
//!     ELECTION_SEED=42 cargo test -p peerchat-registry --test election
//!     ELECTION_SEEDS=100000 cargo test --release -p peerchat-registry --test election

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod checks;
mod faults;
mod world;

use std::{env, panic, thread};

use world::{Totals, World};

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
    outcome.map_err(|_| format!("seed {seed} failed: replay it with ELECTION_SEED={seed}"))
}

#[test]
fn no_term_has_two_leaders_and_whoever_can_talk_agrees_on_the_highest() {
    if let Some(seed) = number("ELECTION_SEED") {
        println!("{:?}", run(seed).unwrap());
        return;
    }
    let seeds = number("ELECTION_SEEDS").unwrap_or(SEEDS);
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
