//! Where the table of leases is: what the services ask of it, whatever keeps it. Each engine carries out the same [`Command`]s and
//! answers the same [`Query`]s as [`Routes`](crate::routes::Routes) does, and brings what follows from them to the watchers that are
//! connected here.

pub(crate) mod clock;
#[cfg(feature = "shared")]
mod redis;
#[cfg(not(feature = "shared"))]
#[path = "no_redis.rs"]
mod redis;
pub(crate) mod streams;

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use peerchat_proto::names::{RoomName, UserName};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::{sync::mpsc, time::Instant};

use self::redis::RedisTable;
pub use self::redis::{RoutesUrl, UnknownTable};
use crate::{
    cluster::{ClusterTable, Seat},
    hub::Hub,
    mailbox::{Closed, Outbox, StreamEnd},
    routes::{
        Answer, AttemptOutcome, Command, DeviceId, Found, Joined, LeaseToken, Millis, Note, Page, Peer, Query, Refusal,
        Told,
    },
};

/// How often time passes in the table when nobody calls: how much later than due the others hear of a lost lease.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// What is to be done when a device was revoked, here or elsewhere; without one, when some may have been.
pub(crate) type OnRevoked = Box<dyn Fn(Option<DeviceId>) + Send + Sync>;

/// Why a call could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// The table refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The lease's stream is open elsewhere or has ended.
    #[error("a lease has one stream, and this one's is open already or has ended; log in again")]
    StreamUsed,
    /// The system gave no random numbers for a token.
    #[error("the registry's system gives no random numbers; its operator must look into it")]
    NoRandomness,
    /// The registry shuts down.
    #[error("the registry is shutting down; log in again when it is back")]
    ShuttingDown,
    /// Nobody leads the cluster, or the leader does not answer.
    #[error("the registries of this cluster agree on no leader at the moment, so nothing can be changed; try again")]
    NoLeader,
    /// Too many calls wait for the cluster.
    #[error("too many calls wait for the registries of this cluster; try again")]
    Busy,
    /// The table cannot be reached.
    #[error("the registry's table of leases does not answer, so nothing can be changed; try again in a moment")]
    Away,
    /// What was answered is not what was asked.
    #[error("the registry's table gave an answer to another question; its operator must look into it")]
    Muddled,
}

/// The table of leases and the streams of those who are connected here.
#[derive(Debug)]
pub(crate) struct Engine {
    table: Table,
    started: Instant,
    random: SystemRandom,
}

/// What keeps the table.
#[derive(Debug)]
enum Table {
    /// This process.
    Memory(Box<Hub>),
    /// All nodes of a cluster, of which this is one.
    Cluster(Box<ClusterTable>),
    /// Redis, for several registries.
    Redis(Box<RedisTable>),
}

impl Engine {
    /// A table of this process alone.
    pub(crate) fn in_memory() -> Self {
        Self::new(Table::Memory(Box::default()))
    }

    /// A node's copy of the table of its cluster.
    pub(crate) fn in_cluster(seat: Seat) -> Self {
        Self::new(Table::Cluster(Box::new(ClusterTable::new(seat))))
    }

    /// The copy of the cluster's table, where there is one.
    pub(crate) fn cluster_table(&self) -> Option<&ClusterTable> {
        match &self.table {
            Table::Cluster(table) => Some(table),
            Table::Memory(_) | Table::Redis(_) => None,
        }
    }

    /// A table that several registries share.
    pub(crate) async fn shared(url: RoutesUrl, on_revoked: OnRevoked) -> Result<Self, EngineError> {
        let table = RedisTable::open(url, on_revoked).await?;
        Ok(Self::new(Table::Redis(Box::new(table))))
    }

    fn new(table: Table) -> Self {
        Self {
            table,
            started: Instant::now(),
            random: SystemRandom::new(),
        }
    }

    /// Starts a lease and answers its token.
    pub(crate) async fn log_in(&self, peer: Peer) -> Result<LeaseToken, EngineError> {
        let mut token = LeaseToken([0; 16]);
        self.random.fill(&mut token.0).map_err(|_| EngineError::NoRandomness)?;
        match &self.table {
            Table::Memory(hub) => hub.log_in(peer, token)?,
            Table::Cluster(table) => table.log_in(peer, token).await?,
            Table::Redis(table) => table.log_in(peer, token).await?,
        }
        Ok(token)
    }

    /// Opens the stream of a lease: renews it, and watches these users.
    pub(crate) async fn open_stream(
        &self,
        lease: LeaseToken,
        users: Vec<UserName>,
    ) -> Result<(Outbox, Closed), EngineError> {
        match &self.table {
            Table::Memory(hub) => hub.open_stream(lease, users),
            Table::Cluster(table) => table.open_stream(lease, users).await,
            Table::Redis(table) => table.open_stream(lease, users).await,
        }
    }

    /// Takes note that a stream is over, for its watcher's part, and why if it is to be told.
    pub(crate) async fn stream_lost(&self, lease: LeaseToken, why: Option<StreamEnd>) {
        match &self.table {
            Table::Memory(hub) => hub.stream_lost(lease, why),
            Table::Cluster(table) => table.stream_lost(lease, why),
            Table::Redis(table) => table.stream_lost(lease, why).await,
        }
    }

    /// Renews a lease, and from now on tells its holder of these users too.
    pub(crate) async fn renew(&self, lease: LeaseToken, users: Vec<UserName>) -> Result<(), EngineError> {
        match &self.table {
            Table::Cluster(table) => table.renew(lease, users).await,
            Table::Memory(_) | Table::Redis(_) => self.done(Command::Renew { lease, users }).await,
        }
    }

    /// Ends a lease.
    pub(crate) async fn log_out(&self, lease: LeaseToken) -> Result<(), EngineError> {
        self.done(Command::LogOut { lease }).await
    }

    /// Adds the holder of a lease to a room.
    pub(crate) async fn join_room(&self, lease: LeaseToken, room: RoomName) -> Result<Joined, EngineError> {
        match self.call(Command::JoinRoom { lease, room }).await? {
            Answer::Joined(joined) => Ok(joined),
            _ => Err(EngineError::Muddled),
        }
    }

    /// Takes the holder of a lease out of a room. Answers whether the room is there no longer.
    pub(crate) async fn leave_room(&self, lease: LeaseToken, room: RoomName) -> Result<bool, EngineError> {
        match self.call(Command::LeaveRoom { lease, room }).await? {
            Answer::Left(dismissed) => Ok(dismissed),
            _ => Err(EngineError::Muddled),
        }
    }

    /// Ends a device that was revoked, and tells everybody.
    pub(crate) async fn revoke(&self, device: DeviceId) -> Result<(), EngineError> {
        self.done(Command::Revoke { device }).await
    }

    /// Tells a user's live devices that another one wanted to be one of them.
    pub(crate) async fn tell_attempt(
        &self,
        user: UserName,
        device: DeviceId,
        from: IpAddr,
        outcome: AttemptOutcome,
    ) -> Result<(), EngineError> {
        let command = Command::TellAttempt {
            user,
            device,
            from,
            outcome,
        };
        self.done(command).await
    }

    /// Whether other registries share the table.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self.table, Table::Memory(_))
    }

    /// Says something to all registries that share the table, this one among them.
    pub(crate) async fn say(&self, note: Note) -> Result<(), EngineError> {
        self.done(Command::Say { note }).await
    }

    /// What registries that share the table say, from now on; none where none does.
    pub(crate) fn listen(&self) -> Option<mpsc::Receiver<Note>> {
        match &self.table {
            Table::Memory(_) => None,
            Table::Cluster(table) => Some(table.listen()),
            Table::Redis(table) => Some(table.listen()),
        }
    }

    /// Tells where a user is.
    pub(crate) async fn find(&self, lease: LeaseToken, user: UserName) -> Result<Found, EngineError> {
        match self.look(Query::Find { lease, user }).await? {
            Told::Found(found) => Ok(found),
            _ => Err(EngineError::Muddled),
        }
    }

    /// Tells a page of the rooms.
    pub(crate) async fn list_rooms(
        &self,
        lease: LeaseToken,
        after: Option<RoomName>,
        page: usize,
    ) -> Result<Page, EngineError> {
        match self.look(Query::ListRooms { lease, after, page }).await? {
            Told::Page(page) => Ok(page),
            _ => Err(EngineError::Muddled),
        }
    }

    /// The user whose lease a device holds by this token. Another device's lease is none.
    pub(crate) async fn user_of(&self, lease: LeaseToken, device: DeviceId) -> Result<UserName, EngineError> {
        match self.look(Query::Who { lease }).await? {
            Told::Holder(holder, user) if holder == device => Ok(user),
            Told::Holder(..) => Err(Refusal::UnknownLease.into()),
            _ => Err(EngineError::Muddled),
        }
    }

    /// Which of these devices are live.
    pub(crate) async fn live(&self, devices: Vec<DeviceId>) -> Result<BTreeSet<DeviceId>, EngineError> {
        match self.look(Query::Live { devices }).await? {
            Told::Live(live) => Ok(live),
            _ => Err(EngineError::Muddled),
        }
    }

    /// Whether a device has a lease.
    pub(crate) async fn is_live(&self, device: DeviceId) -> Result<bool, EngineError> {
        Ok(!self.live(vec![device]).await?.is_empty())
    }

    /// Ends all streams and takes no more.
    pub(crate) fn close(&self) {
        match &self.table {
            Table::Memory(hub) => hub.close(),
            Table::Cluster(table) => table.close(),
            Table::Redis(table) => table.close(),
        }
    }

    /// Whether it takes nobody any more.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.table {
            Table::Memory(hub) => hub.is_closed(),
            Table::Cluster(table) => table.is_closed(),
            Table::Redis(table) => table.is_closed(),
        }
    }

    /// Lets time pass, for ever.
    pub(crate) async fn run(&self) {
        match &self.table {
            Table::Memory(hub) => hub.tick().await,
            Table::Cluster(table) => table.run().await,
            Table::Redis(table) => table.work().await,
        }
    }

    /// How long the registry has been running.
    pub(crate) fn now(&self) -> Millis {
        Millis::from(self.started.elapsed())
    }

    async fn done(&self, command: Command) -> Result<(), EngineError> {
        self.call(command).await.map(drop)
    }

    async fn call(&self, command: Command) -> Result<Answer, EngineError> {
        match &self.table {
            Table::Memory(hub) => Ok(hub.call(command)?),
            Table::Cluster(table) => table.call(command).await,
            Table::Redis(table) => table.call(command).await,
        }
    }

    async fn look(&self, query: Query) -> Result<Told, EngineError> {
        match &self.table {
            Table::Memory(hub) => Ok(hub.look(&query)?),
            Table::Cluster(table) => Ok(table.look(&query)?),
            Table::Redis(table) => table.look(query).await,
        }
    }
}
