//! Being logged in at another registry, without having been without one.
//!
//! Nothing has happened for the user, so nobody is said to have gone. But who went while this peer was on its way was told to
//! nobody, and the new registry names only those who are there. So of whoever it has not named after a while it is taken that the
//! registry does not know him; where there is a link to him, that counts for more, as ever.

use std::collections::BTreeSet;

use super::{Millis, Node, limits::RELIST_MS, types::DeviceId};

/// Those whom the last registry has named, and the one that is used now has not.
#[derive(Debug, Default)]
pub(super) struct Relisting {
    unnamed: BTreeSet<DeviceId>,
    until: Option<Millis>,
}

impl Relisting {
    /// The registry has named a device.
    pub(super) fn named(&mut self, device: &DeviceId) {
        self.unnamed.remove(device);
    }

    /// There is no registry to wait for any longer.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// When those who were not named are taken to be gone.
    pub(super) fn due(&self) -> Option<Millis> {
        self.until
    }
}

impl Node {
    /// There is another registry: it is to say who is there.
    pub(super) fn relist(&mut self) {
        let listed = self.peers.iter().filter(|(_, peer)| peer.listed);
        self.relisting = Relisting {
            unnamed: listed.map(|(device, _)| *device).collect(),
            until: Some(self.now.plus(RELIST_MS)),
        };
    }

    /// It has had its time.
    pub(super) fn relist_due(&mut self) {
        if self.relisting.until.is_none_or(|until| self.now < until) {
            return;
        }
        for device in std::mem::take(&mut self.relisting).unnamed {
            self.unlist(device);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::node::{
        Input,
        event::{Event, RegistryState},
        limits::RELIST_MS,
        testing::{AUTHORITY, Alice, Other, room_name},
    };

    const BOB: Other = Other(0x0b, "bob");
    const CAROL: Other = Other(0x0c, "carol");
    const DAVE: Other = Other(0x0d, "dave");

    fn gone(alice: &Alice) -> Vec<String> {
        let gone = alice.events.iter().filter_map(|event| match event {
            Event::Presence(presence) if !presence.online => Some(presence.user.shown().to_owned()),
            _ => None,
        });
        gone.collect()
    }

    fn up(address: &str) -> Input {
        Input::RegistryUp {
            hosting: false,
            address: address.into(),
            authority: AUTHORITY,
        }
    }

    #[test]
    fn who_moves_to_another_registry_sees_nobody_go_but_those_who_went_meanwhile() {
        let mut alice = Alice::joins(&[BOB, CAROL, DAVE]);
        // There is a link to carol, whatever any registry says.
        alice.link(CAROL);
        alice.input(up("b:1"));
        alice.input(Input::RoomJoined {
            room: room_name(),
            created: false,
            members: vec![BOB.address()],
        });
        assert_eq!(gone(&alice), [""; 0]);
        let connected =
            |event: &Event| matches!(event, Event::Registry(RegistryState::Connected { address }) if address == "b:1");
        assert_eq!(alice.count(connected), 1);
        alice.pass_until(alice.now + RELIST_MS - 1);
        assert_eq!(gone(&alice), [""; 0]);
        alice.pass_until(alice.now + 1);
        assert_eq!(gone(&alice), [DAVE.address().user.shown()]);
    }

    #[test]
    fn who_has_lost_the_registry_waits_for_nobody() {
        let mut alice = Alice::joins(&[BOB]);
        alice.input(up("b:1"));
        alice.input(Input::RegistryDown("gone".into()));
        assert_eq!(gone(&alice).len(), 1);
        alice.input(up("c:1"));
        alice.input(Input::RoomJoined {
            room: room_name(),
            created: false,
            members: vec![BOB.address()],
        });
        alice.pass_until(alice.now + 2 * RELIST_MS);
        assert_eq!(gone(&alice).len(), 1, "he is back");
    }
}
