//! What the simulations of a cluster have in common.

pub mod network;
pub mod schedule;
pub mod seeds;
