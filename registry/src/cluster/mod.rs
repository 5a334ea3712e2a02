//! Several registries that are one: each serves peers, and one of them leads.
//!
//! From the inside out, [`term`], [`election`] and [`members`] are pure: who leads, under which term, and of whom; and so is [`ledger`]: what a majority
//! decides. `node` runs the election of this process, with its clock, its chance and its disk (`term_file`), and `deciding` the ledger, with its own
//! ([`ledger_store`]) and the accounts; a `link` brings what both say to one other node, and `lives` tells whether
//! two processes have been given the id of one. [`table`] is the table of leases that they share. `wire` is the
//! edge: only there generated types are known. [`Leadership`] is what the rest of a registry may know of all this.

mod deciding;
pub mod election;
pub mod ledger;
pub mod ledger_store;
mod link;
mod lives;
pub mod members;
mod node;
mod status;
pub mod table;
pub mod term;
mod term_file;
mod wire;

use std::collections::BTreeSet;

use self::{election::Role, members::Members, term::NodeId};
use crate::address::Address;

pub use node::NodeError;
pub use status::{ClusterStatus, LedgerStatus, MemberStatus, NodeState};
pub use term_file::TermFileError;
#[cfg(feature = "fuzzing")]
pub use wire::fuzzing;
pub use wire::{AskError, Operator, OperatorError, ask_status};

pub(crate) use self::{
    node::Node,
    table::{ClusterTable, Seat},
    wire::Calls,
};

/// Which node of which cluster a registry is.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// This node. It is in the list.
    pub own: NodeId,
    /// All nodes.
    pub members: Members,
    /// What only lost disks had is given up: this node counts as it is, although its own was lost.
    pub accepts_lost_accounts: bool,
    /// How much of what was decided is kept: [`Limits::DEFAULT`](ledger::Limits::DEFAULT), and less where that is to be reached.
    pub limits: ledger::Limits,
}

impl ClusterSettings {
    /// Where this node is; none where it is not in the list.
    pub fn own_address(&self) -> Option<&Address> {
        self.members.address(self.own)
    }
}

/// Who leads, as a node knows it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// What this node is, and under which term it is led or leads.
    pub role: Role,
    /// The other nodes to which it can talk.
    pub reachable: BTreeSet<NodeId>,
}
