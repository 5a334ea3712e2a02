//! What other peers are given of the logs: what is proved to them, and the proofs.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{core::Core, ports::ServeError};
use crate::{
    log::{Disk, History, LogError},
    node::{
        limits::SEAL_SPAN_LONG,
        sealing::Seal,
        types::{Author, Conversation, DeviceId, Heights, Reader, Seq},
    },
};

/// A history that is being given to another peer.
#[derive(Debug)]
pub struct Serving {
    reader: DeviceId,
    history: History,
    /// Of each author the seal that was given last.
    sealed: BTreeMap<Author, Seq>,
    /// Of each author the seal up to which it is being given. It is kept here, since beside the log a later one may take its place
    /// before it is sent.
    planned: BTreeMap<Author, Seal>,
    introduced: BTreeSet<DeviceId>,
}

/// A part of it; at its end there are no entries.
#[derive(Debug, Default)]
pub struct ServedPart {
    /// Encoded entries.
    pub entries: Vec<Bytes>,
    /// Seals of these and of earlier ones.
    pub seals: Vec<Seal>,
    /// The certificates of those who made the seals.
    pub introductions: Vec<Bytes>,
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
        let servable = self.serve_version(reader, conversation)?;
        Ok(self.log(conversation).map(|log| Serving {
            reader: reader.device,
            history: log.history(heights, &servable),
            sealed: heights.0.clone(),
            planned: BTreeMap::new(),
            introduced: BTreeSet::new(),
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
        let Serving {
            reader,
            history,
            sealed,
            planned,
            introduced,
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
            planned.insert(*author, seal);
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
            let planned = match planned.get(&author).is_some_and(|seal| seal.seq <= last) {
                true => planned.remove(&author),
                false => None,
            };
            let kept = seals.last_upto(&author, last)?;
            let mut given: Vec<Seal> = planned.into_iter().chain(kept).collect();
            given.sort_by_key(|seal| seal.seq);
            let Some(last) = given.pop() else { continue };
            let before = sealed.entry(author).or_default();
            if last.seq <= *before {
                continue;
            }
            let is_long = last.seq.0 - before.0 > SEAL_SPAN_LONG;
            let first = given
                .into_iter()
                .filter(|seal| is_long && seal.seq > *before && seal.seq < last.seq);
            part.seals.extend(first);
            *before = last.seq;
            part.seals.push(last);
            if introduced.insert(author.device) {
                part.introductions
                    .extend(self.vouching.certificate(&author.device).cloned());
            }
        }
        Ok(part)
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
