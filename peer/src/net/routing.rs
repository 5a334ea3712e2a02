//! This peer's side of the registry: it logs in, renews its lease, hears who comes and goes, and does so again whenever the
//! registry was away. Where none listens on this machine, it hosts one.

mod calls;

use std::{collections::BTreeSet, time::Duration};

use peerchat_proto::v1::{self as wire, routing_service_client::RoutingServiceClient, watch_response::Change};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};

use self::calls::{change_from_wire, unanswered, worker};
use super::{CALL_DEADLINE, KEEPALIVE_EVERY, KEEPALIVE_WAIT, Net, host};
use crate::{
    driver::ports::ORDERS_MAX,
    node::{
        Ask, Input,
        limits::{REGISTRY_RETRY_MS_MAX, REGISTRY_RETRY_MS_MIN, WATCHED_MAX},
        types::RoomName,
    },
};

/// How many renewals wait for the stream. It is full only when the stream has stopped, and then it will break.
const RENEWALS_MAX: usize = 64;

/// A session that lasted so long was a good one: the next log-in after it does not wait long.
const LASTING: Duration = Duration::from_secs(10);

/// How long a new device waits for a name that is in use: the lease of one that has just died, such as this user's before its
/// data was lost, ends within this time.
const NAME_WAIT: Duration = Duration::from_secs(4);
const NAME_RETRY: Duration = Duration::from_millis(250);

/// Where the registry is, and how this peer is found.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// HOST:PORT of the registry.
    pub address: String,
    /// HOST:PORT where this peer is to be found; an unspecified host stands for the address that the registry sees.
    pub advertise: String,
    /// Host a registry in this process where none listens at a loopback address.
    pub may_host: bool,
}

/// The registry cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoginError {
    /// Another live device has the name.
    #[error("{0}")]
    NameInUse(String),
    /// It refuses for another reason.
    #[error("the registry refuses: {0}")]
    Refused(String),
    /// It does not answer.
    #[error("the registry at {address} does not answer: {reason}")]
    Unavailable {
        /// HOST:PORT of the registry.
        address: String,
        /// What happened.
        reason: String,
    },
}

enum Question {
    Ask(Ask),
    ListRooms(oneshot::Sender<Option<Vec<(RoomName, u32)>>>),
}

/// The way to the registry.
#[derive(Debug, Clone)]
pub struct Registry {
    questions: mpsc::Sender<Question>,
}

impl Registry {
    /// Starts to log in, and goes on logging in whenever the registry was away, until the shutdown of `net`. `address` is told
    /// where the others find this peer. The receiver tells how the first attempt went.
    pub fn start(
        net: Net,
        config: RegistryConfig,
        address: watch::Sender<String>,
    ) -> (Self, oneshot::Receiver<Result<(), LoginError>>) {
        let (questions, asked) = mpsc::channel(ORDERS_MAX);
        let (first, outcome) = oneshot::channel();
        let client = Client {
            net: net.clone(),
            config,
            address,
            asked,
            hosted: None,
            first: Some(first),
        };
        net.tasks.spawn(client.run());
        (Self { questions }, outcome)
    }

    pub(super) async fn ask(&self, ask: Ask) {
        // Where this fails the peer ends, and nobody waits for the answer.
        let _ends = self.questions.send(Question::Ask(ask)).await;
    }

    pub(super) async fn list_rooms(&self, reply: oneshot::Sender<Option<Vec<(RoomName, u32)>>>) {
        let _ends = self.questions.send(Question::ListRooms(reply)).await;
    }
}

struct Client {
    net: Net,
    config: RegistryConfig,
    address: watch::Sender<String>,
    asked: mpsc::Receiver<Question>,
    hosted: Option<host::HostedRegistry>,
    first: Option<oneshot::Sender<Result<(), LoginError>>>,
}

/// A log-in with everything that goes on under it.
struct Session {
    client: RoutingServiceClient<Channel>,
    lease: Vec<u8>,
    lease_ms: u32,
    renewals: mpsc::Sender<wire::WatchRequest>,
    changes: Streaming<wire::WatchResponse>,
}

impl Client {
    async fn run(mut self) {
        let shutdown = self.net.shutdown.clone();
        let mut retry_ms = REGISTRY_RETRY_MS_MIN;
        let name_wait = Instant::now() + NAME_WAIT;
        loop {
            let error = tokio::select! {
                () = shutdown.cancelled() => break,
                outcome = self.log_in() => match outcome {
                    Ok(session) => {
                        let begun = Instant::now();
                        self.first(Ok(()));
                        let hosting = self.hosted.is_some();
                        self.net.tell(Input::RegistryUp { hosting }).await;
                        let Some(error) = self.session(session).await else { break };
                        if begun.elapsed() > LASTING {
                            retry_ms = REGISTRY_RETRY_MS_MIN;
                        }
                        error
                    }
                    Err(error) => error,
                },
            };
            tracing::debug!(%error, "no registry");
            let may_end = matches!(error, LoginError::NameInUse(_)) && Instant::now() < name_wait;
            if self.first.is_some() && may_end {
                tokio::time::sleep(NAME_RETRY).await;
                continue;
            }
            self.first(Err(error.clone()));
            self.net.tell(Input::RegistryDown(error.to_string())).await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.pause(retry_ms) => {}
            }
            retry_ms = (retry_ms * 2).min(REGISTRY_RETRY_MS_MAX);
        }
        if let Some(hosted) = self.hosted.take() {
            hosted.stop().await;
        }
    }

    fn first(&mut self, outcome: Result<(), LoginError>) {
        if let Some(first) = self.first.take() {
            // Nobody waits where the peer ends at once.
            let _gone = first.send(outcome);
        }
    }

    /// Waits a random part of a time, and answers meanwhile that nothing can be asked.
    async fn pause(&mut self, at_most_ms: u64) {
        let pause = tokio::time::sleep(Duration::from_millis(fastrand::u64(at_most_ms / 2..=at_most_ms)));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return,
                Some(question) = self.asked.recv() => unanswered(&self.net, question).await,
            }
        }
    }

    /// Connects and logs in, and answers meanwhile that nothing can be asked.
    async fn log_in(&mut self) -> Result<Session, LoginError> {
        let Self {
            net,
            config,
            address,
            asked,
            hosted,
            ..
        } = self;
        let log_in = log_in(net, config, address, hosted);
        tokio::pin!(log_in);
        let waiting = net.clone();
        loop {
            tokio::select! {
                session = &mut log_in => return session,
                Some(question) = asked.recv() => unanswered(&waiting, question).await,
            }
        }
    }

    /// Renews and listens until the registry is away (returns why) or the peer ends (returns none, logged out).
    async fn session(&mut self, mut session: Session) -> Option<LoginError> {
        let every = Duration::from_millis(u64::from(session.lease_ms / 3).max(1));
        let mut renew = interval_at(Instant::now() + every, every);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (calls, queue) = mpsc::channel(ORDERS_MAX);
        let worker = worker(self.net.clone(), session.client.clone(), session.lease.clone(), queue);
        let mut worker = self.net.tasks.spawn(worker);
        let mut watched = BTreeSet::new();
        let reason = loop {
            tokio::select! {
                _ = &mut worker => break "a call was not answered".to_owned(),
                () = self.net.shutdown.cancelled() => {
                    let request = wire::LogOutRequest { lease: session.lease.into() };
                    // The lease ends by itself where this is not heard.
                    let _heard = timeout(Duration::from_secs(1), session.client.log_out(request)).await;
                    return None;
                }
                _ = renew.tick() => {
                    let request = wire::WatchRequest { lease: session.lease.clone().into(), users: Vec::new() };
                    if session.renewals.try_send(request).is_err() {
                        break "it does not take renewals".to_owned();
                    }
                }
                Some(question) = self.asked.recv() => match question {
                    // Of users beyond the limit it is only heard when they are found or met.
                    Question::Ask(Ask::Watch(user)) if watched.len() < WATCHED_MAX => {
                        if !watched.insert(user.clone()) {
                            continue;
                        }
                        let users = vec![user.key().to_owned()];
                        let request = wire::WatchRequest { lease: session.lease.clone().into(), users };
                        if session.renewals.send(request).await.is_err() {
                            break "it does not take renewals".to_owned();
                        }
                    }
                    Question::Ask(Ask::Watch(_)) => {}
                    question => if let Err(refused) = calls.try_send(question) {
                        unanswered(&self.net, refused.into_inner()).await;
                    },
                },
                change = session.changes.message() => match change {
                    Ok(Some(change)) => {
                        if let Some(input) = change_from_wire(change) {
                            self.net.tell(input).await;
                        }
                    }
                    Ok(None) => break "it has ended".to_owned(),
                    Err(status) if status.code() == Code::Unavailable => break status.message().to_owned(),
                    // What broke inside the connection means nothing to a user.
                    Err(status) => {
                        tracing::debug!(%status, "the registry's stream broke");
                        break "the connection broke".to_owned();
                    }
                },
            }
        };
        Some(LoginError::Unavailable {
            address: self.config.address.clone(),
            reason,
        })
    }
}

async fn log_in(
    net: &Net,
    config: &RegistryConfig,
    address: &watch::Sender<String>,
    hosted: &mut Option<host::HostedRegistry>,
) -> Result<Session, LoginError> {
    let unavailable = |reason: String| LoginError::Unavailable {
        address: config.address.clone(),
        reason,
    };
    let silent = |_| unavailable(format!("no answer within {CALL_DEADLINE:?}"));
    let channel = match connect(&config.address).await {
        Ok(channel) => channel,
        Err(error) => {
            hosted.take_if(|hosted| !hosted.runs());
            let here = host::loopback(&config.address).filter(|_| config.may_host && hosted.is_none());
            let Some(here) = here else {
                return Err(unavailable(error));
            };
            *hosted = host::HostedRegistry::start(here).await;
            connect(&config.address).await.map_err(unavailable)?
        }
    };
    let mut client = RoutingServiceClient::new(channel);
    let request = wire::LogInRequest {
        user: net.me.user.shown().to_owned(),
        device: net.me.device.0.to_vec().into(),
        address: config.advertise.clone(),
    };
    let refused = |status: Status| match status.code() {
        Code::AlreadyExists => LoginError::NameInUse(status.message().to_owned()),
        Code::InvalidArgument | Code::PermissionDenied => LoginError::Refused(status.message().to_owned()),
        _ => unavailable(status.message().to_owned()),
    };
    let login = timeout(CALL_DEADLINE, client.log_in(request))
        .await
        .map_err(silent)?
        .map_err(refused)?
        .into_inner();
    address.send_replace(login.address);
    let (renewals, requests) = mpsc::channel(RENEWALS_MAX);
    let first = wire::WatchRequest {
        lease: login.lease.clone(),
        users: Vec::new(),
    };
    renewals
        .send(first)
        .await
        .map_err(|_| unavailable("the stream is closed".into()))?;
    let watching = client.watch(ReceiverStream::new(requests));
    let mut changes = timeout(CALL_DEADLINE, watching)
        .await
        .map_err(silent)?
        .map_err(refused)?
        .into_inner();
    let ready = timeout(CALL_DEADLINE, changes.message())
        .await
        .map_err(silent)?
        .map_err(refused)?;
    if !matches!(ready.and_then(|change| change.change), Some(Change::Ready(_))) {
        return Err(unavailable("its stream does not start".into()));
    }
    Ok(Session {
        client,
        lease: login.lease.to_vec(),
        lease_ms: login.lease_ms,
        renewals,
        changes,
    })
}

async fn connect(address: &str) -> Result<Channel, String> {
    let endpoint =
        Endpoint::from_shared(format!("http://{address}")).map_err(|_| format!("{address} is no address"))?;
    let endpoint = endpoint
        .connect_timeout(CALL_DEADLINE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_WAIT)
        .keep_alive_while_idle(true);
    let connected = timeout(CALL_DEADLINE, endpoint.connect()).await;
    connected
        .map_err(|_| format!("no answer within {CALL_DEADLINE:?}"))?
        .map_err(|error| {
            // The outermost error says only that there is one.
            let source = std::error::Error::source(&error).map(ToString::to_string);
            source.unwrap_or_else(|| error.to_string())
        })
}
