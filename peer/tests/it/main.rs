//! The program as its users run it: real processes on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    dead_code,
    reason = "this is a test"
)]

mod harness;
mod rooms;
