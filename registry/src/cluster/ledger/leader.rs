//! A leader that is up to date: it puts changes into the log, and everybody else's log becomes the same.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Entry, Ledger, Message, NodeId, Place, Proposal, Record, State, Term,
    limits::{HEARTBEAT, RETRY},
};
use crate::routes::Millis;

#[derive(Debug)]
pub(super) struct Leading {
    pub term: Term,
    pub peers: BTreeMap<NodeId, Peer>,
    /// Those who have said anything under this leadership.
    heard: BTreeSet<NodeId>,
}

/// How far another node is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Up to here it has what the leader has.
    pub matched: u64,
    /// What was not sent to it yet, as far as is known.
    next: u64,
    is_member: bool,
    applied: u64,
    /// The first slot of its proposals that was not taken.
    pub taken: u64,
    told_commit: u64,
    told_taken: u64,
    /// When something must be sent to it.
    due: Millis,
}

impl Leading {
    pub(super) fn wake_at(&self) -> Option<Millis> {
        self.peers.values().map(|peer| peer.due).min()
    }

    /// Up to here all others have applied it.
    pub(super) fn floor(&self) -> u64 {
        self.peers.values().map(|peer| peer.applied).min().unwrap_or(u64::MAX)
    }

    pub(super) fn heard(&self) -> &BTreeSet<NodeId> {
        &self.heard
    }

    /// The others that take part: for people.
    pub(super) fn members(&self) -> usize {
        self.peers.values().filter(|peer| peer.is_member).count()
    }
}

impl Ledger {
    /// This node has all that any majority has stored: now it leads.
    pub(super) fn lead(&mut self, term: Term, now: Millis) {
        let peer = Peer {
            matched: 0,
            next: self.kept.log.end().index + 1,
            is_member: false,
            applied: 0,
            taken: 0,
            told_commit: 0,
            told_taken: 0,
            due: now,
        };
        self.state = State::Leading(Leading {
            term,
            peers: self.others.iter().map(|node| (*node, peer)).collect(),
            heard: self.answerers(),
        });
        self.put(None);
        self.take_own();
        self.count_itself();
        self.try_commit();
    }

    /// A node has said something under this leadership, so it takes nothing of an earlier one.
    pub(super) fn heard(&mut self, from: NodeId) {
        if let State::Leading(leading) = &mut self.state
            && leading.heard.insert(from)
        {
            self.count_itself();
        }
    }

    /// A leader that has lost its disk may have promised something to a later leader. When all others have followed it since, there is none.
    fn count_itself(&mut self) {
        let State::Leading(leading) = &self.state else {
            return;
        };
        if leading.heard.len() == self.others.len() {
            self.become_member();
        }
    }

    /// For how many more entries there is room.
    pub(super) fn room(&self) -> usize {
        let waiting = self.kept.log.end().index.saturating_sub(self.commit);
        usize::try_from(self.limits.uncommitted.saturating_sub(waiting)).unwrap_or(usize::MAX)
    }

    pub(super) fn put(&mut self, proposal: Option<Proposal>) {
        let State::Leading(Leading { term, .. }) = self.state else {
            return;
        };
        let index = self.kept.log.end().index + 1;
        let place = Place { term, index };
        self.keep(Record::Append(vec![Entry { place, proposal }]));
    }

    pub(super) fn stored(&mut self, from: NodeId, matched: u64, is_member: bool, applied: u64) {
        let end = self.kept.log.end().index;
        self.heard(from);
        let State::Leading(leading) = &mut self.state else {
            return;
        };
        let Some(peer) = leading.peers.get_mut(&from) else {
            return;
        };
        peer.matched = peer.matched.max(matched.min(end));
        peer.next = peer.next.max(peer.matched + 1);
        peer.is_member = is_member;
        peer.applied = peer.applied.max(applied);
        self.try_commit();
    }

    /// A node does not have what comes before what it was sent.
    pub(super) fn fetched(&mut self, from: NodeId, term: Term, after: u64, part: Option<(Place, u64)>, now: Millis) {
        let is_kept = self.kept.log.place(after).is_some();
        match &mut self.state {
            State::Leading(leading) if leading.term == term => {
                if let Some(peer) = leading.peers.get_mut(&from) {
                    // It may have lost its disk, and what it had said before.
                    peer.matched = after.min(self.kept.log.end().index);
                    peer.next = peer.matched + 1;
                    peer.due = now;
                }
                self.heard(from);
                if is_kept {
                    self.replicate(now);
                } else {
                    self.send_part(from, term, part);
                }
            }
            State::Idle | State::Following(_) if term.leader() == Some(from) => match self.kept.log.place(after) {
                Some(prev) => {
                    let (batch, bytes) = (self.limits.batch, self.limits.batch_bytes);
                    let entries = self.kept.log.after(after, batch, bytes);
                    self.send(from, Message::Lend { term, prev, entries });
                }
                None => self.send_part(from, term, part),
            },
            _ => {}
        }
    }

    /// Commits what a majority has stored, from the first entry of this leadership on.
    fn try_commit(&mut self) {
        let State::Leading(leading) = &self.state else {
            return;
        };
        let members = leading.peers.values().filter(|peer| peer.is_member);
        let own = self.kept.is_member.then(|| self.kept.log.end().index);
        let mut stored: Vec<_> = members.map(|peer| peer.matched).chain(own).collect();
        stored.sort_unstable_by(|a, b| b.cmp(a));
        let Some(index) = stored.get(self.majority() - 1).copied() else {
            return;
        };
        let is_own = self
            .kept
            .log
            .place(index)
            .is_some_and(|place| place.term == leading.term);
        if index > self.commit && is_own {
            self.commit_to(index);
            self.take_own();
        }
    }

    /// Sends what others lack, and tells them what is new.
    pub(super) fn replicate(&mut self, now: Millis) {
        self.take_own();
        let State::Leading(leading) = &mut self.state else {
            return;
        };
        // Where the cluster is one node, there is nobody to wait for.
        if leading.peers.is_empty() {
            return self.try_commit();
        }
        let (term, floor) = (leading.term, leading.floor().min(self.applied.index));
        let (log, commit, limits) = (&self.kept.log, self.commit, self.limits);
        let mut messages = Vec::new();
        for (to, peer) in &mut leading.peers {
            if now >= peer.due {
                // What was sent last may be lost.
                peer.next = peer.matched + 1;
            }
            loop {
                let is_open = peer.next.saturating_sub(peer.matched) <= limits.window;
                let prev = log.place(peer.next.saturating_sub(1)).filter(|_| is_open);
                let entries =
                    prev.map_or_else(Vec::new, |prev| log.after(prev.index, limits.batch, limits.batch_bytes));
                let has_news = peer.told_commit < commit || peer.told_taken < peer.taken;
                if entries.is_empty() && !has_news && now < peer.due {
                    break;
                }
                peer.next += entries.len() as u64;
                peer.told_commit = commit;
                peer.told_taken = peer.taken;
                let is_behind = peer.matched < log.end().index;
                peer.due = now + if is_behind { RETRY } else { HEARTBEAT };
                let message = Message::Append {
                    term,
                    prev: prev.unwrap_or_else(|| log.end()),
                    entries,
                    commit,
                    floor,
                    taken: peer.taken,
                };
                messages.push((*to, message));
            }
        }
        for (to, message) in messages {
            self.send(to, message);
        }
    }
}
