//! What a peer holds of one conversation, and the rules by which an entry is taken in.
//!
//! An entry is taken when it is the next one of its author and all that its author had seen is there: so what is held is always
//! closed under causes, and the order of taking is a causal order. Every rule that two peers could judge differently depends only
//! on the entry and its causes, so all peers take and refuse the same entries.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    clock::Frontier,
    holdback::{Full, Held, HoldBack},
    limits::{AUTHORS_MAX, FORKED_LAMPORTS_MAX, FORKED_MAX, FORKED_UNKNOWN_MAX, SEEN_MAX},
    refusal::Refusal,
    types::{
        Author, Authority, Body, Conversation, DeviceId, Draft, Entry, EntryId, Heights, Lamport, Seen, Seq, UserName,
        WallTime,
    },
};

/// What is held of one author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorLog {
    /// Whose device it is.
    pub user: UserName,
    /// The Lamport times of its entries, seq 1 first.
    pub lamports: Vec<Lamport>,
    /// The id of its last entry.
    pub head: EntryId,
}

impl AuthorLog {
    /// The highest seq held.
    pub fn height(&self) -> Seq {
        Seq(self.lamports.len() as u64)
    }
}

/// What became of an entry that was offered.
#[derive(Debug, Default)]
pub struct Offered {
    /// What was taken, in causal order: the entry and those that waited for it. Each must be in the log before anything is said
    /// of it.
    pub taken: Vec<Held>,
    /// What was refused.
    pub refused: Vec<(Held, Refusal)>,
    /// There was no room to hold the entry back.
    pub overflow: bool,
    /// It is held already, or another one is that has the same author and seq.
    pub known: Option<Held>,
    /// How many were passed over, that might have been taken. They are lacking like any other.
    pub passed: u64,
}

enum Verdict {
    Next,
    Duplicate,
    Waits(Seen),
    Refused(Refusal),
}

/// The state of one conversation's entries.
#[derive(Debug)]
pub struct Replica {
    conversation: Conversation,
    /// Under whose names it is; none before there is any.
    authority: Option<Authority>,
    authors: BTreeMap<Author, AuthorLog>,
    frontier: Frontier,
    held: HoldBack,
    version: u64,
    /// Authors who contradict themselves: what they wrote after what is held may never come here.
    forked: BTreeSet<Author>,
}

impl Replica {
    /// A conversation of which nothing is held, under an authority; without one nothing can be taken or written.
    pub fn new(conversation: Conversation, authority: Option<Authority>) -> Self {
        Self::load(conversation, authority, BTreeMap::new(), Frontier::default())
    }

    /// A conversation as its log was read back.
    pub fn load(
        conversation: Conversation,
        authority: Option<Authority>,
        authors: BTreeMap<Author, AuthorLog>,
        frontier: Frontier,
    ) -> Self {
        let version = authors.values().map(|log| log.height().0).sum();
        Self {
            conversation,
            authority,
            authors,
            frontier,
            held: HoldBack::default(),
            version,
            forked: BTreeSet::new(),
        }
    }

    /// Under which authority it is from now on, where there was none.
    pub fn belong_to(&mut self, authority: Authority) {
        self.authority.get_or_insert(authority);
    }

    /// The number of entries held.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The highest contiguous seq of an author.
    pub fn height(&self, author: &Author) -> Seq {
        self.authors.get(author).map(AuthorLog::height).unwrap_or_default()
    }

    /// The map author → highest contiguous seq.
    pub fn heights(&self) -> Heights {
        Heights(
            self.authors
                .iter()
                .map(|(author, log)| (*author, log.height()))
                .collect(),
        )
    }

    /// The authors with what is held of them.
    pub fn authors(&self) -> &BTreeMap<Author, AuthorLog> {
        &self.authors
    }

    /// The authors as whom a device has written.
    pub fn authors_of(&self, device: DeviceId) -> impl Iterator<Item = (&Author, &AuthorLog)> {
        let author = |incarnation| Author { device, incarnation };
        self.authors.range(author(0)..=author(u64::MAX))
    }

    /// What is held back.
    pub fn held(&self) -> &HoldBack {
        &self.held
    }

    /// The same, to be changed.
    pub fn held_mut(&mut self) -> &mut HoldBack {
        &mut self.held
    }

    /// The authors who contradict themselves.
    pub fn forked(&self) -> &BTreeSet<Author> {
        &self.forked
    }

    /// An author contradicts himself. What others have seen of his that is not here is waited for no longer: it may not follow from
    /// what is here, and then it never comes. Returns what waited for it, to be offered again; none where this is known, or where there
    /// are [`FORKED_MAX`] such authors, or [`FORKED_UNKNOWN_MAX`] of this device and nothing is held of this one.
    pub fn fork(&mut self, author: Author) -> Option<Vec<Held>> {
        let of_device = self
            .forked
            .iter()
            .filter(|forked| forked.device == author.device)
            .count();
        let is_known = self.authors.contains_key(&author) || of_device < FORKED_UNKNOWN_MAX;
        let news = self.forked.len() < FORKED_MAX && is_known && self.forked.insert(author);
        news.then(|| self.held.release_all_that_name(&author))
    }

    /// Before any entry is offered: the authors who contradict themselves, as they were kept.
    pub fn load_forked(&mut self, forked: BTreeSet<Author>) {
        self.forked = forked;
    }

    /// What those entries name that came from a device and wait though all of that is here: their Lamport times do not follow from it, so
    /// their authors may have been told something else under the same numbers.
    pub fn doubted(&self, from: DeviceId) -> BTreeSet<Seen> {
        let is_next = |held: &&Held| held.entry.seq == self.height(&held.entry.author).next();
        let waiting = self.held.iter().filter(|held| held.from == Some(from)).filter(is_next);
        let causes = waiting.filter(|held| self.missing(&held.entry).is_none());
        causes.flat_map(|held| held.entry.seen.iter().copied()).collect()
    }

    /// Offers an entry that came from wire or disk.
    pub fn offer(&mut self, offered: Held) -> Offered {
        self.offer_within(offered, |_, _| true)
    }

    /// Offers an entry of which only what `may` allows is taken. It is asked for each that could be taken, the entry and those that
    /// waited for it, and told whether the author's device is another author here already.
    pub fn offer_within(&mut self, offered: Held, mut may: impl FnMut(&Held, bool) -> bool) -> Offered {
        let mut result = Offered::default();
        let mut next = vec![offered];
        while let Some(held) = next.pop() {
            match self.judge(&held.entry) {
                Verdict::Duplicate => result.known = Some(held),
                Verdict::Refused(why) => result.refused.push((held, why)),
                Verdict::Waits(cause) => {
                    if let Err(Full) = self.held.hold(held, cause) {
                        result.overflow = true;
                    }
                }
                Verdict::Next if !may(&held, self.is_another(&held.entry.author)) => result.passed += 1,
                Verdict::Next => {
                    self.take(&held.entry);
                    let mut released = self.held.release(held.entry.author, held.entry.seq);
                    // The stack hands out the first one first.
                    released.reverse();
                    next.append(&mut released);
                    result.taken.push(held);
                }
            }
        }
        result
    }

    /// The entries held that no other held entry implies.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The next entry of `author`, naming what is in `frontier` as seen. It is not taken in before [`Replica::write`] is called.
    pub fn draft(&self, author: Author, user: &UserName, body: Body, sent_at: WallTime, frontier: &Frontier) -> Draft {
        let own = self.authors.get(&author);
        let origin = self.authority.map(Authority::origin);
        let mut seen: Vec<Seen> = frontier.heads().filter(|head| head.author != author).collect();
        if seen.len() > SEEN_MAX {
            seen.sort_by_key(|head| std::cmp::Reverse(self.lamport(head)));
            seen.truncate(SEEN_MAX);
            seen.sort_unstable();
        }
        let seq = own.map(AuthorLog::height).unwrap_or_default().next();
        Draft {
            conversation: self.conversation.clone(),
            author,
            seq,
            user: (seq == Seq::FIRST).then(|| user.clone()),
            previous: own
                .map(|log| log.head)
                .or(origin)
                .expect("nobody writes before there is an authority"),
            lamport: self.lamport_after(author, &seen),
            seen,
            sent_at,
            body,
        }
    }

    /// Takes in an own entry, made from [`Replica::draft`] just now. Returns what waited for it: nothing, unless the disk was
    /// restored from an older copy.
    pub fn write(&mut self, entry: &Entry) {
        self.take(entry);
    }

    fn judge(&self, entry: &Entry) -> Verdict {
        let Draft { author, seq, .. } = entry.draft;
        let log = self.authors.get(&author);
        let height = log.map(AuthorLog::height).unwrap_or_default();
        if seq <= height {
            return match log {
                Some(log) if seq == height && log.head != entry.id => Verdict::Refused(Refusal::Fork {
                    author,
                    seq,
                    held: log.head,
                    found: entry.id,
                }),
                _ => Verdict::Duplicate,
            };
        }
        if seq > height.next() {
            return Verdict::Waits(Seen {
                author,
                seq: Seq(seq.0 - 1),
            });
        }
        if let Some(cause) = self.missing(entry) {
            return Verdict::Waits(cause);
        }
        match self.check_next(entry, log) {
            Ok(()) => Verdict::Next,
            Err(why @ (Refusal::WrongLamport { .. } | Refusal::FarBeyond { .. })) => {
                // It is another entry that its author was shown under this number, perhaps. If so, that is still to come out.
                let mut doubtful = entry.seen.iter().filter(|cause| !self.forked.contains(&cause.author));
                doubtful
                    .next()
                    .map_or(Verdict::Refused(why), |cause| Verdict::Waits(*cause))
            }
            Err(why) => Verdict::Refused(why),
        }
    }

    /// The first cause of an entry that is not here and may come.
    fn missing(&self, entry: &Entry) -> Option<Seen> {
        let waits = |cause: &&Seen| self.height(&cause.author) < cause.seq && !self.forked.contains(&cause.author);
        entry.seen.iter().find(waits).copied()
    }

    /// The rules for an entry whose causes are all there.
    fn check_next(&self, entry: &Entry, log: Option<&AuthorLog>) -> Result<(), Refusal> {
        let Draft { author, seq, .. } = entry.draft;
        self.check_chain(entry, log)?;
        let latest = self.lamport_after(author, &entry.seen);
        let (mut expected, mut is_exact) = (latest, true);
        if entry.seen.iter().any(|cause| self.forked.contains(&cause.author)) {
            // What this author was shown of them may be earlier or later than what is here.
            let others = entry.seen.iter().filter(|cause| !self.forked.contains(&cause.author));
            expected = self.lamport_after(author, others);
            is_exact = false;
        }
        let found = entry.lamport;
        if !is_exact && found.0.saturating_sub(latest.0) > FORKED_LAMPORTS_MAX {
            // He may have been shown several that are late by so much.
            return Err(Refusal::FarBeyond {
                author,
                seq,
                latest,
                found,
            });
        }
        if found < expected || is_exact && found > latest {
            return Err(Refusal::WrongLamport {
                author,
                seq,
                expected,
                found,
            });
        }
        if let Some(user) = &entry.user {
            self.check_author(author, user)?;
        }
        Ok(())
    }

    /// Whether an entry follows from its author's previous one, or begins under the right authority.
    fn check_chain(&self, entry: &Entry, log: Option<&AuthorLog>) -> Result<(), Refusal> {
        let Draft { author, seq, .. } = entry.draft;
        match (log, self.authority) {
            (Some(log), _) if log.head == entry.previous => Ok(()),
            (None, Some(authority)) if authority.origin() == entry.previous => Ok(()),
            (None, Some(expected)) => Err(Refusal::OtherAuthority {
                author,
                expected,
                found: Authority(entry.previous.0),
            }),
            _ => Err(Refusal::BrokenChain { author, seq }),
        }
    }

    fn check_author(&self, author: Author, user: &UserName) -> Result<(), Refusal> {
        if let Conversation::Direct(pair) = &self.conversation
            && !pair.has(user)
        {
            return Err(Refusal::NotInConversation(user.clone()));
        }
        if self.authors.len() >= AUTHORS_MAX {
            return Err(Refusal::TooManyAuthors);
        }
        let device = author.device;
        match self.authors_of(device).next() {
            Some((_, log)) if log.user != *user => Err(Refusal::OtherUser {
                device,
                held: log.user.clone(),
                found: user.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether an author has no entry yet, and his device has as another one.
    fn is_another(&self, author: &Author) -> bool {
        !self.authors.contains_key(author) && self.authors_of(author.device).next().is_some()
    }

    fn take(&mut self, entry: &Entry) {
        let log = self.authors.entry(entry.author).or_insert_with(|| AuthorLog {
            // `user` is there at seq 1: the decoder refuses an entry without.
            user: entry.user.clone().expect("an author's first entry names its user"),
            lamports: Vec::new(),
            head: entry.id,
        });
        log.lamports.push(entry.lamport);
        log.head = entry.id;
        debug_assert_eq!(log.height(), entry.seq, "entries are taken without gaps");
        self.frontier.advance(entry.author, entry.seq, &entry.seen);
        self.version += 1;
    }

    fn lamport(&self, of: &Seen) -> Lamport {
        let log = self.authors.get(&of.author);
        let index = usize::try_from(of.seq.0).unwrap_or(usize::MAX).wrapping_sub(1);
        log.and_then(|log| log.lamports.get(index)).copied().unwrap_or_default()
    }

    fn lamport_after<'a>(&self, author: Author, seen: impl IntoIterator<Item = &'a Seen>) -> Lamport {
        let own = self.authors.get(&author).and_then(|log| log.lamports.last()).copied();
        let greatest = seen
            .into_iter()
            .map(|cause| self.lamport(cause))
            .chain(own)
            .max()
            .unwrap_or_default();
        Lamport(greatest.0.saturating_add(1))
    }
}
