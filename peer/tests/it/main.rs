//! The program as its users run it: real processes on loopback.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod harness;
mod names;
mod rooms;
mod signals;
mod text;
mod usage;
