//! The registry of Peerchat.

pub mod address;
pub mod routes;
