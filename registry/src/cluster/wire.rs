//! The edge between nodes: messages of the election become calls, and calls become messages. Only here the generated types of
//! `ClusterService` are known.

mod client;
mod server;

pub use client::{AskError, ask_status};
pub(super) use client::{LinkError, NodeClient};
pub(crate) use server::Calls;
