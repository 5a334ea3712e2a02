//! This peer's side of the registry: it logs in, renews its lease, hears who comes and goes, and does so again whenever the
//! registry was away. Where none listens on this machine, it hosts one.

mod account;
mod calls;
mod login;
mod recognise;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use peerchat_identity::Fingerprint;
use peerchat_proto::v1 as wire;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tonic::Code;
use zeroize::Zeroizing;

pub use self::login::link_device;
use self::{
    calls::{told, unanswered, worker},
    login::{Session, log_in},
};
use super::{Net, host};
use crate::{
    driver::{ports::ORDERS_MAX, request::AccountAsk},
    known_registries::KnownRegistries,
    node::{
        Ask, Input,
        account::AccountNews,
        limits::{REGISTRY_RETRY_MS_MAX, REGISTRY_RETRY_MS_MIN, WATCHED_MAX},
        types::RoomName,
    },
};

/// A session that lasted so long was a good one: the next log-in after it does not wait long.
const LASTING: Duration = Duration::from_secs(10);

/// How often it is looked whether the certificate is to be renewed.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(1);

/// Where the registry is, and how this peer is found.
#[derive(Clone)]
pub struct RegistryConfig {
    /// HOST:PORT of the registry.
    pub address: String,
    /// HOST:PORT where this peer is to be found; an unspecified host stands for the address that the registry sees.
    pub advertise: String,
    /// Host a registry in this process where none listens at a loopback address.
    pub may_host: bool,
    /// The folder in which a hosted registry has its own folder, unless it goes on with that of another host.
    pub data: PathBuf,
    /// The registries that were met before.
    pub known: KnownRegistries,
    /// The registry that is meant, where its fingerprint was given.
    pub fingerprint: Option<Fingerprint>,
    /// The password of the account, where this device may be new to it.
    pub password: Option<Zeroizing<String>>,
    /// The invitation with which the account may be made.
    pub invitation: Option<Zeroizing<String>>,
}

/// The registry cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoginError {
    /// The name is somebody's, and nothing shows that it is this device's.
    #[error("{0}")]
    NameInUse(String),
    /// It was never met before, and nobody has said that it is the right one.
    #[error(
        "the registry at {address} is not known yet; its fingerprint is {found}. Compare it with what the registry's operator says \
         (`peerchat-registry fingerprint`), then start with --registry-fingerprint {found}"
    )]
    Unknown {
        /// HOST:PORT of the registry.
        address: String,
        /// What it shows.
        found: Fingerprint,
    },
    /// Another one was met at this address before.
    #[error(
        "the registry at {address} is not the one that was met there before: its fingerprint is {found}, and was {known}. Somebody may \
         stand in between, or the registry was set up anew. If its operator says that it was, take the line of {address} out of {file}, \
         or start with --registry-fingerprint {found}"
    )]
    Changed {
        /// HOST:PORT of the registry.
        address: String,
        /// What it shows.
        found: Fingerprint,
        /// What it showed, or should show.
        known: Fingerprint,
        /// The file that remembers.
        file: String,
    },
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
    Account(AccountAsk, oneshot::Sender<Result<AccountNews, String>>),
}

/// How logging in goes, until it has worked once.
#[derive(Debug)]
pub struct Attempts {
    outcomes: mpsc::Receiver<Result<(), LoginError>>,
    again: mpsc::Sender<Option<Zeroizing<String>>>,
}

impl Attempts {
    /// How the next attempt ended; none where the peer ends. After one that was refused there is no other before [`Attempts::again`].
    pub async fn outcome(&mut self) -> Option<Result<(), LoginError>> {
        self.outcomes.recv().await
    }

    /// Tries again, with this password if there is one.
    pub async fn again(&self, password: Option<Zeroizing<String>>) {
        // Where this fails the peer ends.
        let _ends = self.again.send(password).await;
    }
}

/// The way to the registry.
#[derive(Debug, Clone)]
pub struct Registry {
    questions: mpsc::Sender<Question>,
}

impl Registry {
    /// Starts to log in, and goes on logging in whenever the registry was away, until the shutdown of `net`. `address` is told
    /// where the others find this peer.
    pub fn start(net: Net, config: RegistryConfig, address: watch::Sender<String>) -> (Self, Attempts) {
        let (questions, asked) = mpsc::channel(ORDERS_MAX);
        let (first, outcomes) = mpsc::channel(1);
        let (again, retry) = mpsc::channel(1);
        let client = Client {
            net: net.clone(),
            config,
            address,
            asked,
            hosted: None,
            first: Some(first),
            retry,
        };
        net.tasks.spawn(client.run());
        (Self { questions }, Attempts { outcomes, again })
    }

    pub(super) async fn ask(&self, ask: Ask) {
        // Where this fails the peer ends, and nobody waits for the answer.
        let _ends = self.questions.send(Question::Ask(ask)).await;
    }

    pub(super) async fn account(&self, ask: AccountAsk, reply: oneshot::Sender<Result<AccountNews, String>>) {
        let _ends = self.questions.send(Question::Account(ask, reply)).await;
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
    /// Where attempts are told until one has worked.
    first: Option<mpsc::Sender<Result<(), LoginError>>>,
    retry: mpsc::Receiver<Option<Zeroizing<String>>>,
}

impl Client {
    async fn run(mut self) {
        let shutdown = self.net.shutdown.clone();
        let mut retry_ms = REGISTRY_RETRY_MS_MIN;
        loop {
            let error = tokio::select! {
                () = shutdown.cancelled() => break,
                outcome = self.log_in() => match outcome {
                    Ok(session) => {
                        let begun = Instant::now();
                        self.tell_attempt(Ok(()));
                        self.first = None;
                        // From now on the device is known by its key.
                        (self.config.password, self.config.invitation) = (None, None);
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
            let is_refusal = !matches!(error, LoginError::Unavailable { .. });
            self.tell_attempt(Err(error.clone()));
            if is_refusal && self.first.is_some() {
                // Trying again without anything new would only be another attempt to be told of.
                let password = tokio::select! {
                    () = shutdown.cancelled() => break,
                    password = self.retry.recv() => password,
                };
                let Some(password) = password else { break };
                self.config.password = password.or(self.config.password.take());
                continue;
            }
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

    fn tell_attempt(&self, outcome: Result<(), LoginError>) {
        if let Some(first) = &self.first {
            // Nobody looks any more where the chat began without the registry.
            let _passed = first.try_send(outcome);
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
        let worker = worker(self.net.clone(), session.clients(), session.lease.clone(), queue);
        let mut worker = self.net.tasks.spawn(worker);
        let mut certificate = interval_at(Instant::now() + CERTIFICATE_LOOK, CERTIFICATE_LOOK);
        certificate.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                _ = certificate.tick() => {
                    if self.net.credentials.is_renewal_due()
                        && let Err(error) = login::renew_certificate(&self.net, &mut session).await
                    {
                        tracing::warn!(%error, "the certificate was not renewed");
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
                        if let Some(input) = told(&self.net, change) {
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
