//! The links to other devices: dialling, opening and losing them.

use super::{
    Effect, Node, Now,
    event::Code,
    limits::{HEIGHTS_AFTER_LOSS_MS, HEIGHTS_EVERY_MS, LINKS_MAX, OWN_DEVICES_MAX},
    link::{ByeReason, LinkId, LinkState, LinkUp, Peer, replaces},
    pulling,
    talk::Talk,
    types::DeviceId,
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
        self.dials.linked(device);
        if dialed_by_us {
            self.dials.works(&up.address);
        }
        if device == self.me.device {
            let message = "a device has no link to itself";
            self.effect(Effect::Refused(None, message.into()));
            return self.effect(Effect::Close(link, ByeReason::Misbehaved, message.into()));
        }
        let has_room = self.links.len() < LINKS_MAX || self.is_member(&device) && self.drop_stranger();
        if !has_room {
            let message = format!("this peer has {LINKS_MAX} links, which is the limit");
            return self.turn_away(&up, ByeReason::TooManyLinks, message);
        }
        if !self.has_room_for_own(&up.user, &device) {
            let message = format!(
                "{} has {OWN_DEVICES_MAX} other devices here, which is the limit",
                up.user
            );
            return self.turn_away(&up, ByeReason::TooManyLinks, message);
        }
        let peer = self.peers.entry(device).or_insert_with(|| Peer::new(up.user.clone()));
        if peer.user != up.user {
            let message = format!("device {device} is {}'s, not {}'s", peer.user, up.user);
            self.effect(Effect::Refused(None, message.clone()));
            return self.turn_away(&up, ByeReason::Misbehaved, message);
        }
        if let LinkState::Up {
            link: old,
            session: old_session,
            dialed_by_us: old_by_us,
            since,
            ..
        } = peer.link
        {
            let old_for_ms = now.mono.since(since);
            let stays = if replaces(self.me.device, &up, old_session, old_by_us, old_for_ms) {
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
        // Before the link counts, so that of all conversations it is told below, and not of each here.
        self.join_directs(&up.user);
        let peer = self.peers.entry(device).or_insert_with(|| Peer::new(up.user.clone()));
        peer.user = up.user.clone();
        peer.address = Some(up.address);
        peer.breaker.works();
        peer.bye = None;
        // What a device was said to hold is forgotten when its link goes down; here only where another process takes its place.
        if matches!(peer.link, LinkState::Up { session: old, .. } if old != session) {
            peer.heights.clear();
        }
        peer.link = LinkState::Up {
            link,
            session,
            dialed_by_us,
            since: now.mono,
            full: false,
        };
        // It may just have been starting when a dial of it failed, so one more tells.
        let probe = (!dialed_by_us && peer.dial_failed)
            .then(|| peer.address.clone())
            .flatten();
        peer.dial_failed = false;
        self.links.insert(link, device);
        if let Some(address) = probe {
            self.effect(Effect::Dial(device, address));
        }
        self.forget_told(device);
        self.meet(device);
        self.presence_changed(device);
        self.relays_changed(device);
        self.tell_all(device);
        self.ask_for_seals(device);
        self.next_heights_at = self.next_heights_at.max(now.mono);
    }

    /// Closes a link that was not taken; an own dial is repeated after a long time only.
    fn turn_away(&mut self, up: &LinkUp, reason: ByeReason, message: String) {
        self.effect(Effect::Close(up.link, reason, message));
        if let Some(peer) = self.peers.get_mut(&up.device)
            && up.dialed_by_us
            && peer.link == LinkState::Dialing
        {
            peer.link = LinkState::Down;
            peer.breaker.is_sent_away(self.now);
        }
    }

    pub(super) fn link_down(&mut self, link: LinkId, now: Now) {
        let Some(device) = self.links.remove(&link) else { return };
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        match peer.bye.take() {
            Some(ByeReason::Misbehaved | ByeReason::TooManyLinks | ByeReason::TooManyConversations) => {
                peer.breaker.is_sent_away(now.mono);
            }
            // It is dialled when the registry says that it is there again.
            Some(ByeReason::Quit) => peer.breaker.rests(),
            _ => peer.breaker.breaks(now.mono, &mut self.rng),
        }
        self.unlinked(device);
    }

    /// There is no link to a device any longer; whether it is dialled again is its breaker's to say.
    pub(super) fn unlinked(&mut self, device: DeviceId) {
        let after = self.now.plus(self.rng.u64(..=HEIGHTS_AFTER_LOSS_MS));
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        peer.link = LinkState::Down;
        peer.heights.clear();
        peer.to_tell.clear();
        peer.tell_at = None;
        self.forget_told(device);
        for talk in self
            .talks
            .values_mut()
            .filter(|talk| talk.members.contains_key(&device))
        {
            talk.tell_at = Some(talk.tell_at.unwrap_or(after));
        }
        self.retime = true;
        self.relays_changed(device);
        self.without_link(device);
        self.forget_stranger(device);
    }

    pub(super) fn dial_failed(&mut self, device: DeviceId, now: Now) {
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        peer.dial_failed = true;
        if peer.link().is_some() {
            return self.tell_undialable(device);
        }
        if peer.link != LinkState::Dialing {
            return;
        }
        peer.link = LinkState::Down;
        peer.breaker.fails(now.mono, &mut self.rng);
        self.not_linked(device);
        self.without_link(device);
        self.forget_stranger(device);
    }

    /// Tells the user, once for each address, of a device that has dialled and cannot be dialled. All that is said and pulled goes over
    /// the link that it has opened, but who has no such link cannot reach it.
    fn tell_undialable(&mut self, device: DeviceId) {
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        if peer.told_undialable == peer.address {
            return;
        }
        peer.told_undialable = peer.address.clone();
        let (user, address) = (peer.user.clone(), peer.address.clone().unwrap_or_default());
        if self.is_member(&device) {
            self.notice(
                Code::CannotDial,
                format!(
                    "{user} cannot be dialled at {address}; you are connected since they have dialled you. Others who cannot be dialled \
                     do not reach {user}: open that port there, or name a reachable one with --advertise"
                ),
            );
        }
    }

    /// A revoked device is not dialled again, unless somebody says that it is there.
    pub(super) fn dial_revoked(&mut self, device: DeviceId, now: Now) {
        self.dial_failed(device, now);
        if let Some(peer) = self.peers.get_mut(&device) {
            peer.breaker.rests();
        }
    }

    /// There is no link to a device: where the registry cannot say that it is there, it is not.
    fn without_link(&mut self, device: DeviceId) {
        if self.registry_up != Some(true)
            && let Some(peer) = self.peers.get_mut(&device)
        {
            peer.listed = false;
        }
        self.no_knock_from(device);
        self.presence_changed(device);
    }

    pub(super) fn link_full(&mut self, link: LinkId) {
        let peer = self.links.get(&link).and_then(|device| self.peers.get_mut(device));
        if let Some(peer) = peer
            && let LinkState::Up { full, .. } = &mut peer.link
        {
            *full = true;
            peer.tell_at = None;
        }
    }

    pub(super) fn link_drained(&mut self, link: LinkId, _now: Now) {
        let Some(&device) = self.links.get(&link) else { return };
        if let Some(LinkState::Up { full, .. }) = self.peers.get_mut(&device).map(|peer| &mut peer.link) {
            *full = false;
        }
        // What was not sent meanwhile is for the other side to pull.
        self.tell_all(device);
        self.ask_for_seals(device);
    }

    /// A device broke a rule: it is counted, the user is told once, and the link is closed. Only members have a count of their own: the
    /// names of strangers are without number, and none of the user's business.
    pub(super) fn misbehaved(&mut self, device: DeviceId, why: &str) {
        let has = |talk: &Talk| talk.members.contains_key(&device);
        let is_member = self.is_own(&device) || self.talks.values().any(has);
        let Some(peer) = self.peers.get_mut(&device) else {
            return self.effect(Effect::Refused(None, why.into()));
        };
        peer.refused = peer.refused.saturating_add(u64::from(is_member));
        let (user, first, link) = (peer.user.clone(), is_member && peer.refused == 1, peer.link());
        let member = is_member.then(|| (user.clone(), device));
        self.effect(Effect::Refused(member, why.into()));
        if first {
            self.notice(
                Code::PeerMisbehaved,
                format!("{user} breaks the protocol, and this was refused: {why}"),
            );
        }
        if let Some(link) = link {
            self.shut(device, link, ByeReason::Misbehaved, why.into());
        }
    }

    /// Does what is due.
    pub(super) fn on_time(&mut self, now: Now) {
        if !self.retime && self.due.is_none_or(|due| now.mono < due) {
            return;
        }
        self.retime = true;
        self.dial_due(now);
        self.relist_due();
        self.relays_due(now);
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
            let told_short = talk.take_told_short(now.mono);
            if pulling::next_due(talk).is_some_and(|at| at <= now.mono) {
                talk.sync.look_at.take_if(|at| *at <= now.mono);
                self.unsettled.insert(conversation.clone());
            }
            if (now_due || every || !told_short.is_empty()) && talk.takes_part(conversation) {
                let version = talk.sealing.servable().version();
                let stale = talk.members.keys().filter(|device| {
                    (now_due || every || told_short.contains(device)) && talk.told.get(device) != Some(&version)
                });
                tell.extend(stale.map(|device| (conversation.clone(), *device)));
            }
        }
        for (conversation, device) in tell {
            self.tell_heights(&conversation, device, false);
        }
        if every && self.talks.values().any(|talk| talk.sealing.unsealed().next().is_some()) {
            // A question or its answer may have been lost with a queue that was full.
            let linked: Vec<DeviceId> = self.links.values().copied().collect();
            linked.into_iter().for_each(|device| self.ask_for_seals(device));
        }
        let more = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.tell_at.is_some_and(|at| at <= now.mono));
        let more: Vec<DeviceId> = more.map(|(device, _)| *device).collect();
        for device in more {
            self.tell_next_heights(device);
        }
    }
}
