//! What the registry says: who is there, where, and in which rooms. It is a hint where to dial; a live link counts for more.

use super::{
    Ask, Effect, Liveness, Millis, Node, Now, PeerAddress,
    belonging::other_authority,
    event::{Code, Event, Presence, RegistryState},
    knocks::is_private,
    link::{LinkState, Peer},
    talk::{Member, Stage},
    types::{Authority, Conversation, DeviceId, RoomName, UserName},
};

impl Node {
    pub(super) fn registry_up(&mut self, hosting: bool, address: String, authority: Authority, now: Now) {
        if let Some(own) = self.authority.filter(|own| *own != authority) {
            return self.registry_barred(other_authority(&address, own, authority));
        }
        if self.registry_up.replace(true) == Some(true) {
            self.relist();
        }
        self.tell(Event::Registry(if hosting {
            RegistryState::Hosting { address }
        } else {
            RegistryState::Connected { address }
        }));
        let joined = self.talks.iter().filter(|(_, talk)| talk.stage != Stage::Closed);
        let conversations: Vec<Conversation> = joined.map(|(id, _)| id.clone()).collect();
        for conversation in conversations {
            if let Conversation::Room(room) = conversation
                && let Some(room) = self.at_registry(&room)
            {
                self.effect(Effect::Registry(Ask::Join(room)));
            }
        }
        self.watch_users();
        self.belongs_to(authority, now);
    }

    pub(super) fn registry_down(&mut self, reason: String) {
        if self.registry_up != Some(false) {
            self.tell(Event::Registry(RegistryState::Lost { reason }));
        }
        self.without_registry();
    }

    /// It may have been away before: that it will not come back is news all the same.
    pub(super) fn registry_barred(&mut self, reason: String) {
        self.tell(Event::Registry(RegistryState::Barred { reason }));
        self.without_registry();
    }

    fn without_registry(&mut self) {
        self.registry_up = Some(false);
        self.relisting.stop();
        // Nobody tells any longer who is gone: from now on a link decides.
        let all: Vec<_> = self.peers.keys().copied().collect();
        for device in all {
            self.unlist(device);
        }
    }

    pub(super) fn room_joined(&mut self, room: RoomName, created: bool, members: Vec<PeerAddress>, now: Now) {
        let Some(conversation) = self.room_of_registry(room) else {
            return;
        };
        let Some(stage) = self.talks.get(&conversation).map(|talk| talk.stage.clone()) else {
            return;
        };
        let asking = matches!(stage, Stage::Asking(_));
        if stage == Stage::Closed {
            return;
        }
        for peer in members {
            let device = peer.device;
            if self.learn(peer, now) {
                self.named(&conversation, device, !asking);
            }
        }
        if asking {
            self.entered(&conversation, created, now);
        }
    }

    pub(super) fn room_refused(&mut self, room: RoomName, refused: Option<String>, now: Now) {
        let Some(conversation) = self.room_of_registry(room) else {
            return;
        };
        let title = conversation.label(&self.me.user);
        let asking = self
            .talks
            .get(&conversation)
            .is_some_and(|talk| matches!(talk.stage, Stage::Asking(_)));
        match refused {
            Some(reason) if asking => {
                // A room that the user was in before is not forgotten: it may be full today and not tomorrow.
                let talk = self.talk(&conversation);
                talk.stage = Stage::Closed;
                let unsent = std::mem::take(&mut talk.waiting_texts).len();
                self.not_entered(
                    conversation,
                    Code::Refused,
                    &format!("cannot join {title}: {reason}"),
                    unsent,
                );
            }
            Some(reason) => self.notice(Code::RefusedLater, format!("{title} at the registry: {reason}")),
            None if asking && self.authority.is_none() => {
                let message = format!(
                    "no registry has let this device in yet: {title} is entered when one does, and what you write waits until then"
                );
                self.notice(Code::RegistryUnavailable, message);
            }
            None if asking => {
                let message = format!(
                    "the registry does not answer: you are in {title} with those you can reach, and the others follow when it is back"
                );
                self.notice(Code::RegistryUnavailable, message);
                self.entered(&conversation, false, now);
            }
            None => {}
        }
    }

    pub(super) fn found(&mut self, user: &UserName, peers: Vec<PeerAddress>, now: Now) {
        for peer in peers {
            self.learn(peer, now);
        }
        self.join_directs(user);
        self.opened(user, now);
    }

    pub(super) fn not_found(&mut self, user: &UserName, now: Now) {
        if self.has_met(user) {
            return self.found(user, Vec::new(), now);
        }
        let why = format!("nobody called {user} has ever logged in at the registry; check the spelling");
        self.not_opened(user, Code::NoSuchUser, &why);
    }

    pub(super) fn find_failed(&mut self, user: &UserName, reason: &str, now: Now) {
        if self.has_met(user) {
            return self.found(user, Vec::new(), now);
        }
        let why = format!("cannot look up {user}: {reason}");
        self.not_opened(user, Code::RegistryUnavailable, &why);
    }

    pub(super) fn user_changed(&mut self, user: &UserName, peer: Option<PeerAddress>, liveness: Liveness, now: Now) {
        let Some(peer) = peer else { return };
        let device = peer.device;
        if liveness == Liveness::Here {
            if self.learn(peer, now) {
                self.join_directs(user);
            }
        } else {
            self.unlist(device);
        }
    }

    pub(super) fn room_changed(&mut self, room: RoomName, peer: PeerAddress, liveness: Liveness, now: Now) {
        let Some(conversation) = self.room_of_registry(room) else {
            return;
        };
        if !self
            .talks
            .get(&conversation)
            .is_some_and(|talk| talk.takes_part(&conversation))
        {
            return;
        }
        let device = peer.device;
        match liveness {
            Liveness::Here => {
                if self.learn(peer, now) {
                    self.named(&conversation, device, true);
                }
            }
            // Who is in a private room has proved it to this peer, and says himself that he leaves: the registry's word makes nobody a member
            // of it, and unmakes none.
            Liveness::Left if is_private(&conversation) && self.peers.get(&device).and_then(Peer::link).is_some() => {
                self.not_named(&conversation, device);
                self.unlist(device);
            }
            Liveness::Left => {
                self.not_named(&conversation, device);
                self.remove_member(&conversation, device);
                self.forget_stranger(device);
            }
            // A member still, who is owed what is said, and back at his next start.
            Liveness::Lost => {
                self.not_named(&conversation, device);
                self.unlist(device);
            }
        }
    }

    /// The user has written to this one, or the one has written where the user is.
    fn has_met(&self, user: &UserName) -> bool {
        let direct = Conversation::direct(&self.me.user, user);
        self.talks.contains_key(&direct)
            || self.peers.values().any(|peer| peer.user == *user)
            || self
                .talks
                .values()
                .any(|talk| talk.replica.authors().values().any(|log| log.user == *user))
    }

    /// Takes in where a device is; false for the own one, and for a device that is known to be another user's.
    fn learn(&mut self, peer: PeerAddress, now: Now) -> bool {
        let PeerAddress { user, device, address } = peer;
        if device == self.me.device || !self.has_room_for_own(&user, &device) {
            return false;
        }
        let known = self.peers.entry(device).or_insert_with(|| Peer::new(user.clone()));
        if known.user != user {
            return false;
        }
        self.relisting.named(&device);
        let moved = known.address.as_ref() != Some(&address);
        let came = !std::mem::replace(&mut known.listed, true);
        known.user = user;
        known.address = Some(address);
        if moved || came {
            known.breaker.forgets();
            self.dial_soon(device, now.mono);
        }
        true
    }

    /// The registry no longer says that a device is there.
    pub(super) fn unlist(&mut self, device: DeviceId) {
        if let Some(peer) = self.peers.get_mut(&device) {
            peer.listed = false;
        }
        self.presence_changed(device);
        self.forget_stranger(device);
    }

    /// Puts a device into a conversation, and says so if it is news and `announce`.
    pub(super) fn add_member(&mut self, conversation: &Conversation, device: DeviceId, announce: bool) {
        let is_in = |node: &Self| node.talks.get(conversation)?.members.get(&device).map(drop);
        if is_in(self).is_none() && !self.has_room_for_member(conversation) {
            return self.forget_stranger(device);
        }
        let Some(peer) = self.peers.get(&device) else { return };
        let (user, online, link) = (
            peer.user.clone(),
            peer.listed || peer.link().is_some(),
            peer.link_with_room(),
        );
        let me = self.me.device;
        let talk = self.talk(conversation);
        let new = !talk.members.contains_key(&device);
        if new {
            let own = talk.replica.authors().iter().filter(|(author, _)| author.device == me);
            let own: Vec<_> = own.map(|(author, log)| (*author, log.height())).collect();
            talk.deliveries.first_heard(device, own.into_iter());
            talk.members.insert(
                device,
                Member {
                    user,
                    told_online: online && !announce,
                },
            );
        }
        if announce {
            self.presence_changed(device);
        }
        if new {
            self.meet(device);
        }
        if new && link.is_some() {
            self.tell_soon(conversation, device, true);
        } else if new {
            let now = self.now;
            self.talk(conversation).relays.look_later(now);
            self.dial_soon(device, now);
        }
    }

    /// Takes a device out of a conversation that it has left.
    pub(super) fn remove_member(&mut self, conversation: &Conversation, device: DeviceId) {
        let Some(talk) = self.talks.get_mut(conversation) else {
            return;
        };
        talk.told.remove(&device);
        let Some(member) = talk.members.remove(&device) else {
            return;
        };
        // It gives nothing any more, so what of its own waits for something that it alone may have waits in vain. If another member
        // has that, or it comes back, both come again.
        talk.replica.held_mut().drain(|held| held.entry.author.device == device);
        if let Some(peer) = self.peers.get_mut(&device) {
            peer.heights.remove(conversation);
        }
        self.ask_for_seals(device);
        self.forget_stranger(device);
        let members = self.talk(conversation).members.values();
        let others: Vec<bool> = members
            .filter(|other| other.user == member.user)
            .map(|other| other.told_online)
            .collect();
        // He goes with the last of his devices that is there, and has left with the last one of all.
        if member.told_online && !others.contains(&true) && member.user != self.me.user {
            self.tell(Event::Presence(Presence {
                user: member.user,
                online: false,
                conversation: conversation.clone(),
                left: others.is_empty(),
            }));
        }
    }

    /// Tells the user if a device came or went, once per conversation that it is in. Who goes like that has left none of them.
    pub(super) fn presence_changed(&mut self, device: DeviceId) {
        let online = self.is_online(&device);
        let mut events = Vec::new();
        for (conversation, talk) in &mut self.talks {
            let Some(member) = talk.members.get_mut(&device) else {
                continue;
            };
            if member.told_online == online {
                continue;
            }
            member.told_online = online;
            let user = member.user.clone();
            let other_device = talk
                .members
                .iter()
                .any(|(id, m)| *id != device && m.user == user && m.told_online);
            if !other_device && user != self.me.user && talk.stage != Stage::Closed {
                let conversation = conversation.clone();
                events.push(Event::Presence(Presence {
                    user,
                    online,
                    conversation,
                    left: false,
                }));
            }
        }
        for event in events {
            self.tell(event);
        }
    }

    /// Dials a device as soon as it is this side's turn, if there is no link and it is wanted.
    pub(super) fn dial_soon(&mut self, device: DeviceId, now: Millis) {
        let yields = if self.me.device < device {
            0
        } else {
            super::limits::DIAL_YIELD_MS
        };
        if let Some(peer) = self.peers.get_mut(&device)
            && peer.link == LinkState::Down
        {
            peer.breaker.wants(now.plus(yields));
            self.retime = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::node::{
        Input,
        event::Code,
        testing::{Alice, room},
        types::Conversation,
    };

    #[test]
    fn a_room_that_the_registry_refuses_later_was_not_refused_to_a_line() {
        let mut alice = Alice::joins(&[]);
        let Conversation::Room(room) = room() else { return };
        let refused = Some("full".into());
        alice.input(Input::RoomRefused { room, refused });
        assert_eq!(alice.notices(Code::RefusedLater), 1);
        assert!(!Code::RefusedLater.is_refusal());
        assert_eq!(Code::RefusedLater.as_str(), Code::Refused.as_str());
    }
}
