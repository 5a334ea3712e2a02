//! Several registries that are one: each serves peers, and one of them leads.
//!
//! From the inside out, [`term`] and [`election`] are pure: who leads, and under which term.

pub mod election;
pub mod term;
