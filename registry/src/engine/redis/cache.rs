//! Where users were and which rooms there were, for the time in which the table does not answer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::routes::{Query, Told};

/// How long an answer may be told again.
const KNOWN_FOR: Duration = Duration::from_secs(300);

/// Answers that are kept at most. Over it all are forgotten and learnt anew.
const KNOWN_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Cache(BTreeMap<String, (Told, Instant)>);

impl Cache {
    pub(super) fn remember(&mut self, query: &Query, told: &Told) {
        let Some(key) = key(query) else { return };
        if self.0.len() >= KNOWN_MAX {
            self.clear();
        }
        self.0.insert(key, (told.clone(), Instant::now()));
    }

    pub(super) fn recall(&self, query: &Query) -> Option<Told> {
        let (told, read) = self.0.get(&key(query)?)?;
        (read.elapsed() < KNOWN_FOR).then(|| told.clone())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
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
    use peerchat_proto::names::UserName;

    use super::*;
    use crate::routes::{Found, LeaseToken};

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
        assert!(cache.0.len() <= KNOWN_MAX);
    }
}
