//! Where users were and which rooms there were, for the time in which the table does not answer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::routes::{Query, Told};

/// How long an answer may be told again.
const KNOWN_FOR: Duration = Duration::from_secs(300);

/// What is kept at most, counted in answers and the devices and rooms in them: a page of rooms is as much as a thousand users. Over it
/// all are forgotten and learnt anew.
const KNOWN_MAX: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct Cache {
    answers: BTreeMap<String, (Told, Instant)>,
    size: usize,
}

impl Cache {
    pub(super) fn remember(&mut self, query: &Query, told: &Told) {
        let Some(key) = key(query) else { return };
        if self.size + size(told) > KNOWN_MAX {
            self.clear();
        }
        self.size += size(told);
        if let Some((before, _)) = self.answers.insert(key, (told.clone(), Instant::now())) {
            self.size -= size(&before);
        }
    }

    pub(super) fn recall(&self, query: &Query) -> Option<Told> {
        let (told, read) = self.answers.get(&key(query)?)?;
        (read.elapsed() < KNOWN_FOR).then(|| told.clone())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn size(told: &Told) -> usize {
    1 + match told {
        Told::Found(found) => found.peers.len(),
        Told::Page(page) => page.rooms.len(),
        Told::Holder(..) | Told::Live(_) => 0,
    }
}

/// What is asked, whoever asks: everybody is told the same.
fn key(query: &Query) -> Option<String> {
    match query {
        Query::Find { user, .. } => Some(format!("@{}", user.key())),
        Query::ListRooms { after, page, .. } => {
            Some(format!("#{page} {}", after.as_ref().map_or("", |after| after.as_str())))
        }
        Query::Who { .. } | Query::Live { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use peerchat_proto::names::{RoomName, UserName};

    use super::*;
    use crate::routes::{Found, LeaseToken, Page};

    #[test]
    fn an_answer_is_remembered_for_whoever_asks() {
        let find = |lease, user: &str| Query::Find {
            lease: LeaseToken([lease; 16]),
            user: UserName::new(user).unwrap(),
        };
        let told = Told::Found(Found {
            user: UserName::new("Alice").unwrap(),
            peers: Vec::new(),
        });
        let mut cache = Cache::default();
        cache.remember(&find(1, "alice"), &told);
        assert!(matches!(cache.recall(&find(2, "ALICE")), Some(Told::Found(found)) if found.user.shown() == "Alice"));
        assert!(cache.recall(&find(2, "bob")).is_none());
        for n in 0..KNOWN_MAX {
            cache.remember(&find(1, &format!("user{n}")), &told);
        }
        assert!(cache.answers.len() <= KNOWN_MAX);
    }

    #[test]
    fn pages_count_for_all_that_is_in_them() {
        let room = |n: usize| RoomName::new(&format!("room{n}")).unwrap();
        let rooms = (0..1_000).map(|n| (room(n), 1)).collect();
        let told = Told::Page(Page { rooms, more: true });
        let mut cache = Cache::default();
        // Anybody may ask for any page.
        for n in 0..100 {
            let (lease, after) = (LeaseToken([1; 16]), Some(room(n % 50)));
            cache.remember(&Query::ListRooms { lease, after, page: n }, &told);
        }
        let kept: usize = cache.answers.values().map(|(told, _)| size(told)).sum();
        assert!(kept <= KNOWN_MAX, "{kept}");
        assert_eq!(kept, cache.size);
    }
}
