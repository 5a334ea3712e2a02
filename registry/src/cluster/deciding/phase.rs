//! What comes out of the ledger, cut into parts of which each is one write to each of the disks. Pure.

use std::collections::VecDeque;

use crate::cluster::ledger::{Change, Message, Output, Place, Record, Ticket};

/// The most changes that are made in one transaction.
const APPLIED_MAX: usize = 256;

/// A change that is to be made.
pub(super) type Applied = (Place, Option<Change>, Option<Ticket>);

/// What is to be done, in this order. What is said may be later than it came out: it is as if the network were slower.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Phase {
    /// To be kept, all in one sync.
    pub records: Vec<Record>,
    /// Then to be put in place of all accounts.
    pub install: Option<(Place, Change)>,
    /// Or to be made, all in one transaction.
    pub changes: Vec<Applied>,
    /// Then the rest.
    pub others: Vec<Output>,
}

impl Phase {
    /// Takes as much as can be done at once. Records that came after a change are for the next one: one that says that a change is no longer needed
    /// must not be kept before it was made.
    pub(super) fn take(outputs: &mut VecDeque<Output>) -> Self {
        let mut phase = Self::default();
        while let Some(output) = outputs.pop_front() {
            let has_installed = phase.install.is_some();
            let is_for_the_next = match &output {
                Output::Persist(_) | Output::Install { .. } => has_installed || !phase.changes.is_empty(),
                Output::Apply { .. } => has_installed || phase.changes.len() >= APPLIED_MAX,
                _ => false,
            };
            if is_for_the_next {
                outputs.push_front(output);
                return phase;
            }
            match output {
                Output::Persist(record) => phase.records.push(record),
                Output::Apply { at, change, ticket } => phase.changes.push((at, change, ticket)),
                Output::Install { at, state } => phase.install = Some((at, state)),
                other => phase.say(other),
            }
        }
        phase
    }

    /// Says something, in place of what it makes needless: how far a node is says the last word alone.
    fn say(&mut self, output: Output) {
        if let Output::Send { to, message } = &output
            && let Message::Stored { term, .. } = message
        {
            let is_older = |other: &Output| matches!(other, Output::Send { to: of, message: Message::Stored { term: older, .. } } if of == to && older == term);
            self.others.retain(|other| !is_older(other));
        }
        self.others.push(output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::term::{NodeId, Term};

    fn place(index: u64) -> Place {
        let term = Term::new(103).unwrap();
        Place { term, index }
    }

    fn apply(index: u64) -> Output {
        Output::Apply {
            at: place(index),
            change: None,
            ticket: None,
        }
    }

    fn install(index: u64) -> Output {
        Output::Install {
            at: place(index),
            state: Change::from(*b"state"),
        }
    }

    fn drop_to(index: u64) -> Output {
        Output::Persist(Record::Drop(place(index)))
    }

    fn phases(outputs: Vec<Output>) -> Vec<Phase> {
        let mut outputs = outputs.into();
        let mut phases = Vec::new();
        while !VecDeque::is_empty(&outputs) {
            phases.push(Phase::take(&mut outputs));
        }
        phases
    }

    #[test]
    fn all_of_one_turn_is_one_sync_and_one_transaction() {
        let seen = || Output::Seen(Term::NONE);
        let outputs = vec![drop_to(1), seen(), drop_to(2), apply(3), seen(), apply(4)];
        let phases = phases(outputs);
        assert_eq!(phases.len(), 1);
        assert_eq!((phases[0].records.len(), phases[0].changes.len()), (2, 2));
        assert_eq!(phases[0].others, [seen(), seen()]);
    }

    #[test]
    fn the_last_word_on_how_far_a_node_is_is_enough() {
        let stored = |to: u64, matched| Output::Send {
            to: NodeId::new(to).unwrap(),
            message: Message::Stored {
                term: Term::new(103).unwrap(),
                matched,
                is_member: true,
                applied: 0,
            },
        };
        let phases = phases(vec![stored(1, 1), stored(2, 1), stored(1, 2)]);
        assert_eq!(phases[0].others, [stored(2, 1), stored(1, 2)]);
    }

    #[test]
    fn nothing_is_forgotten_before_it_was_made() {
        let phases = phases(vec![apply(1), drop_to(1), apply(2), install(9), drop_to(9), apply(10)]);
        let sizes = |phase: &Phase| (phase.records.len(), phase.install.is_some(), phase.changes.len());
        let found: Vec<_> = phases.iter().map(sizes).collect();
        assert_eq!(found, [(0, false, 1), (1, false, 1), (0, true, 0), (1, false, 1)]);
    }

    #[test]
    fn a_transaction_has_an_end() {
        let phases = phases((1..=APPLIED_MAX as u64 + 1).map(apply).collect());
        let found: Vec<_> = phases.iter().map(|phase| phase.changes.len()).collect();
        assert_eq!(found, [APPLIED_MAX, 1]);
    }
}
