//! The last orders of a leadership, for those who missed some. Pure.

use std::{collections::VecDeque, sync::Arc};

use super::order::{Entry, Position};

/// How many orders are kept. Who is further behind is sent the whole table.
const ENTRIES_MAX: usize = 4_096;

/// How many bytes they may have together: the longest ones have a quarter of a MiB.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The orders of one leadership.
#[derive(Debug)]
pub struct Log {
    /// The table before the first order.
    base: Position,
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
}

impl Log {
    /// Of a leadership that goes on from here.
    pub fn new(base: Position) -> Self {
        Self {
            base,
            entries: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Adds the newest order.
    pub fn push(&mut self, entry: Arc<Entry>) {
        self.bytes += entry.order.bytes();
        self.entries.push_back(entry);
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.order.bytes();
        }
    }

    /// What is to be carried out at a table in this position to have the newest one; none where too much is, or something else was.
    pub fn after(&self, position: Position, newest: Position) -> Option<Vec<Arc<Entry>>> {
        let from = match position {
            at if at == self.base => 0,
            at if at.term == newest.term && at.revision <= newest.revision => at.revision,
            _ => return None,
        };
        let missed = usize::try_from(newest.revision - from).ok()?;
        let kept = self.entries.len().checked_sub(missed)?;
        Some(self.entries.iter().skip(kept).cloned().collect())
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
        let mut log = Log::new(at(101, 0));
        let all = 1_000;
        for revision in 1..=all {
            log.push(Arc::new(Entry {
                position: at(202, revision),
                now: Millis(0),
                origin: node,
                ticket: 0,
                order: Order::Call(Command::Renew {
                    lease,
                    users: users.clone(),
                }),
            }));
        }
        let kept = (0..all)
            .find_map(|from| log.after(at(202, from), at(202, all)))
            .unwrap();
        let bytes: usize = kept.iter().map(|entry| entry.order.bytes()).sum();
        assert!(kept.len() > 10 && bytes <= BYTES_MAX, "{} with {bytes}", kept.len());
    }

    #[test]
    fn who_missed_too_much_or_something_else_takes_the_whole_table() {
        let node = NodeId::new(1).unwrap();
        let mut log = Log::new(at(101, 7));
        let last = ENTRIES_MAX as u64;
        let push = |log: &mut Log, revision| {
            log.push(Arc::new(Entry {
                position: at(202, revision),
                now: Millis(revision),
                origin: node,
                ticket: 0,
                order: Order::StreamsLost(node),
            }));
        };
        (1..=last).for_each(|revision| push(&mut log, revision));
        let missed = |log: &Log, from, newest| log.after(from, at(202, newest)).map(|entries| entries.len());
        assert_eq!(missed(&log, at(101, 7), last), Some(ENTRIES_MAX));
        assert_eq!(missed(&log, at(202, 1), last), Some(ENTRIES_MAX - 1));
        assert_eq!(missed(&log, at(202, last), last), Some(0));
        for other in [
            at(101, 6),
            at(101, 8),
            at(303, 1),
            at(202, last + 1),
            Position::default(),
        ] {
            assert_eq!(missed(&log, other, last), None, "{other:?}");
        }
        let next = log.after(at(202, 2), at(202, last)).unwrap();
        assert_eq!(next[0].position, at(202, 3));
        push(&mut log, last + 1);
        assert_eq!(missed(&log, at(101, 7), last + 1), None);
        assert_eq!(missed(&log, at(202, 1), last + 1), Some(ENTRIES_MAX));
    }
}
