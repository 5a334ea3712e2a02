//! What is known of users' devices.

pub mod compare;
mod words;

pub use compare::Comparison;
