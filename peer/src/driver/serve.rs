//! What other peers are given of the logs: what is proved to them, and the proofs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use bytes::Bytes;

use super::{core::Core, ports::ServeError};
use crate::{
    log::{Disk, History, Log, LogError},
    node::{
        contradiction::Contradiction,
        limits::{BATCH_ENTRIES_MAX, PART_BYTES_MAX},
        sealing::{Seal, needed},
        types::{Author, Conversation, DeviceId, Entry, Heights, Reader, Seq},
    },
};

/// A history that is being given to another peer.
#[derive(Debug)]
pub struct Serving {
    reader: DeviceId,
    history: History,
    /// Of each author the seal that was given last.
    sealed: BTreeMap<Author, Seq>,
    /// The seals up to which each author is being given. They are kept here, since beside the log later ones may take their places
    /// before they are sent.
    planned: BTreeMap<(Author, Seq), Seal>,
    introduced: BTreeSet<DeviceId>,
    /// Authors whose contradictions are to be proved first.
    contradicting: BTreeSet<Author>,
    /// Such a proof, and how many of its entries were given.
    proof: Option<(Arc<Contradiction>, usize)>,
}

/// A part of it; at its end there is nothing in it.
#[derive(Debug, Default)]
pub struct ServedPart {
    /// Encoded entries.
    pub entries: Vec<Bytes>,
    /// Seals of these and of earlier ones.
    pub seals: Vec<Seal>,
    /// The certificates of those who made the seals.
    pub introductions: Vec<Bytes>,
    /// Pieces of proofs that authors contradict themselves.
    pub contradictions: Vec<Contradiction>,
}

/// The proofs that are being given, each in memory once: one may be as long as all that a reader lets wait.
#[derive(Debug, Default)]
pub(super) struct ProofsGiven(Mutex<BTreeMap<(Conversation, Author), Weak<Contradiction>>>);

impl ServedPart {
    /// There is no more.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.contradictions.is_empty()
    }
}

impl<D: Disk> Core<D> {
    /// What another peer can be given of a conversation.
    ///
    /// # Errors
    /// He may not read it.
    pub fn serve_version(&self, reader: &Reader, conversation: &Conversation) -> Result<Heights, ServeError> {
        self.may_read(reader, conversation)?;
        Ok(self.node().servable_for(conversation, &reader.device))
    }

    /// Begins to give another peer, who holds `heights`, what he lacks.
    ///
    /// # Errors
    /// He may not read it.
    pub fn serve_history(
        &self,
        reader: &Reader,
        conversation: &Conversation,
        heights: &Heights,
    ) -> Result<Option<Serving>, ServeError> {
        self.may_read(reader, conversation)?;
        let servable = self.node().servable_beyond(conversation, &reader.device, heights);
        let talk = self.node().talks().get(conversation);
        let excused = talk.into_iter().flat_map(|talk| talk.sealing.excused());
        let contradicting = excused.filter(|author| heights.of(author) < Seq(u64::MAX)).copied();
        Ok(self.log(conversation).map(|log| Serving {
            reader: reader.device,
            history: log.history(heights, &servable),
            // Of authors who are here: a reader may name any number.
            sealed: log
                .heights()
                .0
                .into_keys()
                .map(|author| (author, heights.of(&author)))
                .collect(),
            planned: BTreeMap::new(),
            introduced: BTreeSet::new(),
            contradicting: contradicting.collect(),
            proof: None,
        }))
    }

    /// The next part of a history.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn serve_part(&self, conversation: &Conversation, serving: &mut Serving) -> Result<ServedPart, ServeError> {
        let part = self.next_part(conversation, serving);
        part.map_err(|error| ServeError::Log(error.to_string()))
    }

    fn next_part(&self, conversation: &Conversation, serving: &mut Serving) -> Result<ServedPart, LogError> {
        let (Some(log), Some(seals)) = (self.log(conversation), self.vouching.seals(conversation)) else {
            return Ok(ServedPart::default());
        };
        if let Some(part) = self.next_piece(conversation, log, serving)? {
            return Ok(part);
        }
        let Serving {
            reader,
            history,
            sealed,
            planned,
            introduced,
            ..
        } = serving;
        let mut failed = None;
        let cover = |author: &Author, seq| {
            if author.device == *reader {
                // He knows what he wrote.
                return Some(seq);
            }
            let seal = seals.first_from(author, seq).unwrap_or_else(|error| {
                failed = Some(error);
                None
            })?;
            let seq = seal.seq;
            planned.insert((*author, seq), seal);
            Some(seq)
        };
        let batch = log.read_batch(history, cover)?;
        if let Some(error) = failed {
            return Err(error);
        }
        let mut part = ServedPart {
            entries: batch.entries,
            ..ServedPart::default()
        };
        for (author, last) in batch.last {
            let passed = planned.range((author, Seq::default())..=(author, last));
            let mut given: BTreeMap<Seq, Seal> = passed.map(|((_, seq), seal)| (*seq, seal.clone())).collect();
            for seq in given.keys() {
                planned.remove(&(author, *seq));
            }
            given.extend(seals.last_upto(&author, last)?.map(|seal| (seal.seq, seal)));
            let before = sealed.entry(author).or_default();
            let needed = needed(*before, given.into_values().collect());
            let Some(last) = needed.last() else { continue };
            *before = last.seq;
            part.seals.extend(needed);
            if introduced.insert(author.device) {
                part.introductions
                    .extend(self.vouching.certificate(&author.device).cloned());
            }
        }
        Ok(part)
    }

    /// The next piece of what proves that authors contradict themselves.
    fn next_piece(
        &self,
        conversation: &Conversation,
        log: &Log<D>,
        serving: &mut Serving,
    ) -> Result<Option<ServedPart>, LogError> {
        let mut part = ServedPart::default();
        while serving.proof.is_none()
            && let Some(author) = serving.contradicting.pop_first()
        {
            // Without knowing whose it is nobody believes it.
            if let Some(certificate) = self.vouching.certificate(&author.device) {
                serving.proof = self.proof_of(conversation, log, &author)?.map(|proof| (proof, 0));
                let is_new = serving.proof.is_some() && serving.introduced.insert(author.device);
                part.introductions.extend(is_new.then(|| certificate.clone()));
            }
        }
        let Some((proof, given)) = serving.proof.take() else {
            return Ok(None);
        };
        let mut bytes = 0;
        let fits = |entry: &&Arc<Entry>| {
            bytes += entry.bytes.len();
            bytes <= PART_BYTES_MAX
        };
        let left = &proof.entries[given..];
        let fitting = left.iter().take(BATCH_ENTRIES_MAX).take_while(fits).count();
        let (piece, rest) = left.split_at(fitting.max(1).min(left.len()));
        part.contradictions.push(Contradiction {
            seal: proof.seal.clone(),
            other: proof.other.clone(),
            entries: piece.to_vec(),
        });
        if !rest.is_empty() {
            let given = given + piece.len();
            serving.proof = Some((proof, given));
        }
        Ok(Some(part))
    }

    /// What proves that an author contradicts himself: the one that others are being given already, or it is read.
    fn proof_of(
        &self,
        conversation: &Conversation,
        log: &Log<D>,
        author: &Author,
    ) -> Result<Option<Arc<Contradiction>>, LogError> {
        let key = (conversation.clone(), *author);
        let mut given = self
            .vouching
            .proofs_given
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(proof) = given.get(&key).and_then(Weak::upgrade) {
            return Ok(Some(proof));
        }
        given.retain(|_, proof| proof.strong_count() > 0);
        let proof = log.contradiction(author)?.map(Arc::new);
        given.extend(proof.iter().map(|proof| (key.clone(), Arc::downgrade(proof))));
        Ok(proof)
    }

    /// # Errors
    /// He may not read it.
    pub(super) fn may_read(&self, reader: &Reader, conversation: &Conversation) -> Result<(), ServeError> {
        if self.node().may_read(reader, conversation) {
            Ok(())
        } else {
            Err(ServeError::NotAllowed(reader.user.clone()))
        }
    }
}
