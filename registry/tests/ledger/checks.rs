//! What must always hold, and what must hold in the end.

use std::collections::{BTreeMap, BTreeSet};

use peerchat_registry::cluster::ledger::{Message, Place, Refusal, limits::PROPOSAL_WAIT};

use crate::{
    node::SimNode,
    simulating::seeds::totals,
    world::{APPLIED_WITHIN, Happening, Who, World},
};

/// What was seen up to now.
#[derive(Debug, Default)]
pub struct Checks {
    /// What was applied at each index, wherever first.
    history: BTreeMap<u64, (Place, u64)>,
    /// Where each change was applied.
    places: BTreeMap<u64, u64>,
    /// Proposals that wait for an answer.
    open: BTreeSet<(Who, u64)>,
    /// Those of which it was said that they are applied.
    answered: BTreeSet<u64>,
    /// Those of which it was said that they never will be.
    refused: BTreeSet<u64>,
    last_change: u64,
}

totals!(
    runs,
    entries,
    proposed,
    applied,
    refused,
    superseded,
    installs,
    lost,
    doubled,
    crashes,
    crashes_while_keeping,
    disks_lost,
    partitions,
    one_way_cuts,
    resignations,
    stalls,
    decided_in_peace,
    undecided_in_peace
);

impl Checks {
    pub fn entries(&self) -> u64 {
        self.history.len() as u64
    }

    /// A change that no other one is like.
    pub fn new_change(&mut self, who: Who) -> u64 {
        self.last_change += 1;
        self.open.insert((who, self.last_change));
        self.last_change
    }
}

impl World {
    /// Never two different changes at one index, never one change at two, none of which it was said that it would not come, and at each
    /// node one after the other, also across its restarts. What is applied has been stored by a majority, of which some may have lost it.
    pub fn check_apply(&mut self, who: Who, at: Place, change: u64) {
        let node = &self.nodes[who];
        assert_eq!(
            at.index,
            node.disk.applied.index + 1,
            "node {} leaves something out",
            node.id
        );
        let first = *self.checks.history.entry(at.index).or_insert((at, change));
        assert_eq!(first, (at, change), "two changes at one index");
        if change > 0 {
            let place = *self.checks.places.entry(change).or_insert(at.index);
            assert_eq!(place, at.index, "change {change} is applied twice");
            assert!(!self.checks.refused.contains(&change), "change {change} was refused");
        }
        let has = |who: &Who| {
            let kept = &self.nodes[*who].disk.kept;
            !kept.is_member || kept.log.base().index >= at.index || kept.log.holds(at)
        };
        let count = (0..self.nodes.len()).filter(has).count();
        assert!(count > self.nodes.len() / 2, "{at:?} is stored by {count} only");
    }

    /// A state is what was applied up to its place.
    pub fn check_install(&self, at: Place, state: &[u64]) {
        assert_eq!(state.len() as u64, at.index);
        for (index, change) in (1..).zip(state) {
            assert_eq!(self.checks.history[&index].1, *change);
        }
    }

    pub fn check_applied(&mut self, who: Who, at: Place, ticket: u64, change: u64) {
        assert_eq!(ticket, change);
        assert!(self.checks.open.remove(&(who, ticket)), "answered twice");
        assert_eq!(self.checks.places.get(&change), Some(&at.index));
        self.checks.answered.insert(change);
        self.totals.applied += 1;
    }

    pub fn check_refused(&mut self, who: Who, ticket: u64, why: Refusal) {
        assert!(self.checks.open.remove(&(who, ticket)), "answered twice");
        if why.is_final() {
            assert!(!self.checks.places.contains_key(&ticket), "{ticket} was applied");
            self.checks.refused.insert(ticket);
        }
    }

    /// What is said is on disk.
    pub fn check_message(&self, who: Who, message: &Message) {
        let kept = &self.nodes[who].disk.kept;
        match message {
            Message::Promise {
                term, is_member, end, ..
            } => {
                assert!(*term <= kept.promised, "{term} is not kept yet");
                assert_eq!((*is_member, *end), (kept.is_member, kept.log.end()));
            }
            Message::Stored {
                term,
                matched,
                is_member,
                ..
            } => {
                assert!(*term <= kept.promised && *matched <= kept.log.end().index);
                assert!(kept.is_member || !is_member);
            }
            Message::Told { promised, .. } => assert!(*promised <= kept.promised),
            _ => {}
        }
    }

    /// A proposal is answered within its time, where the process did not stand still.
    pub fn answer_expected(&mut self, who: Who, life: u64, ticket: u64, applied: bool) {
        // A disk that is slow makes all wait.
        let slack = if self.peace { 50 } else { 4_000 };
        let within = if applied {
            APPLIED_WITHIN
        } else {
            PROPOSAL_WAIT.0 + slack
        };
        let answered = Happening::Answered {
            who,
            life,
            ticket,
            applied,
        };
        self.after(within, answered);
    }

    pub fn check_answered(&mut self, who: Who, life: u64, ticket: u64, applied: bool) {
        let id = self.nodes[who].id;
        let is_open = self.checks.open.contains(&(who, ticket));
        let Some(process) = self.nodes[who].process_of(life) else {
            return;
        };
        let was_stalled = process.was_stalled;
        if applied {
            let is_applied = self.checks.answered.contains(&ticket);
            assert!(is_applied, "not applied at node {id}: {}", self.describe());
        } else if !was_stalled {
            assert!(!is_open, "no answer at node {id}: {}", self.describe());
        }
    }

    /// How all nodes are, for who looks into a failure.
    fn describe(&self) -> String {
        let describe = |node: &SimNode| {
            let end = node.disk.kept.log.end();
            let process = node.process.as_ref().map(|process| {
                let standing = process.ledger.standing();
                format!("{standing} ({:?})", process.election.role())
            });
            let how = process.unwrap_or_else(|| "is down".to_owned());
            let is_member = node.disk.kept.is_member;
            format!(
                "node {} {how}; member {is_member}, promised {}, log {}/{}, applied {}",
                node.id, node.disk.kept.promised, end.term, end.index, node.disk.applied.index
            )
        };
        let nodes: Vec<_> = self.nodes.iter().map(describe).collect();
        format!("{}; {:?}", nodes.join("; "), self.network)
    }

    /// Who is there and reaches a node, and that node.
    fn side_of(&self, who: Who) -> Vec<Who> {
        let all = 0..self.nodes.len();
        let is_there = |other: &Who| self.nodes[*other].process.is_some() && self.network.reaches(who, *other);
        all.filter(is_there).collect()
    }

    /// Whether those who reach a node can decide: a majority of them has forgotten nothing, and the cluster has begun or can begin.
    pub fn can_decide(&self, who: Who) -> bool {
        let side = self.side_of(who);
        let kept = |who: &Who| &self.nodes[*who].disk.kept;
        let members = side.iter().filter(|who| kept(who).is_member).count();
        let has_begun = side
            .iter()
            .any(|who| kept(who).is_member && kept(who).log.end().index > 0);
        let is_all = side.len() == self.nodes.len();
        (members > self.nodes.len() / 2 && has_begun) || (is_all && !has_begun)
    }

    /// All who can talk and decide are equal, and have all that was said to be applied.
    pub fn check_the_end(&self) {
        for who in 0..self.nodes.len() {
            if self.nodes[who].process.is_none() || !self.can_decide(who) {
                continue;
            }
            let node = &self.nodes[who];
            let state: BTreeSet<_> = node.disk.state.iter().copied().collect();
            assert!(
                self.checks.answered.is_subset(&state),
                "node {} lacks what was applied",
                node.id
            );
            assert_eq!(
                node.disk.state.len() as u64,
                self.checks.entries(),
                "node {} is not up to date",
                node.id
            );
            let is_whole = self.side_of(who).len() == self.nodes.len();
            assert!(!is_whole || node.disk.kept.is_member, "node {} is no member", node.id);
        }
    }
}
