//! Seals and introductions as they come.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Effect, Node,
    knocks::is_private,
    limits::HEIGHTS_AFTER_LOSS_MS,
    link::{HeightsNews, Outgoing, Peer},
    sealing::{Fit, Introduction, Seal},
    types::{Author, Conversation, DeviceId, Heights, Seen},
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
        let device = introduction.device;
        self.introduced.insert(device, introduction.user.clone());
        self.step.introductions.push(introduction);
        let introduced = &self.introduced;
        for (conversation, talk) in &mut self.talks {
            talk.sealing.introduced(&device);
            if talk.sealing.advance(|device| introduced.contains_key(device)) {
                self.unsettled.insert(conversation.clone());
            }
        }
    }

    /// What a device can be given of a conversation, as far as it has said what it holds.
    pub fn servable_for(&self, conversation: &Conversation, reader: &DeviceId) -> Heights {
        let told = self.peers.get(reader).and_then(|peer| peer.heights.get(conversation));
        self.servable_beyond(conversation, reader, told.unwrap_or(&Heights::default()))
    }

    /// What a device can be given that holds this. What others were shown by one who contradicts himself cannot be served where something
    /// else of his is held and has no seal, but what names it can, to who has it.
    pub fn servable_beyond(&self, conversation: &Conversation, reader: &DeviceId, held: &Heights) -> Heights {
        let introduced = |device: &DeviceId| self.introduced.contains_key(device);
        let Some(talk) = self.talks.get(conversation) else {
            return Heights::default();
        };
        let forked = talk.replica.forked();
        let holds = |cause: &Seen| forked.contains(&cause.author) && held.of(&cause.author) >= cause.seq;
        talk.sealing.servable_for(reader, introduced, holds)
    }

    /// Whether a device can be given more of a conversation than anybody, since it holds what cannot be served.
    pub(super) fn serves_beyond(&self, conversation: &Conversation, reader: &DeviceId) -> bool {
        self.talks.get(conversation).is_some_and(|talk| {
            let mut forked = talk.replica.forked().iter();
            let is_unproved = forked.any(|author| !talk.sealing.is_excused(author));
            is_unproved && self.servable_for(conversation, reader) != *talk.sealing.servable()
        })
    }

    /// What need not be pulled of a conversation.
    pub(super) fn needs_no_more(&self, conversation: &Conversation) -> Heights {
        let introduced = |device: &DeviceId| self.introduced.contains_key(device);
        let talk = self.talks.get(conversation);
        talk.map(|talk| talk.sealing.needed(talk.replica.heights(), &self.me.device, introduced))
            .unwrap_or_default()
    }

    /// Keeps a good seal, if it covers what had none. One of an entry that is held back stays with that.
    pub(super) fn keep_seal(&mut self, conversation: &Conversation, seal: Seal) -> bool {
        let talk = self.talk(conversation);
        if seal.seq > talk.replica.height(&seal.author) {
            talk.replica.held_mut().seal(seal);
            return false;
        }
        let news = talk.sealing.seal(&seal);
        if news {
            self.step.seals.push((conversation.clone(), seal));
        }
        news
    }

    /// Own entries were sealed: the members are told, unless a later seal was made meanwhile.
    pub(super) fn sealed(&mut self, conversation: &Conversation, mut seals: Vec<Seal>) {
        seals.retain(|seal| self.keep_seal(conversation, seal.clone()));
        let seals: Vec<_> = seals.into_iter().map(Arc::new).collect();
        let me = self.me.device;
        let talk = self.talk(conversation);
        let mut devices = talk.owed_seals.clone();
        if !talk.sealing.lacks_seals_of(&me) {
            talk.owed_seals.clear();
        }
        devices.extend(talk.members.keys());
        for device in devices {
            let Some(link) = self.peers.get(&device).and_then(Peer::link_with_room) else {
                continue;
            };
            for seal in &seals {
                let seal = Outgoing::Seal(conversation.clone(), Arc::clone(seal));
                self.effect(Effect::Send(link, seal));
            }
        }
        self.serve_more(conversation, false);
    }

    /// A link to a device is up, or it has left a conversation: where it is in no longer, it is told which entries of its user are
    /// held without a seal, since nobody else who is there may have one.
    pub(super) fn ask_for_seals(&mut self, device: DeviceId) {
        let peer = self.peers.get(&device);
        let Some((peer, link)) = peer.and_then(|peer| Some((peer, peer.link_with_room()?))) else {
            return;
        };
        let mut news = Vec::new();
        for (conversation, talk) in &self.talks {
            if !talk.takes_part(conversation) || talk.members.contains_key(&device) {
                continue;
            }
            // Of a private room only those devices hear that have been in it.
            let may_hear = |author: &Author| author.device == device || !is_private(conversation);
            let theirs = |author: &Author| {
                let held = talk.replica.authors().get(author)?;
                (held.user == peer.user && may_hear(author)).then_some((*author, held.height()))
            };
            let lacking: BTreeMap<_, _> = talk.sealing.unsealed().filter_map(theirs).collect();
            if !lacking.is_empty() {
                news.push(HeightsNews {
                    conversation: conversation.clone(),
                    heights: Heights(lacking),
                    reply_wanted: false,
                    left: false,
                    relay_wanted: false,
                });
            }
        }
        for news in news {
            self.effect(Effect::Send(link, Outgoing::Heights(news)));
        }
    }

    /// Somebody holds entries of this user in a conversation in which he is no longer. He knows their authors, which nobody guesses,
    /// so he may have their seals.
    pub(super) fn seals_wanted(&mut self, device: DeviceId, conversation: &Conversation, heights: &Heights) {
        let link = self.peers.get(&device).and_then(Peer::link_with_room);
        let (Some(link), Some(talk)) = (link, self.talks.get_mut(conversation)) else {
            return;
        };
        let mut held = heights.0.clone();
        held.retain(|author, seq| {
            let own = talk.replica.authors().get(author);
            own.is_some_and(|own| own.user == self.me.user && own.height() >= *seq)
        });
        if !held.is_empty() && talk.sealing.lacks_seals_of(&self.me.device) {
            talk.owed_seals.insert(device);
        }
        for (author, seq) in held {
            self.effect(Effect::SendSeal(link, conversation.clone(), author, seq));
        }
    }

    /// A seal came over a link. Of the device's own entries it is good as the link is; whether it can be shown to others is judged
    /// later. A device may also have seals of its user's other devices, and these are only as good as they are judged.
    ///
    /// # Errors
    /// What the device has done wrong.
    pub(super) fn live_seal(&mut self, device: DeviceId, conversation: Conversation, seal: Seal) -> Result<(), String> {
        let is_own = seal.author.device == device;
        // Who has left may owe seals of what he said before.
        let shares = is_own || self.shares(&conversation, device);
        let user = self.peers.get(&device).map(|peer| peer.user.clone());
        let Some(talk) = self.talks.get_mut(&conversation).filter(|_| shares) else {
            return Ok(());
        };
        let author = talk.replica.authors().get(&seal.author);
        if !is_own && author.is_some_and(|author| Some(&author.user) != user.as_ref()) {
            return Err(format!("it sent a seal of device {} as its own", seal.author.device));
        }
        match talk.sealing.fits(&seal) {
            Fit::Other(held) if is_own => Err(format!(
                "it sealed entry {} as {}, which it had sent as {held}",
                seal.seq.0, seal.id
            )),
            Fit::Old if talk.replica.held().lacks(&seal) => {
                self.step.judge.push((conversation, seal, device));
                Ok(())
            }
            Fit::Old | Fit::Other(_) | Fit::TooFar => Ok(()),
            Fit::New => {
                if is_own {
                    talk.sealing.claim(seal.author, seal.seq);
                }
                self.step.judge.push((conversation, seal, device));
                Ok(())
            }
        }
    }

    pub(super) fn judged(&mut self, conversation: &Conversation, good: Vec<Seal>, bad: Vec<(Seal, DeviceId)>) {
        let mut is_late = false;
        for seal in &good {
            self.talk(conversation).sealing.settle(&seal.author, seal.seq);
        }
        for seal in good {
            let linked = self.peers.get(&seal.author.device).and_then(Peer::link).is_some();
            is_late |= self.keep_seal(conversation, seal) && !linked;
        }
        for (seal, from) in bad {
            self.talk(conversation).sealing.settle(&seal.author, seal.seq);
            self.unsettled.insert(conversation.clone());
            self.misbehaved(from, "it sent a seal that its author's key did not make");
        }
        self.serve_more(conversation, is_late);
    }

    /// More may have become servable. It is told to those who were told less a moment ago, and soon to all where its author is gone:
    /// they may have nobody else to hear it from.
    fn serve_more(&mut self, conversation: &Conversation, is_late: bool) {
        if !self.advance(conversation) {
            return;
        }
        self.relay(conversation);
        let soon = self.now.plus(self.rng.u64(..=HEIGHTS_AFTER_LOSS_MS));
        let now = self.now;
        let talk = self.talk(conversation);
        let told_short = !talk.told_short.is_empty();
        if told_short {
            talk.tell_short_again(now);
        }
        if is_late {
            talk.tell_at = Some(talk.tell_at.map_or(soon, |earlier| earlier.min(soon)));
        }
        self.retime |= told_short || is_late;
    }

    /// Goes on with what can be served. Returns whether it is more.
    pub(super) fn advance(&mut self, conversation: &Conversation) -> bool {
        let introduced = &self.introduced;
        let Some(talk) = self.talks.get_mut(conversation) else {
            return false;
        };
        talk.sealing.advance(|device| introduced.contains_key(device))
    }
}
