//! The real program, driven over real sockets. Every test starts a registry of its own on a free port and ends it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it skips"
)]

mod accounts;
mod architecture;
mod bad_input;
mod balanced_load;
mod balancing;
mod caller;
mod certificates;
mod cluster;
mod cluster_accounts;
mod cluster_disks;
mod cluster_hostile;
mod cluster_import;
mod cluster_leases;
mod cluster_revoking;
mod cluster_rounds;
mod cluster_site;
mod cluster_strangers;
mod cluster_telling;
mod cluster_usage;
mod disk;
mod harness;
mod hosting;
mod leases;
mod linking;
mod linking_elsewhere;
mod log;
mod look_alikes;
mod lost_accounts;
mod process;
mod proxies;
mod restart;
mod revoking;
mod rolling;
#[path = "../servers/mod.rs"]
#[allow(dead_code, reason = "the tests of the library use the rest")]
mod servers;
mod shared;
mod shared_forms;
mod shared_load;
mod shared_tries;
mod shares;
mod side_services;
mod strangers;
mod watching;
