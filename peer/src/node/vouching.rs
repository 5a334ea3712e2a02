//! Seals and introductions as they come, and devices that contradict themselves.

use super::{
    Effect, Node,
    holdback::Held,
    limits::HEIGHTS_AFTER_LOSS_MS,
    link::{Outgoing, Peer},
    sealing::{Fit, Introduction, Seal},
    types::{Author, Conversation, DeviceId, Heights, Seq},
};

impl Node {
    /// Gives the node an introduction that was kept. Before any conversation is loaded only.
    pub fn load_introduction(&mut self, introduction: Introduction) {
        self.introduced.entry(introduction.device).or_insert(introduction.user);
    }

    /// The registry has certified whose a device is. The first introduction of a device is as good as any later one.
    pub(super) fn introduce(&mut self, introduction: Introduction) {
        if self.introduced.contains_key(&introduction.device) {
            return;
        }
        self.introduced.insert(introduction.device, introduction.user.clone());
        self.step.introductions.push(introduction);
        let introduced = &self.introduced;
        for (conversation, talk) in &mut self.talks {
            if talk.sealing.advance(|device| introduced.contains_key(device)) {
                self.unsettled.insert(conversation.clone());
            }
        }
    }

    /// What a device can be given of a conversation.
    pub fn servable_for(&self, conversation: &Conversation, reader: &DeviceId) -> Heights {
        let introduced = |device: &DeviceId| self.introduced.contains_key(device);
        let talk = self.talks.get(conversation);
        talk.map(|talk| talk.sealing.servable_for(reader, introduced))
            .unwrap_or_default()
    }

    /// Keeps a good seal, if it covers what had none.
    pub(super) fn keep_seal(&mut self, conversation: &Conversation, seal: Seal) -> bool {
        let talk = self.talk(conversation);
        let held = talk.replica.height(&seal.author);
        let news = talk.sealing.seal_early(seal.clone(), held);
        if news {
            self.step.seals.push((conversation.clone(), seal));
        }
        news
    }

    /// Own entries were sealed: the members are told.
    pub(super) fn sealed(&mut self, conversation: &Conversation, seals: Vec<Seal>) {
        for seal in &seals {
            self.keep_seal(conversation, seal.clone());
        }
        let members: Vec<_> = self.talk(conversation).members.keys().copied().collect();
        for device in members {
            let Some(link) = self.peers.get(&device).and_then(Peer::link_with_room) else {
                continue;
            };
            for seal in &seals {
                let seal = Outgoing::Seal(conversation.clone(), seal.clone());
                self.effect(Effect::Send(link, seal));
            }
        }
        self.serve_more(conversation, false);
    }

    /// A seal came over a link. It is the author's as the link is; whether it can be shown to others is judged later.
    ///
    /// # Errors
    /// What the device has done wrong.
    pub(super) fn live_seal(&mut self, device: DeviceId, conversation: Conversation, seal: Seal) -> Result<(), String> {
        if seal.author.device != device {
            return Err(format!("it sent a seal of device {} as its own", seal.author.device));
        }
        let user = self.peers.get(&device).map(|peer| peer.user.clone());
        if !self.shares(&conversation, user.as_ref()) || !self.talks.contains_key(&conversation) {
            return Ok(());
        }
        let sealing = &mut self.talk(&conversation).sealing;
        match sealing.fits(&seal) {
            Fit::Old => Ok(()),
            Fit::Other(held) => Err(format!(
                "it sealed entry {} as {}, which it had sent as {held}",
                seal.seq.0, seal.id
            )),
            Fit::New => {
                sealing.claim(seal.author, seal.seq);
                self.step.judge.push((conversation, seal));
                Ok(())
            }
        }
    }

    pub(super) fn judged(&mut self, conversation: &Conversation, good: Vec<Seal>, bad: Vec<Seal>) {
        let mut is_late = false;
        for seal in good {
            let linked = self.peers.get(&seal.author.device).and_then(Peer::link).is_some();
            is_late |= self.keep_seal(conversation, seal) && !linked;
        }
        for seal in bad {
            self.talk(conversation).sealing.disclaim(&seal.author);
            self.unsettled.insert(conversation.clone());
            self.misbehaved(seal.author.device, "it sent a seal that its key did not make");
        }
        self.serve_more(conversation, is_late);
    }

    /// More may have become servable. It is told to all at once where some of them were told less a moment ago, and soon where its
    /// author is gone: they may have nobody else to hear it from.
    fn serve_more(&mut self, conversation: &Conversation, is_late: bool) {
        if !self.advance(conversation) {
            return;
        }
        let soon = self.now.plus(self.rng.u64(..=HEIGHTS_AFTER_LOSS_MS));
        let now = self.now;
        let talk = self.talk(conversation);
        let at = match (talk.told_short, is_late) {
            (true, _) => now,
            (false, true) => soon,
            (false, false) => return,
        };
        talk.told_short = false;
        talk.tell_at = Some(talk.tell_at.map_or(at, |earlier| earlier.min(at)));
        self.retime = true;
    }

    /// Goes on with what can be served. Returns whether it is more.
    pub(super) fn advance(&mut self, conversation: &Conversation) -> bool {
        let introduced = &self.introduced;
        let Some(talk) = self.talks.get_mut(conversation) else {
            return false;
        };
        talk.sealing.advance(|device| introduced.contains_key(device))
    }

    /// An entry came of which the author and seq are held. If it is another one, its author contradicts itself.
    pub(super) fn known_entry(&mut self, conversation: &Conversation, known: Held) {
        let Held { entry, live, .. } = known;
        let held = self.talk(conversation).sealing.waiting_id(&entry.author, entry.seq);
        if held != Some(entry.id) {
            self.effect(Effect::Compare { entry, live });
        }
    }

    pub(super) fn forked(&mut self, author: Author, seq: Seq) {
        let why = format!("it wrote two different entries with seq {} as {author}", seq.0);
        self.misbehaved(author.device, &why);
    }
}
