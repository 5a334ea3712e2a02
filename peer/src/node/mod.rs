//! What a peer decides: pure code without clock, disk, network or randomness of its own.

pub mod event;
pub mod limits;
pub mod types;
