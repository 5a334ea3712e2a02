//! The shipped ledger together with the shipped election, driven through loss, delay, duplication, reordering, partition (also of one
//! direction, and of some from some), crash, lost disk, restart, hand-over, stalls and slow disks, all at random, all from one seed.
//!
//! What must always hold is checked at every step: see `checks.rs`. When the network is quiet and a majority is together, what is proposed at
//! any of its nodes must be applied within a bound, and all of them must end equal. A seed that fails is printed, and replays the same run:
//!
//!     LEDGER_SEED=42 cargo test -p peerchat-registry --test ledger
//!     LEDGER_FIRST=1000 LEDGER_SEEDS=100000 cargo test --profile night -p peerchat-registry --test ledger
//!
//! `simulating/seeds.rs` says which seeds are run where nobody says; `.ci/night` runs many.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod checks;
mod faults;
mod lost;
mod node;
#[path = "../simulating/mod.rs"]
mod simulating;
mod world;

use checks::Totals;
use simulating::seeds::Seeds;
use world::World;

#[test]
fn what_a_majority_has_stored_is_the_same_everywhere_and_for_ever() {
    let seeds = Seeds {
        variable: "LEDGER",
        command: "cargo test -p peerchat-registry --test ledger",
        once_failed: &[],
        run: |seed| World::new(seed).run(),
        plus: Totals::plus,
        assert_everything_happened: Totals::assert_everything_happened,
    };
    seeds.run_all();
}
