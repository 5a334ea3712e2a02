//! The table of leases that all nodes of a cluster have: each has a copy, and the leader says in which order, and at what time, what is
//! done to it. So all copies are the same, whoever is asked.
//!
//! From the inside out, `order`, `log`, `replica` and `claims` are pure: orders in their places, and the copy that they make. `message` is what a
//! follower and its leader say. `state` is all that a node keeps, behind one lock, and `leading` the leader's part of it, which says
//! all to a follower through its `queue`. `driver` is what
//! a node does as its leadership changes, `serving` how a leader serves a follower.
//!
//! **A call** becomes an order with a ticket. The leader gives it its place and carries it out; the node where the call came in takes the
//! answer from its own copy, when the order with its ticket arrives there. So whoever has an answer finds at his node what it says. Reading takes
//! no leader.
//!
//! **A new leader** hears from the others how far they have come, takes the copy of the one that is furthest, and goes on from there. Where
//! that has another history than a node's own copy, as when a network was parted, what the node's peers hold is put in.
//!
//! **Asked again.** An order whose answer has not come when leaders change may have been carried out, or not. It is asked again: logging in
//! with a token that is there, joining, renewing, revoking and counting a stream as lost change nothing the second time; what is gone when it is left
//! or logged out again has gone by the first time; and of an attempt an account's devices are told twice at worst, as registries are of what one
//! says.

pub mod claims;
mod driver;
mod leading;
pub mod log;
pub mod message;
pub mod order;
mod queue;
pub mod replica;
mod serving;
#[cfg(test)]
mod simulation_tests;
mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use peerchat_proto::names::UserName;
use rustls::ClientConfig;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::spawn_blocking,
    time::timeout,
};
use tracing::info;

use self::{
    message::{NoTable, Whole},
    order::{Order, Position},
    replica::Replica,
    state::State,
};
use super::{Leadership, members::Members, term::NodeId};
use crate::{
    engine::EngineError,
    mailbox::{Closed, Outbox, StreamEnd},
    routes::{Answer, Command, LeaseToken, Note, Peer, Query, Refusal, Told},
};

/// How long a call waits for a leader and for its answer: less than its caller does, so that he is told why.
const CALL_WAIT: Duration = Duration::from_millis(4_000);

/// A node's place in its cluster.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) own: NodeId,
    pub(crate) members: Members,
    pub(crate) leadership: watch::Receiver<Leadership>,
    /// With what it calls other nodes.
    pub(crate) tls: Arc<ClientConfig>,
}

/// A node's copy of the table, and its part in keeping all copies the same.
#[derive(Debug)]
pub(crate) struct ClusterTable {
    seat: Seat,
    state: Mutex<State>,
    /// Somebody has come, or a copy has, while this node is about to lead.
    gathered: Notify,
}

impl ClusterTable {
    /// An empty copy.
    pub(crate) fn new(seat: Seat) -> Self {
        Self {
            state: Mutex::new(State::new(seat.own)),
            gathered: Notify::new(),
            seat,
        }
    }

    /// How far its copy has come.
    pub(crate) fn position(&self) -> Position {
        self.lock().replica.position()
    }

    /// Starts a lease of this name.
    pub(crate) async fn log_in(&self, peer: Peer, token: LeaseToken) -> Result<(), EngineError> {
        if self.is_closed() {
            return Err(EngineError::ShuttingDown);
        }
        let command = Command::LogIn {
            peer: peer.clone(),
            token,
        };
        self.call(command).await?;
        info!(user = %peer.user, device = %peer.device, address = %peer.address, "logged in");
        Ok(())
    }

    /// Opens the stream of a lease: renews it, and watches these users.
    pub(crate) async fn open_stream(
        &self,
        lease: LeaseToken,
        users: Vec<UserName>,
    ) -> Result<(Outbox, Closed), EngineError> {
        let users = {
            let state = self.lock();
            if state.streams.is_closed() {
                return Err(EngineError::ShuttingDown);
            }
            // Before the renewal: a second stream is refused, so it must not keep the lease of a peer whose first one broke.
            if !state.streams.is_unopened(lease) && state.replica.routes.is_lease(lease) {
                return Err(EngineError::StreamUsed);
            }
            state.replica.routes.unwatched(lease, &users)?
        };
        self.call(Command::Renew { lease, users }).await?;
        self.lock().streams.open(lease).ok_or(EngineError::StreamUsed)
    }

    /// Takes note that a stream is over, for its watcher's part, and why if it is to be told.
    pub(crate) fn stream_lost(&self, lease: LeaseToken, why: Option<StreamEnd>) {
        let mut state = self.lock();
        state.streams.end(lease, why);
        // Where too much waits, the lease ends with its time.
        let _ = state.submit(Order::Call(Command::StreamLost { lease }), None);
    }

    /// Renews a lease, and from now on tells its holder of these users too.
    pub(crate) async fn renew(&self, lease: LeaseToken, users: Vec<UserName>) -> Result<(), EngineError> {
        // Whatever a peer names, an order has no more users in it than a lease can have: it goes to all nodes in one message.
        let users = {
            let mut state = self.lock();
            let users = state.replica.routes.unwatched(lease, &users)?;
            if users.is_empty() {
                state.renew_soon(lease);
                return Ok(());
            }
            users
        };
        self.call(Command::Renew { lease, users }).await.map(drop)
    }

    /// Has something done to all copies.
    pub(crate) async fn call(&self, command: Command) -> Result<Answer, EngineError> {
        let (reply, answer) = oneshot::channel();
        let ticket = self
            .lock()
            .submit(Order::Call(command), Some(reply))
            .map_err(|_| EngineError::Busy)?;
        // Whoever hangs up meanwhile waits for nothing any more.
        let _waiting = Waiting { table: self, ticket };
        match timeout(CALL_WAIT, answer).await {
            Ok(Ok(answer)) => Ok(answer?),
            _ => Err(EngineError::NoLeader),
        }
    }

    /// What this node's copy has.
    pub(crate) fn look(&self, query: &Query) -> Result<Told, Refusal> {
        self.lock().replica.routes.look(query)
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a copy of its parts, and drops one, on another thread: with many leases that takes most of a second, in which this one has the
/// election and its peers to look after.
async fn restored(parts: Whole) -> Result<Replica, NoTable> {
    spawn_blocking(|| parts.restore()).await.unwrap_or(Err(NoTable))
}

/// See [`restored`].
fn drop_apart(copy: impl Send + 'static) {
    spawn_blocking(move || drop(copy));
}

/// A call that waits. With its end its order is forgotten, if it was not carried out.
struct Waiting<'t> {
    table: &'t ClusterTable,
    ticket: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.table.lock().give_up(self.ticket);
    }
}
