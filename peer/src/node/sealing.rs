//! Which entries can be proved to be their author's, and which of them third parties can be given.
//!
//! An entry that comes over its author's own link is the author's because of that link, and nobody else can be shown that. What a
//! third party is given is vouched for by a *seal*: the author's signature over an entry, which by the chain of hashes covers all
//! that the author wrote before it. Seals follow their entries, so for a moment the last entries have none; these, and whatever
//! depends on them, wait here until they can be served.
//!
//! No signature is made or judged here: [`Sealing::seal`] is told of seals that are good.

mod asked;
mod lane;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::RangeInclusive,
};

use bytes::Bytes;

pub use self::lane::Span;
use self::lane::{Lane, Waiting};
use super::{
    Millis,
    clock::Frontier,
    limits::{
        ANCHOR_EVERY, SEAL_EVERY, SEAL_SPAN_BYTES_MAX, SEAL_SPAN_MAX, UNSEALED_LIVE_BYTES_MAX, UNSEALED_LIVE_MAX,
        UNSERVABLE_BYTES_MAX, UNSERVABLE_MAX,
    },
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

/// Whether a seal is kept for good, where `before` and `after` are those next to it that are: between them a reader who is given the
/// history must let entries wait.
pub fn is_anchor(before: Seq, seq: Seq, after: Seq) -> bool {
    seq.0.saturating_sub(before.0) >= ANCHOR_EVERY || after.0.saturating_sub(before.0) > SEAL_EVERY
}

/// Which of an author's seals are passed on and judged where many come at once: of those with the same number here the last. So they
/// are few, and still what one covers alone is never much more than [`SEAL_EVERY`].
pub fn stretch(seq: Seq) -> u64 {
    seq.0 / SEAL_EVERY
}

/// Of an author's seals in their order those that a reader needs who holds everything up to `before`: the last one, and of the others
/// so many that none covers more than [`SEAL_EVERY`] alone where there is one in between. Whoever keeps these can be read in turn.
pub fn needed(before: Seq, seals: Vec<Seal>) -> Vec<Seal> {
    let mut before = before;
    let next: Vec<Option<Seq>> = seals.iter().skip(1).map(|seal| Some(seal.seq)).chain([None]).collect();
    let is_needed = |(seal, next): &(Seal, Option<Seq>)| {
        let needed = seal.seq > before && next.is_none_or(|next| next.0 - before.0 > SEAL_EVERY);
        before = if needed { seal.seq } else { before };
        needed
    };
    let found = seals.into_iter().zip(next).filter(is_needed);
    found.map(|(seal, _)| seal).collect()
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
    /// It covers more than a reader may let wait: those between must be there.
    TooFar,
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
    /// Authors who are proved to contradict themselves: what they wrote after what is held may never come here.
    excused: BTreeSet<Author>,
    /// The others.
    waiting: BTreeMap<Author, Lane>,
    /// Authors of whom the first that waits may be served now, as far as is known.
    ready: Vec<Author>,
    /// Cause by cause, the authors of whom the first that waits does so for that.
    blocked: BTreeSet<(Author, Seq, Author)>,
}

impl Sealing {
    /// The state after a log was read back: up to where each author is sealed, and what the log holds before the first entry without
    /// a seal. The entries from there on are to be taken.
    pub fn load(sealed: BTreeMap<Author, Seq>, servable: Heights) -> Self {
        // Which of the last entries imply one another is not known. Naming too many of them says nothing wrong.
        let mut frontier = Frontier::default();
        for (author, seq) in &servable.0 {
            frontier.advance(*author, *seq, &[]);
        }
        Self {
            sealed,
            servable,
            frontier,
            ..Self::default()
        }
    }

    /// An entry was taken. Its seal may follow.
    pub fn take(&mut self, entry: &Entry, now: Millis) {
        let author = entry.author;
        let lane = self.waiting.entry(author).or_default();
        lane.push(entry, now);
        if lane.len() == 1 && self.sealed(&author) >= entry.seq {
            self.ready.push(author);
        }
    }

    /// Whether a further entry of an author that came live or by a pull may be taken, where so much of his was taken of which nothing is
    /// known here yet.
    pub fn has_room(&self, author: &Author, live: bool, more: Span) -> bool {
        let here = self.waiting.get(author).map(Lane::span).unwrap_or_default().and(more);
        let of_device = self.waiting.range(authors_of(&author.device));
        let kept: u64 = of_device.map(|(_, lane)| lane.kept()).sum();
        if here.entries >= UNSERVABLE_MAX as u64 || kept >= UNSERVABLE_BYTES_MAX {
            return false;
        }
        if !live || here.is_below(UNSEALED_LIVE_MAX, UNSEALED_LIVE_BYTES_MAX) {
            return true;
        }
        let lane = self.waiting.get(author);
        let beyond = lane.map(|lane| lane.between(self.covered(author), lane.last()));
        let unsealed = beyond.unwrap_or_default().and(more);
        unsealed.is_below(UNSEALED_LIVE_MAX, UNSEALED_LIVE_BYTES_MAX)
    }

    /// Whether a seal, which may be good or not, is of something that is held and has none.
    pub fn fits(&self, seal: &Seal) -> Fit {
        self.fits_after(seal, self.covered(&seal.author))
    }

    /// The same where an author's entries are covered up to this one.
    fn fits_after(&self, seal: &Seal, covered: Seq) -> Fit {
        let lane = self.waiting.get(&seal.author);
        let held = lane.and_then(|lane| Some((lane, lane.at(seal.seq)?)));
        let Some((lane, held)) = held.filter(|_| seal.seq > self.sealed(&seal.author)) else {
            return Fit::Old;
        };
        let span = lane.between(covered, seal.seq);
        match span.entries <= SEAL_SPAN_MAX && span.bytes <= SEAL_SPAN_BYTES_MAX {
            _ if held.id != seal.id => Fit::Other(held.id),
            true => Fit::New,
            false => Fit::TooFar,
        }
    }

    /// Up to where seals cover an author's entries, whether they were judged or not.
    fn covered(&self, author: &Author) -> Seq {
        let claimed = self.claimed.get(author).copied().unwrap_or_default();
        claimed.max(self.sealed(author))
    }

    /// The id of an entry that cannot be served yet.
    pub fn waiting_id(&self, author: &Author, seq: Seq) -> Option<EntryId> {
        self.waiting.get(author)?.at(seq).map(|waiting| waiting.id)
    }

    /// A seal came over its author's own link. Nobody has judged it yet.
    pub fn claim(&mut self, author: Author, seq: Seq) {
        let claimed = self.claimed.entry(author).or_default();
        *claimed = seq.max(*claimed);
    }

    /// Such a seal was judged. Where a later one was not, that is claimed still.
    pub fn settle(&mut self, author: &Author, seq: Seq) {
        if self.claimed.get(author).is_some_and(|claimed| *claimed <= seq) {
            self.claimed.remove(author);
        }
    }

    /// A good seal covers an author's entries up to this one. Returns whether that is news; then [`Sealing::advance`] tells what it
    /// leads to.
    pub fn seal(&mut self, seal: &Seal) -> bool {
        let news = self.fits_after(seal, self.sealed(&seal.author)) == Fit::New;
        if news {
            self.sealed.insert(seal.author, seal.seq);
            self.ready.push(seal.author);
        }
        news
    }

    /// What an author wrote after what is held is no longer waited for.
    pub fn excuse(&mut self, author: Author) {
        self.excused.insert(author);
        self.wake(author, Seq(u64::MAX));
    }

    /// There is an introduction of a device.
    pub fn introduced(&mut self, device: &DeviceId) {
        let authors = self.waiting.range(authors_of(device)).map(|(author, _)| *author);
        self.ready.extend(authors);
    }

    /// Those who wait for an author's entries up to this one may go on.
    fn wake(&mut self, author: Author, upto: Seq) {
        let first = (author, Seq::default(), FIRST_AUTHOR);
        while let Some(next) = self.blocked.range(first..).next().copied()
            && next.0 == author
            && next.1 <= upto
        {
            self.blocked.remove(&next);
            self.ready.push(next.2);
        }
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
        let mut more = false;
        while let Some(author) = self.ready.pop() {
            // Otherwise it comes again with the introduction.
            if introduced(&author.device) && self.go_on(author) {
                more = true;
                self.wake(author, self.servable.of(&author));
            }
        }
        more
    }

    /// Goes on with what waits of one author.
    fn go_on(&mut self, author: Author) -> bool {
        let sealed = self.sealed(&author);
        let Some(lane) = self.waiting.get_mut(&author) else {
            return false;
        };
        let before = lane.len();
        while let Some(entry) = lane.front().filter(|entry| entry.seq <= sealed) {
            if let Some(cause) = missing(&self.servable, &self.excused, entry).next() {
                self.blocked.insert((cause.author, cause.seq, author));
                break;
            }
            self.servable.0.insert(author, entry.seq);
            self.frontier.advance(author, entry.seq, &entry.seen);
            lane.pop();
        }
        let after = lane.len();
        if after == 0 {
            self.waiting.remove(&author);
        }
        after < before
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
}

/// Less than any other.
const FIRST_AUTHOR: Author = Author {
    device: DeviceId([0; 32]),
    incarnation: 0,
};

fn authors_of(device: &DeviceId) -> RangeInclusive<Author> {
    let author = |incarnation| Author {
        device: *device,
        incarnation,
    };
    author(0)..=author(u64::MAX)
}

/// The causes of an entry that cannot be served.
fn missing<'a>(
    servable: &'a Heights,
    excused: &'a BTreeSet<Author>,
    entry: &'a Waiting,
) -> impl Iterator<Item = &'a Seen> {
    let is_missing = |cause: &&Seen| servable.of(&cause.author) < cause.seq && !excused.contains(&cause.author);
    entry.seen.iter().filter(is_missing)
}

#[cfg(test)]
mod tests;
