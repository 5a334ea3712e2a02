//! Who is in a private room.
//!
//! The registry says which devices are in the room that it knows by a hash, and whoever runs it may say what he likes. So its word
//! makes nobody a member of a private room: a device that it names is dialled, and the two *knock*. A knock shows that its sender has
//! the room's secret, to this one receiver, and tells nothing to one who does not have it. Who has knocked is a member, and only
//! then is anything said to him that names the room.

use super::{
    Effect, Node,
    event::Code,
    limits::MEMBERS_MAX,
    link::{Knock, Outgoing, Peer},
    private::{Invitation, Keys},
    talk::Stage,
    types::{Conversation, DeviceId, RoomName},
};

impl Node {
    /// Gives the node what it needs to be in a private room.
    pub fn load_invitation(&mut self, invitation: Invitation) {
        let conversation = Conversation::Room(invitation.room());
        self.talk(&conversation).private = Some(Keys::of(invitation));
    }

    /// What others are let into a private room with, if this peer has it.
    pub fn invitation(&self, conversation: &Conversation) -> Option<&Invitation> {
        let keys = self.talks.get(conversation)?.private.as_ref()?;
        Some(keys.invitation())
    }

    pub(super) fn join_private(&mut self, invitation: Invitation) {
        let room = invitation.room();
        self.keep_invitation(invitation);
        self.join(room);
    }

    /// Takes what is needed to be in a private room, for the next start as well.
    pub(super) fn keep_invitation(&mut self, invitation: Invitation) {
        self.load_invitation(invitation.clone());
        self.effect(Effect::KeepInvitation(invitation));
    }

    /// Another own device says that it is in a room. It has the secret, or it would not know the room: so it need not knock, but must
    /// hear a knock, since it may not know yet that this device is there.
    pub(super) fn known_there(&mut self, conversation: &Conversation, device: DeviceId) {
        if is_private(conversation) && !self.talk(conversation).members.contains_key(&device) {
            self.talk(conversation).named.remove(&device);
            self.knock(conversation, device, true);
        }
        self.add_member(conversation, device, true);
    }

    /// A private room cannot be entered without its secret, whatever its id.
    pub(super) fn not_invited(&mut self, room: &RoomName) {
        let label = room.label();
        let why = format!("the invitation to #{label} is not kept here: ask a member for the one that /invite prints");
        self.not_entered(Conversation::Room(room.clone()), Code::Refused, &why, 0);
    }

    /// What the registry calls a room; none where that is not known, since the invitation is lost.
    pub(super) fn at_registry(&self, room: &RoomName) -> Option<RoomName> {
        if room.id().is_none() {
            return Some(room.clone());
        }
        let talk = self.talks.get(&Conversation::Room(room.clone()))?;
        talk.private.as_ref().map(|keys| keys.at_registry().clone())
    }

    /// Which room the registry speaks of.
    pub(super) fn room_of_registry(&self, room: RoomName) -> Option<Conversation> {
        if !room.is_unlisted() {
            return Some(Conversation::Room(room));
        }
        let called = |keys: &Keys| *keys.at_registry() == room;
        let mut talks = self.talks.iter();
        let found = talks.find(|(_, talk)| talk.private.as_ref().is_some_and(called));
        found.map(|(conversation, _)| conversation.clone())
    }

    /// The registry names a device that is in a room.
    pub(super) fn named(&mut self, conversation: &Conversation, device: DeviceId, announce: bool) {
        let talk = self.talk(conversation);
        if !is_private(conversation) || talk.members.contains_key(&device) {
            return self.add_member(conversation, device, announce);
        }
        if talk.named.len() >= MEMBERS_MAX {
            return self.forget_stranger(device);
        }
        if !talk.named.insert(device) {
            return;
        }
        match self.peers.get(&device).and_then(Peer::link) {
            Some(_) => self.knock(conversation, device, true),
            None => self.dial_soon(device, self.now),
        }
    }

    /// The registry no longer names a device that has not knocked.
    pub(super) fn not_named(&mut self, conversation: &Conversation, device: DeviceId) {
        let talk = self.talk(conversation);
        talk.named.remove(&device);
        if is_private(conversation)
            && let Some(entering) = talk.entering()
            && entering.waiting.remove(&device)
        {
            self.unsettled.insert(conversation.clone());
        }
    }

    /// There is no way to a device at present: who enters a private room does not wait for its knock.
    pub(super) fn no_knock_from(&mut self, device: DeviceId) {
        for (conversation, talk) in &mut self.talks {
            if is_private(conversation)
                && let Some(entering) = talk.entering()
                && entering.waiting.remove(&device)
            {
                self.unsettled.insert(conversation.clone());
            }
        }
    }

    /// Knocks at all private rooms in which a device is, or may be.
    pub(super) fn knock_everywhere(&mut self, device: DeviceId) {
        let rooms = self
            .talks
            .iter()
            .filter(|(_, talk)| talk.named.contains(&device) || talk.members.contains_key(&device));
        let rooms: Vec<_> = rooms
            .map(|(conversation, talk)| (conversation.clone(), !talk.members.contains_key(&device)))
            .collect();
        for (conversation, reply_wanted) in rooms {
            self.knock(&conversation, device, reply_wanted);
        }
    }

    /// Shows a device that this one has the secret of a room, and asks for the same if that is wanted.
    fn knock(&mut self, conversation: &Conversation, device: DeviceId, reply_wanted: bool) {
        let (Some(talk), Some(peer)) = (self.talks.get(conversation), self.peers.get(&device)) else {
            return;
        };
        if let (Some(keys), Some(link)) = (&talk.private, peer.link_with_room())
            && talk.takes_part(conversation)
        {
            let knock = Knock {
                proof: *keys.proof(self.me.device, device).as_bytes(),
                reply_wanted,
            };
            self.effect(Effect::Send(link, Outgoing::Knock(knock)));
        }
    }

    /// A device knocks. What fits no room is meant for one that was left, or is a guess; both are passed over.
    pub(super) fn knocked(&mut self, device: DeviceId, knocks: &[Knock]) {
        if knocks.is_empty() {
            return;
        }
        let me = self.me.device;
        let expected = self.talks.iter().filter(|(id, talk)| talk.takes_part(id));
        let expected = expected.filter_map(|(id, talk)| Some((id.clone(), talk.private.as_ref()?.proof(device, me))));
        let expected: Vec<_> = expected.collect();
        for knock in knocks {
            let Some((conversation, _)) = expected.iter().find(|(_, proof)| *proof == knock.proof) else {
                continue;
            };
            let talk = self.talk(conversation);
            talk.named.remove(&device);
            let (new, announce) = (
                !talk.members.contains_key(&device),
                !matches!(talk.stage, Stage::Asking(_)),
            );
            // Before anything else, so that what follows is taken there.
            if knock.reply_wanted {
                self.knock(conversation, device, false);
            }
            if new {
                self.add_member(conversation, device, announce);
            }
        }
    }
}

pub(super) fn is_private(conversation: &Conversation) -> bool {
    matches!(conversation, Conversation::Room(room) if room.id().is_some())
}
