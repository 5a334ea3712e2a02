//! What must always hold, and what must hold in the end.

use std::collections::BTreeMap;

use peerchat_registry::cluster::{
    election::{Message, Role},
    term::Term,
};

use crate::world::{Who, World};

/// What was seen up to now.
#[derive(Debug, Default)]
pub struct Checks {
    /// Who led under which term, and in which of his lives.
    leaders: BTreeMap<Term, (Who, u32)>,
    /// The last leadership that each node knew, in all of its lives.
    known: BTreeMap<Who, Term>,
    /// When somebody last learned of another leader, or of none.
    pub last_change: u64,
}

impl Checks {
    pub fn leaderships(&self) -> u64 {
        self.leaders.len() as u64
    }
}

impl World {
    /// At most one leader per term, ever: not even the same node after a restart. Nobody goes back to an older leadership, or follows one
    /// that nobody has.
    pub fn check_role(&mut self, who: Who, role: Role) {
        self.checks.last_change = self.now();
        let node = &self.nodes[who];
        if let Role::Leader(term) = role {
            assert_eq!(term.leader(), Some(node.id));
            let led = self.checks.leaders.insert(term, (who, node.life));
            assert_eq!(led, None, "term {term} has two leaders");
        }
        if let Some(term) = role.term() {
            assert!(self.checks.leaders.contains_key(&term), "nobody leads under {term}");
            assert!(term <= node.disk, "{term} is not kept yet");
            let known = self.checks.known.insert(who, term);
            assert!(
                known <= Some(term),
                "node {} goes back from {known:?} to {term}",
                node.id
            );
        }
    }

    /// What is said is on disk, and a leadership is claimed by its leader alone.
    pub fn check_message(&self, who: Who, message: Message) {
        let node = &self.nodes[who];
        let said = match message {
            Message::Election { seen } => seen,
            Message::Answer { seen, leader } => {
                assert!(leader <= seen);
                seen
            }
            Message::Coordinator { term } | Message::Heartbeat { term } | Message::Resign { term } => {
                assert_eq!(self.checks.leaders.get(&term), Some(&(who, node.life)));
                term
            }
        };
        assert!(said <= node.disk, "{said} is not kept yet");
    }

    /// Of all that reach each other the highest leads, and the others follow him.
    pub fn check_agreement(&self) {
        let live = |who: &Who| self.nodes[*who].process.is_some();
        for who in (0..self.nodes.len()).filter(live) {
            let reaches = |other: &Who| self.network.reaches(who, *other);
            let highest = (0..self.nodes.len()).filter(live).filter(reaches).max().unwrap();
            let [role, leaders] = [who, highest].map(|who| self.nodes[who].process.as_ref().unwrap().election.role());
            let Role::Leader(term) = leaders else {
                panic!("node {} does not lead: {leaders:?}", self.nodes[highest].id);
            };
            let expected = if who == highest { leaders } else { Role::Follower(term) };
            assert_eq!(role, expected, "of node {}", self.nodes[who].id);
        }
    }
}
