//! Sets that take little memory: most leases have a few rooms and a few users to watch, and there are very many leases.

use std::{borrow::Borrow, collections::BTreeSet};

use peerchat_proto::names::UserName;

use super::DeviceId;

/// A few things in their order, in as much memory as they need. Adding one moves those after it, so it is for sets with a small limit.
#[derive(Debug, Clone)]
pub(super) struct FewSet<T>(Vec<T>);

impl<T> Default for FewSet<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> FewSet<T> {
    /// Whether it was not there yet.
    pub(super) fn insert(&mut self, thing: T) -> bool {
        let Err(place) = self.0.binary_search(&thing) else {
            return false;
        };
        if self.0.len() == self.0.capacity() {
            // A half more each time, and not at least four as a vector would.
            self.0.reserve_exact(1 + self.0.len() / 2);
        }
        self.0.insert(place, thing);
        true
    }

    /// Whether it was there.
    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, thing: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        let place = self.0.binary_search_by(|held| held.borrow().cmp(thing));
        place.map(|place| self.0.remove(place)).is_ok()
    }

    pub(super) fn contains<Q: Ord + ?Sized>(&self, thing: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.binary_search_by(|held| held.borrow().cmp(thing)).is_ok()
    }

    /// Takes all out of another one.
    pub(super) fn append(&mut self, other: &mut Self) {
        for thing in std::mem::take(&mut other.0) {
            self.insert(thing);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T: Ord> FromIterator<T> for FewSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Self {
        let mut set = Self::default();
        for thing in things {
            set.insert(thing);
        }
        set
    }
}

impl<T> IntoIterator for FewSet<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Which devices there are of each user: one set of pairs, as a set for each user would take ten times as much.
#[derive(Debug, Default)]
pub(super) struct DevicesOf(BTreeSet<(UserName, DeviceId)>);

impl DevicesOf {
    pub(super) fn insert(&mut self, user: UserName, device: DeviceId) {
        self.0.insert((user, device));
    }

    /// Takes one out; answers whether it was the user's last one.
    pub(super) fn remove(&mut self, user: &UserName, device: DeviceId) -> bool {
        self.0.remove(&(user.clone(), device)) && self.of(user).next().is_none()
    }

    /// All of them, in the order of the users.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &(UserName, DeviceId)> {
        self.0.iter()
    }

    /// Those of a user, in their order.
    pub(super) fn of(&self, user: &UserName) -> impl Iterator<Item = DeviceId> + use<'_> {
        let first = (user.clone(), DeviceId([0; 32]));
        let last = (user.clone(), DeviceId([u8::MAX; 32]));
        self.0.range(first..=last).map(|(_, device)| *device)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_few_is_a_set(steps in prop::collection::vec((any::<bool>(), 0_u8..20), 0..200)) {
            let (mut few, mut set) = (FewSet::default(), BTreeSet::new());
            for (adds, thing) in steps {
                if adds {
                    prop_assert_eq!(few.insert(thing), set.insert(thing));
                } else {
                    prop_assert_eq!(few.remove(&thing), set.remove(&thing));
                }
                prop_assert_eq!(few.contains(&thing), set.contains(&thing));
                prop_assert_eq!(few.len(), set.len());
            }
            prop_assert!(few.iter().eq(&set));
        }
    }

    #[test]
    fn devices_are_those_of_their_user_alone() {
        let mut devices = DevicesOf::default();
        let user = |name| UserName::new(name).unwrap();
        for (name, device) in [("bob", 2), ("bo", 1), ("bob", 0xff), ("Bob", 0), ("bobby", 3)] {
            devices.insert(user(name), DeviceId([device; 32]));
        }
        let of = |devices: &DevicesOf, name| devices.of(&user(name)).map(|device| device.0[0]).collect::<Vec<_>>();
        assert_eq!(of(&devices, "BOB"), [0, 2, 0xff]);
        assert!(!devices.remove(&user("bob"), DeviceId([2; 32])));
        assert!(!devices.remove(&user("bob"), DeviceId([2; 32])));
        assert!(devices.remove(&user("bo"), DeviceId([1; 32])));
        assert_eq!(of(&devices, "bob"), [0, 0xff]);
    }
}
