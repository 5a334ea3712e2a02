//! What was proposed at this node, until it is answered.

use std::collections::BTreeMap;

use super::{
    CHANGE_MAX, Change, Leading, Ledger, Message, NodeId, Output, Proposal, Refusal, Role, State, Term, Ticket,
    limits::{PROPOSAL_WAIT, RETRY},
};
use crate::routes::Millis;

#[derive(Debug)]
pub(super) struct Proposals {
    life: u64,
    pending: BTreeMap<Ticket, Pending>,
}

#[derive(Debug)]
struct Pending {
    change: Change,
    until: Millis,
    /// The leadership that may have it, and the slot that it has there.
    handed: Option<(Term, u64)>,
}

impl Proposals {
    pub(super) fn new(life: u64) -> Self {
        Self {
            life,
            pending: BTreeMap::new(),
        }
    }

    pub(super) fn wake_at(&self) -> Option<Millis> {
        self.pending.values().map(|pending| pending.until).min()
    }

    pub(super) fn has_handed(&self, term: Term) -> bool {
        let mut handed = self.pending.values().filter_map(|pending| pending.handed);
        handed.any(|(to, _)| to == term)
    }

    /// The ticket of a proposal that was applied, if it was made in this life of the node and still waits.
    pub(super) fn applied(&mut self, proposal: &Proposal) -> Option<Ticket> {
        let is_own = proposal.life == self.life;
        let pending = is_own.then(|| self.pending.remove(&proposal.ticket)).flatten();
        pending.map(|_| proposal.ticket)
    }

    fn remove(&mut self, is_over: impl Fn(&Pending) -> bool) -> Vec<Ticket> {
        let over = self.pending.iter().filter(|(_, pending)| is_over(pending));
        let over: Vec<_> = over.map(|(ticket, _)| *ticket).collect();
        for ticket in &over {
            self.pending.remove(ticket);
        }
        over
    }
}

impl Ledger {
    pub(super) fn propose(&mut self, ticket: Ticket, change: Change, now: Millis) {
        let why = if change.len() > CHANGE_MAX {
            Some(Refusal::TooLarge)
        } else {
            (self.proposals.pending.len() >= self.limits.pending).then_some(Refusal::Busy)
        };
        if let Some(why) = why {
            return self.outputs.push(Output::Refused { ticket, why });
        }
        let pending = Pending {
            change,
            until: now + PROPOSAL_WAIT,
            handed: None,
        };
        self.proposals.pending.insert(ticket, pending);
        self.take_own();
    }

    /// A leader puts what was proposed here into its log.
    pub(super) fn take_own(&mut self) {
        let State::Leading(Leading { term, .. }) = self.state else {
            return;
        };
        let (me, life) = (self.me, self.proposals.life);
        let waiting = self.proposals.pending.iter();
        let waiting = waiting.filter(|(_, pending)| pending.handed.is_none());
        let waiting: Vec<_> = waiting.map(|(ticket, _)| *ticket).take(self.room()).collect();
        for ticket in waiting {
            if let Some(pending) = self.proposals.pending.get_mut(&ticket) {
                pending.handed = Some((term, 0));
                let proposal = Proposal {
                    node: me,
                    life,
                    ticket,
                    change: pending.change.clone(),
                };
                self.put(Some(proposal));
            }
        }
    }

    /// A follower hands it to the leader, again and again until that has taken it.
    pub(super) fn hand_over(&mut self, now: Millis) {
        let State::Following(following) = &mut self.state else {
            return;
        };
        if self.role != Role::Follower(following.term) {
            return;
        }
        let term = following.term;
        let mut is_due = now >= following.hand_at;
        for pending in self
            .proposals
            .pending
            .values_mut()
            .filter(|pending| pending.handed.is_none())
        {
            pending.handed = Some((term, following.next_slot));
            following.next_slot += 1;
            is_due = true;
        }
        if !is_due {
            return;
        }
        let (me, life) = (self.me, self.proposals.life);
        let mut handed = BTreeMap::new();
        for (ticket, pending) in &self.proposals.pending {
            let slot = pending
                .handed
                .filter(|(to, slot)| *to == term && *slot >= following.taken);
            if let Some((_, slot)) = slot {
                let proposal = Proposal {
                    node: me,
                    life,
                    ticket: *ticket,
                    change: pending.change.clone(),
                };
                handed.insert(slot, proposal);
            }
        }
        following.hand_at = now + RETRY;
        let mut size = 0;
        let fits = |(_, proposal): &(u64, Proposal)| {
            let begun = size > 0;
            size += 1 + proposal.change.len();
            !begun || size <= self.limits.batch_bytes
        };
        let proposals: Vec<_> = handed.into_iter().take(self.limits.batch).take_while(fits).collect();
        if let Some(leader) = term.leader().filter(|_| !proposals.is_empty()) {
            self.send(leader, Message::Hand { term, proposals });
        }
    }

    /// A leader takes what others hand to it. What it has no room for is handed to it again.
    pub(super) fn handed(&mut self, from: NodeId, proposals: Vec<(u64, Proposal)>) {
        for (slot, proposal) in proposals {
            let has_room = self.room() > 0;
            let State::Leading(leading) = &mut self.state else {
                return;
            };
            let is_good = proposal.node == from && proposal.change.len() <= CHANGE_MAX;
            let Some(peer) = leading.peers.get_mut(&from).filter(|_| is_good) else {
                return;
            };
            // It has that one already.
            if slot < peer.taken {
                continue;
            }
            if !has_room {
                break;
            }
            peer.taken = slot.saturating_add(1);
            self.put(Some(proposal));
        }
    }

    pub(super) fn expire_proposals(&mut self, now: Millis) {
        let is_led = self.role.term().is_some();
        let over = |pending: &Pending| now >= pending.until;
        self.refuse(Refusal::NoMajority, |pending| over(pending) && pending.handed.is_some());
        let why = if is_led { Refusal::NoMajority } else { Refusal::NoLeader };
        self.refuse(why, over);
    }

    /// An entry of this leadership was applied: what earlier ones had and was not applied before it never will be.
    pub(super) fn supersede(&mut self, term: Term) {
        let is_over = |pending: &Pending| pending.handed.is_some_and(|(to, _)| to < term);
        self.refuse(Refusal::Superseded, is_over);
    }

    /// A state was installed: what of it was proposed here is not known.
    pub(super) fn lose_sight(&mut self) {
        self.refuse(Refusal::NoMajority, |pending| pending.handed.is_some());
    }

    fn refuse(&mut self, why: Refusal, is_over: impl Fn(&Pending) -> bool) {
        let over = self.proposals.remove(is_over).into_iter();
        let refused = over.map(|ticket| Output::Refused { ticket, why });
        self.outputs.extend(refused);
    }
}
