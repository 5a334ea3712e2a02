//! The last orders of a leadership, for those who missed some. Pure.

use std::{collections::VecDeque, sync::Arc};

use super::order::{Entry, Position};

/// How many orders are kept. Who is further behind is sent the whole table.
const ENTRIES_MAX: usize = 4_096;

/// The orders of one leadership.
#[derive(Debug)]
pub struct Log {
    /// The table before the first order.
    base: Position,
    entries: VecDeque<Arc<Entry>>,
}

impl Log {
    /// Of a leadership that goes on from here.
    pub fn new(base: Position) -> Self {
        Self {
            base,
            entries: VecDeque::new(),
        }
    }

    /// Adds the newest order.
    pub fn push(&mut self, entry: Arc<Entry>) {
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
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
