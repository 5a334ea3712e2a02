//! The only loop and the only clock of a peer.

pub mod request;
