//! Who holds how much: what the others tell of it, and what they are told.

use super::{
    Ask, Effect, Node,
    knocks::is_private,
    limits::{AUTHORS_MAX, CONVERSATIONS_MAX},
    link::{Ack, HeightsNews, Outgoing, Peer},
    types::{Author, Conversation, DeviceId, Heights},
};

impl Node {
    pub(super) fn heights_news(&mut self, device: DeviceId, news: HeightsNews) {
        let HeightsNews {
            conversation,
            heights,
            reply_wanted,
            left,
        } = news;
        if !self.shares(&conversation, device) {
            return;
        }
        if left {
            return self.remove_member(&conversation, device);
        }
        if !self.admits(&conversation) {
            return self.not_admitted(device);
        }
        if let Some(partner) = self.partner(&conversation)
            && !self.talks.contains_key(&conversation)
        {
            self.talk(&conversation);
            self.effect(Effect::Registry(Ask::Watch(partner)));
        }
        self.own_height_told(&conversation, &heights);
        self.heights_told(device, &conversation, heights);
        if is_private(&conversation)
            && let Some(entering) = self.talk(&conversation).entering()
        {
            entering.waiting.remove(&device);
        }
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
            if known.0.len() > AUTHORS_MAX {
                // More than there can be: made up. What it says next counts alone.
                known.0.clear();
            }
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

    pub(super) fn forget_told(&mut self, device: DeviceId) {
        for talk in self.talks.values_mut() {
            talk.told.remove(&device);
        }
    }

    /// Tells a device the heights of all that it shares.
    pub(super) fn tell_all_heights(&mut self, device: DeviceId) {
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
}
