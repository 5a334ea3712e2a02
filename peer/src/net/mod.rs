//! The wire: the only part that knows gRPC.
//!
//! `server` is what this peer hosts for the others, `client` what it asks of them, `link` the two directions of the stream that
//! either of them opens, `connections` what else goes over its connection, `giving` the histories that others are given, `parts`
//! those of a history that is pulled, `refusing` counts what callers are refused, `routing` is its side of the registry, `lookups` a
//! load on one, `clock` compares this machine's clock with the registry's, `introducing` keeps certificates for third parties,
//! `revoking` who was revoked, `host` a registry in this process. `convert` stands between the generated types and a peer's own.

mod channel;
mod client;
mod clock;
mod connections;
pub mod convert;
mod expiry;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod giving;
mod host;
mod introducing;
mod link;
mod lookups;
mod parts;
mod passport;
mod refusing;
mod revoking;
mod routing;
mod server;
mod turnstile;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    credentials::Credentials,
    driver::{
        ports::{Incoming, Order},
        refusals::Refusals,
    },
    node::{
        Identity,
        limits::{CALL_MS_MAX, PULLS_OF_MEMBER_MAX},
        link::LinkId,
        sync::PullId,
    },
    seal::SharedNotary,
};
use connections::Connections;
use turnstile::Turnstile;

pub use lookups::{LookupError, Lookups, log_in_once};
pub use routing::{Attempts, LoginError, Registry, RegistryConfig, expected, link_device};
pub use server::{ServeError, serve};

/// The deadline of a call that is answered once, and of every part of an answer in parts.
const CALL_DEADLINE: Duration = Duration::from_millis(CALL_MS_MAX);
/// How often a silent connection is asked whether the other end is there.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(12);
/// How long the other end has to answer that.
const KEEPALIVE_WAIT: Duration = Duration::from_secs(3);
/// How much of one stream, and of one connection, may be under way: enough to keep a fast network busy, and the most that a
/// reader that has stopped leaves waiting. A connection has room for its link beside as many histories as are pulled over it at a time,
/// so that these hold up no message.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = (1 + PULLS_OF_MEMBER_MAX as u32) * STREAM_WINDOW_BYTES;
/// The longest message that is decoded: a full batch, or the heights of as many authors as there may be.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where the wire leads.
#[derive(Debug)]
pub struct ToDriver {
    /// To the driver.
    pub incoming: mpsc::Sender<Incoming>,
    /// To where the driver counts what is refused.
    pub refusals: Refusals,
}

/// Who this peer is to others, and whom it believes.
#[derive(Debug)]
pub struct Keys {
    /// What connections show and judge.
    pub credentials: Arc<Credentials>,
    /// What proves entries.
    pub notary: SharedNotary,
}

/// What every part of the wire needs.
#[derive(Debug, Clone)]
pub struct Net {
    me: Identity,
    credentials: Arc<Credentials>,
    notary: SharedNotary,
    /// The random number of this process.
    session: u64,
    /// HOST:PORT that the others are told, which may follow from what the registry sees.
    address: watch::Receiver<String>,
    incoming: mpsc::Sender<Incoming>,
    refusals: Refusals,
    histories: Turnstile,
    connections: Connections,
    next_link: Arc<AtomicU64>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Net {
    /// `address` is where the others are told to find this peer; `shutdown` ends everything.
    pub fn new(
        me: Identity,
        keys: Keys,
        session: u64,
        address: watch::Receiver<String>,
        driver: ToDriver,
        shutdown: CancellationToken,
    ) -> Self {
        let ToDriver { incoming, refusals } = driver;
        let Keys { credentials, notary } = keys;
        Self {
            me,
            credentials,
            notary,
            session,
            address,
            incoming,
            refusals,
            histories: Turnstile::default(),
            connections: Connections::default(),
            next_link: Arc::new(AtomicU64::new(0)),
            tasks: TaskTracker::new(),
            shutdown,
        }
    }

    /// Carries out what the driver orders, until it ends.
    pub async fn run(self, mut orders: mpsc::Receiver<Order>, registry: Registry) {
        self.tasks.spawn(expiry::watch(self.clone()));
        self.tasks.spawn(clock::watch(self.clone()));
        self.tasks.spawn(introducing::introduce_own(self.clone()));
        self.tasks.spawn(revoking::keep(self.clone()));
        let mut pulls: BTreeMap<PullId, AbortHandle> = BTreeMap::new();
        while let Some(order) = orders.recv().await {
            match order {
                Order::Dial(device, address) => {
                    self.tasks.spawn(client::dial(self.clone(), device, address));
                }
                Order::AskVersion(device, way, conversation) => {
                    self.tasks
                        .spawn(client::ask_version(self.clone(), device, way, conversation));
                }
                Order::Pull {
                    pull,
                    device,
                    way,
                    conversation,
                    heights,
                } => {
                    let what = client::Wanted {
                        pull,
                        conversation,
                        heights,
                    };
                    let task = self.tasks.spawn(client::pull(self.clone(), device, way, what));
                    pulls.retain(|_, task| !task.is_finished());
                    pulls.insert(pull, task.abort_handle());
                }
                Order::StopPull(pull) => {
                    if let Some(task) = pulls.remove(&pull) {
                        task.abort();
                    }
                }
                Order::Registry(ask) => registry.ask(ask).await,
                Order::ListRooms(reply) => registry.list_rooms(reply).await,
                Order::RegistryStatus(reply) => {
                    // Nobody waits where the peer ends.
                    let _gone = reply.send(registry.status());
                }
                Order::Account(ask, reply) => registry.account(ask, reply).await,
            }
        }
    }

    /// Waits until every link and call has ended, for a while.
    pub async fn ended(&self, at_most: Duration) {
        self.tasks.close();
        if tokio::time::timeout(at_most, self.tasks.wait()).await.is_err() {
            tracing::debug!("some links did not end in time");
        }
    }

    fn hello(&self) -> peerchat_proto::v1::Hello {
        peerchat_proto::v1::Hello {
            session: self.session,
            address: self.address.borrow().clone(),
        }
    }

    fn new_link(&self) -> LinkId {
        LinkId(self.next_link.fetch_add(1, Ordering::Relaxed))
    }

    async fn tell(&self, input: crate::node::Input) {
        // The driver has ended where this fails, and nobody wants to know any more.
        let _ended = self.incoming.send(Incoming::Input(input)).await;
    }
}
