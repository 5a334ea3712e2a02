//! Peerchat: chat in which every message goes straight from the sender's machine to the readers' machines, and stays there.

pub mod driver;
pub mod log;
pub mod node;
