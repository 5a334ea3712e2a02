//! Judging a history that a third party serves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{SharedNotary, introduction, is_good, is_own, is_proved};
use crate::node::{
    Identity,
    contradiction::Contradiction,
    limits::FORKED_MAX,
    sealing::{Seal, needed},
    types::{Author, Conversation, DeviceId, Entry, Heights, Seq},
    window::{BadHistory, Pulled, Window},
};

/// A part of a history as it came.
#[derive(Debug, Default)]
pub struct Part {
    /// Entries, in order.
    pub entries: Vec<Arc<Entry>>,
    /// Seals of entries of this and earlier parts.
    pub seals: Vec<Seal>,
    /// Introductions of those who made the seals of this and later parts.
    pub introductions: Vec<Bytes>,
    /// Pieces of proofs that authors contradict themselves.
    pub contradictions: Vec<Contradiction>,
}

/// Reads one history.
#[derive(Debug)]
pub struct HistoryReader {
    notary: SharedNotary,
    me: DeviceId,
    conversation: Conversation,
    window: Window,
    /// A proof of which pieces are still to come.
    begun: Option<Contradiction>,
    /// Of whom there is one.
    proved: BTreeSet<Author>,
}

impl HistoryReader {
    /// A reader of what a conversation has beyond what is held.
    pub fn new(notary: SharedNotary, me: &Identity, conversation: Conversation, have: Heights) -> Self {
        let mut window = Window::new(conversation.clone(), have);
        // Nobody is known of a new window, so nobody is another one.
        let _known = window.introduce(me.device, me.user.clone());
        Self {
            notary,
            me: me.device,
            conversation,
            window,
            begun: None,
            proved: BTreeSet::new(),
        }
    }

    /// Takes in a part, and hands out what is proved now. Takes 0.1 ms for each seal that is judged, and for each
    /// introduction.
    ///
    /// # Errors
    /// The history cannot be genuine, or cannot be shown to be: nothing more of it may be taken.
    pub fn take(&mut self, part: Part) -> Result<Pulled, BadHistory> {
        if part.entries.is_empty() && part.contradictions.is_empty() {
            return Err(BadHistory::EmptyPart);
        }
        let mut introductions = Vec::new();
        for certificate in part.introductions {
            let introduction = introduction(certificate, self.notary.as_ref());
            let introduction = introduction.map_err(BadHistory::FalseIntroduction)?;
            self.window.introduce(introduction.device, introduction.user.clone())?;
            introductions.push(introduction);
        }
        let proof_bytes = part.contradictions.iter().map(Contradiction::bytes).sum();
        let mut contradictions = Vec::new();
        for piece in part.contradictions {
            contradictions.extend(self.add_piece(piece)?.map(Arc::new));
        }
        for entry in part.entries {
            let known = is_own(self.notary.as_ref(), &self.me, &entry);
            self.window.add(entry, known)?;
        }
        for seal in self.worth_judging(part.seals) {
            if !self.window.claim(&seal)? {
                continue;
            }
            if !is_good(self.notary.as_ref(), &self.conversation, &seal) {
                return Err(BadHistory::FalseSeal(seal.author, seal.seq));
            }
            self.window.cover(seal);
        }
        let (entries, seals) = self.window.release()?;
        Ok(Pulled {
            entries,
            seals,
            introductions,
            contradictions,
            proof_bytes,
        })
    }

    /// Of each author's seals as many as it takes: kept as they are and passed on so, what one covers does not grow from reader to reader.
    fn worth_judging(&self, seals: Vec<Seal>) -> Vec<Seal> {
        let mut of: BTreeMap<Author, BTreeMap<Seq, Seal>> = BTreeMap::new();
        for seal in seals {
            of.entry(seal.author).or_default().insert(seal.seq, seal);
        }
        let worth = |(author, seals): (Author, BTreeMap<Seq, Seal>)| {
            needed(self.window.covered(&author), seals.into_values().collect())
        };
        of.into_iter().flat_map(worth).collect()
    }

    /// A piece of a proof came. Hands out what is whole now, and good.
    fn add_piece(&mut self, piece: Contradiction) -> Result<Option<Contradiction>, BadHistory> {
        let author = piece.author();
        let bad = BadHistory::FalseContradiction(author);
        let proof = match self.begun.take() {
            Some(mut begun) if begun.seal == piece.seal && begun.other == piece.other && !piece.entries.is_empty() => {
                begun.entries.extend(piece.entries);
                begun
            }
            None if self.proved.len() < FORKED_MAX && self.proved.insert(author) => piece,
            _ => return Err(bad),
        };
        self.window.check_introduced(author.device)?;
        let is_whole = proof.entries.len() as u64 >= proof.needs();
        if proof.is_too_long() {
            return Err(bad);
        }
        if !is_whole {
            self.begun = Some(proof);
            return Ok(None);
        }
        match is_proved(self.notary.as_ref(), &self.conversation, &proof) {
            true => Ok(Some(proof)),
            false => Err(bad),
        }
    }

    /// The history has ended in order.
    ///
    /// # Errors
    /// Its last entries have no seal, or a proof is not whole.
    pub fn finish(&self) -> Result<(), BadHistory> {
        if let Some(begun) = &self.begun {
            return Err(BadHistory::FalseContradiction(begun.author()));
        }
        self.window.finish()
    }
}
