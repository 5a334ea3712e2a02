//! The links to other devices: opening, losing, and what comes in over them.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Ask, DeliveryNews, Effect, Millis, Node, Now,
    delivery::{Acked, NewlyAcked},
    event::{Code, Event},
    holdback::Held,
    limits::{CONVERSATIONS_MAX, HEIGHTS_AFTER_LOSS_MS, HEIGHTS_EVERY_MS, LINKS_MAX, REDIAL_MS_MAX},
    link::{Ack, ByeReason, Frame, HeightsNews, LinkId, LinkState, LinkUp, Outgoing, Peer, redial_ms, replaces},
    replica::{Offered, Refusal},
    types::{Author, Conversation, DeviceId, Entry, Heights, Seq, UserName},
};

impl Node {
    pub(super) fn link_up(&mut self, up: LinkUp, now: Now) {
        let LinkUp {
            link,
            device,
            session,
            dialed_by_us,
            ..
        } = up;
        if device == self.me.device {
            return self.effect(Effect::Close(
                link,
                ByeReason::Misbehaved,
                "a device has no link to itself".into(),
            ));
        }
        if self.links.len() >= LINKS_MAX {
            let message = format!("this peer has {LINKS_MAX} links, which is the limit");
            return self.effect(Effect::Close(link, ByeReason::TooManyLinks, message));
        }
        let peer = self.peers.entry(device).or_insert_with(|| Peer::new(up.user.clone()));
        if peer.user != up.user {
            let message = format!("device {device} is {}'s, not {}'s", peer.user, up.user);
            return self.effect(Effect::Close(link, ByeReason::Misbehaved, message));
        }
        if let LinkState::Up {
            link: old,
            session: old_session,
            dialed_by_us: old_by_us,
            ..
        } = peer.link
        {
            let stays = if replaces(self.me.device, &up, old_session, old_by_us) {
                link
            } else {
                old
            };
            let goes = if stays == link { old } else { link };
            self.links.remove(&goes);
            self.effect(Effect::Close(
                goes,
                ByeReason::Duplicate,
                "there is another link".into(),
            ));
            if stays == old {
                return;
            }
        }
        let peer = self.peers.entry(device).or_insert_with(|| Peer::new(up.user.clone()));
        peer.user = up.user.clone();
        peer.address = Some(up.address);
        peer.failures = 0;
        if peer.session.is_none_or(|(known, _)| known != session) {
            peer.session = Some((session, now.mono));
        }
        peer.heights.clear();
        peer.link = LinkState::Up {
            link,
            session,
            dialed_by_us,
            full: false,
        };
        self.links.insert(link, device);
        self.forget_told(device);
        self.join_partner(&up.user);
        self.presence_changed(device, false);
        self.tell_all_heights(device);
        self.next_heights_at = self.next_heights_at.max(now.mono);
    }

    pub(super) fn link_down(&mut self, link: LinkId, now: Now) {
        let Some(device) = self.links.remove(&link) else { return };
        let retry_ms = redial_ms(0, &mut self.rng);
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        let left = std::mem::take(&mut peer.said_goodbye);
        self.unlinked(device, (!left).then(|| now.mono.plus(retry_ms)), left);
    }

    /// There is no link to a device any longer; it is dialled again at a time, or when the registry says that it is there.
    fn unlinked(&mut self, device: DeviceId, retry_at: Option<Millis>, left: bool) {
        let after = self.now.plus(self.rng.u64(..=HEIGHTS_AFTER_LOSS_MS));
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        peer.link = LinkState::Down { retry_at };
        peer.heights.clear();
        self.forget_told(device);
        for talk in self
            .talks
            .values_mut()
            .filter(|talk| talk.members.contains_key(&device))
        {
            talk.tell_at = Some(talk.tell_at.unwrap_or(after));
        }
        self.retime = true;
        self.without_link(device, left);
    }

    pub(super) fn dial_failed(&mut self, device: DeviceId, now: Now) {
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        if peer.link != LinkState::Dialing {
            return;
        }
        peer.failures = peer.failures.saturating_add(1);
        let wait = redial_ms(peer.failures, &mut self.rng);
        peer.link = LinkState::Down {
            retry_at: Some(now.mono.plus(wait)),
        };
        self.without_link(device, false);
    }

    /// There is no link to a device: where the registry cannot say that it is there, it is not.
    fn without_link(&mut self, device: DeviceId, left: bool) {
        if self.registry_up != Some(true)
            && let Some(peer) = self.peers.get_mut(&device)
        {
            peer.listed = false;
        }
        self.presence_changed(device, left);
    }

    pub(super) fn link_full(&mut self, link: LinkId) {
        let peer = self.links.get(&link).and_then(|device| self.peers.get_mut(device));
        if let Some(LinkState::Up { full, .. }) = peer.map(|peer| &mut peer.link) {
            *full = true;
        }
    }

    pub(super) fn link_drained(&mut self, link: LinkId, _now: Now) {
        let Some(&device) = self.links.get(&link) else { return };
        if let Some(LinkState::Up { full, .. }) = self.peers.get_mut(&device).map(|peer| &mut peer.link) {
            *full = false;
        }
        // What was not sent meanwhile is for the other side to pull.
        self.tell_all_heights(device);
    }

    pub(super) fn frame(&mut self, link: LinkId, frame: Frame, now: Now) {
        let Some(&device) = self.links.get(&link) else { return };
        let mut taken = BTreeMap::new();
        for entry in frame.entries {
            if let Err(why) = self.live_entry(device, entry, &mut taken, now) {
                self.send_acks(taken);
                return self.misbehaved(device, &why);
            }
        }
        self.send_acks(taken);
        for ack in frame.acks {
            self.acked(device, &ack);
        }
        for news in frame.heights {
            self.heights_news(device, news);
        }
        if let Some(reason) = frame.bye
            && let Some(peer) = self.peers.get_mut(&device)
        {
            peer.said_goodbye = reason == ByeReason::Quit;
        }
    }

    /// Takes in an entry that came over its author's link.
    fn live_entry(&mut self, device: DeviceId, entry: Arc<Entry>, taken: &mut Taken, now: Now) -> Result<(), String> {
        if entry.author.device != device {
            return Err(format!("it sent an entry of device {} as its own", entry.author.device));
        }
        let conversation = entry.conversation.clone();
        let user = self.peers.get(&device).map(|peer| peer.user.clone());
        if !self.shares(&conversation, user.as_ref()) {
            // Left a moment ago, perhaps. What is not ours to keep is not acked either.
            return Ok(());
        }
        if let (Some(found), Some(held)) = (&entry.user, user)
            && *found != held
        {
            let found = found.clone();
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
        };
        let offered = self.talk(&conversation).replica.offer(held);
        match self.take_offered(&conversation, offered, taken) {
            None => Ok(()),
            Some(why) => Err(why),
        }
    }

    /// Appends what was taken and shows it; returns why something was refused.
    pub(super) fn take_offered(
        &mut self,
        conversation: &Conversation,
        offered: Offered,
        taken: &mut Taken,
    ) -> Option<String> {
        let Offered {
            taken: entries,
            refused,
            overflow,
        } = offered;
        if overflow {
            self.talk(conversation).replica.drop_held(|_| true);
        }
        if overflow || !self.talk(conversation).replica.held().is_empty() {
            self.unsettled.insert(conversation.clone());
        }
        let last = self.talk(conversation).replica.version();
        let first = last + 1 - entries.len() as u64;
        for (version, held) in (first..=last).zip(entries) {
            let talk = self.talk(conversation);
            match &mut talk.quiet {
                Some(live) => *live += usize::from(held.live),
                None => {
                    let line = self.line(&held.entry, &self.talks[conversation].replica, version);
                    self.tell(Event::Message(line));
                }
            }
            taken.insert((conversation.clone(), held.entry.author), held.entry.seq);
            self.step.persist.push(held.entry);
        }
        let why = refused.first().map(|(_, why)| why.to_string());
        why.map(|why| format!("in {}: {why}", conversation.title(&self.me.user)))
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

    pub(super) fn durable(&mut self, conversation: &Conversation, heights: Vec<(Author, Seq)>) {
        for (author, durable) in heights {
            let talk = self.talk(conversation);
            talk.durable.insert(author, durable);
            let stored = talk.replica.height(&author);
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
        let acked = Acked {
            stored: *stored,
            durable: *durable,
        };
        let (stored, durable) = talk.deliveries.take(device, *author, acked, height);
        if to == self.me.user {
            return;
        }
        for ((after, upto), durable) in [(stored, false), (durable, true)] {
            self.tell_delivered(conversation, *author, &to, (after, upto), durable);
        }
    }

    /// Tells the user that a member has the entries after one seq up to another, in runs that equally many have.
    fn tell_delivered(
        &mut self,
        conversation: &Conversation,
        author: Author,
        to: &UserName,
        (after, upto): NewlyAcked,
        durable: bool,
    ) {
        let Some(talk) = self.talks.get(conversation) else {
            return;
        };
        let mut users: BTreeMap<&UserName, Seq> = BTreeMap::new();
        for (device, member) in talk.members.iter().filter(|(_, member)| member.user != self.me.user) {
            let acked = talk.deliveries.of(device, &author);
            let acked = if durable { acked.durable } else { acked.stored };
            let user = users.entry(&member.user).or_default();
            *user = acked.max(*user);
        }
        // Acks are cumulative, so how many have an entry changes only after the last one that somebody has.
        let mut ends: Vec<Seq> = users
            .values()
            .copied()
            .filter(|seq| (after..upto).contains(seq))
            .collect();
        ends.push(upto);
        ends.sort_unstable();
        let of = users.len();
        let mut from = after.next();
        let mut news = Vec::new();
        for upto in ends.into_iter().filter(|end| *end > after) {
            if from <= upto {
                let have = users.values().filter(|acked| **acked >= upto).count();
                let (conversation, to) = (conversation.clone(), to.clone());
                news.push(DeliveryNews {
                    conversation,
                    author,
                    from,
                    upto,
                    to,
                    durable,
                    have,
                    of,
                });
                from = upto.next();
            }
        }
        for news in news {
            self.effect(Effect::TellDelivered(news));
        }
    }

    fn heights_news(&mut self, device: DeviceId, news: HeightsNews) {
        let HeightsNews {
            conversation,
            heights,
            reply_wanted,
            left,
        } = news;
        let user = self.peers.get(&device).map(|peer| peer.user.clone());
        if !self.shares(&conversation, user.as_ref()) {
            return;
        }
        if left {
            return self.remove_member(&conversation, device);
        }
        if let Some(partner) = self.partner(&conversation)
            && !self.talks.contains_key(&conversation)
        {
            self.talk(&conversation);
            self.effect(Effect::Registry(Ask::Watch(partner)));
        }
        self.own_height_told(&conversation, &heights);
        self.heights_told(device, &conversation, heights);
        self.add_member(&conversation, device, true);
        if reply_wanted || !self.talk(&conversation).told.contains_key(&device) {
            self.tell_heights(&conversation, device, false);
        }
        self.unsettled.insert(conversation);
    }

    /// Takes note of what a device holds. As long as its link is up that only grows, and an answer to a call may be older than what
    /// came over the link meanwhile.
    pub(super) fn heights_told(&mut self, device: DeviceId, conversation: &Conversation, heights: Heights) {
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        if let Some(known) = peer.heights.get_mut(conversation) {
            known.raise(heights);
        } else if peer.heights.len() < CONVERSATIONS_MAX {
            peer.heights.insert(conversation.clone(), heights);
        }
    }

    /// If somebody holds more of what this process writes than it has written, the disk was restored from an older copy: it
    /// writes as a new author from now on, and pulls what it once wrote.
    pub(super) fn own_height_told(&mut self, conversation: &Conversation, heights: &Heights) {
        let device = self.me.device;
        let talk = self.talk(conversation);
        let resumed = talk.resume.map(|incarnation| Author { device, incarnation });
        for author in talk.author.into_iter().chain(resumed) {
            if heights.of(&author) > talk.replica.height(&author) {
                talk.author = None;
                talk.resume = None;
            }
        }
    }

    /// Whether a conversation is one that this peer and a user's device can share: a room that this one is in, or their own
    /// direct conversation.
    fn shares(&self, conversation: &Conversation, user: Option<&UserName>) -> bool {
        match conversation {
            Conversation::Room(_) => self
                .talks
                .get(conversation)
                .is_some_and(|talk| talk.takes_part(conversation)),
            Conversation::Direct(pair) => user.is_some_and(|user| pair.has(user)) && pair.has(&self.me.user),
        }
    }

    /// A device broke a rule: the user is told once, and the link is closed.
    pub(super) fn misbehaved(&mut self, device: DeviceId, why: &str) {
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        peer.refused += 1;
        let (user, first, link) = (peer.user.clone(), peer.refused == 1, peer.link());
        if first {
            self.notice(
                Code::PeerMisbehaved,
                format!("{user} breaks the protocol, and this was refused: {why}"),
            );
        }
        if let Some(link) = link {
            self.effect(Effect::Close(link, ByeReason::Misbehaved, why.into()));
            // From now on nothing is heard of it, and it is long until it is dialled again.
            self.links.remove(&link);
            self.unlinked(device, Some(self.now.plus(REDIAL_MS_MAX)), false);
        }
    }

    fn forget_told(&mut self, device: DeviceId) {
        for talk in self.talks.values_mut() {
            talk.told.remove(&device);
        }
    }

    /// Tells a device the heights of all that it shares.
    fn tell_all_heights(&mut self, device: DeviceId) {
        let shared = self
            .talks
            .iter()
            .filter(|(id, talk)| talk.takes_part(id) && talk.members.contains_key(&device));
        let shared: Vec<_> = shared.map(|(conversation, _)| conversation.clone()).collect();
        for conversation in shared {
            self.tell_heights(&conversation, device, false);
        }
    }

    /// Tells a device what is held of a conversation, and what of its own entries.
    pub(super) fn tell_heights(&mut self, conversation: &Conversation, device: DeviceId, reply_wanted: bool) {
        let Some(link) = self.peers.get(&device).and_then(Peer::link_with_room) else {
            return;
        };
        let talk = self.talk(conversation);
        talk.told.insert(device, talk.replica.version());
        let heights = talk.replica.heights();
        let acks = heights
            .0
            .iter()
            .filter(|(author, _)| author.device == device)
            .map(|(author, stored)| {
                let durable = talk.durable.get(author).copied().unwrap_or_default();
                Ack {
                    conversation: conversation.clone(),
                    author: *author,
                    stored: *stored,
                    durable,
                }
            });
        let acks: Vec<_> = acks.collect();
        let news = HeightsNews {
            conversation: conversation.clone(),
            heights,
            reply_wanted,
            left: false,
        };
        self.effect(Effect::Send(link, Outgoing::Heights(news)));
        for ack in acks {
            self.effect(Effect::Send(link, Outgoing::Ack(ack)));
        }
    }

    /// Does what is due.
    pub(super) fn on_time(&mut self, now: Now) {
        if !self.retime && self.due.is_none_or(|due| now.mono < due) {
            return;
        }
        self.retime = true;
        self.dial_due(now);
        let every = self.next_heights_at <= now.mono;
        if every {
            self.next_heights_at = now
                .mono
                .plus(HEIGHTS_EVERY_MS / 2 + self.rng.u64(..=HEIGHTS_EVERY_MS / 2));
        }
        let mut tell = Vec::new();
        for (conversation, talk) in &mut self.talks {
            let now_due = talk.tell_at.is_some_and(|at| at <= now.mono);
            if now_due {
                talk.tell_at = None;
            }
            if talk.sync.look_at.is_some_and(|at| at <= now.mono) {
                talk.sync.look_at = None;
                self.unsettled.insert(conversation.clone());
            }
            if (now_due || every) && talk.takes_part(conversation) {
                let version = talk.replica.version();
                let stale = talk
                    .members
                    .keys()
                    .filter(|device| talk.told.get(device) != Some(&version));
                tell.extend(stale.map(|device| (conversation.clone(), *device)));
            }
        }
        for (conversation, device) in tell {
            self.tell_heights(&conversation, device, false);
        }
    }

    fn dial_due(&mut self, now: Now) {
        let mut dials = Vec::new();
        for (device, peer) in &mut self.peers {
            let LinkState::Down { retry_at: Some(at) } = peer.link else {
                continue;
            };
            if at > now.mono {
                continue;
            }
            let wanted = !self.quitting
                && self
                    .talks
                    .iter()
                    .any(|(id, talk)| talk.takes_part(id) && talk.members.contains_key(device));
            match &peer.address {
                Some(address) if wanted => {
                    peer.link = LinkState::Dialing;
                    dials.push((*device, address.clone()));
                }
                // Membership makes it wanted again, and asks for a dial then.
                _ => peer.link = LinkState::Down { retry_at: None },
            }
        }
        for (device, address) in dials {
            self.effect(Effect::Dial(device, address));
        }
    }
}

/// The highest seq that was just taken, per conversation and author.
pub(super) type Taken = BTreeMap<(Conversation, Author), Seq>;
