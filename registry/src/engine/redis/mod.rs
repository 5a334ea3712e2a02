//! A table that several registries share, in Redis or Valkey. Each call is one run of a script (`table.lua`), so it is one step whoever
//! else calls; what follows from it the script puts into the queue of each registry that is concerned, and [`news`] brings it to those
//! who are connected there. So this registry keeps nothing that another one could not do without: who is connected here, and what it
//! read lately, for the time in which the table does not answer.
//!
//! **Order.** Each answer says how much the table had told this registry by then, and is given only when that has been passed on. So
//! whoever watches has heard of all that came before the answer, as from a table in memory.
//!
//! **Nothing is missed.** What is told is numbered. Where a number is missing, or the table is another one (it was emptied, nobody
//! called for a minute, or another server has a copy of it), those who are connected here are told that their leases have ended. They log in again, and so fill it.

mod cache;
mod entering;
mod link;
mod news;
mod owed;
mod renewing;
mod script;
#[cfg(test)]
mod script_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod url;
mod words;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use peerchat_proto::names::UserName;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::timeout,
};
use tracing::warn;

use self::{cache::Cache, link::Link, owed::Owed, script::Script, words::Reply};
use super::{EngineError, OnRevoked, streams::Streams};
use crate::{
    mailbox::{Closed, Outbox, StreamEnd},
    outage::Outage,
    routes::{Answer, Command, DeviceId, LeaseEnd, LeaseToken, Note, Query, Refusal, Told},
};
pub use url::{RoutesUrl, UnknownTable};

/// How long an answer waits for news that came before it. Later it is given all the same: its news is then newer than it.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The table, and who is connected here.
pub(crate) struct RedisTable {
    link: Link,
    state: Mutex<State>,
    place: watch::Sender<Place>,
    /// There is something to do before the next tick is due.
    hurry: Notify,
    /// Whether news can be read.
    reading: Outage,
    on_revoked: OnRevoked,
}

#[derive(Debug, Default)]
struct State {
    streams: Streams,
    local: BTreeMap<LeaseToken, Local>,
    owed: Owed,
    cache: Cache,
}

/// A lease whose changes wait here.
#[derive(Debug)]
struct Local {
    /// Of which table it is; none until that is known.
    epoch: Option<Arc<str>>,
    device: DeviceId,
    user: UserName,
}

/// Where news for this registry is, and how much of it was passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    epoch: Arc<str>,
    node: Arc<str>,
    read: u64,
}

impl fmt::Debug for RedisTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTable")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl RedisTable {
    /// Takes part in the table at this URL.
    pub(crate) async fn open(url: RoutesUrl, on_revoked: OnRevoked) -> Result<Self, EngineError> {
        let place = Place {
            epoch: "".into(),
            node: random_name()?,
            read: 0,
        };
        let table = Self {
            link: Link::new(url),
            state: Mutex::default(),
            place: watch::Sender::new(place),
            hurry: Notify::new(),
            reading: Outage::of("the queue of news at the table of leases"),
            on_revoked,
        };
        table.tick().await?;
        Ok(table)
    }

    /// Opens the stream of a lease: renews it, and watches these users.
    pub(crate) async fn open_stream(
        &self,
        lease: LeaseToken,
        users: Vec<UserName>,
    ) -> Result<(Outbox, Closed), EngineError> {
        let can_open = {
            let state = self.lock();
            if state.streams.is_closed() {
                return Err(EngineError::ShuttingDown);
            }
            state.streams.is_unopened(lease)
        };
        if !can_open {
            // A lease that another registry gave has its stream there.
            self.look(Query::Who { lease }).await?;
            return Err(EngineError::StreamUsed);
        }
        self.renew(lease, users).await?;
        self.lock().streams.open(lease).ok_or(EngineError::StreamUsed)
    }

    /// Takes note that a stream is over, for its watcher's part, and why if it is to be told.
    pub(crate) async fn stream_lost(&self, lease: LeaseToken, why: Option<StreamEnd>) {
        self.end(lease, why);
        // Where the table does not answer, the lease ends a little later.
        let _ = self.run(words::command(&Command::StreamLost { lease })).await;
    }

    /// Changes the table. What can be made up for is owed while the table does not answer.
    pub(crate) async fn call(&self, command: Command) -> Result<Answer, EngineError> {
        if let Command::Renew { lease, users } = command {
            return match self.renew(lease, users.clone()).await {
                Err(EngineError::Away) => self.owe(Command::Renew { lease, users }),
                renewed => renewed.map(|()| Answer::Done),
            };
        }
        let reply = match self.run(words::command(&command)).await {
            Err(EngineError::Away) => return self.owe(command),
            reply => reply?,
        };
        Ok(reply.answer(&command).ok_or(EngineError::Muddled)??)
    }

    fn owe(&self, command: Command) -> Result<Answer, EngineError> {
        let mut state = self.lock();
        let is_owed = match command {
            Command::Renew { lease, users } if state.local.contains_key(&lease) => state.owed.renewal(lease, users),
            Command::Revoke { device } => {
                (self.on_revoked)(Some(device));
                state.owed.revocation(device)
            }
            _ => false,
        };
        if is_owed {
            Ok(Answer::Done)
        } else {
            Err(EngineError::Away)
        }
    }

    /// What the table has now, or had when it last answered.
    pub(crate) async fn look(&self, query: Query) -> Result<Told, EngineError> {
        if let Query::Who { lease } = &query
            && let Some(local) = self.lock().local.get(lease)
        {
            return Ok(Told::Holder(local.device, local.user.clone()));
        }
        match self.run(words::query(&query)).await {
            Ok(reply) => {
                let told = reply.told(&query).ok_or(EngineError::Muddled)??;
                self.lock().cache.remember(&query, &told);
                Ok(told)
            }
            Err(EngineError::Away) => self.recall(&query).ok_or(EngineError::Away),
            Err(error) => Err(error),
        }
    }

    fn recall(&self, query: &Query) -> Option<Told> {
        let state = self.lock();
        match query {
            // Whoever it is has been seen before.
            Query::Find { lease, .. } | Query::ListRooms { lease, .. } if state.local.contains_key(lease) => {
                state.cache.recall(query)
            }
            _ => None,
        }
    }

    /// What registries say to all, from now on.
    pub(crate) fn listen(&self) -> mpsc::Receiver<Note> {
        self.lock().streams.listen()
    }

    /// Ends all streams and takes no more.
    pub(crate) fn close(&self) {
        self.lock().streams.close();
    }

    /// Whether it takes nobody any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().streams.is_closed()
    }

    /// Runs the script, and waits until what it told before has been passed on.
    async fn run(&self, words: Vec<Vec<u8>>) -> Result<Reply, EngineError> {
        let node = Arc::clone(&self.place.borrow().node);
        let reply = self.run_at(&node, words).await?;
        let mut place = self.place.subscribe();
        if *place.borrow().epoch != *reply.epoch {
            self.hurry.notify_one();
        }
        let passed_on =
            |place: &Place| place.node != node || (*place.epoch == *reply.epoch && place.read >= reply.told);
        // If it takes too long: see [`CATCH_UP`].
        let _ = timeout(CATCH_UP, place.wait_for(passed_on)).await;
        Ok(reply)
    }

    async fn run_at(&self, node: &str, words: Vec<Vec<u8>>) -> Result<Reply, EngineError> {
        let value = self.link.run(&arguments(words, node, "", &random_name()?)).await?;
        Reply::read(value).ok_or(EngineError::Muddled)
    }

    /// Ends the stream of a lease here.
    fn end(&self, lease: LeaseToken, why: Option<StreamEnd>) {
        self.lock().end(lease, why);
    }

    /// Ends the streams of those whose leases are not of this table, or of everybody.
    fn end_all_but(&self, epoch: Option<&str>) {
        let mut state = self.lock();
        let is_over = |local: &Local| epoch.is_none_or(|epoch| local.epoch.as_deref().is_some_and(|of| of != epoch));
        let over: Vec<_> = state
            .local
            .iter()
            .filter(|(_, local)| is_over(local))
            .map(|(lease, _)| *lease)
            .collect();
        if !over.is_empty() {
            warn!(
                peers = over.len(),
                "the table was emptied or has news that was lost; all who are connected here log in again"
            );
        }
        for lease in over {
            state.end(lease, Some(StreamEnd::Lease(LeaseEnd::Lost)));
        }
        state.cache.clear();
        (self.on_revoked)(None);
    }

    /// Nothing that is done under the lock can fail half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets nothing wait for a lease here any more, and tells why if that is to be told.
    fn end(&mut self, lease: LeaseToken, why: Option<StreamEnd>) {
        self.forget(lease);
        self.streams.end(lease, why);
    }

    /// Whose stream is over: nothing is owed to him, and his lease is known here no longer.
    fn forget(&mut self, lease: LeaseToken) {
        self.local.remove(&lease);
        self.owed.forget(lease);
    }
}

/// What the script reads: a verb, who calls, when (or by its own clock), the name of a table that it may have to begin, and the rest.
fn arguments(mut words: Vec<Vec<u8>>, node: &str, at: &str, epoch: &str) -> Vec<Vec<u8>> {
    let after_verb = 1.min(words.len());
    words.splice(after_verb..after_verb, words::words([node, at, epoch]));
    words
}

fn random_name() -> Result<Arc<str>, EngineError> {
    let mut name = [0; 8];
    SystemRandom::new()
        .fill(&mut name)
        .map_err(|_| EngineError::NoRandomness)?;
    Ok(words::hex(&name).into())
}

/// Whether it is about a lease that is no more.
fn is_refused(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Refused(Refusal::UnknownLease | Refusal::WatchedFull)
    )
}
