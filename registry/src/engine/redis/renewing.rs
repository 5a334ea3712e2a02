//! Leases that are renewed, with users to watch: as many at once as the server is not held up by.

use std::{collections::BTreeSet, sync::Arc};

use peerchat_proto::names::UserName;

use super::{RedisTable, words};
use crate::{
    engine::EngineError,
    routes::{Command, LeaseToken, Refusal, limits},
};

/// Users that are named to the server at once: each takes it some microseconds, in which nobody else is served.
const USERS_MAX: usize = 64;

impl RedisTable {
    /// Renews a lease, and from now on tells its holder of these users too.
    pub(super) async fn renew(&self, lease: LeaseToken, mut users: Vec<UserName>) -> Result<(), EngineError> {
        let mut named = BTreeSet::new();
        users.retain(|user| named.insert(user.clone()));
        if users.len() > limits::WATCHED_PER_LEASE_MAX {
            return Err(Refusal::WatchedFull.into());
        }
        for users in parts(&users) {
            let users = users.to_vec();
            let command = Command::Renew { lease, users };
            let reply = self.run(words::command(&command)).await?;
            reply.answer(&command).ok_or(EngineError::Muddled)??;
        }
        Ok(())
    }

    /// The same, without waiting for news that came before.
    pub(super) async fn renew_now(&self, lease: LeaseToken, users: &[UserName]) -> Result<(), EngineError> {
        for users in parts(users) {
            let users = users.to_vec();
            self.do_now(&Command::Renew { lease, users }).await?;
        }
        Ok(())
    }

    /// Changes the table without waiting for news that came before.
    pub(super) async fn do_now(&self, command: &Command) -> Result<(), EngineError> {
        let node = Arc::clone(&self.place.borrow().node);
        let reply = self.run_at(&node, words::command(command)).await?;
        reply.answer(command).ok_or(EngineError::Muddled)??;
        Ok(())
    }
}

/// Users in parts that the server is asked for one after the other; one part where there are none.
fn parts(users: &[UserName]) -> impl Iterator<Item = &[UserName]> {
    let none: Option<&[UserName]> = users.is_empty().then_some(&[]);
    none.into_iter().chain(users.chunks(USERS_MAX))
}
