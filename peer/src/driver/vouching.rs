//! What is kept beside the logs to prove what is in them, and what is still to be sealed and judged.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;

use super::{
    core::{Act, Core},
    serve::ProofsGiven,
    signer::Signer,
    unjudged::Unjudged,
};
use crate::{
    log::{Disk, Introductions, Log, LogError, Seals},
    node::{
        Effect, Input, Now, Step,
        limits::SEAL_EVERY,
        link::Outgoing,
        sealing::{Introduction, Seal},
        types::{self, Author, Conversation, DeviceId, EntryId, Seq},
    },
    seal::{self, SharedNotary},
};

/// How many seals are made in one turn: 50 µs for each.
const SEALS_AT_ONCE: usize = 64;

/// Seals, introductions, and the keys to make and judge them.
#[derive(Debug)]
pub(super) struct Vouching<D: Disk> {
    disk: D,
    notary: SharedNotary,
    seals: BTreeMap<Conversation, Seals<D>>,
    introductions: Introductions<D>,
    certificates: BTreeMap<DeviceId, Bytes>,
    /// Own authors who have written since their last seal, with the last of what they wrote, and its id where it was written in this run.
    unsealed: BTreeMap<(Conversation, Author), (Seq, Option<EntryId>)>,
    unjudged: Unjudged,
    signer: Option<Signer>,
    pub(super) proofs_given: ProofsGiven,
}

impl<D: Disk> Vouching<D> {
    /// What a user's folder has, and whose the devices are by it. A certificate that is not believed any more is left out.
    pub(super) fn open(disk: D, folder: &Path, notary: SharedNotary) -> Result<(Self, Vec<Introduction>), LogError> {
        let (introductions, certificates) = Introductions::open(&disk, folder)?;
        let known: Vec<Introduction> = certificates
            .into_iter()
            .filter_map(|certificate| seal::introduction(certificate, notary.as_ref()).ok())
            .collect();
        let certificates = known.iter().map(|known| (known.device, known.certificate.clone()));
        let vouching = Self {
            disk,
            notary,
            seals: BTreeMap::new(),
            introductions,
            certificates: certificates.collect(),
            unsealed: BTreeMap::new(),
            unjudged: Unjudged::default(),
            signer: None,
            proofs_given: ProofsGiven::default(),
        };
        Ok((vouching, known))
    }

    /// Opens the seals beside a log.
    pub(super) fn open_seals(&mut self, conversation: &Conversation, log: &Log<D>) -> Result<(), LogError> {
        let seals = Seals::open(self.disk.clone(), log.folder())?;
        self.seals.insert(conversation.clone(), seals);
        Ok(())
    }

    /// Up to where seals cover the authors of a log. Those that do not fit it are forgotten: the log may have lost what they are of.
    pub(super) fn sealed(
        &mut self,
        conversation: &Conversation,
        log: &Log<D>,
        me: &DeviceId,
    ) -> Result<BTreeMap<Author, Seq>, LogError> {
        let Some(seals) = self.seals.get_mut(conversation) else {
            return Ok(BTreeMap::new());
        };
        let mut sealed = BTreeMap::new();
        // Also those of whom the log has lost everything: what comes again of them is sealed anew.
        let mut left: Vec<Author> = seals.authors().copied().collect();
        while let Some(author) = left.pop() {
            let Some(seal) = seals.last_upto(&author, Seq(u64::MAX))? else {
                // One that is there no longer makes room for the one before it.
                if seals.covering(&author, Seq::FIRST).is_some() {
                    seals.forget_last(&author)?;
                    left.push(author);
                }
                continue;
            };
            if log.ids(&author, seal.seq, seal.seq)? == [(seal.seq, seal.id)] {
                sealed.insert(author, seal.seq);
            } else {
                seals.forget_last(&author)?;
                left.push(author);
            }
        }
        for (author, height) in log.heights().0 {
            if author.device == *me && sealed.get(&author).is_none_or(|seq| *seq < height) {
                self.unsealed.insert((conversation.clone(), author), (height, None));
            }
        }
        Ok(sealed)
    }

    /// An own entry was appended.
    pub(super) fn wrote(&mut self, entry: &types::Entry) {
        self.unsealed
            .insert((entry.conversation.clone(), entry.author), (entry.seq, Some(entry.id)));
    }

    /// Nothing of an author is left to seal, if this is its last entry; the caller knows that of the log.
    fn sealed_own(&mut self, conversation: &Conversation, seal: &Seal) {
        let key = (conversation.clone(), seal.author);
        if self.unsealed.get(&key).is_some_and(|(last, _)| *last <= seal.seq) {
            self.unsealed.remove(&key);
        }
    }

    /// Keeps what a step wants kept. Returns the seals for which there was no room among those that wait to be judged.
    pub(super) fn keep(&mut self, step: &mut Step) -> Result<Vec<Input>, LogError> {
        for introduction in step.introductions.drain(..) {
            self.introductions.push(&introduction.certificate)?;
            self.certificates.insert(introduction.device, introduction.certificate);
        }
        for (conversation, seal) in step.seals.drain(..) {
            self.sealed_own(&conversation, &seal);
            if let Some(seals) = self.seals.get_mut(&conversation) {
                seals.push(&seal)?;
            }
        }
        let mut passed = Vec::new();
        for (conversation, seal, from) in step.judge.drain(..) {
            let (author, seq) = (seal.author, seal.seq);
            if !self.unjudged.add(conversation.clone(), seal, from) {
                passed.push(Input::PassedSeal(conversation, author, seq));
            }
        }
        Ok(passed)
    }

    /// The seals of a conversation.
    pub(super) fn seals(&self, conversation: &Conversation) -> Option<&Seals<D>> {
        self.seals.get(conversation)
    }

    /// The certificate of a device.
    pub(super) fn certificate(&self, device: &DeviceId) -> Option<&Bytes> {
        self.certificates.get(device)
    }

    /// Makes everything durable.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        self.seals.values().try_for_each(Seals::sync)?;
        self.introductions.sync()
    }
}

/// Seals to be judged, on any thread.
#[derive(Debug)]
#[must_use]
pub struct Judging {
    notary: SharedNotary,
    seals: Vec<(Conversation, (Seal, DeviceId))>,
}

impl Judging {
    /// Judges. Takes 0.1 ms for each.
    pub fn run(self) -> Vec<Input> {
        let mut by_conversation: BTreeMap<Conversation, Vec<(Seal, DeviceId)>> = BTreeMap::new();
        for (conversation, seal) in self.seals {
            by_conversation.entry(conversation).or_default().push(seal);
        }
        let judge = |(conversation, seals): (Conversation, Vec<(Seal, DeviceId)>)| {
            let is_good = |(seal, _): &(Seal, _)| seal::is_good(self.notary.as_ref(), &conversation, seal);
            let (good, bad): (Vec<_>, _) = seals.into_iter().partition(is_good);
            let good = good.into_iter().map(|(seal, _)| seal).collect();
            Input::Judged(conversation, good, bad)
        };
        by_conversation.into_iter().map(judge).collect()
    }
}

impl<D: Disk> Core<D> {
    /// Whether own entries have no seal.
    pub fn must_seal(&self) -> bool {
        !self.vouching.unsealed.is_empty()
    }

    /// Seals own entries: the last one of each author, and in a burst one in [`SEAL_EVERY`]. Returns what is to be done then. There may be
    /// more to seal.
    ///
    /// # Errors
    /// As [`Core::handle`].
    pub fn seal(&mut self, now: Now) -> Result<Vec<Act>, LogError> {
        let mut made = 0;
        let (mut inputs, mut left) = (Vec::new(), Vec::new());
        while made < SEALS_AT_ONCE
            && let Some(((conversation, author), last)) = self.vouching.unsealed.pop_first()
        {
            let seals = self.seals_for(&conversation, author, SEALS_AT_ONCE - made);
            made += seals.len();
            if let Some(made) = seals.last().filter(|made| made.seq < last.0) {
                left.push((conversation.clone(), made.clone(), last));
            }
            inputs.push(Input::Sealed(conversation, seals));
        }
        let acts = self.handle(inputs, now)?;
        for (conversation, made, last) in left {
            let talk = self.node().talks().get(&conversation);
            // One that does not take is not made again.
            if talk.is_some_and(|talk| talk.sealing.sealed(&made.author) >= made.seq) {
                self.vouching.unsealed.insert((conversation, made.author), last);
            }
        }
        Ok(acts)
    }

    /// At most so many seals of what an own author has written since its last one.
    fn seals_for(&self, conversation: &Conversation, author: Author, at_most: usize) -> Vec<Seal> {
        let (Some(talk), Some(log)) = (self.node().talks().get(conversation), self.log(conversation)) else {
            return Vec::new();
        };
        // After a failure the node may know of more than the log has.
        let (sealed, height) = (talk.sealing.sealed(&author), log.height(&author));
        let step = usize::try_from(SEAL_EVERY).unwrap_or(usize::MAX);
        let inside = (sealed.0.saturating_add(SEAL_EVERY)..height.0).step_by(step);
        // What cannot be read is not sealed by itself; the last seal covers it.
        let last = (height > sealed).then_some(height);
        let id_of = |seq| self.ids(conversation, &author, seq, seq).ok()?.pop();
        let notary = self.vouching.notary.as_ref();
        let make = |(seq, id)| seal::make(notary, conversation, author, seq, id);
        let ids = inside.map(Seq).chain(last).filter_map(id_of);
        ids.take(at_most).map(make).collect()
    }

    /// The seals that are still to be made, as sent to the members, where the disk takes nothing more.
    pub(super) fn last_seals(&mut self, now: Now) -> Vec<Act> {
        let left = std::mem::take(&mut self.vouching.unsealed);
        let mut acts = Vec::new();
        for (conversation, author) in left.into_keys() {
            let seals = self.seals_for(&conversation, author, SEALS_AT_ONCE);
            acts.extend(self.send_only(Input::Sealed(conversation, seals), now));
        }
        acts
    }

    /// What is to be sent, if nothing can be kept any more.
    fn send_only(&mut self, input: Input, now: Now) -> Vec<Act> {
        let effects = self.node.handle(input, now).then.into_iter();
        let sends = effects.filter_map(|effect| match effect {
            Effect::Send(link, what @ Outgoing::Seal(..)) => Some(Act::Send(link, what)),
            _ => None,
        });
        sends.collect()
    }

    /// Has entries sealed on another thread.
    pub(super) fn seal_with(&mut self, signer: Signer) {
        self.vouching.signer = Some(signer);
    }

    /// Has the other thread seal what own authors wrote last. False where that is not enough, or there is no such thread: then
    /// [`Core::seal`] does it.
    pub(super) fn seal_elsewhere(&self) -> bool {
        let Vouching { signer, unsealed, .. } = &self.vouching;
        let hand_over =
            |signer: &Signer, conversation: &Conversation, author: Author, (seq, id): (Seq, Option<EntryId>)| {
                let talk = self.node().talks().get(conversation);
                let sealed = talk.map(|talk| talk.sealing.sealed(&author));
                let is_near = sealed.is_some_and(|sealed| seq.0.saturating_sub(sealed.0) <= SEAL_EVERY);
                is_near && id.is_some_and(|id| signer.seal(conversation, author, seq, id))
            };
        let mut unsealed = unsealed.iter();
        let all = |signer: &Signer| {
            unsealed.all(|((conversation, author), last)| hand_over(signer, conversation, *author, *last))
        };
        signer.as_ref().is_some_and(all)
    }

    /// With what seals are made and judged.
    pub(super) fn notary(&self) -> SharedNotary {
        self.vouching.notary.clone()
    }

    /// The last seal of an author up to an entry, if there is one.
    pub(super) fn seal_upto(
        &self,
        conversation: &Conversation,
        author: &Author,
        seq: Seq,
    ) -> Result<Option<Seal>, LogError> {
        let seals = self.vouching.seals(conversation);
        seals.map_or(Ok(None), |seals| seals.last_upto(author, seq))
    }

    /// Whether there are seals to judge.
    pub fn must_judge(&self) -> bool {
        !self.vouching.unjudged.is_empty()
    }

    /// Whether there are so many that nothing is gained by waiting for more.
    pub(super) fn must_judge_now(&self) -> bool {
        self.vouching.unjudged.is_pressing()
    }

    /// Begins to judge some of the seals that came over their authors' links. What comes of it is to be handed to [`Core::handle`].
    pub fn begin_judging(&mut self) -> Judging {
        Judging {
            notary: self.vouching.notary.clone(),
            seals: self.vouching.unjudged.take(),
        }
    }
}
