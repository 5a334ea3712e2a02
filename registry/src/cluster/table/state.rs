//! All that a node keeps of the table, behind one lock: its copy, its peers' streams, what its peers wait for, and its part in the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use tracing::warn;

use super::{
    claims::claims,
    leading::{Gathering, Leading},
    log::{Log, Step as Made},
    message::Up,
    order::{Entry, Order},
    replica::{OutOfPlace, Replica},
};
use crate::{
    cluster::term::{NodeId, Term},
    engine::streams::Streams,
    routes::{Answer, Command, Effect, LeaseRecord, LeaseToken, Refusal, Routes, Step},
};

/// How many orders of this node's peers wait for their answer. What comes then is refused: try again.
pub(super) const PENDING_MAX: usize = 8_192;

/// How many renewals go into one order: 64 KiB of tokens.
const RENEWALS_PER_ORDER: usize = 4_096;

/// What becomes of an order.
pub(super) type Reply = oneshot::Sender<Result<Answer, Refusal>>;

#[derive(Debug)]
pub(super) struct State {
    pub(super) own: NodeId,
    pub(super) replica: Replica,
    /// The last steps of the copy.
    pub(super) log: Log,
    pub(super) streams: Streams,
    pub(super) part: Part,
    pending: BTreeMap<u64, Pending>,
    last_ticket: u64,
    last_arrival: u64,
    /// Leases to renew with the next second.
    renewals: BTreeSet<LeaseToken>,
    /// Leases whose stream ended because it was read too slowly, which all are to know.
    too_slow: Vec<LeaseToken>,
}

/// What a node is to the table.
#[derive(Debug)]
pub(super) enum Part {
    /// It has no leader, or does not know yet what that one has.
    Apart,
    /// It has all that its leader has.
    Following(mpsc::Sender<Up>),
    /// It is about to lead, and hears what the others have.
    Gathering(Box<Gathering>),
    /// It leads.
    Leading(Leading),
}

impl Part {
    fn leads(&self) -> bool {
        matches!(self, Self::Leading(_))
    }
}

#[derive(Debug)]
struct Pending {
    order: Order,
    reply: Option<Reply>,
    /// It was passed on.
    is_passed_on: bool,
    /// It was passed on twice, so it may have been carried out twice.
    is_again: bool,
}

/// Too many orders wait.
#[derive(Debug)]
pub(super) struct Full;

impl State {
    pub(super) fn new(own: NodeId) -> Self {
        Self {
            own,
            replica: Replica::default(),
            log: Log::default(),
            streams: Streams::default(),
            part: Part::Apart,
            pending: BTreeMap::new(),
            // An order of this node's earlier life must not pass for one of this.
            last_ticket: fastrand::u64(1..u64::MAX / 2),
            last_arrival: 0,
            renewals: BTreeSet::new(),
            too_slow: Vec::new(),
        }
    }

    /// Has something done, now or as soon as there is a leader. Answers the ticket under which it waits.
    pub(super) fn submit(&mut self, order: Order, reply: Option<Reply>) -> Result<u64, Full> {
        let submitted = self.submit_one(order, reply);
        self.settle();
        submitted
    }

    fn submit_one(&mut self, order: Order, reply: Option<Reply>) -> Result<u64, Full> {
        if self.pending.len() >= PENDING_MAX {
            return Err(Full);
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let pending = Pending {
            order,
            reply,
            is_passed_on: false,
            is_again: false,
        };
        self.pending.insert(ticket, pending);
        self.pass_on(ticket);
        Ok(ticket)
    }

    /// A number for a follower that comes.
    pub(super) fn next_arrival(&mut self) -> u64 {
        self.last_arrival += 1;
        self.last_arrival
    }

    /// How many orders wait for their answer.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Forgets an order for which nobody waits any longer.
    pub(super) fn give_up(&mut self, ticket: u64) {
        self.pending.remove(&ticket);
    }

    /// Has a lease renewed with the next second.
    pub(super) fn renew_soon(&mut self, lease: LeaseToken) {
        self.renewals.insert(lease);
    }

    /// Passes on the renewals of a second. Where nobody would take them they wait.
    pub(super) fn pass_on_renewals(&mut self) {
        if matches!(self.part, Part::Following(_) | Part::Leading(_)) {
            let leases = std::mem::take(&mut self.renewals).into_iter().collect();
            self.renew(leases);
        }
    }

    /// Where this node has a leader, or is it: passes on all that waits, and says of all its peers that they are there.
    pub(super) fn is_ready(&mut self) {
        let waiting: Vec<u64> = self.pending.keys().copied().collect();
        for ticket in waiting {
            self.pass_on(ticket);
        }
        self.renewals.clear();
        self.renew(self.streams.leases().collect());
        self.settle();
    }

    fn renew(&mut self, leases: Vec<LeaseToken>) {
        for leases in leases.chunks(RENEWALS_PER_ORDER) {
            if self.submit(Order::RenewMany(leases.to_vec()), None).is_err() {
                // They are renewed again in five seconds, and last fifteen.
                warn!("too many orders wait; renewals are left out");
            }
        }
    }

    fn pass_on(&mut self, ticket: u64) {
        let Some(pending) = self.pending.get_mut(&ticket) else {
            return;
        };
        let order = pending.order.clone();
        if matches!(self.part, Part::Following(_) | Part::Leading(_)) {
            pending.is_again = std::mem::replace(&mut pending.is_passed_on, true);
        }
        match &self.part {
            Part::Apart | Part::Gathering(_) => {}
            Part::Following(ups) => {
                // Where it does not fit it waits for the next leader, or until its caller gives up. What nobody waits for would wait for
                // ever, and a lease ends with its time without it.
                let sent = ups.try_send(Up::Submit { ticket, order });
                if matches!(sent, Err(TrySendError::Full(_))) && pending.reply.is_none() {
                    self.pending.remove(&ticket);
                }
            }
            Part::Leading(_) => self.order(self.own, ticket, order),
        }
    }

    /// Carries out an order that this node has as the leader, for itself or another one.
    pub(super) fn order(&mut self, origin: NodeId, ticket: u64, order: Order) {
        if let Some((entry, step)) = self.enter(origin, ticket, order) {
            self.carry_out(&entry, step);
        }
    }

    /// Carries out the next order of the leader that this node follows.
    pub(super) fn take(&mut self, entry: &Arc<Entry>) -> Result<(), OutOfPlace> {
        let mut step = self.replica.apply(entry)?;
        self.log.push(Made::Entry(Arc::clone(entry)));
        if !matches!(self.part, Part::Following(_)) {
            // It catches up: what was said meanwhile is of no use any more.
            step.effects.retain(|effect| !matches!(effect, Effect::Said { .. }));
        }
        self.carry_out(entry, step);
        self.settle();
        Ok(())
    }

    /// Goes on with another copy, and tells its peers what that makes different. Answers the old one: whoever has the lock does not
    /// take the time to drop it.
    #[must_use]
    pub(super) fn replace(&mut self, replica: Replica) -> Replica {
        let old = self.exchange(replica);
        self.tell_differences(&old.routes);
        self.settle();
        old
    }

    /// Goes on with another copy, which nobody is told of yet.
    pub(super) fn exchange(&mut self, replica: Replica) -> Replica {
        self.log = Log::new(replica.position());
        std::mem::replace(&mut self.replica, replica)
    }

    /// Goes on under another leadership.
    pub(super) fn begin(&mut self, term: Term) {
        if self.replica.begin(term) {
            self.log.push(Made::Began(term));
        }
    }

    /// Tells its peers what they must hear who knew an older table.
    pub(super) fn tell_differences(&mut self, older: &Routes) {
        let leases: Vec<LeaseToken> = self.streams.leases().collect();
        let leads = self.part.leads();
        older.differences(&self.replica.routes, leases, |effect| {
            self.too_slow.extend(tell_one(&mut self.streams, effect, leads));
        });
    }

    /// What its peers hold.
    pub(super) fn claims(&self) -> Vec<LeaseRecord> {
        claims(&self.replica.routes, self.streams.leases())
    }

    pub(super) fn tell(&mut self, effects: Vec<Effect>) {
        let leads = self.part.leads();
        for effect in effects {
            self.too_slow.extend(tell_one(&mut self.streams, effect, leads));
        }
    }

    fn carry_out(&mut self, entry: &Entry, step: Step<Answer>) {
        self.tell(step.effects);
        if entry.origin != self.own {
            return;
        }
        let Some(pending) = self.pending.remove(&entry.ticket) else {
            return;
        };
        if let (Order::Call(Command::LogIn { token, .. }), Ok(_)) = (&entry.order, &step.answer)
            && !self.streams.is_known(*token)
            && !self.streams.is_closed()
        {
            self.streams.begin(*token);
        }
        if let Some(reply) = pending.reply {
            // A caller that has gone needs no answer.
            let _ = reply.send(answer_again(&entry.order, step.answer, pending.is_again));
        }
    }

    /// Lets all know whose streams ended meanwhile.
    pub(super) fn settle(&mut self) {
        while let Some(lease) = self.too_slow.pop() {
            // Where it does not fit, the lease ends with its time.
            let _ = self.submit_one(Order::Call(Command::StreamLost { lease }), None);
        }
    }
}

/// Every node carries out the end of every lease, and the one that leads tells the log: a node that has died tells nothing of its peers.
fn tell_one(streams: &mut Streams, effect: Effect, leads: bool) -> Option<LeaseToken> {
    match effect {
        Effect::Ended { lease, peer, end } if !leads => {
            streams.lease_ended_quietly(lease, &peer, end);
            None
        }
        effect => streams.tell(effect),
    }
}

/// The answer to an order that may have been carried out twice: what is gone is gone, whichever time it went.
fn answer_again(order: &Order, answer: Result<Answer, Refusal>, is_again: bool) -> Result<Answer, Refusal> {
    match (order, answer) {
        (Order::Call(Command::LeaveRoom { .. }), Err(Refusal::NotInRoom(_))) if is_again => Ok(Answer::Left(false)),
        (Order::Call(Command::LogOut { .. }), Err(Refusal::UnknownLease)) if is_again => Ok(Answer::Done),
        (_, answer) => answer,
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
