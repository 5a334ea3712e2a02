//! Two members that have no link with each other: what one of them says goes on to the other through a third one.
//!
//! Heights alone would bring it, after 15 to 30 s. So a peer that has had no link with a member for a while, though the member is there,
//! asks a few others to relay: these tell it their heights as soon as they take an entry, and it pulls. Where all have links, nothing
//! is asked and nothing more is sent.

use std::collections::BTreeSet;

use super::{
    Millis, Node, Now,
    limits::{RELAY_AFTER_MS, RELAYS_MAX},
    types::{Conversation, DeviceId},
};

/// Who relays for whom in a conversation.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// Who was asked, as this peer lacks a link.
    pub(super) asked: BTreeSet<DeviceId>,
    /// When it is to be seen whether to ask.
    pub(super) look_at: Option<Millis>,
    /// Who has asked this peer.
    wanted_by: BTreeSet<DeviceId>,
}

impl Relays {
    /// A link came or went, or a member: it is seen to a little later, since most links are there by then.
    pub(super) fn look_later(&mut self, now: Millis) {
        self.look_at.get_or_insert(now.plus(RELAY_AFTER_MS));
    }
}

impl Node {
    /// A member asks to be told soon, or no longer.
    pub(super) fn relay_asked(&mut self, conversation: &Conversation, device: DeviceId, wanted: bool) {
        let wanted_by = &mut self.talk(conversation).relays.wanted_by;
        if wanted {
            wanted_by.insert(device);
        } else {
            wanted_by.remove(&device);
        }
    }

    /// More can be served: whoever has asked is told, as those are who were told less than there is.
    pub(super) fn relay(&mut self, conversation: &Conversation) {
        let now = self.now;
        let talk = self.talk(conversation);
        if !talk.relays.wanted_by.is_empty() {
            talk.told_short.extend(talk.relays.wanted_by.iter().copied());
            talk.tell_short_again(now);
            self.retime = true;
        }
    }

    /// There is no link to a device any longer, or there is one again.
    pub(super) fn relays_changed(&mut self, device: DeviceId) {
        let now = self.now;
        for talk in self
            .talks
            .values_mut()
            .filter(|talk| talk.members.contains_key(&device))
        {
            talk.relays.wanted_by.remove(&device);
            talk.relays.asked.remove(&device);
            talk.relays.look_later(now);
        }
        self.retime = true;
    }

    /// Asks others to relay, or no longer, where that is due.
    pub(super) fn relays_due(&mut self, now: Now) {
        let due: Vec<Conversation> = self
            .talks
            .iter_mut()
            .filter_map(|(id, talk)| talk.relays.look_at.take_if(|at| *at <= now.mono).map(|_| id.clone()))
            .collect();
        for conversation in due {
            self.see_to_relays(&conversation);
        }
    }

    fn see_to_relays(&mut self, conversation: &Conversation) {
        let Some(talk) = self
            .talks
            .get(conversation)
            .filter(|talk| talk.takes_part(conversation))
        else {
            return;
        };
        let is_linked = |device: &DeviceId| self.peers.get(device).is_some_and(|peer| peer.link().is_some());
        let lacks = talk.members.keys().any(|device| {
            let is_listed = self.peers.get(device).is_some_and(|peer| peer.listed);
            is_listed && !is_linked(device)
        });
        let asked = &talk.relays.asked;
        // Those after the own device come first, so that not all ask the same.
        let me = self.me.device;
        let (before, after): (Vec<_>, Vec<_>) = talk.members.keys().copied().partition(|device| *device < me);
        let others = after.into_iter().chain(before).filter(is_linked);
        let changed: Vec<DeviceId> = match lacks {
            true => {
                let free = others.filter(|device| !asked.contains(device));
                free.take(RELAYS_MAX.saturating_sub(asked.len())).collect()
            }
            false => asked.iter().copied().collect(),
        };
        let relays = &mut self.talk(conversation).relays;
        if lacks {
            relays.asked.extend(changed.iter().copied());
        } else {
            relays.asked.clear();
        }
        for device in changed {
            self.tell_heights(conversation, device, lacks);
        }
    }
}

#[cfg(test)]
mod tests;
