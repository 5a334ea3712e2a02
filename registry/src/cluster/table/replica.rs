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

    /// Goes on under a leadership. Answers whether it is another one.
    pub fn begin(&mut self, term: Term) -> bool {
        let is_another = self.position.term != term;
        if is_another {
            self.history.push(self.position);
            self.position = Position { term, revision: 0 };
        }
        is_another
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{
        limits,
        random::{Call, Script},
    };

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn apply(replica: &mut Replica, origin: NodeId, now: Millis, order: Order) {
        let entry = Entry {
            position: replica.position().next(),
            now,
            origin,
            ticket: 0,
            order,
        };
        let _ = replica.apply(&entry).unwrap();
    }

    /// Two devices, each at home at the node of its number and in one room.
    fn two(script: &mut Script) -> Replica {
        let mut replica = Replica::default();
        for device in [1, 2] {
            for call in [Call::LogIn { device, port: 1 }, Call::Join(0, 0)] {
                let command = script.command(&call).unwrap();
                apply(&mut replica, node(device.into()), Millis(0), Order::Call(command));
            }
        }
        replica
    }

    #[test]
    fn the_streams_of_a_node_are_those_of_its_peers() {
        let mut replica = two(&mut Script::new());
        apply(&mut replica, node(3), Millis(0), Order::StreamsLost(node(1)));
        apply(&mut replica, node(3), limits::STREAM_LOST, Order::Call(Command::Expire));
        let left: Vec<_> = replica.homes().collect();
        assert_eq!((left, replica.routes.records().count()), (vec![node(2)], 1));
    }

    #[test]
    fn many_are_renewed_at_once_and_an_unknown_one_is_none() {
        let mut replica = two(&mut Script::new());
        let leases = replica.routes.records().map(|lease| lease.token);
        let leases = leases.chain([LeaseToken([9; 16])]).collect();
        apply(&mut replica, node(1), Millis(1_000), Order::RenewMany(leases));
        let ends = replica.routes.records().map(|lease| lease.ends);
        assert_eq!(ends.collect::<Vec<_>>(), [limits::LEASE + Millis(1_000); 2]);
    }

    #[test]
    fn a_log_in_that_is_asked_again_changes_nothing() {
        let (mut script, mut again) = (Script::new(), Script::new());
        let mut replica = two(&mut script);
        let before = format!("{:?}", replica.routes.records().collect::<Vec<_>>());
        let command = again.command(&Call::LogIn { device: 1, port: 1 }).unwrap();
        apply(&mut replica, node(1), Millis(1), Order::Call(command));
        assert_eq!(format!("{:?}", replica.routes.records().collect::<Vec<_>>()), before);
    }

    #[test]
    fn orders_are_taken_in_their_places_and_time_never_runs_backwards() {
        let mut replica = two(&mut Script::new());
        apply(&mut replica, node(1), Millis(5), Order::Call(Command::Expire));
        apply(&mut replica, node(1), Millis(3), Order::Call(Command::Expire));
        assert_eq!(replica.now(), Millis(5));
        let again = Entry {
            position: replica.position(),
            now: Millis(6),
            origin: node(1),
            ticket: 0,
            order: Order::Call(Command::Expire),
        };
        assert_eq!(replica.apply(&again).unwrap_err(), OutOfPlace);
        assert_eq!(replica.now(), Millis(5));
    }
}
