//! `peerchat chat`: puts the parts together, runs them, and ends them in order.

use std::{collections::BTreeSet, convert::Infallible, io, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::ChatConfig,
    driver::{
        Channels, Driver,
        core::{Codec, Core, unreadable},
        ports::{INCOMING_MAX, ORDERS_MAX},
        refusals::Refusals,
        request::Request,
    },
    folder::UserFolder,
    keys::{self, KeyError},
    log::{Disk as _, IoError, LockError, LogError, RealDisk},
    net::{LoginError, Net, Registry, RegistryConfig, ToDriver, convert, serve},
    node::{
        Identity,
        event::{Code, Event, Notice, Ready, ReplayReason},
        limits::REPLAY_LAST,
        types::Conversation,
    },
    state::State,
    ui,
};

/// How many events wait for the screen. When they are as many, the peer waits for its user.
const EVENTS_MAX: usize = 4_096;
/// How many requests wait for the peer.
const REQUESTS_MAX: usize = 64;
/// How long ending in order may take after a signal.
const SIGNAL_WAIT: Duration = Duration::from_secs(8);
/// So many open files are enough, and taken by systems that refuse to allow as many as they name.
const OPEN_FILES: u64 = 10_240;
/// How long links and calls have to end.
const END_WAIT: Duration = Duration::from_secs(2);
/// How long the first start of a session waits for the registry before it goes on without one.
const REGISTRY_WAIT: Duration = Duration::from_secs(10);

/// The peer cannot run, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Folder(#[from] IoError),
    /// Another process uses the data folder.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The device's key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A log could not be used any more, and the user was told before the end.
    #[error(transparent)]
    Ended(LogError),
    /// The address to listen at cannot be used.
    #[error("cannot listen at {address}: {source}; choose another one with --listen")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The registry refuses the user.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The system refuses something else.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl ChatError {
    /// The code under which scripts know the error.
    pub fn code(&self) -> Code {
        match self {
            Self::Login(LoginError::NameInUse(_)) => Code::NameInUse,
            Self::Login(LoginError::Unavailable { .. }) => Code::RegistryUnavailable,
            Self::Login(LoginError::Refused(_)) | Self::Listen { .. } | Self::System(_) => Code::Refused,
            Self::Locked(LockError::Held { .. }) => Code::DataInUse,
            Self::Folder(_) | Self::Locked(_) | Self::Key(_) | Self::Log(_) | Self::Ended(_) => Code::DiskFailed,
        }
    }

    /// Whether the user interface has told it already.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

/// Runs a peer with its user interface until the user quits.
///
/// # Errors
/// It cannot start, or the disk refuses while it runs.
pub async fn run(config: ChatConfig) -> Result<ui::Ending, ChatError> {
    allow_open_files();
    let folder = UserFolder::open(&config.data, &config.user)?;
    let device = keys::device(folder.path())?;
    let me = Identity {
        user: config.user.clone(),
        device,
    };
    let disk = RealDisk;
    let codec = Codec {
        encode: convert::encode_entry,
        decode: convert::decode_entry,
    };
    let (core, notices) = Core::open(disk, folder.path().to_owned(), me.clone(), codec, disk.random())?;
    let state = State::load(&disk, folder.path())?;
    let listener = listen(&config.listen).await?;
    let local = listener.local_addr()?;
    let advertise = config.advertise.clone().unwrap_or_else(|| local.to_string());

    let shutdown = CancellationToken::new();
    let (incoming, from_wire) = mpsc::channel(INCOMING_MAX);
    let (orders, ordered) = mpsc::channel(ORDERS_MAX);
    let (address, own_address) = watch::channel(advertise.clone());
    let refusals = Refusals::default();
    let to_driver = ToDriver {
        incoming,
        refusals: refusals.clone(),
    };
    let net = Net::new(me.clone(), disk.random(), own_address, to_driver, shutdown.clone());
    let registry = RegistryConfig {
        address: config.registry.clone(),
        advertise,
        may_host: config.host_registry,
    };
    let (registry, logged_in) = Registry::start(net.clone(), registry, address);
    let server = tokio::spawn(serve(net.clone(), listener));
    let wire = tokio::spawn(net.clone().run(ordered, registry));
    // Without a registry the peer starts all the same, for those whom it knows.
    let first = tokio::time::timeout(REGISTRY_WAIT, logged_in).await;
    if let Ok(Ok(Err(refused @ (LoginError::NameInUse(_) | LoginError::Refused(_))))) = first {
        shutdown.cancel();
        drop(from_wire);
        net.ended(END_WAIT).await;
        return Err(refused.into());
    }

    let (events, shown) = mpsc::channel(EVENTS_MAX);
    let (requests, requested) = mpsc::channel(REQUESTS_MAX);
    let enters = !config.join.is_empty();
    let options = ui::Options {
        user: me.user.clone(),
        json: config.json,
        join: config.join,
        history: Some(folder.path().join("input-history")),
        bell: config.bell,
    };
    let screen = tokio::spawn(ui::run(requests.clone(), shown, options));
    // The logs of rooms that were left stay on the disk, and a room in which nothing was said has none.
    let logged = core.node().talks().keys().filter(|one| state.is_in(one)).cloned();
    let conversations: BTreeSet<_> = logged
        .chain(state.rooms().into_iter().map(Conversation::Room))
        .collect();
    let current = state
        .current(&me.user)
        .filter(|current| conversations.contains(current));
    // Where a room is entered anew, the answer to that shows it.
    let replay = current.as_ref().filter(|_| !enters);
    let replay = replay.map(|current| core.replay(current, REPLAY_LAST, ReplayReason::Start));
    let ready = Ready {
        user: me.user.clone(),
        device,
        listen: local.to_string(),
        registry: config.registry,
        first_start: folder.is_new(),
        conversations: conversations.into_iter().collect(),
        current,
    };
    send(&events, Event::Ready(ready)).await;
    match replay {
        Some(Ok(event)) => send(&events, event).await,
        Some(Err(error)) => send(&events, Event::Notice(unreadable(&error))).await,
        None => {}
    }
    for notice in notices {
        send(&events, Event::Notice(notice)).await;
    }
    tokio::spawn(quit_on_signal(requests));

    let channels = Channels {
        requests: requested,
        events: events.clone(),
        incoming: from_wire,
        orders,
        refusals,
    };
    let end = Driver::new(core, channels, state, disk, folder.path().to_owned())
        .run()
        .await;
    // The driver has ended and with it the queues of the links, so that these end too; the registry is told.
    shutdown.cancel();
    net.ended(END_WAIT).await;
    wire.abort();
    server.abort();
    let end = end.and_then(Core::close);
    if let Err(error) = &end {
        let message = format!("{error}; the peer ends, and nothing that was acknowledged is lost");
        send(
            &events,
            Event::Notice(Notice {
                code: Code::DiskFailed,
                message,
            }),
        )
        .await;
    }
    send(&events, Event::Bye).await;
    drop(events);
    let ending = screen.await.map_err(io::Error::other)??;
    end.map_err(ChatError::Ended)?;
    Ok(ending)
}

/// Raises the limit of open files as far as the system lets it: a conversation has two and a connection one, so that what others may begin
/// could otherwise take all of them, and with them the log.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    for current in [limit.maximum, Some(most.min(OPEN_FILES))] {
        match setrlimit(Resource::Nofile, Rlimit { current, ..limit }) {
            Ok(()) => return,
            // Where it is refused again, the peer has as many as it was given.
            Err(error) => tracing::debug!(%error, ?current, "cannot raise the limit of open files"),
        }
    }
}

async fn send(events: &mpsc::Sender<Event>, event: Event) {
    // Nobody listens where the screen has ended, and then the peer ends as well.
    let _ended = events.send(event).await;
}

async fn listen(address: &str) -> Result<TcpListener, ChatError> {
    let error = |source| ChatError::Listen {
        address: address.to_owned(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    Ok(listener)
}

/// Quits as the user would, when the system asks for it.
#[expect(
    clippy::disallowed_methods,
    reason = "the last resort, where ending in order takes too long"
)]
async fn quit_on_signal(requests: mpsc::Sender<Request>) -> io::Result<Infallible> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hang_up.recv() => {}
    }
    // A screen that nobody reads keeps the peer from ending in order. It ends all the same: what was acknowledged is in the log, and
    // the next start goes on as a new author.
    let patience = tokio::time::sleep(SIGNAL_WAIT);
    tokio::pin!(patience);
    tokio::select! {
        // Where this fails the driver has ended, and so has the wish.
        _ = async { requests.send(Request::Quit).await.ok(); std::future::pending::<()>().await } => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = &mut patience => {}
    }
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        let limit = getrlimit(Resource::Nofile);
        let less = limit.maximum.map(|most| most / 2);
        let lowered = Rlimit { current: less, ..limit };
        setrlimit(Resource::Nofile, lowered).unwrap();
        allow_open_files();
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }
}
