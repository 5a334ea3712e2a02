//! The program as its users run it: real processes on loopback.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod attack;
mod bad_history;
mod damage;
mod disk;
mod harness;
mod hostile_bytes;
mod hostile_claims;
mod hostile_entries;
mod hostile_frames;
mod names;
mod rooms;
mod signals;
mod text;
mod usage;
mod wire;
mod wire_server;
