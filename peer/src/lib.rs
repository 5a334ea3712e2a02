//! Peerchat: chat in which every message goes straight from the sender's machine to the readers' machines, and stays there.

pub mod adopt;
pub mod bench;
pub mod chat;
pub mod checkup;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod driver;
pub mod folder;
pub mod inspect;
pub mod known_registries;
pub mod log;
pub mod net;
pub mod node;
pub mod seal;
pub mod state;
pub mod telemetry;
pub mod ui;
