//! The edge between nodes: messages of the election and of the ledger become calls, and calls become messages. Only here the generated types of
//! `ClusterService` are known.

pub(super) mod change;
mod client;
mod decide;
#[cfg(test)]
mod decide_tests;
mod follow;
#[cfg(test)]
mod follow_tests;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod operated;
mod operator;
mod order;
mod server;

pub use client::{AskError, ask_status};
pub(super) use client::{LinkError, NodeClient};
pub use operator::{Operator, OperatorError};
pub(crate) use server::Calls;

/// The most bytes of a message between a follower and its leader: a lease with all rooms and users that it may have.
const TABLE_BYTES_MAX: usize = 1024 * 1024;
