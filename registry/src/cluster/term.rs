//! The nodes of a cluster and the terms under which they lead.
//!
//! A term is `round × 100 + id`: it says by itself whose it is. So no two nodes can lead under the same one, whatever they know of
//! each other, and neither can two of different cluster lists. A leadership begins a round that is later than any that its node has seen.

use std::{fmt, str::FromStr};

/// A node of a cluster: a number from 1 to [`NodeId::MAX`] that its operator gave it. The highest that is there leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(u8);

/// A text or number that is no node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a node is a number from 1 to {}", NodeId::MAX)]
pub struct NoNodeId;

impl NodeId {
    /// The greatest id. Two decimal digits, so that a person can read it off a term.
    pub const MAX: u8 = 99;

    /// The node with this number.
    ///
    /// # Errors
    /// There is none.
    pub fn new(number: u64) -> Result<Self, NoNodeId> {
        match u8::try_from(number) {
            Ok(id @ 1..=Self::MAX) => Ok(Self(id)),
            _ => Err(NoNodeId),
        }
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Nodes as people read them: `1, 3`.
pub(crate) fn list<'n>(nodes: impl IntoIterator<Item = &'n NodeId>) -> String {
    let named: Vec<_> = nodes.into_iter().map(NodeId::to_string).collect();
    named.join(", ")
}

impl FromStr for NodeId {
    type Err = NoNodeId;

    fn from_str(text: &str) -> Result<Self, NoNodeId> {
        // `parse` alone would take "+1".
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        Self::new(number.ok_or(NoNodeId)?)
    }
}

/// A term: one leadership of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(u64);

impl Term {
    /// Before the first one.
    pub const NONE: Self = Self(0);

    /// How many terms a round has: one for every id there can be.
    const PER_ROUND: u64 = NodeId::MAX as u64 + 1;

    /// The last round. One a second takes 30,000 years, and what is said of a later one is an error or a lie.
    const ROUND_MAX: u64 = 1 << 40;

    /// The term with this number; none where it is nobody's, or of a round that never comes.
    pub fn new(number: u64) -> Option<Self> {
        let (round, id) = (number / Self::PER_ROUND, number % Self::PER_ROUND);
        (number == 0 || (round > 0 && round <= Self::ROUND_MAX && id > 0)).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Whose it is; nobody's where it is [`Term::NONE`].
    pub fn leader(self) -> Option<NodeId> {
        NodeId::new(self.0 % Self::PER_ROUND).ok()
    }

    /// The term with which a node follows on this one; none where all rounds are over.
    pub fn next_of(self, node: NodeId) -> Option<Self> {
        let round = self.0 / Self::PER_ROUND + 1;
        (round <= Self::ROUND_MAX).then(|| Self(round * Self::PER_ROUND + u64::from(node.0)))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_node_has_a_number_of_one_or_two_digits() {
        for (text, number) in [("1", 1), ("99", 99), ("007", 7)] {
            assert_eq!(text.parse::<NodeId>().map(NodeId::number), Ok(number));
        }
        for text in ["", "0", "100", "-1", "+1", "1.0", "one", "99999999999999999999"] {
            assert_eq!(text.parse::<NodeId>(), Err(NoNodeId), "{text}");
        }
    }

    #[test]
    fn a_term_reads_as_round_and_node() {
        let three = NodeId::new(3).unwrap();
        let first = Term::NONE.next_of(three).unwrap();
        assert_eq!(first.to_string(), "103");
        assert_eq!(first.next_of(NodeId::new(12).unwrap()).unwrap().to_string(), "212");
        assert_eq!(Term::NONE.leader(), None);
        for nobodys in [1, 99, 100, 200, u64::MAX] {
            assert_eq!(Term::new(nobodys), None, "{nobodys}");
        }
        let last = Term(Term::ROUND_MAX * Term::PER_ROUND + 1);
        assert_eq!(Term::new(last.0), Some(last));
        assert_eq!(last.next_of(three), None);
    }

    proptest! {
        #[test]
        fn the_next_term_is_greater_and_its_nodes_own(seen: u64, id in 1..=u64::from(NodeId::MAX)) {
            let (seen, node) = (Term::new(seen % (1 << 41)).unwrap_or_default(), NodeId::new(id).unwrap());
            let next = seen.next_of(node).unwrap();
            prop_assert!(next > seen);
            prop_assert_eq!(next.leader(), Some(node));
            prop_assert_eq!(Term::new(next.number()), Some(next));
        }
    }
}
