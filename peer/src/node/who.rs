//! The members of a conversation, for the user to see.

use std::collections::BTreeMap;

use super::{
    Node,
    event::Member,
    talk::Talk,
    types::{Conversation, DeviceId, UserName},
};

impl Node {
    /// The members of a conversation with what is known of each, sorted by name.
    pub fn who(&self, conversation: &Conversation) -> Vec<Member> {
        let Some(talk) = self.talks.get(conversation) else {
            return Vec::new();
        };
        let member = |user: UserName| Member {
            me: user == self.me.user,
            online: false,
            devices: 0,
            version: None,
            refused: 0,
            trust: self.people.trust(&user),
            user,
        };
        let mut members: BTreeMap<UserName, Member> = BTreeMap::new();
        let mut me = member(self.me.user.clone());
        (me.online, me.devices, me.version) = (true, 1, Some(talk.replica.version()));
        members.insert(me.user.clone(), me);
        if let Conversation::Direct(pair) = conversation {
            let user = pair.other(&self.me.user);
            members
                .entry(user.clone())
                .or_insert_with(|| member(self.shown_name(user)));
        }
        for (device, known) in &talk.members {
            let version = self.known_version(conversation, talk, device);
            let entry = members
                .entry(known.user.clone())
                .or_insert_with(|| member(known.user.clone()));
            let online = self.is_online(device);
            entry.online |= online;
            entry.devices += usize::from(online);
            entry.version = entry.version.max(version);
            let refused = self.peers.get(device).map_or(0, |peer| peer.refused);
            entry.refused = entry.refused.saturating_add(refused);
        }
        members.into_values().collect()
    }

    /// How many entries a device is known to hold: those that it has told of, that it has acked, and that it wrote.
    fn known_version(&self, conversation: &Conversation, talk: &Talk, device: &DeviceId) -> Option<u64> {
        let mut heights = self.peers.get(device)?.heights.get(conversation)?.clone();
        for (author, log) in talk.replica.authors() {
            let known = if author.device == *device {
                log.height()
            } else {
                talk.deliveries.of(device, author).stored
            };
            if known > heights.of(author) {
                heights.0.insert(*author, known);
            }
        }
        Some(heights.version())
    }

    pub(super) fn shown_name(&self, user: &UserName) -> UserName {
        self.peers
            .values()
            .find(|peer| peer.user == *user)
            .map_or_else(|| user.clone(), |peer| peer.user.clone())
    }
}
