//! A leader's part: it hears what the others have, takes the newest copy, and from then on orders what is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::time::Instant;

use super::{
    claims::{claims, missing},
    log::Step as Made,
    message::{Down, NoTable},
    order::{Entry, Order, Position},
    queue::Downs,
    replica::Replica,
    state::{Part, State},
};
use crate::{
    cluster::term::{NodeId, Term},
    engine::clock::TableClock,
    routes::{Answer, Command, LeaseRecord, Millis, Step},
};

/// A follower that has come.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Which of those that ever came.
    pub(super) id: u64,
    pub(super) position: Position,
    pub(super) claims: Vec<LeaseRecord>,
    pub(super) downs: Downs,
}

/// A node that is about to lead.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) term: Term,
    arrived: BTreeMap<NodeId, Arrival>,
    /// The copy of a follower that was asked for it.
    came: Option<(NodeId, Result<Replica, NoTable>)>,
}

/// A node that leads.
#[derive(Debug)]
pub(super) struct Leading {
    term: Term,
    followers: BTreeMap<NodeId, (u64, Downs)>,
    /// The time of the table, which goes on from where it was when this leadership began.
    clock: TableClock,
}

impl Leading {
    /// The time of the table.
    pub(super) fn now(&mut self) -> Millis {
        self.clock.now(Instant::now())
    }
}

/// The node does not lead under this term.
#[derive(Debug)]
pub(super) struct NotLeading;

impl State {
    /// Is about to lead.
    pub(super) fn gather(&mut self, term: Term) {
        self.part = Part::Gathering(Box::new(Gathering {
            term,
            arrived: BTreeMap::new(),
            came: None,
        }));
    }

    /// Takes in a follower of this leadership.
    pub(super) fn arrive(&mut self, node: NodeId, term: Term, arrival: Arrival) -> Result<(), NotLeading> {
        match &mut self.part {
            Part::Gathering(gathering) if gathering.term == term => {
                gathering.arrived.insert(node, arrival);
                Ok(())
            }
            Part::Leading(leading) if leading.term == term => {
                let is_new = !self.replica.includes(arrival.position);
                if is_new {
                    self.put_in(node, &arrival.claims, true);
                }
                self.welcome(node, arrival);
                self.settle();
                Ok(())
            }
            _ => Err(NotLeading),
        }
    }

    /// A follower is gone, unless it has come again meanwhile.
    pub(super) fn gone(&mut self, node: NodeId, id: u64) {
        match &mut self.part {
            Part::Gathering(gathering) => {
                if gathering.arrived.get(&node).is_some_and(|arrival| arrival.id == id) {
                    gathering.arrived.remove(&node);
                }
            }
            Part::Leading(leading) => {
                if leading.followers.get(&node).is_none_or(|(known, _)| *known == id) {
                    leading.followers.remove(&node);
                    self.order(self.own, 0, Order::StreamsLost(node));
                    self.settle();
                }
            }
            Part::Apart | Part::Following(_) => {}
        }
    }

    /// Who follows.
    pub(super) fn followers(&self) -> BTreeSet<NodeId> {
        match &self.part {
            Part::Leading(leading) => leading.followers.keys().copied().collect(),
            _ => BTreeSet::new(),
        }
    }

    /// Ends the stream of a follower, whose peers' streams are counted as lost until it comes again.
    pub(super) fn dismiss(&mut self, node: NodeId) {
        if let Part::Leading(leading) = &mut self.part
            && leading.followers.remove(&node).is_some()
        {
            self.order(self.own, 0, Order::StreamsLost(node));
            self.settle();
        }
    }

    /// Who has come while this node is about to lead.
    pub(super) fn arrived(&self) -> BTreeSet<NodeId> {
        match &self.part {
            Part::Gathering(gathering) => gathering.arrived.keys().copied().collect(),
            _ => BTreeSet::new(),
        }
    }

    /// The number with which a follower came last.
    #[cfg(test)]
    pub(super) fn last_arrival_of(&self, node: NodeId) -> u64 {
        match &self.part {
            Part::Leading(leading) => leading.followers.get(&node).map_or(0, |(id, _)| *id),
            _ => 0,
        }
    }

    /// The followers that have more than this node has, the newest first.
    pub(super) fn ahead(&self) -> Vec<(NodeId, Downs)> {
        let Part::Gathering(gathering) = &self.part else {
            return Vec::new();
        };
        let own = self.replica.position();
        let ahead = gathering.arrived.iter().filter(|(_, arrival)| arrival.position > own);
        let mut ahead: Vec<_> = ahead
            .map(|(node, arrival)| (arrival.position, *node, arrival.downs.clone()))
            .collect();
        ahead.sort_by_key(|(position, node, _)| std::cmp::Reverse((*position, *node)));
        ahead.into_iter().map(|(_, node, downs)| (node, downs)).collect()
    }

    /// The copy of a follower has come.
    pub(super) fn came(&mut self, node: NodeId, table: Result<Replica, NoTable>) {
        if let Part::Gathering(gathering) = &mut self.part {
            gathering.came = Some((node, table));
        }
    }

    /// The copy that this follower was asked for, if it has come.
    pub(super) fn take_copy(&mut self, of: NodeId) -> Option<Result<Replica, NoTable>> {
        match &mut self.part {
            Part::Gathering(gathering) => gathering
                .came
                .take()
                .filter(|(node, _)| *node == of)
                .map(|(_, table)| table),
            _ => None,
        }
    }

    /// Leads from now on, with its own copy or a newer one. Its peers are told only once all that came hold is in: who is there all the
    /// time is told to nobody as lost. Answers its own copy, if it leads with another one.
    #[must_use]
    pub(super) fn lead(&mut self, newer: Option<Replica>) -> Option<Replica> {
        let Part::Gathering(gathering) = std::mem::replace(&mut self.part, Part::Apart) else {
            return newer;
        };
        let own = self.own;
        let old = newer.map(|newer| self.exchange(newer));
        let own_claims = match &old {
            Some(old) if !self.replica.includes(old.position()) => claims(&old.routes, self.streams.leases()),
            _ => Vec::new(),
        };
        let base = self.replica.position();
        self.begin(gathering.term);
        self.part = Part::Leading(Leading {
            term: gathering.term,
            followers: BTreeMap::new(),
            clock: TableClock::new(self.replica.now(), Instant::now()),
        });
        let all = gathering
            .arrived
            .iter()
            .map(|(node, arrival)| (*node, arrival.position, &arrival.claims));
        for (node, position, claims) in all.chain([(own, base, &own_claims)]) {
            if node != own && self.replica.includes(position) {
                continue;
            }
            // To a copy that its peers know claims only add, so they can be told of each; another one they know when all is in it.
            self.put_in(node, claims, old.is_none());
        }
        if let Some(old) = &old {
            self.tell_differences(&old.routes);
        }
        // Of every node's peers only those still have a stream that their node names from now on, which each does at once.
        let homes: BTreeSet<NodeId> = self.replica.homes().collect();
        for node in homes.into_iter().filter(|node| !gathering.arrived.contains_key(node)) {
            self.order(own, 0, Order::StreamsLost(node));
        }
        for (node, arrival) in gathering.arrived {
            self.welcome(node, arrival);
        }
        self.is_ready();
        old
    }

    /// Puts in what a node's peers hold and the table has not. It is told here one by one, or not at all: of many claims it is too much
    /// to be kept.
    fn put_in(&mut self, node: NodeId, claims: &[LeaseRecord], is_told: bool) {
        for claim in claims {
            for order in missing(&self.replica.routes, claim) {
                if let Some((_, step)) = self.enter(node, 0, order)
                    && is_told
                {
                    self.tell(step.effects);
                }
            }
        }
    }

    /// Gives a follower what it has not, and from now on every order.
    fn welcome(&mut self, node: NodeId, arrival: Arrival) {
        let Part::Leading(leading) = &mut self.part else {
            return;
        };
        let Arrival {
            id, position, downs, ..
        } = arrival;
        let first = match self.log.after(position) {
            Some(missed) => missed.into_iter().map(Down::from).collect(),
            None => vec![Down::Table(self.replica.parts())],
        };
        // There is room for this: more orders than a queue holds are not kept.
        let is_taken = first.into_iter().chain([Down::Ready]).all(|down| downs.say(down));
        if is_taken {
            leading.followers.insert(node, (id, downs));
            // It names those of its peers that are still there.
            self.order(self.own, 0, Order::StreamsLost(node));
        }
    }

    /// Puts an order in its place, and carries it out at this node's copy.
    pub(super) fn enter(&mut self, origin: NodeId, ticket: u64, order: Order) -> Option<(Arc<Entry>, Step<Answer>)> {
        let Part::Leading(leading) = &mut self.part else {
            return None;
        };
        let entry = Arc::new(Entry {
            position: self.replica.position().next(),
            now: leading.now(),
            origin,
            ticket,
            order,
        });
        let step = self.replica.apply(&entry).ok()?;
        self.log.push(Made::Entry(Arc::clone(&entry)));
        // Whoever cannot take it comes again.
        leading
            .followers
            .retain(|_, (_, downs)| downs.say(Down::Entry(Arc::clone(&entry))));
        Some((entry, step))
    }

    /// Lets time pass where something is due.
    pub(super) fn expire(&mut self) {
        let Part::Leading(leading) = &mut self.part else {
            return;
        };
        let now = leading.now();
        if self.replica.routes.next_due().is_some_and(|due| due <= now) {
            self.order(self.own, 0, Order::Call(Command::Expire));
            self.settle();
        }
    }
}
