//! The log of one node, and all that it keeps on disk.

use super::{
    super::term::{NodeId, Term},
    Change, Record, Ticket,
};

/// Where an entry is. Of two logs the one that ends at the higher place knows more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Under which leadership it was put there.
    pub term: Term,
    /// Its number; the first is 1.
    pub index: u64,
}

/// An entry. Two with the same place are the same, and so is all that comes before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub place: Place,
    /// What it is; nothing at the beginning of a leadership.
    pub proposal: Option<Proposal>,
}

/// A change, and who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The node where it was proposed.
    pub node: NodeId,
    /// In which of its lives: a random number.
    pub life: u64,
    /// How it is called there.
    pub ticket: Ticket,
    /// The change.
    pub change: Change,
}

/// The entries that a node has, without a gap, after those that are no longer kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    base: Place,
    entries: Vec<Entry>,
}

impl Log {
    /// The last entry that is not kept any more.
    pub fn base(&self) -> Place {
        self.base
    }

    /// The last entry.
    pub fn end(&self) -> Place {
        self.entries.last().map_or(self.base, |entry| entry.place)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// None is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The place of the entry with this number; none if it is not there, or not kept.
    pub fn place(&self, index: u64) -> Option<Place> {
        if index == self.base.index {
            return Some(self.base);
        }
        self.get(index).map(|entry| entry.place)
    }

    /// An entry, if it is kept.
    pub fn get(&self, index: u64) -> Option<&Entry> {
        self.entries.get(self.position(index)?)
    }

    /// It has this entry, or had it.
    pub fn holds(&self, place: Place) -> bool {
        self.place(place.index) == Some(place)
    }

    /// What comes after an index, at most so many entries and about so many bytes. At least one, where there is one.
    pub fn after(&self, index: u64, entries: usize, bytes: usize) -> Vec<Entry> {
        let Some(start) = self.position(index.saturating_add(1)) else {
            return Vec::new();
        };
        let mut size = 0;
        let fits = |entry: &&Entry| {
            let begun = size > 0;
            size += 1 + entry.proposal.as_ref().map_or(0, |proposal| proposal.change.len());
            !begun || size <= bytes
        };
        let rest = self.entries.get(start..).unwrap_or_default();
        rest.iter().take(entries).take_while(fits).cloned().collect()
    }

    fn position(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.base.index + 1)?).ok()
    }
}

/// All that a node keeps on disk for its ledger: what was persisted, in order. How it is written is the disk's business.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Nothing of an earlier term is taken any more.
    pub promised: Term,
    /// It has forgotten nothing that it ever said. A new disk has not even that.
    pub is_member: bool,
    /// The log.
    pub log: Log,
}

impl Kept {
    /// Takes a record.
    pub fn take(&mut self, record: &Record) {
        let log = &mut self.log;
        match record {
            Record::Promise(term) => self.promised = *term,
            Record::Member => self.is_member = true,
            Record::Append(entries) => log.entries.extend_from_slice(entries),
            Record::Cut(end) => {
                let kept = log.position(end.saturating_add(1)).unwrap_or(0);
                log.entries.truncate(kept);
            }
            Record::Drop(place) => {
                let dropped = log.position(place.index.saturating_add(1)).unwrap_or(0);
                log.entries.drain(..dropped.min(log.entries.len()));
                log.base = *place;
            }
            Record::Reset(place) => {
                log.entries.clear();
                log.base = *place;
            }
            Record::Forget => {
                self.is_member = false;
                self.log = Log::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(round: u64, index: u64) -> Entry {
        let term = Term::new(round * 100 + 1).unwrap();
        let place = Place { term, index };
        Entry { place, proposal: None }
    }

    fn three() -> Kept {
        let mut kept = Kept::default();
        kept.take(&Record::Append(vec![entry(1, 1), entry(1, 2), entry(2, 3)]));
        kept
    }

    #[test]
    fn a_log_that_was_cut_or_dropped_knows_what_it_has() {
        let mut kept = three();
        assert_eq!(kept.log.end(), entry(2, 3).place);
        kept.take(&Record::Cut(2));
        assert!(kept.log.holds(entry(1, 2).place) && !kept.log.holds(entry(2, 3).place));
        kept.take(&Record::Drop(entry(1, 1).place));
        assert_eq!((kept.log.base(), kept.log.len()), (entry(1, 1).place, 1));
        assert_eq!(kept.log.get(1), None);
        assert_eq!(kept.log.after(1, 9, 9), [entry(1, 2)]);
        assert!(kept.log.after(0, 9, 9).is_empty(), "what is dropped cannot be given");
        kept.take(&Record::Reset(entry(2, 7).place));
        assert!(kept.log.is_empty());
        assert_eq!(kept.log.end(), entry(2, 7).place);
    }

    #[test]
    fn a_batch_has_its_limits_and_is_never_empty() {
        let log = three().log;
        assert_eq!(log.after(0, 2, 9).len(), 2);
        assert_eq!(log.after(0, 9, 0).len(), 1);
        assert!(log.after(3, 9, 9).is_empty());
    }
}
