//! The real program, driven over real sockets. Every test starts a registry of its own on a free port and ends it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod architecture;
mod bad_input;
mod caller;
mod certificates;
mod cluster;
mod cluster_leases;
mod cluster_rounds;
mod cluster_site;
mod cluster_strangers;
mod cluster_usage;
mod harness;
mod hosting;
mod leases;
mod linking;
mod process;
mod restart;
mod revoking;
mod side_services;
mod strangers;
mod watching;
