//! Peerchat: chat in which every message goes straight from the sender's machine to the readers' machines, and stays there.

pub mod cli;
pub mod config;
pub mod driver;
pub mod log;
pub mod node;
pub mod ui;
