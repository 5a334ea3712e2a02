//! What a cluster decides once: a log of changes, of which one counts when a majority of the configured nodes has stored it. Pure: time
//! and what others say come in as arguments; what is to be kept, sent and applied comes out as [`Output`]s, to be carried out in their order.
//!
//! **The log** is Raft's (Diego Ongaro and John Ousterhout, *In Search of an Understandable Consensus Algorithm*, USENIX ATC 2014): entries
//! have an index and the term of their leader; one is taken only after the one before it, so two logs that have the same entry have the
//! same up to there; an entry is committed when a majority has it *and* it is of its leader's own term, and with it all before it. A leadership begins
//! with an entry that changes nothing, so that it has one of its own.
//!
//! **Who leads** is not for the log to say: the election chooses the highest id ([`election`](super::election)). So a new leader does what
//! the new primary of Viewstamped Replication does (Barbara Liskov and James Cowling, *Viewstamped Replication Revisited*, MIT-CSAIL-TR-2012-021):
//! it asks all to [`Prepare`](Message::Prepare), who then take nothing of an earlier term and say where their logs end. Of a majority it takes the log
//! that ends highest, by term and then by index, fetches what it lacks, gives up what differs, and only then leads. Every
//! majority has a node in common with the one that has stored a committed entry, so none is lost.
//!
//! **A lost disk** has forgotten what its node has promised and stored. Such a node is no member: nobody counts it until it has caught up, which
//! `recovery` decides. A cluster begins when *all* configured nodes have said that they have nothing, and writes its first entry when all
//! are members: so a majority of lost disks never passes for a new cluster. Then nothing is decided any more until the operator
//! brings back the disks or says [`Input::Force`]; [`Ledger::standing`] tells him.
//!
//! **Another history.** Two nodes have committed the same as far as both have committed anything. Where that is not so, as with a folder of another cluster, the
//! node takes nothing of that leader, and [`Ledger::standing`] says so: what would follow is two sets of accounts under one name.
//!
//! **A proposal** is applied at most once. A node hands it to one leader, under a slot that this leader uses once. When the next leadership has
//! an entry committed and the proposal was not before it, it never comes, and the proposer is told.

mod apply;
mod follower;
mod leader;
pub mod limits;
mod log;
mod message;
mod prepare;
mod proposals;
mod recovery;
mod snapshot;
mod standing;

use std::collections::BTreeSet;

pub use limits::{CHANGE_MAX, Limits};
pub use log::{Entry, Kept, Log, Place, Proposal};
pub use message::{Change, Input, Message, Output, Record, Refusal, Ticket};
pub use standing::Standing;

use self::{
    follower::Following, leader::Leading, prepare::Preparing, proposals::Proposals, recovery::Recovery,
    snapshot::Snapshots,
};
use super::{
    election::Role,
    term::{NodeId, Term},
};
use crate::routes::Millis;

/// One node's part in the ledger.
#[derive(Debug)]
pub struct Ledger {
    me: NodeId,
    others: BTreeSet<NodeId>,
    limits: Limits,
    /// As on disk, or about to be: [`Output::Persist`].
    kept: Kept,
    /// Up to here it is committed, as far as this node knows. Its log has all of that.
    commit: u64,
    /// Up to here it was applied.
    applied: Place,
    /// What the election says.
    role: Role,
    state: State,
    life: u64,
    /// What was promised in this life, and to which life of the leader.
    prepared: Option<(Term, u64)>,
    proposals: Proposals,
    recovery: Recovery,
    snapshots: Snapshots,
    /// The highest term of which the election was told.
    told_seen: Term,
    /// The operator has said that it counts, whatever was lost.
    is_forced: bool,
    /// Whoever leads under this term has committed something else than this node.
    contradicted: Option<Term>,
    outputs: Vec<Output>,
}

#[derive(Debug)]
enum State {
    /// Nobody leads, as far as this node knows.
    Idle,
    Following(Following),
    /// This node is to lead, and is not up to date yet.
    Preparing(Preparing),
    Leading(Leading),
}

impl Ledger {
    /// A node that has just started. `kept` is what [`Output::Persist`] has named in earlier lives, in order; `applied` the place that was kept
    /// with the state. `life` is any random number that no other life of the node has. The first [`Input::Tick`] is due at once.
    pub fn new(
        me: NodeId,
        nodes: impl IntoIterator<Item = NodeId>,
        kept: Kept,
        applied: Place,
        life: u64,
        limits: Limits,
    ) -> Self {
        let mut ledger = Self {
            me,
            others: nodes.into_iter().filter(|node| *node != me).collect(),
            limits,
            kept,
            commit: applied.index,
            applied,
            role: Role::Election,
            state: State::Idle,
            life,
            prepared: None,
            proposals: Proposals::new(life),
            recovery: Recovery::new(life),
            snapshots: Snapshots::default(),
            told_seen: Term::NONE,
            is_forced: false,
            contradicted: None,
            outputs: Vec::new(),
        };
        // The state is older than what the log goes on from: so it was lost, and with it what this node had stored.
        if applied.index < ledger.kept.log.base().index {
            ledger.keep(Record::Forget);
        }
        // It ended after a state was installed, and before the log was.
        if !ledger.kept.log.holds(applied) && ledger.kept.log.base() < applied {
            ledger.keep(Record::Reset(applied));
        }
        ledger.seen(ledger.kept.promised);
        ledger
    }

    /// When the next [`Input::Tick`] is due, if nothing else comes in before.
    pub fn wake_at(&self) -> Millis {
        // What `new` has to say.
        if !self.outputs.is_empty() {
            return Millis(0);
        }
        let state = match &self.state {
            State::Idle => None,
            State::Following(following) => following.wake_at(self.proposals.has_handed(following.term)),
            State::Preparing(preparing) => Some(preparing.wake_at()),
            State::Leading(leading) => leading.wake_at(),
        };
        let others = [state, self.proposals.wake_at(), self.recovery.wake_at()];
        others.into_iter().flatten().min().unwrap_or(Millis(u64::MAX))
    }

    /// Takes one step.
    pub fn handle(&mut self, input: Input, now: Millis) -> Vec<Output> {
        self.handle_all([input], now)
    }

    /// Takes one step with all that has happened since the last one, in its order. What follows from all of it together is said once.
    pub fn handle_all(&mut self, inputs: impl IntoIterator<Item = Input>, now: Millis) -> Vec<Output> {
        for input in inputs {
            self.take(input, now);
        }
        self.tick(now);
        std::mem::take(&mut self.outputs)
    }

    fn take(&mut self, input: Input, now: Millis) {
        match input {
            Input::Tick => {}
            Input::Role(role) => self.role(role, now),
            Input::Message { from, message } if self.others.contains(&from) => self.message(from, message, now),
            Input::Message { .. } => {}
            Input::Propose { ticket, change } => self.propose(ticket, change, now),
            Input::Snapshot { at, state } => self.snapshots.offer(at, state),
            Input::Force => self.force(now),
        }
    }

    fn tick(&mut self, now: Millis) {
        self.expire_proposals(now);
        match &self.state {
            State::Idle => {}
            State::Following(_) => self.hand_over(now),
            State::Preparing(_) => self.prepare_again(now),
            State::Leading(_) => self.replicate(now),
        }
        self.recover(now);
        self.compact();
        self.drop_snapshot();
    }

    fn role(&mut self, role: Role, now: Millis) {
        self.role = role;
        match role {
            Role::Leader(term) if self.own_term() == Some(term) => {}
            Role::Leader(term) => self.prepare(term, now),
            Role::Follower(_) | Role::Election if self.own_term().is_some() => self.state = State::Idle,
            Role::Follower(_) | Role::Election => {}
        }
    }

    fn message(&mut self, from: NodeId, message: Message, now: Millis) {
        match message {
            Message::Ask { nonce } => self.asked(from, nonce),
            Message::Told {
                nonce,
                promised,
                is_member,
                leads,
            } => self.told(from, nonce, promised, is_member, leads),
            Message::Stale { term } => self.is_stale(term),
            Message::Prepare { term, life } => self.asked_to_prepare(from, term, life),
            Message::Begin { term, life } if self.follows(from, term) => self.begin(from, term, life),
            Message::Append {
                term,
                prev,
                entries,
                commit,
                floor,
                taken,
            } if self.follows(from, term) => {
                let told = follower::Told { commit, floor, taken };
                self.appended(from, term, prev, &entries, told, now);
            }
            Message::Part {
                term,
                at,
                offset,
                total,
                bytes,
            } if self.takes_of(from, term) => self.part(from, term, at, offset, total, &bytes, now),
            Message::Fetch { term, after, part } if term == self.kept.promised => {
                self.fetched(from, term, after, part, now);
            }
            Message::Promise {
                term,
                is_member,
                life,
                end,
            } if self.own_term() == Some(term) => {
                let answer = prepare::Answer { is_member, life, end };
                self.promised(from, answer, now);
            }
            Message::Lend { term, prev, entries } if self.own_term() == Some(term) => {
                self.lent(from, term, prev, &entries, now);
            }
            Message::Stored {
                term,
                matched,
                is_member,
                applied,
            } if self.own_term() == Some(term) => self.stored(from, matched, is_member, applied),
            Message::Hand { term, proposals } if self.own_term() == Some(term) => self.handed(from, proposals),
            // Of another leadership, or of nobody who may say it.
            _ => {}
        }
    }

    /// Whether a leader is to be heard. Whose time is over is told so.
    fn follows(&mut self, leader: NodeId, term: Term) -> bool {
        if term.leader() != Some(leader) {
            return false;
        }
        if term < self.kept.promised {
            let term = self.kept.promised;
            self.send(leader, Message::Stale { term });
            return false;
        }
        if term > self.kept.promised {
            self.state = State::Idle;
            self.keep(Record::Promise(term));
            self.seen(term);
        }
        true
    }

    /// The term under which this node leads, or is to.
    fn own_term(&self) -> Option<Term> {
        match &self.state {
            State::Preparing(preparing) => Some(preparing.term),
            State::Leading(leading) => Some(leading.term),
            State::Idle | State::Following(_) => None,
        }
    }

    fn seen(&mut self, term: Term) {
        if term > self.told_seen {
            self.told_seen = term;
            self.outputs.push(Output::Seen(term));
        }
    }

    fn force(&mut self, now: Millis) {
        self.is_forced = true;
        self.become_member();
        self.judge_promises(now);
    }

    fn become_member(&mut self) {
        if !self.kept.is_member {
            self.keep(Record::Member);
        }
    }

    /// How many nodes are more than half of all that are configured.
    fn majority(&self) -> usize {
        self.others.len().div_ceil(2) + 1
    }

    fn keep(&mut self, record: Record) {
        self.kept.take(&record);
        self.outputs.push(Output::Persist(record));
    }

    fn send(&mut self, to: NodeId, message: Message) {
        self.outputs.push(Output::Send { to, message });
    }

    fn send_all(&mut self, message: &Message) {
        for to in &self.others {
            let (to, message) = (*to, message.clone());
            self.outputs.push(Output::Send { to, message });
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
