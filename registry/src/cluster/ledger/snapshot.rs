//! The state goes to a node that lacks entries which are kept no longer.

use super::{
    Change, Ledger, Message, NodeId, Output, Place, Record, State, Term,
    limits::{INDEX_MAX, STATE_MAX},
};
use crate::routes::Millis;

#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// The state that is given to others.
    outgoing: Option<(Place, Change)>,
    incoming: Option<Incoming>,
}

/// A state of which some parts have come.
#[derive(Debug)]
struct Incoming {
    from: NodeId,
    at: Place,
    bytes: Vec<u8>,
}

impl Snapshots {
    pub(super) fn offer(&mut self, at: Place, state: Change) {
        self.outgoing = Some((at, state));
    }

    /// How much of a state has come from this node.
    pub(super) fn has(&self, from: NodeId) -> Option<(Place, u64)> {
        let incoming = self.incoming.as_ref().filter(|incoming| incoming.from == from);
        incoming.map(|incoming| (incoming.at, incoming.bytes.len() as u64))
    }
}

impl Ledger {
    pub(super) fn send_part(&mut self, to: NodeId, term: Term, part: Option<(Place, u64)>) {
        let base = self.kept.log.base().index;
        let outgoing = self.snapshots.outgoing.as_ref().filter(|(at, _)| at.index >= base);
        let Some((at, state)) = outgoing else {
            return self.outputs.push(Output::TakeSnapshot);
        };
        let offset = part.filter(|(of, _)| of == at).map_or(0, |(_, offset)| offset);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(state.len());
        let end = start.saturating_add(self.limits.part).min(state.len());
        let message = Message::Part {
            term,
            at: *at,
            offset: start as u64,
            total: state.len() as u64,
            bytes: state[start..end].to_vec(),
        };
        self.send(to, message);
    }

    /// Whether this node takes a state from another one now.
    pub(super) fn takes_of(&self, from: NodeId, term: Term) -> bool {
        match &self.state {
            State::Following(following) => following.term == term && term.leader() == Some(from),
            State::Preparing(preparing) => preparing.term == term && preparing.source() == Some(from),
            State::Idle | State::Leading(_) => false,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one message")]
    pub(super) fn part(
        &mut self,
        from: NodeId,
        term: Term,
        at: Place,
        offset: u64,
        total: u64,
        bytes: &[u8],
        now: Millis,
    ) {
        if at.index <= self.applied.index || at.index > INDEX_MAX || total > STATE_MAX {
            return;
        }
        let is_known = |incoming: &Incoming| incoming.from == from && incoming.at == at;
        let mut incoming = match self.snapshots.incoming.take().filter(is_known) {
            Some(incoming) => incoming,
            None => Incoming {
                from,
                at,
                bytes: Vec::new(),
            },
        };
        // What came twice, or too late, or is too much, changes nothing.
        let size = incoming.bytes.len() as u64;
        let is_next = size == offset && size + bytes.len() as u64 <= total;
        if is_next {
            incoming.bytes.extend_from_slice(bytes);
        }
        if incoming.bytes.len() as u64 == total {
            return self.install(from, term, at, incoming.bytes.into(), now);
        }
        self.snapshots.incoming = Some(incoming);
        if is_next && !bytes.is_empty() {
            match &self.state {
                State::Preparing(_) => self.fetch(now),
                _ => self.ask_for_more(from, term),
            }
        }
    }

    fn install(&mut self, from: NodeId, term: Term, at: Place, state: Change, now: Millis) {
        // First the state: a log without it would have a hole.
        self.outputs.push(Output::Install { at, state });
        let follows = self.kept.log.holds(at);
        self.keep(if follows { Record::Drop(at) } else { Record::Reset(at) });
        self.applied = at;
        self.commit = self.commit.max(at.index);
        self.lose_sight();
        match &self.state {
            State::Preparing(_) => self.fetched_up_to(at.index, now),
            _ => self.ask_for_more(from, term),
        }
    }

    /// Frees the state that was given to others, when nobody needs it any more.
    pub(super) fn drop_snapshot(&mut self) {
        let base = self.kept.log.base().index;
        let is_needed = match &self.state {
            State::Leading(leading) => leading.peers.values().any(|peer| peer.matched < base),
            _ => true,
        };
        if !is_needed || self.snapshots.outgoing.as_ref().is_some_and(|(at, _)| at.index < base) {
            self.snapshots.outgoing = None;
        }
    }
}
