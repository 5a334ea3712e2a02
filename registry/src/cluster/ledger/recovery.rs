//! A node whose disk was lost becomes a member again.
//!
//! It may have promised something to a leader, or have told one that it has stored something, and that may still count there. So it
//! asks all others what they have promised, and waits until it follows a leader of a term that none of them has promised to leave behind, and has
//! all that this leader had when it was asked. Whoever was promised anything in an earlier life has promised it himself before, so *all* must answer:
//! a majority of them would do only as long as nothing that was said in the earlier life is still under way (Ellis Michael and others,
//! *Recovering Shared Objects Without Stable Storage*, DISC 2017). Of those who answer a majority of all nodes must be members. A node that
//! has lost its disk too may answer: what it was promised has gone with its process.

use std::collections::BTreeMap;

use super::{Ledger, Message, NodeId, State, Term, limits::RETRY};
use crate::routes::Millis;

#[derive(Debug)]
pub(super) struct Recovery {
    /// Which question it is. The first one of a life is random.
    nonce: u64,
    /// The leadership that is followed, and about which was asked.
    term: Term,
    /// Who has answered, and whether he is a member.
    answers: BTreeMap<NodeId, bool>,
    /// Where the leader's log ended.
    target: Option<u64>,
    ask_at: Option<Millis>,
}

impl Recovery {
    pub(super) fn new(life: u64) -> Self {
        Self {
            nonce: life,
            term: Term::NONE,
            answers: BTreeMap::new(),
            target: None,
            ask_at: None,
        }
    }

    pub(super) fn wake_at(&self) -> Option<Millis> {
        self.ask_at
    }
}

impl Ledger {
    pub(super) fn recover(&mut self, now: Millis) {
        let following = match &self.state {
            State::Following(following) if !self.kept.is_member => (following.term, following.matched),
            _ => {
                self.recovery.ask_at = None;
                return;
            }
        };
        let (term, matched) = following;
        let majority = self.majority();
        let recovery = &mut self.recovery;
        if recovery.term != term {
            recovery.term = term;
            recovery.nonce = recovery.nonce.wrapping_add(1);
            recovery.answers.clear();
            recovery.target = None;
            recovery.ask_at = None;
        }
        let members = recovery.answers.values().filter(|is_member| **is_member).count();
        let is_caught_up = recovery.target.is_some_and(|target| matched >= target);
        if recovery.answers.len() == self.others.len() && members >= majority && is_caught_up {
            recovery.ask_at = None;
            return self.become_member();
        }
        if recovery.ask_at.is_none_or(|at| now >= at) {
            recovery.ask_at = Some(now + RETRY);
            let nonce = recovery.nonce;
            // A member's word is for ever, and another's may get better.
            let silent = self
                .others
                .iter()
                .filter(|node| recovery.answers.get(node) != Some(&true));
            for to in silent.copied().collect::<Vec<_>>() {
                self.send(to, Message::Ask { nonce });
            }
        }
    }

    pub(super) fn asked(&mut self, from: NodeId, nonce: u64) {
        let leads = match &self.state {
            State::Leading(leading) => Some((leading.term, self.kept.log.end().index)),
            _ => None,
        };
        let message = Message::Told {
            nonce,
            promised: self.kept.promised,
            is_member: self.kept.is_member,
            leads,
        };
        self.send(from, message);
    }

    pub(super) fn told(
        &mut self,
        from: NodeId,
        nonce: u64,
        promised: Term,
        is_member: bool,
        leads: Option<(Term, u64)>,
    ) {
        let recovery = &mut self.recovery;
        if nonce != recovery.nonce || promised > recovery.term {
            return;
        }
        if recovery.term.leader() == Some(from) {
            let Some((_, end)) = leads.filter(|(term, _)| *term == recovery.term) else {
                return;
            };
            recovery.target.get_or_insert(end);
        }
        *recovery.answers.entry(from).or_default() |= is_member;
    }
}
