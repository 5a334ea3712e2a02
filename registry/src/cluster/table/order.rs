//! What is ordered by a leader, and the order itself. Pure.

use std::collections::VecDeque;

use crate::{
    cluster::term::{NodeId, Term},
    routes::{Command, LeaseToken, Millis},
};

/// How far the table of leases has come: so many orders of this leadership have been carried out. Of two tables the one with the greater
/// position is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The leadership.
    pub term: Term,
    /// How many of its orders; 0 before the first one.
    pub revision: u64,
}

impl Position {
    /// After one order more.
    pub fn next(self) -> Self {
        Self {
            term: self.term,
            revision: self.revision + 1,
        }
    }
}

/// What changes the tables of all nodes.
#[derive(Debug, Clone)]
pub enum Order {
    /// A call of the table.
    Call(Command),
    /// Renewals of a node's peers that watch nobody new.
    RenewMany(Vec<LeaseToken>),
    /// A node is gone, and with it the streams of the leases that are at home there.
    StreamsLost(NodeId),
}

impl Order {
    /// About how many bytes it takes, for limits: no less than on the wire.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Call(Command::Renew { users, .. }) => {
                let names = users.iter().map(|user| user.shown().len() + user.key().len());
                SMALL_BYTES + names.sum::<usize>()
            }
            Self::RenewMany(leases) => SMALL_BYTES + leases.len() * (LIST_BYTES + size_of::<LeaseToken>()),
            Self::Call(Command::Say { note }) => SMALL_BYTES + note.bytes().len(),
            Self::Call(_) | Self::StreamsLost(_) => SMALL_BYTES,
        }
    }
}

/// What each of several tokens takes on the wire beside itself.
const LIST_BYTES: usize = 2;

/// What an order takes that has one name and one address at most.
const SMALL_BYTES: usize = 1_024;

/// An order in its place.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place.
    pub position: Position,
    /// The time at which all carry it out.
    pub now: Millis,
    /// The node for whose peer it is.
    pub origin: NodeId,
    /// What that node calls it; 0 where nobody waits for the answer.
    pub ticket: u64,
    /// What is to be done.
    pub order: Order,
}

/// The most former leaderships that a table remembers. Who followed an older one counts as one that knows something else: it takes the
/// whole table, and what its peers hold is put in where it is missing.
const FORMER_MAX: usize = 64;

/// Which leaderships led to a table: how far each of them had come when the next one began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(VecDeque<Position>);

impl History {
    /// Notes how a leadership ended.
    pub fn push(&mut self, end: Position) {
        if self.0.len() >= FORMER_MAX {
            self.0.pop_front();
        }
        self.0.push_back(end);
    }

    /// The ends of the leaderships, from the first one on.
    pub fn iter(&self) -> impl Iterator<Item = Position> {
        self.0.iter().copied()
    }

    /// Whether a table at `at`, which has this history, has carried out all that one at `other` has.
    pub fn includes(&self, at: Position, other: Position) -> bool {
        let ends = self.iter().chain([at]);
        other == Position::default()
            || ends
                .into_iter()
                .any(|end| end.term == other.term && other.revision <= end.revision)
    }
}

impl FromIterator<Position> for History {
    fn from_iter<I: IntoIterator<Item = Position>>(ends: I) -> Self {
        let mut history = Self::default();
        for end in ends {
            history.push(end);
        }
        history
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(round: u64, revision: u64) -> Position {
        let term = Term::new(round * 100 + 1).unwrap();
        Position { term, revision }
    }

    #[test]
    fn a_table_includes_what_led_to_it_and_nothing_else() {
        let history: History = [at(1, 10), at(3, 0)].into_iter().collect();
        let now = at(4, 5);
        for included in [Position::default(), at(1, 0), at(1, 10), at(3, 0), at(4, 0), at(4, 5)] {
            assert!(history.includes(now, included), "{included:?}");
        }
        for other in [at(1, 11), at(2, 0), at(3, 1), at(4, 6), at(5, 0)] {
            assert!(!history.includes(now, other), "{other:?}");
        }
    }

    #[test]
    fn a_history_is_bounded() {
        let history: History = (1..200).map(|round| at(round, 0)).collect();
        assert_eq!(history.iter().count(), FORMER_MAX);
        assert!(history.includes(at(200, 0), at(199, 0)) && !history.includes(at(200, 0), at(1, 0)));
    }
}
