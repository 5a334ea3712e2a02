//! A node's own copy of the table of leases. Pure: the same orders in the same places make the same copy everywhere.

use std::collections::BTreeMap;

use super::order::{Entry, History, Order, Position};
use crate::{
    cluster::term::{NodeId, Term},
    routes::{Answer, Command, Damaged, Effect, LeaseRecord, LeaseToken, Millis, OfflineRecord, Routes, Step},
};

/// A copy, and how it came to be.
#[derive(Debug)]
pub struct Replica {
    /// The copy.
    pub routes: Routes,
    /// The node at which the holder of each lease has logged in: only there its stream can be.
    homes: BTreeMap<LeaseToken, NodeId>,
    position: Position,
    history: History,
    now: Millis,
}

/// What a copy is beside its leases.
#[derive(Debug, Clone)]
pub struct Head {
    /// How far it has come.
    pub position: Position,
    /// The time of its last order.
    pub now: Millis,
    /// What led to it.
    pub history: History,
}

/// An entry that is not the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order came out of its place")]
pub struct OutOfPlace;

impl Default for Replica {
    fn default() -> Self {
        Self {
            routes: Routes::new(),
            homes: BTreeMap::new(),
            position: Position::default(),
            history: History::default(),
            now: Millis(0),
        }
    }
}

impl Replica {
    /// How far it has come.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The time of its last order.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// All but the leases.
    pub fn head(&self) -> Head {
        Head {
            position: self.position,
            now: self.now,
            history: self.history.clone(),
        }
    }

    /// Whether it has carried out all that one at this position has.
    pub fn includes(&self, other: Position) -> bool {
        self.history.includes(self.position, other)
    }

    /// Where a lease is at home.
    pub fn home(&self, lease: LeaseToken) -> Option<NodeId> {
        self.homes.get(&lease).copied()
    }

    /// Where leases are at home.
    pub fn homes(&self) -> impl Iterator<Item = NodeId> {
        self.homes.values().copied()
    }

    /// The copy that has these leases with their homes.
    ///
    /// # Errors
    /// No table has them.
    pub fn restore(
        head: Head,
        leases: Vec<(LeaseRecord, NodeId)>,
        offline: Vec<OfflineRecord>,
    ) -> Result<Self, Damaged> {
        let homes = leases.iter().map(|(lease, home)| (lease.token, *home)).collect();
        let leases = leases.into_iter().map(|(lease, _)| lease);
        Ok(Self {
            routes: Routes::restore(leases, offline)?,
            homes,
            position: head.position,
            history: head.history,
            now: head.now,
        })
    }

    /// Goes on under another leadership.
    pub fn begin(&mut self, term: Term) {
        if self.position.term != term {
            self.history.push(self.position);
            self.position = Position { term, revision: 0 };
        }
    }

    /// Carries out the next order.
    ///
    /// # Errors
    /// It is another one.
    pub fn apply(&mut self, entry: &Entry) -> Result<Step<Answer>, OutOfPlace> {
        if entry.position != self.position.next() {
            return Err(OutOfPlace);
        }
        self.position = entry.position;
        // Whatever a leader says, time does not run backwards.
        self.now = self.now.max(entry.now);
        let now = self.now;
        let step = match &entry.order {
            // Asked again after a change of leaders, and carried out the first time already.
            Order::Call(Command::LogIn { token, .. }) if self.routes.is_lease(*token) => {
                self.routes.apply(Command::Expire, now)
            }
            Order::Call(command) => self.routes.apply(command.clone(), now),
            Order::RenewMany(leases) => Step {
                answer: Ok(Answer::Done),
                effects: self.routes.renew_many(leases, now),
            },
            Order::StreamsLost(node) => {
                let step = self.routes.apply(Command::Expire, now);
                for (lease, _) in self.homes.iter().filter(|(_, home)| *home == node) {
                    self.routes.stream_lost(*lease, now);
                }
                step
            }
        };
        for effect in &step.effects {
            if let Effect::Ended { lease, .. } = effect {
                self.homes.remove(lease);
            }
        }
        if let Order::Call(Command::LogIn { token, .. }) = &entry.order
            && self.routes.is_lease(*token)
        {
            self.homes.insert(*token, entry.origin);
        }
        Ok(step)
    }
}
