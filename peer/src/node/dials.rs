//! How often an address is dialled, whatever number of devices is said to be there.
//!
//! Where a device is, it says itself, so many devices can name one address of somebody who has nothing to do with it, and each would
//! be dialled on its own. So an address has an allowance: a few connections at once, and then one for each while that has passed. Who
//! is due waits for it, whoever has been due for the longest time first; so none of many keeps another one from its turn. What a device
//! has proved to be its own address is free of that.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use super::{
    Effect, Millis, Node, Now,
    limits::{DIAL_AGAIN_MS, DIALLED_ADDRESSES_MAX, DIALS_AT_ONCE},
    link::{LinkState, Way},
    talk::Talk,
    types::{Conversation, DeviceId},
};

/// So many of an allowance are for links alone: what a device holds comes with its link as well as in answer to a call.
const FOR_LINKS: u64 = 2;

/// The allowances that are not whole.
#[derive(Debug, Default)]
pub(super) struct Dials {
    /// When each address has all of its allowance back.
    whole_at: BTreeMap<String, Millis>,
    /// Who was not asked what it holds since its address was not to be dialled: its link tells, or that there is none.
    unasked: BTreeSet<DeviceId>,
}

impl Dials {
    /// When an address may be dialled, so that so many more may be made at once after it: now, or later.
    fn next(&self, address: &str, now: Millis, more: u64) -> Millis {
        if self.whole_at.is_empty() {
            return now;
        }
        match self.whole_at.get(&written(address)) {
            Some(whole_at) => {
                let free = DIALS_AT_ONCE.saturating_sub(1 + more);
                now.max(Millis(whole_at.0.saturating_sub(free * DIAL_AGAIN_MS)))
            }
            None if self.whole_at.len() >= DIALLED_ADDRESSES_MAX => {
                let first = self.whole_at.values().min().copied().unwrap_or_default();
                now.max(first)
            }
            None => now,
        }
    }

    /// Whether an address may be dialled now, so that so many more may be; that is taken for done.
    fn take(&mut self, address: &str, now: Millis, more: u64) -> bool {
        if self.whole_at.len() >= DIALLED_ADDRESSES_MAX {
            self.refill(now);
        }
        if self.next(address, now, more) > now {
            return false;
        }
        let whole_at = self.whole_at.entry(written(address)).or_default();
        *whole_at = now.max(*whole_at).plus(DIAL_AGAIN_MS);
        true
    }

    /// Forgets the allowances that are whole again.
    fn refill(&mut self, now: Millis) {
        self.whole_at.retain(|_, whole_at| *whole_at > now);
    }

    /// A device that was dialled there has proved to be there.
    pub(super) fn works(&mut self, address: &str) {
        if !self.whole_at.is_empty() {
            self.whole_at.remove(&written(address));
        }
    }

    /// A device has a link, and tells over it what it holds.
    pub(super) fn linked(&mut self, device: DeviceId) {
        self.unasked.remove(&device);
    }
}

/// The same for all ways of writing one address, as far as that shows without looking it up.
fn written(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(socket) => SocketAddr::new(socket.ip().to_canonical(), socket.port()).to_string(),
        Err(_) => address.to_ascii_lowercase(),
    }
}

impl Node {
    /// Dials whoever is due and wanted.
    pub(super) fn dial_due(&mut self, now: Now) {
        self.dials.refill(now.mono);
        self.dials.unasked.retain(|device| self.peers.contains_key(device));
        let mut due = Vec::new();
        for (device, peer) in &mut self.peers {
            let at = peer.breaker.next_try().filter(|at| *at <= now.mono);
            let Some(at) = at.filter(|_| peer.link == LinkState::Down) else {
                continue;
            };
            let shares = |(id, talk): (&Conversation, &Talk)| talk.takes_part(id) && talk.may_have(device);
            let wanted = !self.quitting && (peer.user == self.me.user || self.talks.iter().any(shares));
            match &peer.address {
                Some(address) if wanted => due.push((at, *device, address.clone())),
                // Membership makes it wanted again, and asks for a dial then.
                _ => peer.breaker.rests(),
            }
        }
        due.sort_by_key(|(at, ..)| *at);
        for (_, device, address) in due {
            if !self.dials.take(&address, now.mono, 0) {
                continue;
            }
            if let Some(peer) = self.peers.get_mut(&device) {
                peer.link = LinkState::Dialing;
                peer.breaker.tries();
            }
            self.effect(Effect::Dial(device, address));
        }
    }

    /// Asks a member what it holds. Who has dialled may be out of reach for calls, and is asked over the link. Where an address is not to be
    /// dialled yet, what its device holds comes with the link.
    pub(super) fn ask_version(&mut self, conversation: &Conversation, device: DeviceId, way: Way) {
        let has_dialled = self.peers.get(&device).is_some_and(super::Peer::has_dialled);
        match &way {
            _ if has_dialled => self.tell_soon(conversation, device, true),
            Way::Address(address) if !self.dials.take(address, self.now, FOR_LINKS) => {
                self.dials.unasked.insert(device);
            }
            _ => self.effect(Effect::AskVersion(device, way, conversation.clone())),
        }
    }

    /// A device could not be dialled. Where its link was to tell what it holds, nobody waits for that any longer, unless it may knock, having
    /// dialled itself.
    pub(super) fn not_linked(&mut self, device: DeviceId) {
        if !self.dials.unasked.remove(&device) {
            return;
        }
        for (conversation, talk) in &mut self.talks {
            if talk.private.is_none()
                && let Some(entering) = talk.entering()
                && entering.waiting.remove(&device)
            {
                self.unsettled.insert(conversation.clone());
            }
        }
    }

    /// When a device is dialled that has no link, if it is to be.
    pub(super) fn next_dial(&self, peer: &super::Peer) -> Option<Millis> {
        let at = peer.breaker.next_try()?;
        let address = peer.address.as_deref();
        Some(address.map_or(at, |address| self.dials.next(address, at, 0)))
    }
}

#[cfg(test)]
mod tests;
