//! Devices that contradict themselves: how that comes out, and what follows from it.

use std::sync::Arc;

use super::{
    Effect, Node, Now,
    contradiction::{Contradiction, Forked},
    flood::Verdict,
    frames::Taken,
    io::Compare,
    limits::FLOOD_ENTRY_BYTES,
    types::{Author, Conversation, Entry},
};

impl Node {
    /// An entry came over its author's link of which author and seq are held. If it is another one, he contradicts himself.
    pub(super) fn known_live(&mut self, conversation: &Conversation, entry: Arc<Entry>) {
        let held = self.talk(conversation).sealing.waiting_id(&entry.author, entry.seq);
        if held != Some(entry.id) {
            self.compare(Compare {
                entries: vec![entry],
                seal: None,
                is_refused: false,
            });
        }
    }

    /// Has compared what came of an author with what is held of him, unless it is known that he contradicts himself.
    pub(super) fn compare(&mut self, compare: Compare) {
        let Some(first) = compare.entries.first() else { return };
        let talk = self.talks.get(&first.conversation);
        if talk.is_some_and(|talk| !talk.replica.forked().contains(&first.author)) {
            self.effect(Effect::Compare(compare));
        }
    }

    /// It has come out that an author contradicts himself.
    pub(super) fn forked(&mut self, conversation: &Conversation, author: Author, how: Forked, now: Now) {
        let mut taken = Taken::default();
        match how {
            Forked::Live(seq) => {
                let why = format!("it wrote two different entries with seq {} as {author}", seq.0);
                self.misbehaved(author.device, &why);
            }
            Forked::Sealed => {
                self.fork(conversation, author, &mut taken, now);
            }
            Forked::Proved(proof) => self.prove(conversation, proof, &mut taken, now),
        }
        self.send_acks(taken);
    }

    /// There is good proof that an author contradicts himself. His device is charged with it, since it is kept.
    pub(super) fn prove(
        &mut self,
        conversation: &Conversation,
        proof: Arc<Contradiction>,
        taken: &mut Taken,
        now: Now,
    ) {
        let author = proof.author();
        if self.talk(conversation).sealing.is_excused(&author) {
            return;
        }
        let cost = proof.bytes() as u64 + FLOOD_ENTRY_BYTES;
        if self.flood.charge(author.device, cost, false, now.mono) != Verdict::Within {
            return;
        }
        self.fork(conversation, author, taken, now);
        let talk = self.talk(conversation);
        if !talk.replica.forked().contains(&author) {
            return;
        }
        talk.sealing.excuse(author);
        self.step.contradictions.push((conversation.clone(), proof));
        self.advance(conversation);
    }

    /// What others write must not wait for what an author has not shown here.
    fn fork(&mut self, conversation: &Conversation, author: Author, taken: &mut Taken, now: Now) {
        let is_own = author.device == self.me.device;
        let talk = self.talk(conversation);
        let Some(released) = talk.replica.fork(author) else {
            return;
        };
        // Where it is an own one, the disk was set back, and nobody asks for what he writes any more.
        talk.give_up(&author);
        talk.resume.take_if(|_| is_own);
        self.step.forked.push((conversation.clone(), author));
        for held in released {
            let free = self.talk(conversation).is_free(now.mono);
            let mut offered = self.offer(held, free, now);
            let refused = std::mem::take(&mut offered.refused);
            self.take_offered(conversation, offered, taken);
            let _nobody = self.blame(conversation, refused, None);
        }
        self.unsettled.insert(conversation.clone());
    }
}
