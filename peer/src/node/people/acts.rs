//! When devices are met, and what the user asks about people.

use super::{Comparison, Deed, Met, News, Wish, compare::Compared};
use crate::node::{
    Effect, Node,
    event::{Code, Event},
    types::{DeviceId, UserName},
};

impl Node {
    /// Gives the node what was remembered. Before the first input only.
    pub fn set_people(&mut self, people: super::People) {
        self.people = people;
    }

    /// Who was met.
    pub fn people(&self) -> &super::People {
        &self.people
    }

    /// Takes note of a device with which there is a link, if the user has to do with its user, and tells what is new about it.
    pub(in crate::node) fn meet(&mut self, device: DeviceId) {
        let Some(peer) = self.peers.get(&device).filter(|peer| peer.link().is_some()) else {
            return;
        };
        let user = peer.user.clone();
        if !self.people.knows(&user) && !self.is_member(&device) {
            return;
        }
        match self.people.meet(&user, device, self.wall) {
            // When it was met can be kept with what is news.
            Met::Again | Met::NoRoom => return,
            Met::First => {}
            Met::New { known, trusted } => self.tell(Event::People(News::NewDevice {
                user,
                device,
                known,
                trusted,
            })),
        }
        self.effect(Effect::People(Deed::Remember { at_once: false }));
    }

    pub(in crate::node) fn wish(&mut self, wish: Wish) {
        match wish {
            Wish::Verify(user) => self.verify(&user),
            Wish::Trust(user) => self.trust(user),
            Wish::Untrust(user) => self.untrust(user),
            Wish::Forget(user, start) => self.forget_device(user, &start),
        }
    }

    fn verify(&mut self, user: &UserName) {
        if self.has_met_devices_of(user) {
            let comparison = self.comparison(user);
            self.people.compared(user);
            self.effect(Effect::People(Deed::Compare(comparison)));
        }
    }

    fn trust(&mut self, user: UserName) {
        if !self.has_met_devices_of(&user) {
            return;
        }
        if self.people.has_changed_since_compared(&user) {
            let message =
                format!("{user} has other devices than when you compared: /verify {user} shows what to compare now");
            return self.notice(Code::Refused, message);
        }
        self.people.set_trusted(&user, Some(self.wall));
        self.trusted(user);
    }

    fn untrust(&mut self, user: UserName) {
        if self.people.knows(&user) {
            self.people.set_trusted(&user, None);
            self.trusted(user);
        } else {
            self.not_met(&user);
        }
    }

    fn trusted(&mut self, user: UserName) {
        let person = self.people.known.get(&user);
        let devices = person.into_iter().flat_map(|person| &person.devices);
        let mut devices: Vec<DeviceId> = devices
            .filter(|device| device.trusted)
            .map(|device| device.id)
            .collect();
        devices.sort();
        self.effect(Effect::People(Deed::Remember { at_once: true }));
        self.tell(Event::People(News::Trusted(user, devices)));
    }

    fn forget_device(&mut self, user: UserName, start: &str) {
        let person = self.people.known.get(&user);
        let devices = person.into_iter().flat_map(|person| &person.devices);
        let start = start.to_lowercase();
        let fitting: Vec<DeviceId> = devices
            .map(|device| device.id)
            .filter(|device| device.to_string().starts_with(&start))
            .collect();
        let device = match fitting[..] {
            [device] => device,
            [] => {
                let message =
                    format!("no device of {user} that you have met starts with that: /verify {user} lists them");
                return self.notice(Code::NotMet, message);
            }
            _ => {
                let message = format!("{} devices of {user} start with that: write more of it", fitting.len());
                return self.notice(Code::Usage, message);
            }
        };
        if self.peers.get(&device).is_some_and(|peer| peer.link().is_some()) {
            let message = format!("{user} is here with that device, so it is not gone");
            return self.notice(Code::Refused, message);
        }
        self.people.forget(&user, device);
        let known = self.people.devices_of(&user).len();
        self.effect(Effect::People(Deed::Remember { at_once: true }));
        self.tell(Event::People(News::Forgot { user, device, known }));
    }

    /// Whether a device of a user was ever met, so that there is something to compare; where not, the user is told.
    fn has_met_devices_of(&mut self, user: &UserName) -> bool {
        let met = self
            .people
            .known
            .get(user)
            .is_some_and(|person| !person.devices.is_empty());
        if !met {
            self.not_met(user);
        }
        met
    }

    fn not_met(&mut self, user: &UserName) {
        let message = if *user == self.me.user {
            "you have not met another device of your own, so there is nothing to compare".to_owned()
        } else {
            format!(
                "you have not met {user} yet: there must have been a link with a device of his, so be in a conversation with him while he is there"
            )
        };
        self.notice(Code::NotMet, message);
    }

    /// What is known of the devices of a user and of the own ones.
    fn comparison(&self, user: &UserName) -> Comparison {
        let mut devices = self.compared_of(&self.me.user);
        if *user != self.me.user {
            devices.extend(self.compared_of(user));
        }
        let trusted = self.people.trust(user) == super::Trust::Whole;
        let user = user.clone();
        Comparison { user, devices, trusted }
    }

    fn compared_of(&self, user: &UserName) -> Vec<Compared> {
        let met = self
            .people
            .known
            .get(user)
            .into_iter()
            .flat_map(|person| &person.devices);
        let compared = |device, first_met, counts, trusted| Compared {
            user: user.clone(),
            device,
            first_met,
            counts,
            trusted,
        };
        let mut devices: Vec<Compared> = met
            .map(|device| compared(device.id, Some(device.first_met), true, device.trusted))
            .collect();
        if *user == self.me.user {
            devices.push(compared(self.me.device, None, true, false));
        }
        let mut heard: Vec<DeviceId> = self.authors_of(user).collect();
        heard.sort();
        heard.dedup();
        heard.retain(|device| devices.iter().all(|known| known.device != *device));
        devices.sort_by_key(|known| known.device);
        devices.extend(heard.into_iter().map(|device| compared(device, None, false, false)));
        devices
    }

    /// The devices that wrote as a user what is held here.
    fn authors_of(&self, user: &UserName) -> impl Iterator<Item = DeviceId> {
        let authors = self.talks.values().flat_map(|talk| talk.replica.authors());
        authors
            .filter(move |(_, log)| log.user == *user)
            .map(|(author, _)| author.device)
    }
}
