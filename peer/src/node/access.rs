//! Who may read what: to whom the heights and entries of a conversation may be said, and from whom they are taken.

use super::{
    Node,
    knocks::is_private,
    types::{Conversation, DeviceId, Reader},
};

impl Node {
    /// Whether somebody may read a conversation: a direct one if he is one of the two, a room as long as both this peer and he are in
    /// it, as far as is known here. Who is lost or offline has not left; who has left is given nothing any more, and reads what he
    /// holds himself. In a private room it is not enough that another device of his has the secret: which devices are his, the registry
    /// says.
    pub fn may_read(&self, reader: &Reader, conversation: &Conversation) -> bool {
        let Reader { user, device } = reader;
        match conversation {
            Conversation::Room(_) => self.talks.get(conversation).is_some_and(|talk| {
                let is_in = match is_private(conversation) {
                    true => talk.members.contains_key(device),
                    false => talk.members.values().any(|member| member.user == *user),
                };
                talk.takes_part(conversation) && is_in
            }),
            Conversation::Direct(pair) => pair.has(user) && pair.has(&self.me.user),
        }
    }

    /// Whether the news that somebody may read a conversation can be on its way: a newcomer hears from the registry who is in a room
    /// a moment before those hear of him.
    pub fn may_read_soon(&self, conversation: &Conversation) -> bool {
        matches!(conversation, Conversation::Room(_))
            && self
                .talks
                .get(conversation)
                .is_some_and(|talk| talk.takes_part(conversation))
    }

    /// Whether a conversation is one that this peer and another device can share: a room that this one is in, or the direct
    /// conversation of the two users. In a room that is not private, whoever names it to a member is in it; in a private one, who has
    /// knocked.
    pub(super) fn shares(&self, conversation: &Conversation, device: DeviceId) -> bool {
        match conversation {
            Conversation::Room(_) => self.talks.get(conversation).is_some_and(|talk| {
                let known = !is_private(conversation) || talk.members.contains_key(&device);
                talk.takes_part(conversation) && known
            }),
            Conversation::Direct(pair) => {
                let user = self.peers.get(&device).map(|peer| &peer.user);
                user.is_some_and(|user| pair.has(user)) && pair.has(&self.me.user)
            }
        }
    }
}
