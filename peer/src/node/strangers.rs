//! What those may cost with whom the user has nothing to do: the conversations that they begin, the links that they hold, and what is
//! remembered of their devices.

use super::{
    Effect, Node,
    limits::{DIRECT_MEMBERS_MAX, MEMBERS_MAX, OPENED_BY_OTHERS_MAX},
    link::{ByeReason, LinkId, LinkState, Peer},
    talk::{Stage, Talk},
    types::{Conversation, DeviceId},
};

impl Node {
    /// Whether a conversation is there, or may be begun by somebody else. Where there are as many as there may be, those are forgotten
    /// in which nothing was said and nobody is there.
    pub(super) fn admits(&mut self, conversation: &Conversation) -> bool {
        let wanted = self.talks.contains_key(conversation)
            || self
                .partner(conversation)
                .is_some_and(|user| self.opening.contains_key(&user));
        wanted || self.others_may_begin() || {
            self.forget_unused();
            self.others_may_begin()
        }
    }

    fn others_may_begin(&self) -> bool {
        self.talks.iter().filter(|(id, talk)| self.is_others(id, talk)).count() < OPENED_BY_OTHERS_MAX
    }

    fn forget_unused(&mut self) {
        let linked = |device: &DeviceId| self.peers.get(device).is_some_and(|peer| peer.link().is_some());
        let unused = self
            .talks
            .iter()
            .filter(|(id, talk)| self.is_others(id, talk) && talk.is_unused() && !talk.members.keys().any(linked));
        let unused: Vec<Conversation> = unused.map(|(id, _)| id.clone()).collect();
        for conversation in unused {
            self.forget_pull(&conversation);
            let members = self.talks.remove(&conversation).map(|talk| talk.members);
            for device in members.unwrap_or_default().into_keys() {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.heights.remove(&conversation);
                }
                self.forget_stranger(device);
            }
        }
    }

    /// Whether a conversation was begun by the other user, and this one has neither opened it in this run nor ever said anything there.
    fn is_others(&self, conversation: &Conversation, talk: &Talk) -> bool {
        matches!(conversation, Conversation::Direct(_))
            && talk.stage == Stage::Closed
            && !talk.replica.authors().values().any(|log| log.user == self.me.user)
    }

    /// Does not let a device begin a conversation. Who shares another one keeps his link.
    pub(super) fn not_admitted(&mut self, device: DeviceId) {
        let message = format!(
            "others have begun {OPENED_BY_OTHERS_MAX} conversations with this user, which is the limit: only he can open a further one"
        );
        self.effect(Effect::Refused(None, message.clone()));
        let link = self.peers.get(&device).and_then(|peer| peer.link());
        if let Some(link) = link.filter(|_| !self.is_member(&device)) {
            self.shut(device, link, ByeReason::TooManyConversations, message);
        }
    }

    /// Takes the place of a stranger's link for a member's; false where there is none.
    pub(super) fn drop_stranger(&mut self) -> bool {
        let mut links = self.links.iter();
        let Some((&link, &device)) = links.find(|(_, device)| !self.is_member(device)) else {
            return false;
        };
        let message = "this peer has as many links as it takes, and shares no conversation with this device";
        self.shut(device, link, ByeReason::TooManyLinks, message.into());
        true
    }

    /// Closes a link, hears no more of it, and does not dial again for long.
    pub(super) fn shut(&mut self, device: DeviceId, link: LinkId, reason: ByeReason, message: String) {
        self.effect(Effect::Close(link, reason, message));
        self.links.remove(&link);
        if let Some(peer) = self.peers.get_mut(&device) {
            peer.breaker.is_sent_away(self.now);
        }
        self.unlinked(device);
    }

    /// Forgets a device that has no link and is in no conversation. Whoever shares one later is heard of again.
    pub(super) fn forget_stranger(&mut self, device: DeviceId) {
        let is_down = |peer: &Peer| peer.link == LinkState::Down;
        if self.peers.get(&device).is_some_and(is_down) && !self.is_member(&device) {
            self.peers.remove(&device);
        }
    }

    /// Whether a conversation takes one more device. Where it has as many as there may be, those are forgotten that are not there
    /// and never said anything: they are heard of again when they come.
    pub(super) fn has_room_for_member(&mut self, conversation: &Conversation) -> bool {
        let most = match conversation {
            Conversation::Room(_) => MEMBERS_MAX,
            Conversation::Direct(_) => DIRECT_MEMBERS_MAX,
        };
        let Some(talk) = self.talks.get_mut(conversation) else {
            return true;
        };
        if talk.deliveries.devices() >= 2 * most {
            // Of those that have left as well.
            let members = &talk.members;
            talk.deliveries.retain(|device| members.contains_key(device));
        }
        if talk.members.len() < most {
            return true;
        }
        let silent = self.silent_members(conversation);
        for device in &silent {
            let talk = self.talk(conversation);
            talk.members.remove(device);
            talk.told.remove(device);
            if let Some(peer) = self.peers.get_mut(device) {
                peer.heights.remove(conversation);
            }
            self.forget_stranger(*device);
        }
        !silent.is_empty()
    }

    /// The members that are not there and never said anything.
    fn silent_members(&self, conversation: &Conversation) -> Vec<DeviceId> {
        let Some(talk) = self.talks.get(conversation) else {
            return Vec::new();
        };
        let wrote = |device: DeviceId| talk.replica.authors_of(device).next().is_some();
        let members = talk.members.keys().copied();
        members
            .filter(|device| !self.is_online(device) && !wrote(*device))
            .collect()
    }
}

#[cfg(test)]
mod tests;
