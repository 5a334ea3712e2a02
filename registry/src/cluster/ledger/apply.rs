//! What is committed is applied, and then in time forgotten.

use super::{CHANGE_MAX, Entry, Ledger, Output, Place, Record, State, Term};

impl Ledger {
    /// Takes entries into the log, where the one before them is the same. Says up to where the log is then what the sender has; none where
    /// the one before is missing or another, where the sender has another history, or where no honest node would have sent this.
    pub(super) fn merge(&mut self, term: Term, prev: Place, entries: &[Entry]) -> Option<u64> {
        let is_known = prev.index <= self.commit || self.kept.log.holds(prev);
        let mut last = prev;
        let is_gapless = entries.iter().all(|entry| {
            let before = std::mem::replace(&mut last, entry.place);
            Some(entry.place.index) == before.index.checked_add(1) && entry.place.term >= before.term
        });
        let is_long = |entry: &Entry| {
            entry
                .proposal
                .as_ref()
                .is_some_and(|proposal| proposal.change.len() > CHANGE_MAX)
        };
        if !is_known || !is_gapless || last.term > term || entries.iter().any(is_long) {
            return None;
        }
        let is_other = |place: Place| {
            let own = self.kept.log.place(place.index).filter(|_| place.index <= self.commit);
            own.is_some_and(|own| own != place)
        };
        if is_other(prev) || entries.iter().any(|entry| is_other(entry.place)) {
            self.contradicted = Some(term);
            return None;
        }
        let is_new = |entry: &&Entry| entry.place.index > self.commit && !self.kept.log.holds(entry.place);
        if let Some(first) = entries.iter().find(is_new).map(|entry| entry.place.index) {
            if first <= self.kept.log.end().index {
                self.keep(Record::Cut(first - 1));
            }
            let new = entries.iter().filter(|entry| entry.place.index >= first);
            self.keep(Record::Append(new.cloned().collect()));
        }
        Some(last.index.max(self.commit))
    }

    /// Takes note that all up to an index is committed.
    pub(super) fn commit_to(&mut self, index: u64) {
        self.commit = self.commit.max(index.min(self.kept.log.end().index));
        while self.applied.index < self.commit {
            let Some(entry) = self.kept.log.get(self.applied.index + 1).cloned() else {
                return;
            };
            self.applied = entry.place;
            let ticket = entry.proposal.as_ref().and_then(|proposal| {
                let is_own = proposal.node == self.me;
                is_own.then(|| self.proposals.applied(proposal)).flatten()
            });
            self.outputs.push(Output::Apply {
                at: entry.place,
                change: entry.proposal.map(|proposal| proposal.change),
                ticket,
            });
            self.supersede(entry.place.term);
        }
    }

    /// Forgets entries that all have applied, and those of which there are too many.
    pub(super) fn compact(&mut self) {
        let kept = self.kept.log.len();
        let floor = match &self.state {
            State::Following(following) => following.floor,
            State::Leading(leading) => leading.floor().min(self.applied.index),
            State::Idle | State::Preparing(_) => 0,
        };
        let drop_to = if kept > self.limits.kept_max {
            // Not one by one: each time is a write to the disk.
            self.applied
                .index
                .min(self.kept.log.end().index - self.limits.kept as u64)
        } else if kept > self.limits.kept * 2 {
            let newest = self.kept.log.end().index - self.limits.kept as u64;
            floor.min(newest).min(self.applied.index)
        } else {
            return;
        };
        if let Some(place) = self
            .kept
            .log
            .place(drop_to)
            .filter(|place| *place > self.kept.log.base())
        {
            self.keep(Record::Drop(place));
        }
    }
}
