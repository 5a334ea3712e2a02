//! This peer's side of the registry: it logs in, renews its lease, hears who comes and goes, and does so again whenever the
//! registry was away, at another one where there are several. Where none listens on this machine, it hosts one.

mod account;
mod between;
mod calls;
mod client;
mod hosting;
mod login;
mod recognise;
mod session;
mod survey;
mod worker;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use peerchat_identity::Fingerprint;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use zeroize::Zeroizing;

use self::client::Client;
pub use self::{login::link_device, recognise::expected};
use super::Net;
use crate::{
    credentials::Clock,
    driver::{ports::ORDERS_MAX, request::AccountAsk},
    known_registries::KnownRegistries,
    node::{
        Ask, Millis,
        account::AccountNews,
        belonging::other_authority,
        registries::RegistryReport,
        status::RegistryStatus,
        types::{Authority, RoomName},
    },
};

/// Where the registries are, and how this peer is found.
#[derive(Clone)]
pub struct RegistryConfig {
    /// HOST:PORT of each registry; at least one. Any of them will do.
    pub addresses: Vec<String>,
    /// The same ones in the order in which they are used: the first is where this peer wants to be.
    pub preferred: Vec<String>,
    /// HOST:PORT where this peer is to be found; an unspecified host stands for the address that the registry sees.
    pub advertise: String,
    /// Host a registry in this process where none listens at the only address, and that is a loopback one. Among several it would be
    /// the one with another authority.
    pub may_host: bool,
    /// The folder in which a hosted registry has its own folder, unless it goes on with that of another host.
    pub data: PathBuf,
    /// The registries that were met before.
    pub known: KnownRegistries,
    /// The registry that is meant, where its fingerprint was given.
    pub fingerprint: Option<Fingerprint>,
    /// What a survey has found to be the authority of several registries of which none was met before.
    pub surveyed: Arc<OnceLock<Fingerprint>>,
    /// Whose names this peer's conversations are about: that of the first registry that lets it in, unless it is known before. No other
    /// one's registry is used as long as the peer runs.
    pub authority: Arc<OnceLock<Fingerprint>>,
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
    /// It is in a list with others, and has another authority.
    #[error(
        "the registry at {address} is not one with the others of the list: its fingerprint is {found}, and theirs is {meant}. It is not \
         used. Take it out of the list; or, if its operator says that it is right, start with --registry-fingerprint {found}, which \
         leaves out the others"
    )]
    Foreign {
        /// HOST:PORT of the registry.
        address: String,
        /// What it shows.
        found: Fingerprint,
        /// What the others show.
        meant: Fingerprint,
    },
    /// The peer has its conversations under another authority.
    #[error("{}", other_authority(address, Authority(own.bytes()), Authority(found.bytes())))]
    Elsewhere {
        /// HOST:PORT of the registry.
        address: String,
        /// What it shows.
        found: Fingerprint,
        /// That of the conversations.
        own: Fingerprint,
    },
    /// It lets this device in under no circumstances, or only with something else than was shown: the same try again would be of no use.
    #[error("the registry refuses: {0}")]
    Barred(String),
    /// It cannot be used for another reason.
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
    /// None of several can be used, for these reasons.
    #[error("none of the registries can be used: {0}")]
    NoneAnswers(String),
}

impl LoginError {
    /// Whether nobody has answered.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::NoneAnswers(_))
    }

    /// What happened, where it is known at which registry.
    fn reason(&self) -> String {
        match self {
            Self::Unavailable { reason, .. } => reason.clone(),
            error => error.to_string(),
        }
    }

    /// Whether somebody has answered that is not the right one.
    fn is_not_the_one(&self) -> bool {
        matches!(
            self,
            Self::Changed { .. } | Self::Foreign { .. } | Self::Elsewhere { .. }
        )
    }
}

enum Question {
    Ask(Ask),
    ListRooms(oneshot::Sender<Option<Vec<(RoomName, u32)>>>),
    Account(AccountAsk, oneshot::Sender<Result<AccountNews, String>>),
}

/// How logging in goes, until it has worked once.
#[derive(Debug)]
pub struct Attempts {
    outcomes: mpsc::Receiver<Result<String, LoginError>>,
    again: mpsc::Sender<Option<Zeroizing<String>>>,
}

impl Attempts {
    /// How the next attempt ended, which has tried all registries, with the address of the one that let this peer in; none where the
    /// peer ends. After one that was refused there is no other before [`Attempts::again`].
    pub async fn outcome(&mut self) -> Option<Result<String, LoginError>> {
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
    clock: Clock,
    questions: mpsc::Sender<Question>,
    states: watch::Receiver<States>,
}

/// How the registries stand.
#[derive(Debug)]
struct States {
    /// At this time, which is this one for `reports`.
    at: Instant,
    now: Millis,
    reports: Vec<RegistryReport>,
}

impl States {
    /// The time by the clock of the reports.
    fn now(&self) -> Millis {
        let passed = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.plus(passed)
    }
}

impl Registry {
    /// Starts to log in, and goes on logging in whenever the registry was away, until the shutdown of `net`. `address` is told
    /// where the others find this peer.
    pub fn start(net: Net, config: RegistryConfig, address: watch::Sender<String>) -> (Self, Attempts) {
        let (questions, asked) = mpsc::channel(ORDERS_MAX);
        let (first, outcomes) = mpsc::channel(1);
        let (again, retry) = mpsc::channel(1);
        let clock = net.credentials.clock().clone();
        let (client, states) = Client::new(net.clone(), config, address, asked, first, retry);
        net.tasks.spawn(client.run());
        (
            Self {
                clock,
                questions,
                states,
            },
            Attempts { outcomes, again },
        )
    }

    pub(super) async fn ask(&self, ask: Ask) {
        // Where this fails the peer ends, and nobody waits for the answer.
        let _ends = self.questions.send(Question::Ask(ask)).await;
    }

    pub(super) async fn account(&self, ask: AccountAsk, reply: oneshot::Sender<Result<AccountNews, String>>) {
        let _ends = self.questions.send(Question::Account(ask, reply)).await;
    }

    /// How the registries stand now.
    pub(super) fn status(&self) -> Vec<RegistryStatus> {
        let states = self.states.borrow();
        let now = states.now();
        let ahead_ms = self.clock.compared().map(|clocks| clocks.ahead_ms());
        let status = |report: &RegistryReport| RegistryStatus {
            clock_ahead_ms: ahead_ms.filter(|_| report.is_used),
            ..RegistryStatus::of(report, now)
        };
        states.reports.iter().map(status).collect()
    }

    pub(super) async fn list_rooms(&self, reply: oneshot::Sender<Option<Vec<(RoomName, u32)>>>) {
        let _ends = self.questions.send(Question::ListRooms(reply)).await;
    }
}
