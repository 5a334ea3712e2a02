//! The user's other devices: there is a link to each that is there, and they hold the same rooms and direct conversations.

use super::{
    Ask, Effect, Node,
    limits::OWN_DEVICES_MAX,
    link::{LinkState, Outgoing, Peer},
    memberships::{Membership, MembershipNews},
    talk::Stage,
    types::{Conversation, DeviceId, RoomName, UserName},
};

impl Node {
    /// Whether a device is another one of this user.
    pub(super) fn is_own(&self, device: &DeviceId) -> bool {
        self.peers.get(device).is_some_and(|peer| peer.user == self.me.user)
    }

    pub(super) fn own_devices(&self) -> Vec<DeviceId> {
        let own = self.peers.iter().filter(|(_, peer)| peer.user == self.me.user);
        own.map(|(device, _)| *device).collect()
    }

    /// Whether one more device of this user is taken in. Where there are as many as there may be, one that is not there gives its
    /// place: it is heard of again when it comes.
    pub(super) fn has_room_for_own(&mut self, user: &UserName, device: &DeviceId) -> bool {
        if *user != self.me.user || self.peers.contains_key(device) {
            return true;
        }
        let own = self.own_devices();
        if own.len() < OWN_DEVICES_MAX {
            return true;
        }
        let is_gone = |device: &&DeviceId| {
            let state = self.peers.get(device).map(|peer| (&peer.link, peer.listed));
            matches!(state, Some((LinkState::Down, false)))
        };
        let Some(gone) = own.iter().find(is_gone).copied() else {
            return false;
        };
        for talk in self.talks.values_mut() {
            talk.members.remove(&gone);
            talk.told.remove(&gone);
        }
        self.peers.remove(&gone);
        true
    }

    /// The direct conversations of which a user's devices are: all, if they are this user's own; else the one with him, if it is there
    /// or about to be opened.
    fn directs_of(&self, user: &UserName) -> Vec<Conversation> {
        if *user != self.me.user {
            let conversation = Conversation::direct(&self.me.user, user);
            let is_there = self.talks.contains_key(&conversation) || self.opening.contains_key(user);
            return is_there.then_some(conversation).into_iter().collect();
        }
        let directs = self.talks.keys().filter(|id| matches!(id, Conversation::Direct(_)));
        directs.cloned().collect()
    }

    /// Puts the devices of a user into the direct conversations in which they are.
    pub(super) fn join_directs(&mut self, user: &UserName) {
        let devices: Vec<_> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.user == *user)
            .map(|(device, _)| *device)
            .collect();
        for conversation in self.directs_of(user) {
            self.begin_direct(&conversation);
            for device in &devices {
                self.add_member(&conversation, *device, true);
            }
        }
    }

    /// Makes a direct conversation where it is not there: its members are both users' devices, and all that are linked are told of it.
    pub(super) fn begin_direct(&mut self, conversation: &Conversation) {
        let Conversation::Direct(pair) = conversation else {
            return;
        };
        if self.talks.contains_key(conversation) {
            return;
        }
        self.talk(conversation);
        let members = self.peers.iter().filter(|(_, peer)| pair.has(&peer.user));
        let members: Vec<_> = members.map(|(device, _)| *device).collect();
        for device in members {
            self.add_member(conversation, device, true);
        }
    }

    /// Tells another own device in which rooms the user is and which he has left.
    pub(super) fn tell_memberships(&mut self, device: DeviceId) {
        let all: Vec<_> = self
            .memberships
            .all()
            .map(|(room, known)| self.membership_news(room, known))
            .collect();
        self.send_memberships(device, all);
    }

    /// What another own device is told of a room. Of a private one it needs the invitation, or it could not follow.
    fn membership_news(&self, room: &RoomName, membership: Membership) -> MembershipNews {
        let invitation = self.invitation(&Conversation::Room(room.clone()));
        MembershipNews {
            room: room.clone(),
            membership,
            invitation: invitation.filter(|_| membership.is_in).cloned(),
        }
    }

    fn send_memberships(&mut self, device: DeviceId, news: Vec<MembershipNews>) {
        let link = self.peers.get(&device).and_then(Peer::link_with_room);
        if let Some(link) = link.filter(|_| !news.is_empty()) {
            self.effect(Effect::Send(link, Outgoing::Memberships(news)));
        }
    }

    /// The user is in a room now, or no longer, by what he did at this device.
    pub(super) fn membership_changed(&mut self, room: &RoomName, is_in: bool) {
        let Some(new) = self.memberships.set(room, is_in) else {
            return;
        };
        self.effect(Effect::RememberRooms(self.memberships.clone()));
        for device in self.own_devices() {
            let news = self.membership_news(room, new);
            self.send_memberships(device, vec![news]);
        }
    }

    /// Another device says in which rooms the user is. What is news is followed, remembered, and passed on.
    pub(super) fn memberships_told(&mut self, device: DeviceId, said: Vec<MembershipNews>) {
        if !self.is_own(&device) {
            return self.misbehaved(device, "it told in which rooms another user is");
        }
        let mut news = Vec::new();
        for told in said {
            let MembershipNews {
                room,
                membership,
                invitation,
            } = told;
            let was_in = self.memberships.is_in(&room);
            let known = self.invitation(&Conversation::Room(room.clone())).is_some();
            let invited = invitation.filter(|_| !known);
            // It may be that only the invitation was lost here.
            let was_shut_out = invited.is_some();
            if let Some(invitation) = invited {
                self.keep_invitation(invitation);
            }
            let is_news = self.memberships.take(room.clone(), membership);
            if is_news {
                news.push(self.membership_news(&room, membership));
            }
            let is_in = self.memberships.is_in(&room);
            if was_in != is_in || was_shut_out {
                self.follow(&room, is_in);
            }
            let conversation = Conversation::Room(room);
            let talk = self.talks.get(&conversation);
            // It says so itself, whether or not there is a registry to say it.
            if membership.is_in && talk.is_some_and(|talk| talk.stage != Stage::Closed) {
                self.known_there(&conversation, device);
            }
        }
        if news.is_empty() {
            return;
        }
        self.effect(Effect::RememberRooms(self.memberships.clone()));
        for other in self.own_devices() {
            if other != device {
                self.send_memberships(other, news.clone());
            }
        }
    }

    /// Does what the user did at another device.
    fn follow(&mut self, room: &RoomName, is_in: bool) {
        let conversation = Conversation::Room(room.clone());
        let stage = self.talks.get(&conversation).map(|talk| &talk.stage);
        let is_closed = stage.is_none_or(|stage| *stage == Stage::Closed);
        match (is_in, is_closed) {
            (true, true) => {
                let Some(at_registry) = self.at_registry(room) else {
                    return self.not_invited(room);
                };
                self.enter(conversation, true, true);
                self.effect(Effect::Registry(Ask::Join(at_registry)));
            }
            (false, false) => self.go_out(&conversation, true),
            (true, false) | (false, true) => {}
        }
    }
}
