//! What an operator must know.

use std::{collections::BTreeSet, fmt};

use super::{Ledger, NodeId, Role, State, Term};
use crate::cluster::term::list;

/// Whether this node decides or follows, and if not, why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It leads.
    Leads(Term),
    /// It follows a leader that is up to date.
    Follows(Term),
    /// It follows, and is not counted until it has caught up: its disk was new.
    CatchesUp(Term),
    /// Nobody leads whom it could follow.
    NoLeader,
    /// It cannot follow the leader, which has committed something else.
    Contradicted(Term),
    /// It is to lead, and these have not answered.
    NoMajority(BTreeSet<NodeId>),
    /// It is to lead, and no node that has answered has anything. The cluster begins when these have answered too.
    NotBegun(BTreeSet<NodeId>),
    /// It is to lead, and these have nothing on their disks: too many for the others to decide anything.
    Lost(BTreeSet<NodeId>),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leads(term) => write!(f, "leads under term {term}"),
            Self::Follows(term) => write!(f, "follows the leader of term {term}"),
            Self::CatchesUp(term) => write!(
                f,
                "its disk is new: it catches up with the leader of term {term}, and counts when all other nodes have been reached"
            ),
            Self::Contradicted(term) => write!(
                f,
                "node {} leads, and its accounts have another history than those here: one of the two folders is of another cluster, or gave up \
                 accounts that the other one has; stop the node that is wrong, move its folder away and start it anew, so that it gets \
                 the accounts of the others",
                term.leader().map_or(0, |node| node.number())
            ),
            Self::NoLeader => f.write_str("no node leads that is up to date"),
            Self::NoMajority(silent) if silent.is_empty() => {
                f.write_str("too few nodes are up to date, though all can be reached")
            }
            Self::NoMajority(silent) => {
                write!(f, "too few nodes can be reached: start {}", list(silent))
            }
            Self::NotBegun(silent) if silent.is_empty() => {
                f.write_str("no node has any accounts yet, and all have been reached: the cluster begins")
            }
            Self::NotBegun(silent) => write!(
                f,
                "no node has any accounts yet, and a new cluster begins only with all of its nodes: start {}",
                list(silent)
            ),
            Self::Lost(blank) => write!(
                f,
                "the disks of {} are empty, and without them it is not known what was decided: bring them back, \
                 or start these nodes once with --accept-lost-accounts, which gives up what only they had",
                list(blank)
            ),
        }
    }
}

impl Ledger {
    /// How this node stands.
    pub fn standing(&self) -> Standing {
        match &self.state {
            State::Following(following) if self.role != Role::Follower(following.term) => Standing::NoLeader,
            State::Following(following) if self.contradicted == Some(following.term) => {
                Standing::Contradicted(following.term)
            }
            State::Following(following) if self.kept.is_member => Standing::Follows(following.term),
            State::Following(following) => Standing::CatchesUp(following.term),
            State::Idle => Standing::NoLeader,
            State::Leading(leading) => {
                let members = leading.members() + usize::from(self.kept.is_member);
                let silent = self.others.difference(leading.heard()).copied();
                match members >= self.majority() {
                    true => Standing::Leads(leading.term),
                    false => Standing::NoMajority(silent.collect()),
                }
            }
            State::Preparing(preparing) => {
                let (mut silent, mut blank) = (self.others.clone(), BTreeSet::new());
                for (node, is_member) in preparing.answered() {
                    silent.remove(&node);
                    if !is_member {
                        blank.insert(node);
                    }
                }
                if !self.kept.is_member {
                    blank.insert(self.me);
                }
                let nodes = self.others.len() + 1;
                if preparing.has_nothing() && self.kept.log.end().index == 0 {
                    Standing::NotBegun(silent)
                } else if nodes - blank.len() < self.majority() {
                    Standing::Lost(blank)
                } else {
                    Standing::NoMajority(silent)
                }
            }
        }
    }

    /// Whether there is nothing on its disk: the cluster has not begun, or the disk is new.
    pub fn is_blank(&self) -> bool {
        !self.kept.is_member && self.kept.log.end().index == 0
    }

    /// Up to here it is committed, as far as this node knows, and applied.
    pub fn committed(&self) -> u64 {
        self.commit
    }

    /// What is on disk, when all was persisted.
    pub fn kept(&self) -> &super::Kept {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_start_an_empty_list_of_nodes() {
        let some: BTreeSet<_> = [1, 3].map(|id| NodeId::new(id).unwrap()).into();
        for standing in [Standing::NoMajority, Standing::NotBegun] {
            assert!(standing(some.clone()).to_string().ends_with("start 1, 3"));
            let none = standing(BTreeSet::new()).to_string();
            assert!(!none.contains("start"), "{none}");
        }
    }
}
