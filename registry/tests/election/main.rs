//! The shipped election, driven through loss, delay, duplication, reordering, partition (also of one direction, and of some from some),
//! crash, restart, hand-over, stalls and slow disks, all at random, all from one seed.
//!
//! What must always hold is checked at every step: see `checks.rs`. When the network is quiet, each part of it must have one leader, its
//! highest node, within [`world::BOUND`] heartbeats, and keep it. A seed that fails is printed, and replays the same run:
//!
//!     ELECTION_SEED=42 cargo test -p peerchat-registry --test election
//!     ELECTION_FIRST=1000 ELECTION_SEEDS=100000 cargo test --profile night -p peerchat-registry --test election
//!
//! `simulating/seeds.rs` says which seeds are run where nobody says; `.ci/night` runs many.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod checks;
mod faults;
#[path = "../simulating/mod.rs"]
mod simulating;
mod world;

use simulating::seeds::Seeds;
use world::{Totals, World};

#[test]
fn no_term_has_two_leaders_and_whoever_can_talk_agrees_on_the_highest() {
    let seeds = Seeds {
        variable: "ELECTION",
        command: "cargo test -p peerchat-registry --test election",
        once_failed: &[],
        run: |seed| World::new(seed).run(),
        plus: Totals::plus,
        assert_everything_happened: Totals::assert_everything_happened,
    };
    seeds.run_all();
}
