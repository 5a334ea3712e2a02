//! The program as its users run it: real processes on loopback.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

mod big_room;
mod causes;
mod direct;
mod harness;
mod kills;
mod lost_data;
mod network;
mod partition;
mod registry;
mod rooms;
mod stopped;
