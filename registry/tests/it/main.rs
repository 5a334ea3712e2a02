//! The real program, driven over real sockets. Every test starts a registry of its own on a free port and ends it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod bad_input;
mod harness;
mod hosting;
mod leases;
mod process;
mod side_services;
mod watching;
