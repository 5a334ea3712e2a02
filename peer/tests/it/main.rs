//! The program as its users run it: real processes on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "this is a test"
)]

mod accounts;
mod adopting;
mod answers;
mod attack;
mod authorities;
mod bad_history;
mod bench;
mod big_room;
mod causes;
mod certificates;
mod clocks;
mod cluster;
mod cluster_clocks;
mod cluster_import;
mod cluster_parted;
mod cluster_rounds;
mod damage;
mod devices;
mod dials;
mod direct;
mod disk;
mod flood;
mod harness;
mod hostile_bytes;
mod hostile_claims;
mod hostile_entries;
mod hostile_frames;
mod kills;
mod lost_data;
mod names;
mod network;
mod partition;
mod people;
mod plain;
mod private;
mod program_log;
mod reading;
mod refusals;
mod registries;
mod registry;
mod revoking;
mod rooms;
mod seals;
mod shares;
mod signals;
mod slow_disk;
mod spreading;
mod stopped;
mod terminal;
mod text;
mod undialable;
mod unwilling;
mod usage;
mod wire;
mod wire_server;
mod wrong_files;
