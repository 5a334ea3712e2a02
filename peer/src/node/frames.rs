//! What comes in over the links: entries, which are taken and acked, and acks.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Ask, DeliveryNews, Effect, Node, Now,
    delivery::{Acked, NewlyAcked},
    event::Event,
    holdback::Held,
    io::Compare,
    line,
    link::{Ack, Frame, HeightsNews, LinkId, Outgoing, Peer},
    refusal::Refusal,
    replica::Offered,
    types::{Author, Conversation, DeviceId, Entry, Seq, UserName},
};

impl Node {
    pub(super) fn frame(&mut self, link: LinkId, frame: Frame, now: Now) {
        let Some(&device) = self.links.get(&link) else { return };
        self.knocked(device, &frame.knocks);
        let mut taken = BTreeMap::new();
        for entry in frame.entries {
            if let Err(why) = self.live_entry(device, entry, &mut taken, now) {
                self.send_acks(taken);
                return self.misbehaved(device, &why);
            }
        }
        self.send_acks(taken);
        for (conversation, seal) in frame.seals {
            if let Err(why) = self.live_seal(device, conversation, seal) {
                return self.misbehaved(device, &why);
            }
        }
        for ack in frame.acks {
            self.acked(device, &ack);
        }
        for news in merged(frame.heights) {
            self.heights_news(device, news);
        }
        if !frame.memberships.is_empty() {
            self.memberships_told(device, frame.memberships);
        }
        if let Some(reason) = frame.bye
            && let Some(peer) = self.peers.get_mut(&device)
        {
            peer.bye = Some(reason);
        }
    }

    /// Takes in an entry that came over its author's link.
    fn live_entry(&mut self, device: DeviceId, entry: Arc<Entry>, taken: &mut Taken, now: Now) -> Result<(), String> {
        if entry.author.device != device {
            return Err(format!("it sent an entry of device {} as its own", entry.author.device));
        }
        let conversation = entry.conversation.clone();
        if !self.shares(&conversation, device) {
            // Left a moment ago, perhaps. What is not ours to keep is not acked either.
            return Ok(());
        }
        if !self.admits(&conversation) && !self.is_own(&device) {
            self.not_admitted(device);
            return Ok(());
        }
        self.begin_direct(&conversation);
        if let Some(found) = &entry.user
            && let Some(peer) = self.peers.get(&device)
            && *found != peer.user
        {
            let (held, found) = (peer.user.clone(), found.clone());
            return Err(Refusal::OtherUser { device, held, found }.to_string());
        }
        if !self
            .talks
            .get(&conversation)
            .is_some_and(|talk| talk.members.contains_key(&device))
        {
            self.add_member(&conversation, device, true);
        }
        let held = Held {
            entry,
            from: Some(device),
            live: true,
            since: now.mono,
            seal: None,
        };
        let mut offered = self.offer(held, false, now);
        if let Some(known) = offered.known.take()
            && let Some(peer) = self.peers.get_mut(&device)
            && peer.may_compare(now.mono)
        {
            self.known_live(&conversation, known.entry);
        }
        for (held, why) in &offered.refused {
            if let Refusal::Fork { .. } = why {
                self.compare(Compare {
                    entries: vec![Arc::clone(&held.entry)],
                    seal: None,
                    is_refused: held.live,
                });
            }
        }
        let refused = std::mem::take(&mut offered.refused);
        self.take_offered(&conversation, offered, taken);
        self.blame(&conversation, refused, Some(device))
    }

    /// Blames for what was refused whoever pushed it as his own, now or while it waited for its causes. What came in a history is its
    /// author's, and whoever served that may have been told the same lie.
    ///
    /// # Errors
    /// Why, where it is the device that is just being heard.
    pub(super) fn blame(
        &mut self,
        conversation: &Conversation,
        refused: Vec<(Held, Refusal)>,
        heard: Option<DeviceId>,
    ) -> Result<(), String> {
        if refused.is_empty() {
            return Ok(());
        }
        let title = conversation.label(&self.me.user);
        let mut result = Ok(());
        for (held, why) in refused.into_iter().filter(|(held, why)| held.live && why.is_misdeed()) {
            let why = format!("in {title}: {why}");
            match held.from {
                from if from == heard => result = result.and(Err(why)),
                Some(from) => self.misbehaved(from, &why),
                None => {}
            }
        }
        result
    }

    /// Appends what was taken and shows it.
    pub(super) fn take_offered(&mut self, conversation: &Conversation, offered: Offered, taken: &mut Taken) {
        let Offered {
            taken: entries,
            overflow,
            refused: _,
            passed: _,
            known: _,
        } = offered;
        let talk = self.talk(conversation);
        if overflow {
            talk.replica.held_mut().drain(|_| true);
        }
        let waits = overflow || !talk.replica.held().is_empty();
        let last = talk.replica.version();
        if waits {
            self.unsettled.insert(conversation.clone());
        }
        let first = last + 1 - entries.len() as u64;
        if let Some(partner) = self.partner(conversation).filter(|_| first == 1 && last > 0) {
            // One that was begun with nothing but a greeting is not worth it.
            self.effect(Effect::Registry(Ask::Watch(partner)));
        }
        let mut is_sealed = false;
        let Self {
            talks, me, now, step, ..
        } = self;
        let Some(talk) = talks.get_mut(conversation) else {
            return;
        };
        for (version, mut held) in (first..=last).zip(entries) {
            talk.sealing.take(&held.entry, *now);
            let seal = held.seal.take().filter(|seal| talk.sealing.seal(seal));
            let entering = talk.entering().is_some();
            let quiet = talk.quiet.as_mut();
            if !quiet.is_some_and(|quiet| quiet.hides(&held.entry, held.live, entering)) {
                let line = line(me, &held.entry, &talk.replica, version);
                step.then.push(Effect::Tell(Event::Message(line)));
            }
            taken.insert((conversation.clone(), held.entry.author), held.entry.seq);
            step.persist.push(held.entry);
            is_sealed |= seal.is_some();
            step.seals.extend(seal.map(|seal| (conversation.clone(), *seal)));
        }
        if is_sealed && self.advance(conversation) {
            self.relay(conversation);
        }
    }

    /// Acks what was taken to the devices that wrote it.
    pub(super) fn send_acks(&mut self, taken: Taken) {
        for ((conversation, author), stored) in taken {
            let link = self.peers.get(&author.device).and_then(Peer::link_with_room);
            if let Some(link) = link {
                let durable = self
                    .talk(&conversation)
                    .durable
                    .get(&author)
                    .copied()
                    .unwrap_or_default();
                self.effect(Effect::Send(
                    link,
                    Outgoing::Ack(Ack {
                        conversation,
                        author,
                        stored,
                        durable,
                    }),
                ));
            }
        }
    }

    /// The disk was synced. Whoever has written more since is not told now: that is acked together with it, as it is stored or, at
    /// the latest, when it is durable itself.
    pub(super) fn durable(&mut self, conversation: &Conversation, heights: Vec<(Author, Seq)>) {
        for (author, durable) in heights {
            let talk = self.talk(conversation);
            talk.durable.insert(author, durable);
            let stored = talk.replica.height(&author);
            if durable < stored {
                continue;
            }
            let link = self.peers.get(&author.device).and_then(Peer::link_with_room);
            if let Some(link) = link {
                let ack = Ack {
                    conversation: conversation.clone(),
                    author,
                    stored,
                    durable,
                };
                self.effect(Effect::Send(link, Outgoing::Ack(ack)));
            }
        }
    }

    fn acked(&mut self, device: DeviceId, ack: &Ack) {
        let Ack {
            conversation,
            author,
            stored,
            durable,
        } = ack;
        if author.device != self.me.device {
            return self.misbehaved(device, "it acked entries of another device");
        }
        let Some(talk) = self.talks.get_mut(conversation) else {
            return;
        };
        let Some(to) = talk.members.get(&device).map(|member| member.user.clone()) else {
            return;
        };
        let height = talk.replica.height(author);
        if height == Seq::default() {
            // An incarnation that never wrote here.
            return;
        }
        let acked = Acked {
            stored: *stored,
            durable: *durable,
        };
        let (stored, durable) = talk.deliveries.take(device, *author, acked, height);
        let is_news = |(after, upto): NewlyAcked| after < upto;
        if to == self.me.user || !is_news(stored) && !is_news(durable) {
            return;
        }
        for (news, durable) in [(stored, false), (durable, true)] {
            if news.0 < news.1 {
                self.tell_delivered(conversation, *author, (device, &to), news, durable);
            }
        }
    }

    /// Tells the user that a member has, at this device, the entries after one seq up to another, in runs that equally many have.
    fn tell_delivered(
        &mut self,
        conversation: &Conversation,
        author: Author,
        (at, to): (DeviceId, &UserName),
        (mut after, upto): NewlyAcked,
        durable: bool,
    ) {
        let Some(talk) = self.talks.get(conversation).filter(|_| after < upto) else {
            return;
        };
        let acked = talk.deliveries.of_author(&author);
        let mut users: Vec<(&UserName, Seq)> = Vec::with_capacity(talk.members.len());
        for (device, member) in talk.members.iter().filter(|(_, member)| member.user != self.me.user) {
            let acked = acked(device);
            let acked = if durable { acked.durable } else { acked.stored };
            if *device != at && member.user == *to {
                // What another of his devices has, he has already.
                after = after.max(acked);
            }
            users.push((&member.user, acked));
        }
        // A user has what any of his devices has.
        users.sort_unstable_by_key(|(user, acked)| (*user, std::cmp::Reverse(*acked)));
        users.dedup_by_key(|(user, _)| *user);
        // Acks are cumulative, so how many have an entry changes only after the last one that somebody has.
        let acked = users.iter().map(|(_, acked)| *acked);
        let mut ends: Vec<Seq> = acked.filter(|seq| (after..upto).contains(seq)).collect();
        ends.push(upto);
        ends.sort_unstable();
        let of = users.len();
        let mut from = after.next();
        for upto in ends.into_iter().filter(|end| *end > after) {
            if from <= upto {
                let have = users.iter().filter(|(_, acked)| *acked >= upto).count();
                let (conversation, to) = (conversation.clone(), to.clone());
                self.step.then.push(Effect::TellDelivered(DeliveryNews {
                    conversation,
                    author,
                    from,
                    upto,
                    to,
                    durable,
                    have,
                    of,
                }));
                from = upto.next();
            }
        }
    }
}

/// What a frame says of each conversation, once: a queue may have gathered more, and somebody may repeat himself to cost others work.
fn merged(all: Vec<HeightsNews>) -> impl Iterator<Item = HeightsNews> {
    let mut merged: BTreeMap<Conversation, HeightsNews> = BTreeMap::new();
    for mut news in all {
        if let Some(earlier) = merged.remove(&news.conversation) {
            news.heights.raise(earlier.heights);
            news.reply_wanted |= earlier.reply_wanted;
        }
        merged.insert(news.conversation.clone(), news);
    }
    merged.into_values()
}

/// The highest seq that was just taken, per conversation and author.
pub(super) type Taken = BTreeMap<(Conversation, Author), Seq>;
