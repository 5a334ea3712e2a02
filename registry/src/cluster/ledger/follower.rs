//! A node that follows: its log becomes what the leader's is.

use super::{Entry, Ledger, Message, NodeId, Place, State, Term, limits::RETRY};
use crate::routes::Millis;

#[derive(Debug)]
pub(super) struct Following {
    pub term: Term,
    /// Up to here the log is the leader's.
    pub matched: u64,
    /// Up to here all nodes have applied it.
    pub floor: u64,
    /// The first slot that the leader has not taken.
    pub taken: u64,
    /// The first slot that was given to no proposal.
    pub next_slot: u64,
    /// When proposals that it has not taken are handed to it again.
    pub hand_at: Millis,
    /// When what is missing is asked for again.
    fetch_at: Millis,
}

/// What a leader says beside the entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub commit: u64,
    pub floor: u64,
    pub taken: u64,
}

impl Following {
    pub(super) fn wake_at(&self, has_handed: bool) -> Option<Millis> {
        has_handed.then_some(self.hand_at)
    }
}

impl Ledger {
    /// A new leader wants to know what is here. One whose disk was lost may have led under this term before, and a majority was
    /// promised to it then: so no promise is given twice, but to the same life.
    pub(super) fn asked_to_prepare(&mut self, leader: NodeId, term: Term, life: u64) {
        let is_new = term > self.kept.promised;
        if !self.follows(leader, term) {
            return;
        }
        if is_new {
            self.prepared = Some((term, life));
        }
        if self.prepared == Some((term, life)) {
            self.promise(leader, term);
        } else {
            self.send(leader, Message::Stale { term });
        }
    }

    fn promise(&mut self, leader: NodeId, term: Term) {
        let message = Message::Promise {
            term,
            is_member: self.kept.is_member,
            life: self.life,
            end: self.kept.log.end(),
        };
        self.send(leader, message);
    }

    /// All nodes have said that they have nothing.
    pub(super) fn begin(&mut self, leader: NodeId, term: Term, life: u64) {
        // It may have come late, to a node that had more meanwhile and has lost it.
        if life == self.life && self.kept.log.end().index == 0 {
            self.become_member();
        }
        self.promise(leader, term);
    }

    pub(super) fn appended(
        &mut self,
        leader: NodeId,
        term: Term,
        prev: Place,
        entries: &[Entry],
        told: Told,
        now: Millis,
    ) {
        if !matches!(&self.state, State::Following(following) if following.term == term) {
            self.state = State::Following(Following {
                term,
                matched: 0,
                floor: 0,
                taken: told.taken,
                next_slot: told.taken,
                hand_at: now,
                fetch_at: now,
            });
        }
        let merged = self.merge(term, prev, entries);
        let State::Following(following) = &mut self.state else {
            return;
        };
        following.floor = following.floor.max(told.floor);
        following.taken = following.taken.max(told.taken);
        following.next_slot = following.next_slot.max(told.taken);
        let Some(matched) = merged else {
            // Who asks says that he has the same up to there.
            if now >= following.fetch_at && self.contradicted != Some(term) {
                following.fetch_at = now + RETRY;
                self.ask_for_more(leader, term);
            }
            return;
        };
        following.matched = following.matched.max(matched);
        following.fetch_at = now;
        self.commit_to(told.commit.min(matched));
        self.recover(now);
        let message = Message::Stored {
            term,
            matched,
            is_member: self.kept.is_member,
            applied: self.applied.index,
        };
        self.send(leader, message);
    }

    /// What is committed is the same everywhere, so from there on it is asked for.
    pub(super) fn ask_for_more(&mut self, leader: NodeId, term: Term) {
        let (after, part) = (self.commit, self.snapshots.has(leader));
        self.send(leader, Message::Fetch { term, after, part });
    }
}
