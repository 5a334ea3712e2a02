//! The last steps of a table, for those who missed some. Pure.

use std::{collections::VecDeque, sync::Arc};

use super::order::{Entry, Position};
use crate::cluster::term::Term;

/// How many steps are kept. Who is further behind is sent the whole table.
const STEPS_MAX: usize = 4_096;

/// How many bytes they may have together: the longest orders have a quarter of a MiB.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What brings a table from one position to the next.
#[derive(Debug, Clone)]
pub enum Step {
    /// A leadership begins.
    Began(Term),
    /// An order is carried out.
    Entry(Arc<Entry>),
}

impl Step {
    /// Where the table is after it.
    fn position(&self) -> Position {
        match self {
            Self::Began(term) => Position {
                term: *term,
                revision: 0,
            },
            Self::Entry(entry) => entry.position,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Began(_) => size_of::<Self>(),
            Self::Entry(entry) => entry.order.bytes(),
        }
    }
}

/// The steps that a node's copy has made, whoever led. It is kept by all: after a change of leaders most are a few steps apart, and one that
/// was ahead when it became the leader has what the others lack.
#[derive(Debug, Default)]
pub struct Log {
    /// The table before the first step.
    base: Position,
    steps: VecDeque<Step>,
    bytes: usize,
}

impl Log {
    /// Of a table that goes on from here.
    pub fn new(base: Position) -> Self {
        Self {
            base,
            ..Self::default()
        }
    }

    /// Adds the newest step.
    pub fn push(&mut self, step: Step) {
        self.bytes += step.bytes();
        self.steps.push_back(step);
        while self.steps.len() > STEPS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.steps.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
            self.base = oldest.position();
        }
    }

    /// The steps from a table in this position to the newest one; none where they are too many, or another way led to that table.
    pub fn after(&self, position: Position) -> Option<Vec<Step>> {
        let made = match position == self.base {
            true => 0,
            // Positions only grow.
            false => 1 + self.steps.binary_search_by_key(&position, Step::position).ok()?,
        };
        Some(self.steps.iter().skip(made).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use peerchat_proto::names::UserName;

    use super::*;
    use crate::{
        cluster::{
            table::order::Order,
            term::{NodeId, Term},
        },
        routes::{Command, LeaseToken, Millis},
    };

    fn at(term: u64, revision: u64) -> Position {
        let term = Term::new(term).unwrap();
        Position { term, revision }
    }

    #[test]
    fn long_orders_are_fewer() {
        let node = NodeId::new(1).unwrap();
        let users: Vec<_> = (0..1_024)
            .map(|n| UserName::new(&format!("{n:04}{}", "\u{10400}".repeat(60))).unwrap())
            .collect();
        let lease = LeaseToken([1; 16]);
        let mut log = Log::new(at(202, 0));
        let all = 1_000;
        for revision in 1..=all {
            log.push(Step::Entry(Arc::new(Entry {
                position: at(202, revision),
                now: Millis(0),
                origin: node,
                ticket: 0,
                order: Order::Call(Command::Renew {
                    lease,
                    users: users.clone(),
                }),
            })));
        }
        let kept = (0..all).find_map(|from| log.after(at(202, from))).unwrap();
        let bytes: usize = kept.iter().map(Step::bytes).sum();
        assert!(kept.len() > 10 && bytes <= BYTES_MAX, "{} with {bytes}", kept.len());
    }

    fn push(log: &mut Log, position: Position) {
        let node = NodeId::new(1).unwrap();
        log.push(Step::Entry(Arc::new(Entry {
            position,
            now: Millis(0),
            origin: node,
            ticket: 0,
            order: Order::StreamsLost(node),
        })));
    }

    #[test]
    fn who_missed_too_much_or_something_else_takes_the_whole_table() {
        let mut log = Log::new(at(101, 7));
        log.push(Step::Began(at(202, 0).term));
        let last = STEPS_MAX as u64 - 1;
        (1..=last).for_each(|revision| push(&mut log, at(202, revision)));
        let missed = |log: &Log, from| log.after(from).map(|steps| steps.len());
        assert_eq!(missed(&log, at(101, 7)), Some(STEPS_MAX));
        assert_eq!(missed(&log, at(202, 0)), Some(STEPS_MAX - 1));
        assert_eq!(missed(&log, at(202, last)), Some(0));
        for other in [
            at(101, 6),
            at(101, 8),
            at(303, 1),
            at(202, last + 1),
            Position::default(),
        ] {
            assert_eq!(missed(&log, other), None, "{other:?}");
        }
        let next = log.after(at(202, 2)).unwrap();
        assert_eq!(next[0].position(), at(202, 3));
        push(&mut log, at(202, last + 1));
        assert_eq!(missed(&log, at(101, 7)), None);
        assert_eq!(missed(&log, at(202, 0)), Some(STEPS_MAX));
        push(&mut log, at(202, last + 2));
        assert_eq!(missed(&log, at(202, 0)), None);
    }

    #[test]
    fn who_missed_the_end_of_a_leadership_is_given_that_and_the_next_one() {
        let mut log = Log::new(Position::default());
        log.push(Step::Began(at(101, 0).term));
        (1..=3).for_each(|revision| push(&mut log, at(101, revision)));
        log.push(Step::Began(at(202, 0).term));
        push(&mut log, at(202, 1));
        let missed: Vec<_> = log.after(at(101, 2)).unwrap().iter().map(Step::position).collect();
        assert_eq!(missed, [at(101, 3), at(202, 0), at(202, 1)]);
        assert_eq!(log.after(Position::default()).unwrap().len(), 6);
        assert!(log.after(at(101, 4)).is_none(), "that is another history");
    }
}
