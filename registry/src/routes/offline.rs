//! Names of users who were here and are not now, so that "offline" can be told from "never heard of".

use std::collections::{BTreeMap, BTreeSet};

use peerchat_proto::names::UserName;

use super::{Millis, limits::OFFLINE_NAMES_MAX};

/// At most [`OFFLINE_NAMES_MAX`] names; the one that has been offline longest gives way.
#[derive(Debug, Default)]
pub(super) struct OfflineNames {
    since: BTreeMap<UserName, Millis>,
    oldest: BTreeSet<(Millis, UserName)>,
}

impl OfflineNames {
    /// The name as its user wrote it last.
    pub(super) fn get(&self, user: &UserName) -> Option<&UserName> {
        self.since.get_key_value(user).map(|(name, _)| name)
    }

    /// All of them, and since when they are offline.
    pub(super) fn iter(&self) -> impl Iterator<Item = (UserName, Millis)> {
        self.since.iter().map(|(user, since)| (user.clone(), *since))
    }

    /// Remembers a name that is offline from now on.
    pub(super) fn insert(&mut self, user: UserName, now: Millis) {
        // Inserting over a key would keep the old one, with the case in which it was written before.
        self.remove(&user);
        if self.since.len() >= OFFLINE_NAMES_MAX
            && let Some((_, forgotten)) = self.oldest.pop_first()
        {
            self.since.remove(&forgotten);
        }
        self.oldest.insert((now, user.clone()));
        self.since.insert(user, now);
    }

    /// Forgets a name, because its user is here.
    pub(super) fn remove(&mut self, user: &UserName) {
        if let Some((user, since)) = self.since.remove_entry(user) {
            self.oldest.remove(&(since, user));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_offline_longest_gives_way() {
        let name = |n: usize| UserName::new(&format!("user{n}")).unwrap();
        let mut names = OfflineNames::default();
        for n in 0..OFFLINE_NAMES_MAX {
            names.insert(name(n), Millis(n as u64));
        }
        names.insert(name(0), Millis(1_000_000));
        names.insert(name(OFFLINE_NAMES_MAX), Millis(1_000_001));
        assert!(names.get(&name(1)).is_none());
        assert!(names.get(&name(0)).is_some() && names.get(&name(2)).is_some());
        assert_eq!(
            (names.since.len(), names.oldest.len()),
            (OFFLINE_NAMES_MAX, OFFLINE_NAMES_MAX)
        );
    }

    #[test]
    fn a_name_is_told_as_it_was_written_last() {
        let mut names = OfflineNames::default();
        names.insert(UserName::new("alice").unwrap(), Millis(1));
        names.insert(UserName::new("Alice").unwrap(), Millis(2));
        let asked = UserName::new("ALICE").unwrap();
        assert_eq!(names.get(&asked).unwrap().shown(), "Alice");
        names.remove(&asked);
        assert!(names.get(&asked).is_none() && names.oldest.is_empty());
    }
}
