//! Which entries can be proved to be their author's, and which of them third parties can be given.
//!
//! An entry that comes over its author's own link is the author's because of that link, and nobody else can be shown that. What a
//! third party is given is vouched for by a *seal*: the author's signature over an entry, which by the chain of hashes covers all
//! that the author wrote before it. Seals follow their entries, so for a moment the last entries have none; these, and whatever
//! depends on them, wait here until they can be served.
//!
//! No signature is made or judged here: [`Sealing::seal`] is told of seals that are good.

use std::{collections::BTreeMap, fmt};

use super::{
    clock::Frontier,
    limits::{ANCHOR_EVERY, UNSERVABLE_MAX},
    types::{Author, DeviceId, Entry, EntryId, Heights, Seen, Seq},
};

/// An author's word that it wrote an entry, and with it all that the chain of hashes leads to from there.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal {
    /// Who says so.
    pub author: Author,
    /// The number of the entry.
    pub seq: Seq,
    /// Its id.
    pub id: EntryId,
    /// The signature of the author's device. Nothing but `seal` looks into it.
    pub signature: [u8; 64],
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{} {:?}", self.author, self.seq.0, self.id)
    }
}

/// Whether a seal is kept for good, where `before` is the last one before it that is: between them a reader who is given the history
/// must let entries wait.
pub fn is_anchor(before: Seq, seq: Seq) -> bool {
    seq.0.saturating_sub(before.0) >= ANCHOR_EVERY
}

/// What a seal says about what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It covers entries that had no seal.
    New,
    /// It covers nothing new, or entries that are not here.
    Old,
    /// It is of another entry than the one that is held with this seq.
    Other(EntryId),
}

/// An entry that cannot be served yet.
#[derive(Debug)]
struct Waiting {
    author: Author,
    seq: Seq,
    id: EntryId,
    seen: Vec<Seen>,
}

/// What of a conversation is sealed.
#[derive(Debug, Default)]
pub struct Sealing {
    /// Up to where good seals cover each author's entries.
    sealed: BTreeMap<Author, Seq>,
    /// Up to where seals came that nobody has judged yet.
    claimed: BTreeMap<Author, Seq>,
    /// What can be served: sealed, by devices with an introduction, and closed under causes.
    servable: Heights,
    /// The entries of that which no other one of them implies.
    frontier: Frontier,
    /// The others, by their place in the log.
    waiting: BTreeMap<u64, Waiting>,
    places: BTreeMap<(Author, Seq), u64>,
    next: u64,
}

impl Sealing {
    /// The state after a log was read back: up to where each author is sealed, what the log holds before the first entry without a
    /// seal, and the entries from there on.
    pub fn load(sealed: BTreeMap<Author, Seq>, servable: Heights, tail: &[Entry]) -> Self {
        // Which of the last entries imply one another is not known. Naming too many of them says nothing wrong.
        let mut frontier = Frontier::default();
        for (author, seq) in &servable.0 {
            frontier.advance(*author, *seq, &[]);
        }
        let mut sealing = Self {
            sealed,
            servable,
            frontier,
            ..Self::default()
        };
        for entry in tail {
            sealing.take(entry);
        }
        sealing
    }

    /// An entry was taken; its seal may follow.
    ///
    /// Of more than [`UNSERVABLE_MAX`] no notice is taken: these are not served before the next start.
    pub fn take(&mut self, entry: &Entry) {
        if self.waiting.len() >= UNSERVABLE_MAX {
            return;
        }
        let waiting = Waiting {
            author: entry.author,
            seq: entry.seq,
            id: entry.id,
            seen: entry.seen.clone(),
        };
        self.places.insert((entry.author, entry.seq), self.next);
        self.waiting.insert(self.next, waiting);
        self.next += 1;
    }

    /// Whether a seal, which may be good or not, is of something that is held and has none.
    pub fn fits(&self, author: &Author, seq: Seq, id: EntryId) -> Fit {
        let place = self.places.get(&(*author, seq));
        match place.and_then(|place| self.waiting.get(place)) {
            _ if seq <= self.sealed(author) => Fit::Old,
            None => Fit::Old,
            Some(waiting) if waiting.id != id => Fit::Other(waiting.id),
            Some(_) => Fit::New,
        }
    }

    /// The id of an entry that cannot be served yet.
    pub fn waiting_id(&self, author: &Author, seq: Seq) -> Option<EntryId> {
        let place = self.places.get(&(*author, seq))?;
        self.waiting.get(place).map(|waiting| waiting.id)
    }

    /// A seal came over its author's own link. Nobody has judged it yet.
    pub fn claim(&mut self, author: Author, seq: Seq) {
        let claimed = self.claimed.entry(author).or_default();
        *claimed = seq.max(*claimed);
    }

    /// Such a seal was no good.
    pub fn disclaim(&mut self, author: &Author) {
        self.claimed.remove(author);
    }

    /// A good seal covers an author's entries up to this one. Returns whether that is news; then [`Sealing::advance`] tells what it
    /// leads to.
    pub fn seal(&mut self, author: Author, seq: Seq, id: EntryId) -> bool {
        let news = self.fits(&author, seq, id) == Fit::New;
        if news {
            self.sealed.insert(author, seq);
        }
        news
    }

    /// Goes on as far as seals, introductions and causes allow. Returns whether there is more to serve than before.
    pub fn advance(&mut self, introduced: impl Fn(&DeviceId) -> bool) -> bool {
        let Self {
            sealed,
            servable,
            frontier,
            waiting,
            places,
            ..
        } = self;
        let before = waiting.len();
        // Log order is causal order, so one walk finds all.
        waiting.retain(|_, entry| {
            let covered = sealed.get(&entry.author).is_some_and(|seq| *seq >= entry.seq);
            if !covered || !introduced(&entry.author.device) || !follows(servable, entry) {
                return true;
            }
            servable.0.insert(entry.author, entry.seq);
            frontier.advance(entry.author, entry.seq, &entry.seen);
            places.remove(&(entry.author, entry.seq));
            false
        });
        waiting.len() < before
    }

    /// Up to where good seals cover an author's entries.
    pub fn sealed(&self, author: &Author) -> Seq {
        self.sealed.get(author).copied().unwrap_or_default()
    }

    /// What anybody can be given.
    pub fn servable(&self) -> &Heights {
        &self.servable
    }

    /// The entries of that which no other one of them implies.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// What a device can be given: it needs no seal to know what it wrote itself.
    pub fn servable_for(&self, reader: &DeviceId) -> Heights {
        let mut servable = self.servable.clone();
        if self.waiting.values().all(|entry| entry.author.device != *reader) {
            return servable;
        }
        for entry in self.waiting.values() {
            let known = entry.author.device == *reader || self.sealed(&entry.author) >= entry.seq;
            if known && follows(&servable, entry) {
                servable.0.insert(entry.author, entry.seq);
            }
        }
        servable
    }

    /// Whether everything can be served.
    pub fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What need not be pulled, of what is held: of others only what has a seal, since the seal must come too.
    pub fn needed(&self, held: Heights, me: &DeviceId, introduced: impl Fn(&DeviceId) -> bool) -> Heights {
        let mut needed = held;
        for (author, height) in &mut needed.0 {
            if author.device == *me {
                continue;
            }
            let claimed = self.claimed.get(author).copied().unwrap_or_default();
            let covered = claimed.max(self.sealed(author));
            let known = introduced(&author.device);
            *height = if known { covered.min(*height) } else { Seq::default() };
        }
        needed.0.retain(|_, height| *height > Seq::default());
        needed
    }
}

fn follows(servable: &Heights, entry: &Waiting) -> bool {
    servable.of(&entry.author).next() == entry.seq
        && entry.seen.iter().all(|cause| servable.of(&cause.author) >= cause.seq)
}
