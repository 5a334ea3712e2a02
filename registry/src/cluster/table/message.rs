//! What a follower and its leader say to each other over one stream.

use std::sync::Arc;

use super::{
    log::Step,
    order::{Entry, Order, Position},
    replica::{Head, Replica},
};
use crate::{
    cluster::term::{NodeId, Term},
    routes::{LeaseRecord, OfflineRecord},
};

/// What a follower says.
#[derive(Debug)]
pub enum Up {
    /// First, and once.
    Hello(Hello),
    /// What one of its peers holds.
    Claim(LeaseRecord),
    /// Those were all.
    ClaimsEnd,
    /// An order, for this ticket.
    Submit {
        /// What the follower calls it.
        ticket: u64,
        /// What is to be done.
        order: Order,
    },
    /// A part of its table, for a leader that has asked.
    Part(Part),
}

/// Who follows.
#[derive(Debug, Clone)]
pub struct Hello {
    /// All nodes that it has in its list.
    pub nodes: Vec<u32>,
    /// The leadership that it follows.
    pub term: Term,
    /// How far its table has come.
    pub position: Position,
}

/// What a leader says.
#[derive(Debug)]
pub enum Down {
    /// It wants the follower's table.
    TableWanted,
    /// A whole table, which goes over the wire in its parts.
    Table(Vec<Part>),
    /// A part of a table, which replaces the follower's with the last one.
    Part(Part),
    /// The follower's table goes on under this leadership, once it has what came before.
    GoOn(Term),
    /// The next order.
    Entry(Arc<Entry>),
    /// The follower has all there is, and may pass on what its peers want.
    Ready,
}

impl From<Step> for Down {
    fn from(step: Step) -> Self {
        match step {
            Step::Began(term) => Self::GoOn(term),
            Step::Entry(entry) => Self::Entry(entry),
        }
    }
}

/// A part of a table: so small that it is one message.
#[derive(Debug, Clone)]
pub enum Part {
    /// The first.
    Head(Head),
    /// A lease and its home.
    Lease(LeaseRecord, NodeId),
    /// A user who is not there.
    Offline(OfflineRecord),
    /// The last.
    End,
}

impl Replica {
    /// The whole table in parts.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part::Head(self.head())];
        let leases = self.routes.records();
        parts.extend(leases.filter_map(|lease| self.home(lease.token).map(|home| Part::Lease(lease, home))));
        parts.extend(self.routes.offline_records().map(Part::Offline));
        parts.push(Part::End);
        parts
    }
}

/// Parts of a table that are not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a table came that is none")]
pub struct NoTable;

/// Parts that have come so far.
#[derive(Debug, Default)]
pub struct Gathered {
    head: Option<Head>,
    leases: Vec<(LeaseRecord, NodeId)>,
    offline: Vec<OfflineRecord>,
}

impl Gathered {
    /// Takes the next part. Answers all of them with the last one.
    ///
    /// # Errors
    /// The parts make no table.
    pub fn take(&mut self, part: Part) -> Result<Option<Whole>, NoTable> {
        use crate::routes::limits::{LEASES_MAX, OFFLINE_NAMES_MAX};
        match part {
            Part::Head(head) => {
                *self = Self::default();
                self.head = Some(head);
            }
            Part::Lease(..) if self.leases.len() >= LEASES_MAX => return Err(NoTable),
            Part::Offline(_) if self.offline.len() >= OFFLINE_NAMES_MAX => return Err(NoTable),
            Part::Lease(lease, home) => self.leases.push((lease, home)),
            Part::Offline(record) => self.offline.push(record),
            Part::End => {
                let Self { head, leases, offline } = std::mem::take(self);
                let head = head.ok_or(NoTable)?;
                return Ok(Some(Whole { head, leases, offline }));
            }
        }
        Ok(None)
    }
}

/// All parts of a table.
#[derive(Debug)]
pub struct Whole {
    head: Head,
    leases: Vec<(LeaseRecord, NodeId)>,
    offline: Vec<OfflineRecord>,
}

impl Whole {
    /// The table, which takes most of a second where there are 100,000 leases.
    ///
    /// # Errors
    /// The parts make none.
    pub fn restore(self) -> Result<Replica, NoTable> {
        Replica::restore(self.head, self.leases, self.offline).map_err(|_| NoTable)
    }
}
