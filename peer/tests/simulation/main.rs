//! The shipped node with its logs, driven through loss, delay, duplication, reordering, partition, crash with loss of what was
//! not synced, full disks, restarts and late joins, all at random, all from one seed.
//!
//! What must always hold is checked after every step; at the end, after healing, all members must hold the same. A seed that fails
//! is printed, and replays the same run:
//!
//!     SIMULATION_SEED=42 cargo test -p peerchat --test simulation
//!     SIMULATION_TRACE=1 SIMULATION_SEED=42 cargo test -p peerchat --test simulation -- --nocapture
//!     SIMULATION_FIRST=1000 SIMULATION_SEEDS=100000 cargo test --profile night -p peerchat --test simulation
//!
//! `seeds.rs`, which it shares with the simulations of the registry, says which seeds are run where nobody says; `.ci/night` runs many.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod checks;
mod faults;
mod janus;
mod notary;
mod peer;
mod pulls;
mod registry;
// As the simulations of the registry are run.
#[path = "../../../registry/tests/simulating/seeds.rs"]
mod seeds;
mod wire;
mod world;

use seeds::Seeds;
use world::{Totals, World};

/// Seeds that have failed, each with why.
const ONCE_FAILED: &[(u64, &str)] = &[
    (
        1281,
        "who had left was not asked for a seal that had been lost, since the link to him stayed up",
    ),
    (1954, "an answer was shown before its question while a history came"),
    (2352, "an answer was shown before its question while a history came"),
    (2833, "an answer was shown before its question while a history came"),
    (3331, "an answer was shown before its question while a history came"),
    (6121, "an answer was shown before its question while a history came"),
    (
        6558,
        "one end had lost a link and dialled again, and the other end sent it away for the link it still had",
    ),
    (
        7158,
        "answers to one who contradicts himself were held by one whom he had told something else, and passed on to nobody",
    ),
];

#[test]
fn whatever_happens_the_invariants_hold_and_all_members_end_equal() {
    let seeds = Seeds {
        variable: "SIMULATION",
        command: "cargo test -p peerchat --test simulation",
        once_failed: ONCE_FAILED,
        run: |seed| World::new(seed).run(),
        plus: Totals::plus,
        assert_everything_happened: Totals::assert_everything_happened,
    };
    seeds.run_all();
}
