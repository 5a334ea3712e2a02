//! A history that comes from a third party, while it is not proved to be its authors'.
//!
//! Its entries wait here until a seal covers them, and are handed out in the order in which they came. Whoever serves a history has no
//! way to change a byte of it: the id of an entry is the hash of its bytes, every entry names its author's previous one, and the
//! seal names the last. Signatures are judged elsewhere: [`Window::claim`] says which are worth it, [`Window::cover`] is told of
//! those that are good.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    contradiction::Contradiction,
    limits::{AUTHORS_MAX, SEAL_SPAN_BYTES_MAX, SEAL_SPAN_MAX, WINDOW_BYTES_MAX, WINDOW_ENTRIES_MAX},
    sealing::{Introduction, Seal},
    types::{Author, Conversation, DeviceId, Entry, EntryError, EntryId, Heights, Seq, UserName},
};

/// Why a history cannot be what its authors wrote, or cannot be shown to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHistory {
    /// Something in it breaks a rule by itself.
    #[error("{0}")]
    Malformed(#[from] EntryError),
    /// A part has nothing in it.
    #[error("it has a part without entries")]
    EmptyPart,
    /// An entry is of another conversation.
    #[error("it has entry {} of {} from another conversation", .1.0, .0)]
    Elsewhere(Author, Seq),
    /// An entry does not come next.
    #[error("it has entry {} of {} where another one comes next", .1.0, .0)]
    NotNext(Author, Seq),
    /// An entry does not name the one before it.
    #[error("it has entry {} of {}, which does not follow from the one before it", .1.0, .0)]
    BrokenChain(Author, Seq),
    /// A seal is of no entry that waits for one.
    #[error("it has a seal for entry {} of {}, which is not there", .1.0, .0)]
    StraySeal(Author, Seq),
    /// A seal is not its author's.
    #[error("it has a seal for entry {} of {} that its author did not make", .1.0, .0)]
    FalseSeal(Author, Seq),
    /// An introduction is not the registry's.
    #[error("it introduces a device that the registry did not certify: {0}")]
    FalseIntroduction(String),
    /// It claims that an author contradicts himself.
    #[error("it claims without proof that {0} contradicts himself")]
    FalseContradiction(Author),
    /// Nothing says whose device an author is.
    #[error("it does not introduce device {0}")]
    NotIntroduced(DeviceId),
    /// A device writes under another user's name.
    #[error("device {device} writes as {found}, but it is {certified}'s")]
    OtherUser {
        /// The device.
        device: DeviceId,
        /// Whose it is.
        certified: UserName,
        /// Whose it says it is.
        found: UserName,
    },
    /// Too much came without a seal.
    #[error("it has {entries} entries in a row that no seal covers")]
    TooLong {
        /// How many.
        entries: usize,
    },
    /// It ended before a seal.
    #[error("its last {entries} entries have no seal")]
    Uncovered {
        /// How many.
        entries: usize,
    },
}

/// What of a history is proved to be its authors'.
#[derive(Debug, Default, Clone)]
pub struct Pulled {
    /// Entries in the order in which they came.
    pub entries: Vec<Arc<Entry>>,
    /// Good seals of these and of earlier ones.
    pub seals: Vec<Seal>,
    /// Good introductions of those who made the seals.
    pub introductions: Vec<Introduction>,
    /// Good proofs that authors contradict themselves.
    pub contradictions: Vec<Arc<Contradiction>>,
    /// How many bytes of such proofs have come, whole or not.
    pub proof_bytes: usize,
}

impl Pulled {
    /// Nothing came that says anything yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.introductions.is_empty()
            && self.proof_bytes == 0
            && self.contradictions.is_empty()
    }
}

/// Why a pull has ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullFailure {
    /// The other side cannot be reached any more, or says no.
    Broken(String),
    /// What it serves cannot be genuine, or cannot be shown to be.
    Bad(BadHistory),
}

/// What has come of one author.
#[derive(Debug)]
struct Chain {
    /// The last entry that came, if any did.
    head: Option<EntryId>,
    height: Seq,
    /// Up to here seals cover the entries.
    covered: Seq,
    /// Up to here they were handed out.
    released: Seq,
    /// The ids of those that came and are not covered, each with the bytes of all that came up to it.
    ids: VecDeque<(EntryId, u64)>,
    /// The bytes of all that came, and of those that are covered.
    bytes: u64,
    covered_bytes: u64,
    /// Whom its first entry names, if that came.
    named: Option<UserName>,
}

/// The part of a history that waits for seals.
#[derive(Debug)]
pub struct Window {
    conversation: Conversation,
    have: Heights,
    chains: BTreeMap<Author, Chain>,
    introduced: BTreeMap<DeviceId, UserName>,
    waiting: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// Good seals of which the entries still wait for those of others before them.
    seals: Vec<Seal>,
}

impl Window {
    /// A window on the history of a conversation beyond what is held.
    pub fn new(conversation: Conversation, have: Heights) -> Self {
        Self {
            conversation,
            have,
            chains: BTreeMap::new(),
            introduced: BTreeMap::new(),
            waiting: VecDeque::new(),
            bytes: 0,
            seals: Vec::new(),
        }
    }

    /// The registry has certified whose a device is.
    ///
    /// # Errors
    /// It has certified another user before.
    pub fn introduce(&mut self, device: DeviceId, user: UserName) -> Result<(), BadHistory> {
        match self.introduced.insert(device, user.clone()) {
            Some(certified) if certified != user => Err(BadHistory::OtherUser {
                device,
                certified,
                found: user,
            }),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// The registry has not certified whose a device is.
    pub fn check_introduced(&self, device: DeviceId) -> Result<(), BadHistory> {
        let introduced = self.introduced.contains_key(&device);
        introduced.then_some(()).ok_or(BadHistory::NotIntroduced(device))
    }

    /// An entry came. Where it is `known` to be its author's without a seal, it covers what comes before it as a seal does.
    ///
    /// # Errors
    /// It cannot come next in a history that begins with what was asked for.
    pub fn add(&mut self, entry: Arc<Entry>, known: bool) -> Result<(), BadHistory> {
        let (author, seq) = (entry.author, entry.seq);
        if entry.conversation != self.conversation {
            return Err(BadHistory::Elsewhere(author, seq));
        }
        let have = self.have.of(&author);
        if !self.chains.contains_key(&author) && self.chains.len() >= AUTHORS_MAX {
            let entries = self.waiting.len();
            return Err(BadHistory::TooLong { entries });
        }
        let chain = self.chains.entry(author).or_insert_with(|| Chain {
            head: None,
            height: have,
            covered: have,
            released: have,
            ids: VecDeque::new(),
            bytes: 0,
            covered_bytes: 0,
            named: None,
        });
        if seq != chain.height.next() {
            return Err(BadHistory::NotNext(author, seq));
        }
        if chain.head.is_some_and(|head| head != entry.previous) {
            return Err(BadHistory::BrokenChain(author, seq));
        }
        chain.head = Some(entry.id);
        chain.height = seq;
        chain.bytes += entry.bytes.len() as u64;
        chain.ids.push_back((entry.id, chain.bytes));
        chain.named = entry.user.clone().or(chain.named.take());
        if known {
            chain.covered = seq;
            chain.covered_bytes = chain.bytes;
            chain.ids.clear();
        }
        self.bytes += entry.bytes.len();
        self.waiting.push_back(entry);
        Ok(())
    }

    /// Whether a seal, if it is good, covers something that nothing else covers.
    ///
    /// # Errors
    /// It is of nothing that came, or nobody has said whose device its author is, or that device writes under another name.
    pub fn claim(&self, seal: &Seal) -> Result<bool, BadHistory> {
        let (author, seq) = (seal.author, seal.seq);
        let stray = BadHistory::StraySeal(author, seq);
        let Some(chain) = self.chains.get(&author) else {
            return Err(stray);
        };
        if seq <= chain.covered {
            return Ok(false);
        }
        let place = seq.0.checked_sub(chain.covered.0 + 1);
        let place = place.and_then(|place| usize::try_from(place).ok());
        let Some((_, bytes)) = place
            .and_then(|place| chain.ids.get(place))
            .filter(|(id, _)| *id == seal.id)
        else {
            return Err(stray);
        };
        let entries = seq.0 - chain.covered.0;
        if entries > SEAL_SPAN_MAX || bytes - chain.covered_bytes > SEAL_SPAN_BYTES_MAX {
            let entries = usize::try_from(entries).unwrap_or(usize::MAX);
            return Err(BadHistory::TooLong { entries });
        }
        let device = author.device;
        let Some(certified) = self.introduced.get(&device) else {
            return Err(BadHistory::NotIntroduced(device));
        };
        match &chain.named {
            Some(found) if found != certified => Err(BadHistory::OtherUser {
                device,
                certified: certified.clone(),
                found: found.clone(),
            }),
            _ => Ok(true),
        }
    }

    /// Up to where an author's entries are held or covered.
    pub fn covered(&self, author: &Author) -> Seq {
        let chain = self.chains.get(author);
        chain.map_or(self.have.of(author), |chain| chain.covered)
    }

    /// A seal that [`Window::claim`] has let pass is good.
    pub fn cover(&mut self, seal: Seal) {
        if let Some(chain) = self.chains.get_mut(&seal.author) {
            let news = seal.seq.0.saturating_sub(chain.covered.0);
            let news = usize::try_from(news).unwrap_or(usize::MAX).min(chain.ids.len());
            if let Some((_, bytes)) = chain.ids.drain(..news).next_back() {
                chain.covered_bytes = bytes;
            }
            chain.covered = seal.seq.max(chain.covered);
            self.seals.push(seal);
        }
    }

    /// Hands out what is covered, up to the first entry that is not, with the seals that cover no more than that.
    ///
    /// # Errors
    /// More waits than may.
    pub fn release(&mut self) -> Result<(Vec<Arc<Entry>>, Vec<Seal>), BadHistory> {
        let mut entries = Vec::new();
        while let Some(entry) = self.waiting.front() {
            let chain = self.chains.get_mut(&entry.author);
            let Some(chain) = chain.filter(|chain| entry.seq <= chain.covered) else {
                break;
            };
            chain.released = entry.seq;
            self.bytes -= entry.bytes.len();
            entries.extend(self.waiting.pop_front());
        }
        if self.waiting.len() > WINDOW_ENTRIES_MAX || self.bytes > WINDOW_BYTES_MAX {
            let entries = self.waiting.len();
            return Err(BadHistory::TooLong { entries });
        }
        let chains = &self.chains;
        let is_out = |seal: &Seal| chains.get(&seal.author).is_some_and(|chain| chain.released >= seal.seq);
        let (out, stay) = std::mem::take(&mut self.seals).into_iter().partition(is_out);
        self.seals = stay;
        Ok((entries, out))
    }

    /// The history has ended, as its server says in order.
    ///
    /// # Errors
    /// Something is left that no seal covers.
    pub fn finish(&self) -> Result<(), BadHistory> {
        match self.waiting.len() {
            0 => Ok(()),
            entries => Err(BadHistory::Uncovered { entries }),
        }
    }
}
