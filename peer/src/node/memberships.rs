//! In which rooms a user is, as his devices agree on it.
//!
//! Each room has a stamp, which grows with every change. Of two devices that say different things of a room the higher stamp is
//! right; of two equal ones the one that is in it. So all devices come to the same, in whatever order they hear of one another.

use std::collections::BTreeMap;

use super::{
    limits::{MEMBERSHIPS_MAX, STAMP_MAX},
    private::Invitation,
    types::RoomName,
};

/// Whether the user is in a room, and how often that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Membership {
    /// Grows with every change. At most [`STAMP_MAX`].
    pub stamp: u64,
    /// He is in it.
    pub is_in: bool,
}

/// What one of a user's devices tells another one of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipNews {
    /// Which room.
    pub room: RoomName,
    /// Whether he is in it.
    pub membership: Membership,
    /// Where he is in it and it is private: what the other device enters it with.
    pub invitation: Option<Invitation>,
}

/// The rooms that the user is in, and those that he has left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memberships(BTreeMap<RoomName, Membership>);

impl Memberships {
    /// Whether the user is in a room.
    pub fn is_in(&self, room: &RoomName) -> bool {
        self.0.get(room).is_some_and(|known| known.is_in)
    }

    /// The rooms that he is in, sorted.
    pub fn rooms(&self) -> impl Iterator<Item = &RoomName> {
        self.0.iter().filter(|(_, known)| known.is_in).map(|(room, _)| room)
    }

    /// All that is known, sorted by room.
    pub fn all(&self) -> impl Iterator<Item = (&RoomName, Membership)> {
        self.0.iter().map(|(room, known)| (room, *known))
    }

    /// Notes that the user is in a room now, or no longer. None where that is no news, or there is no place for it: then it holds for
    /// this device and until it ends.
    pub fn set(&mut self, room: &RoomName, is_in: bool) -> Option<Membership> {
        let stamp = match self.0.get(room) {
            Some(known) if known.is_in == is_in => return None,
            Some(known) => known.stamp.saturating_add(1).min(STAMP_MAX),
            None if is_in => 1,
            None => return None,
        };
        let new = Membership { stamp, is_in };
        self.put(room.clone(), new).then_some(new)
    }

    /// Takes what another device or the disk says of a room; false where that is older than what is known, or there is no place for it.
    pub fn take(&mut self, room: RoomName, said: Membership) -> bool {
        let news = self.0.get(&room).is_none_or(|known| *known < said);
        news && self.put(room, said)
    }

    fn put(&mut self, room: RoomName, new: Membership) -> bool {
        if self.0.len() >= MEMBERSHIPS_MAX && !self.0.contains_key(&room) {
            let left = self.0.iter().filter(|(_, known)| !known.is_in);
            let Some(oldest) = left.min_by_key(|(_, known)| known.stamp).map(|(room, _)| room.clone()) else {
                return false;
            };
            self.0.remove(&oldest);
        }
        self.0.insert(room, new);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn room(n: usize) -> RoomName {
        RoomName::new(&format!("room{n}")).unwrap()
    }

    #[test]
    fn a_change_counts_and_what_is_no_change_does_not() {
        let mut known = Memberships::default();
        assert_eq!(known.set(&room(1), false), None, "he was never in it");
        let stamps = [true, true, false, false, true].map(|is_in| known.set(&room(1), is_in).map(|new| new.stamp));
        assert_eq!(stamps, [Some(1), None, Some(2), None, Some(3)]);
        assert!(known.is_in(&room(1)));
    }

    #[test]
    fn the_higher_stamp_wins_and_of_equal_ones_being_in_it() {
        let mut known = Memberships::default();
        let mut take = |stamp, is_in| known.take(room(1), Membership { stamp, is_in });
        assert!(take(2, false));
        assert!(!take(1, true), "older");
        assert!(!take(2, false), "known");
        assert!(take(2, true));
        assert!(!take(2, false));
        assert!(take(3, false));
    }

    #[test]
    fn over_the_limit_a_room_that_was_left_is_forgotten_and_none_that_he_is_in() {
        let mut known = Memberships::default();
        for n in 0..MEMBERSHIPS_MAX {
            assert!(known.set(&room(n), true).is_some());
        }
        assert_eq!(known.set(&room(MEMBERSHIPS_MAX), true), None);
        known.set(&room(7), false);
        assert!(known.set(&room(MEMBERSHIPS_MAX), true).is_some());
        assert_eq!(
            (known.0.len(), known.rooms().count()),
            (MEMBERSHIPS_MAX, MEMBERSHIPS_MAX)
        );
        assert!(!known.is_in(&room(7)));
    }

    proptest! {
        #[test]
        fn two_devices_that_tell_each_other_all_agree(changes in prop::collection::vec((0..2_usize, 0..3_usize, any::<bool>()), 0..40)) {
            let mut devices = [Memberships::default(), Memberships::default()];
            for (device, n, is_in) in changes {
                devices[device].set(&room(n), is_in);
            }
            let [one, two] = &mut devices;
            let said: Vec<_> = one.all().map(|(room, known)| (room.clone(), known)).collect();
            let answered: Vec<_> = two.all().map(|(room, known)| (room.clone(), known)).collect();
            for (room, known) in answered {
                one.take(room, known);
            }
            for (room, known) in said {
                two.take(room, known);
            }
            prop_assert_eq!(one, two);
        }
    }
}
