//! Which entries can be proved to be their author's, and which of them third parties can be given.
//!
//! An entry that comes over its author's own link is the author's because of that link, and nobody else can be shown that. What a
//! third party is given is vouched for by a *seal*: the author's signature over an entry, which by the chain of hashes covers all
//! that the author wrote before it. Seals follow their entries, so for a moment the last entries have none; these, and whatever
//! depends on them, wait here until they can be served.
//!
//! No signature is made or judged here: [`Sealing::seal`] is told of seals that are good.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use bytes::Bytes;

use super::{
    Millis,
    clock::Frontier,
    limits::{ANCHOR_EVERY, SEAL_GRACE_MS, UNSERVABLE_MAX},
    types::{Author, DeviceId, Entry, EntryId, Heights, Seen, Seq, UserName},
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

/// Says whose a device is, and that the registry has certified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The device.
    pub device: DeviceId,
    /// Its user.
    pub user: UserName,
    /// The certificate itself. Nothing but `seal` looks into it.
    pub certificate: Bytes,
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
    since: Millis,
}

/// What of a conversation is sealed.
#[derive(Debug, Default)]
pub struct Sealing {
    /// Up to where good seals cover each author's entries.
    sealed: BTreeMap<Author, Seq>,
    /// Up to where seals came that nobody has judged yet.
    claimed: BTreeMap<Author, Seq>,
    /// Good seals that came before what they are of.
    early: BTreeMap<Author, Seal>,
    /// What can be served: sealed, by devices with an introduction, and closed under causes.
    servable: Heights,
    /// The entries of that which no other one of them implies.
    frontier: Frontier,
    /// Authors who are proved to contradict themselves: what they wrote after what is held may never come here.
    excused: BTreeSet<Author>,
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
            sealing.take(entry, Millis::default());
        }
        sealing
    }

    /// An entry was taken. Returns its seal where that came before it and covers more than was covered; otherwise one may follow.
    ///
    /// Of more than [`UNSERVABLE_MAX`] no notice is taken: these are not served before the next start.
    pub fn take(&mut self, entry: &Entry, now: Millis) -> Option<Seal> {
        if self.waiting.len() >= UNSERVABLE_MAX {
            return None;
        }
        let waiting = Waiting {
            author: entry.author,
            seq: entry.seq,
            id: entry.id,
            seen: entry.seen.clone(),
            since: now,
        };
        self.places.insert((entry.author, entry.seq), self.next);
        self.waiting.insert(self.next, waiting);
        self.next += 1;
        let is_here = self.early.get(&entry.author).is_some_and(|seal| seal.seq == entry.seq);
        let seal = is_here.then(|| self.early.remove(&entry.author)).flatten()?;
        self.seal(&seal).then_some(seal)
    }

    /// Whether a seal, which may be good or not, is of something that is held and has none.
    pub fn fits(&self, seal: &Seal) -> Fit {
        match self.waiting_id(&seal.author, seal.seq) {
            _ if seal.seq <= self.sealed(&seal.author) => Fit::Old,
            None => Fit::Old,
            Some(held) if held != seal.id => Fit::Other(held),
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
    pub fn seal(&mut self, seal: &Seal) -> bool {
        let news = self.fits(seal) == Fit::New;
        if news {
            self.sealed.insert(seal.author, seal.seq);
        }
        news
    }

    /// A good seal of an entry that may not have been taken yet, as it waits for its causes. Returns as [`Sealing::seal`].
    pub fn seal_early(&mut self, seal: Seal, held: Seq) -> bool {
        if seal.seq <= held {
            return self.seal(&seal);
        }
        self.early.insert(seal.author, seal);
        false
    }

    /// What an author wrote after what is held is no longer waited for.
    pub fn excuse(&mut self, author: Author) {
        self.excused.insert(author);
    }

    /// Whether that is so.
    pub fn is_excused(&self, author: &Author) -> bool {
        self.excused.contains(author)
    }

    /// The authors of whom it is.
    pub fn excused(&self) -> &BTreeSet<Author> {
        &self.excused
    }

    /// Goes on as far as seals, introductions and causes allow. Returns whether there is more to serve than before.
    pub fn advance(&mut self, introduced: impl Fn(&DeviceId) -> bool) -> bool {
        let Self {
            sealed,
            servable,
            frontier,
            waiting,
            places,
            excused,
            ..
        } = self;
        let before = waiting.len();
        // Log order is causal order, so one walk finds all.
        waiting.retain(|_, entry| {
            let covered = sealed.get(&entry.author).is_some_and(|seq| *seq >= entry.seq);
            if !covered || !introduced(&entry.author.device) || !follows(servable, excused, entry) {
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
    pub fn servable_for(&self, reader: &DeviceId, introduced: impl Fn(&DeviceId) -> bool) -> Heights {
        let mut servable = self.servable.clone();
        if self.waiting.values().all(|entry| entry.author.device != *reader) {
            return servable;
        }
        for entry in self.waiting.values() {
            let device = &entry.author.device;
            let known = introduced(device) && self.sealed(&entry.author) >= entry.seq;
            if (known || device == reader) && follows(&servable, &self.excused, entry) {
                servable.0.insert(entry.author, entry.seq);
            }
        }
        servable
    }

    /// The authors of whom something has no seal; some more than once.
    pub fn unsealed(&self) -> impl Iterator<Item = &Author> {
        let waiting = self.waiting.values();
        let unsealed = waiting.filter(|entry| self.sealed(&entry.author) < entry.seq);
        unsealed.map(|entry| &entry.author)
    }

    /// Whether something of a device has no seal.
    pub fn lacks_seals_of(&self, device: &DeviceId) -> bool {
        self.unsealed().any(|author| author.device == *device)
    }

    /// Whether everything can be served.
    pub fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether something has had no seal for so long that none may ever come.
    pub fn is_overdue(&self, now: Millis) -> bool {
        let oldest = self.waiting.first_key_value();
        oldest.is_some_and(|(_, entry)| now.since(entry.since) > SEAL_GRACE_MS)
    }

    /// Whether something of an author has.
    pub fn is_author_overdue(&self, author: &Author, now: Millis) -> bool {
        let mut overdue = self
            .waiting
            .values()
            .filter(|entry| now.since(entry.since) > SEAL_GRACE_MS);
        overdue.any(|entry| entry.author == *author)
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

fn follows(servable: &Heights, excused: &BTreeSet<Author>, entry: &Waiting) -> bool {
    let is_there = |cause: &Seen| servable.of(&cause.author) >= cause.seq || excused.contains(&cause.author);
    servable.of(&entry.author).next() == entry.seq && entry.seen.iter().all(is_there)
}

#[cfg(test)]
mod tests;
