//! What a registry tells of its cluster to whoever asks.

use super::{election::Role, node::Node, table::order::Position, term::NodeId};
use crate::address::Address;

/// What a node is in the election, without its term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// It follows a leader.
    Follower,
    /// It knows of no leader.
    Election,
    /// It leads.
    Leader,
}

/// A cluster as one of its nodes knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The node that says it.
    pub id: NodeId,
    /// What it is.
    pub state: NodeState,
    /// The number of the term under which it is led or leads.
    pub term: Option<u64>,
    /// Who leads.
    pub leader: Option<NodeId>,
    /// All nodes, in the order of their ids.
    pub members: Vec<MemberStatus>,
    /// How far its table of leases has come.
    pub table: Option<Position>,
    /// How far its accounts have come; none where it does not say.
    pub ledger: Option<LedgerStatus>,
}

/// How a node is with what the cluster decides about accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerStatus {
    /// Up to this number changes are decided, as far as it knows.
    pub committed: u64,
    /// Up to this number they are made in its accounts.
    pub applied: u64,
    /// It leads, or follows a leader and counts.
    pub is_taking_part: bool,
    /// How it stands, for people.
    pub standing: String,
}

/// A node as another one knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Which.
    pub id: NodeId,
    /// Where.
    pub address: Address,
    /// Whether it can be talked to.
    pub is_reachable: bool,
}

impl ClusterStatus {
    pub(super) fn of(node: &Node, table: Option<Position>) -> Self {
        let leadership = node.leadership();
        let own = node.own();
        let member = |(id, address): (NodeId, &Address)| MemberStatus {
            id,
            address: address.clone(),
            is_reachable: id == own || leadership.reachable.contains(&id),
        };
        let term = leadership.role.term();
        Self {
            id: own,
            state: match leadership.role {
                Role::Follower(_) => NodeState::Follower,
                Role::Election => NodeState::Election,
                Role::Leader(_) => NodeState::Leader,
            },
            term: term.map(|term| term.number()),
            leader: term.and_then(|term| term.leader()),
            members: node.members().iter().map(member).collect(),
            table,
            ledger: Some(node.deciding().status()),
        }
    }
}
