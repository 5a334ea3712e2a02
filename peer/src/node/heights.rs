//! Who holds how much: what the others tell of it, and what they are told.

use super::{
    Ask, Effect, Node,
    limits::{AUTHORS_MAX, CONVERSATIONS_MAX, TELL_AT_ONCE_MAX, TELL_PAUSE_MS},
    link::{Ack, HeightsNews, Outgoing, Peer},
    types::{Conversation, DeviceId, Heights, Seq},
};

impl Node {
    pub(super) fn heights_news(&mut self, device: DeviceId, news: HeightsNews) {
        let HeightsNews {
            conversation,
            heights,
            reply_wanted,
            left,
            relay_wanted,
        } = news;
        if !self.shares(&conversation, device) {
            return self.seals_wanted(device, &conversation, &heights);
        }
        if left {
            return self.remove_member(&conversation, device);
        }
        // An own device has taken it in under the same limit, or the user has opened it there.
        if !self.admits(&conversation) && !self.is_own(&device) {
            return self.not_admitted(device);
        }
        if self.is_own(&device) && !self.talks.contains_key(&conversation) {
            // The user has it, so it is worth a place among those who are watched; one that a stranger begins is so with its first entry.
            let partner = self.partner(&conversation);
            partner
                .into_iter()
                .for_each(|user| self.effect(Effect::Registry(Ask::Watch(user))));
        }
        self.begin_direct(&conversation);
        let link = self.peers.get(&device).and_then(Peer::link);
        self.own_height_told(device, &conversation, &heights, link);
        self.heights_told(device, &conversation, heights);
        if let Some(entering) = self.talk(&conversation).entering() {
            entering.waiting.remove(&device);
        }
        self.add_member(&conversation, device, true);
        self.relay_asked(&conversation, device, relay_wanted);
        let is_untold = !self.talk(&conversation).told.contains_key(&device);
        if reply_wanted || is_untold || self.serves_beyond(&conversation, &device) {
            self.tell_soon(&conversation, device, false);
        }
        self.unsettled.insert(conversation);
    }

    /// Takes note of what a device holds. As long as its link is up that only grows, and an answer to a call may be older than what
    /// came over the link meanwhile.
    pub(super) fn heights_told(&mut self, device: DeviceId, conversation: &Conversation, mut heights: Heights) {
        // That it holds nothing of an author makes no difference, and would be gone through each time that a pull is thought of.
        heights.0.retain(|_, seq| *seq >= Seq::FIRST);
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        if let Some(known) = peer.heights.get_mut(conversation) {
            known.raise(heights);
            if known.0.len() > AUTHORS_MAX {
                // More than there can be: made up. What it says next counts alone.
                known.0.clear();
            }
        } else if peer.heights.len() < CONVERSATIONS_MAX {
            peer.heights.insert(conversation.clone(), heights);
        }
    }

    pub(super) fn forget_told(&mut self, device: DeviceId) {
        for talk in self.talks.values_mut() {
            talk.told.remove(&device);
            talk.told_short.remove(&device);
        }
    }

    /// Knocks where a device may be, and tells it the heights of all that it shares; an own one also in which rooms the user is.
    pub(super) fn tell_all(&mut self, device: DeviceId) {
        self.knock_everywhere(device);
        if self.is_own(&device) {
            self.tell_memberships(device);
        }
        let shared = self.talks.keys().filter(|id| self.has_member(id, &device));
        let shared: Vec<_> = shared.cloned().collect();
        if let Some(peer) = self.peers.get_mut(&device) {
            // What was to be asked is still asked.
            let asked = std::mem::take(&mut peer.to_tell);
            let is_asked = |id| asked.get(id).copied().unwrap_or_default();
            peer.to_tell = shared.iter().map(|id| (id.clone(), is_asked(id))).collect();
        }
        self.tell_next_heights(device);
    }

    /// Tells a device the heights of a conversation at the end of this step, and after a pause if it was told some a moment ago: what it
    /// asks for costs it little, and might cost this peer much.
    pub(super) fn tell_soon(&mut self, conversation: &Conversation, device: DeviceId, reply_wanted: bool) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        *peer.to_tell.entry(conversation.clone()).or_default() |= reply_wanted;
        if peer.tell_at.is_none() {
            peer.tell_at = Some(now.max(peer.tell_not_before));
            self.retime = true;
        }
    }

    /// Tells a device the heights of some of the conversations of which it is still to be told. Where its queue was full, this goes on
    /// with those that may not have had room, so that all have their turn.
    pub(super) fn tell_next_heights(&mut self, device: DeviceId) {
        let later = self.now.plus(TELL_PAUSE_MS);
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        let mut part: Vec<(Conversation, bool)> = Vec::new();
        while part.len() < TELL_AT_ONCE_MAX {
            let from = part.last().map(|(last, _)| last).or(peer.tell_from.as_ref());
            let next = from.and_then(|from| peer.to_tell.range(from..).next());
            let Some((next, reply_wanted)) = next.or(peer.to_tell.first_key_value()) else {
                break;
            };
            let next = (next.clone(), *reply_wanted);
            peer.to_tell.remove(&next.0);
            part.push(next);
        }
        if let Some((first, _)) = part.first() {
            peer.tell_from = Some(first.clone());
            peer.tell_not_before = later;
        }
        peer.tell_at = (!peer.to_tell.is_empty()).then_some(later);
        self.retime = true;
        // What was left meanwhile is the other side's no longer.
        part.retain(|(conversation, _)| self.has_member(conversation, &device));
        for (conversation, reply_wanted) in part {
            self.tell_heights(&conversation, device, reply_wanted);
        }
    }

    /// Whether the user is in a conversation and a device as well.
    fn has_member(&self, conversation: &Conversation, device: &DeviceId) -> bool {
        let talk = self.talks.get(conversation);
        talk.is_some_and(|talk| talk.takes_part(conversation) && talk.members.contains_key(device))
    }

    /// Tells a device what it can be given of a conversation, and what is held of its own entries.
    pub(super) fn tell_heights(&mut self, conversation: &Conversation, device: DeviceId, reply_wanted: bool) {
        let Some(link) = self.peers.get(&device).and_then(Peer::link_with_room) else {
            return;
        };
        let heights = self.servable_for(conversation, &device);
        let talk = self.talk(conversation);
        let relay_wanted = talk.relays.asked.contains(&device);
        talk.told.insert(device, talk.sealing.servable().version());
        match talk.sealing.is_settled() {
            true => talk.told_short.remove(&device),
            false => talk.told_short.insert(device),
        };
        let authors = talk.replica.authors().iter();
        let acks = authors
            .filter(|(author, _)| author.device == device)
            .map(|(author, held)| {
                let durable = talk.durable.get(author).copied().unwrap_or_default();
                Ack {
                    conversation: conversation.clone(),
                    author: *author,
                    stored: held.height(),
                    durable,
                }
            });
        let acks: Vec<_> = acks.collect();
        let news = HeightsNews {
            conversation: conversation.clone(),
            heights,
            reply_wanted,
            left: false,
            relay_wanted,
        };
        self.effect(Effect::Send(link, Outgoing::Heights(news)));
        for ack in acks {
            self.effect(Effect::Send(link, Outgoing::Ack(ack)));
        }
    }
}

#[cfg(test)]
mod tests;
