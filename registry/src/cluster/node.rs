//! This process's part in its cluster, as the rest of its registry sees it. What runs the election is in `driver`.

mod driver;

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use peerchat_identity::{
    DeviceBytes,
    secret_file::SecretFileError,
    tls::{self, TlsError},
};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::driver::Driver;
use super::{
    ClusterSettings, Leadership, Seat, TermFileError,
    deciding::{Deciding, Surroundings},
    election::{Message, Role},
    ledger_store::LedgerStoreError,
    lives::Lives,
    members::Members,
    term::{NodeId, Term},
    term_file::TermFile,
};
use crate::{
    accounts::Accounts,
    authority::{Authority, AuthorityError, NodeIdentity},
};

/// How many messages wait to be heard. Others send a few a second each; what comes when it is full is refused, and as good as lost.
const INBOX_MAX: usize = 256;

/// After how long without being refused a node is told of again that is refused for the same reason.
const REFUSED_LONG_AGO: Duration = Duration::from_secs(60);

/// How long the disk may take for a term when the node is to end.
pub(super) const KEEP_LAST: Duration = Duration::from_millis(500);

/// Why a registry cannot be a node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its term cannot be kept.
    #[error(transparent)]
    Term(#[from] TermFileError),
    /// What the cluster decides cannot be kept.
    #[error(transparent)]
    Ledger(#[from] LedgerStoreError),
    /// It has no folder to keep it in.
    #[error("a node of a cluster keeps its term: name its folder with --data")]
    NoFolder,
    /// The system failed.
    #[error("the system has no random numbers")]
    NoRandomness,
    /// It gets no certificate.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// TLS does not take its certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why a message of another node is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unheard {
    /// Too many wait already.
    Full,
    /// This node takes no part any more.
    Ended,
}

/// Keeps a term on the disk, which may take any time.
type Keep = Arc<dyn Fn(Term) -> Result<(), SecretFileError> + Send + Sync>;

/// A node, as the rest of its registry sees it.
#[derive(Debug)]
pub(crate) struct Node {
    settings: ClusterSettings,
    inbox: mpsc::Sender<(NodeId, Message)>,
    leadership: watch::Sender<Leadership>,
    deciding: Deciding,
    /// With what it calls other nodes.
    tls: Arc<ClientConfig>,
    /// What it shows to whoever calls it.
    shown: (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
    lives: Arc<Lives>,
    /// Why others were refused that have a certificate of a node, and when last. There are no more than ids.
    refused: Mutex<BTreeMap<u8, (String, Instant)>>,
    /// What runs it, until it runs.
    engine: Mutex<Option<Engine>>,
}

struct Engine {
    seen: Term,
    keep: Keep,
    inbox: mpsc::Receiver<(NodeId, Message)>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the election after term {}", self.seen)
    }
}

impl Node {
    /// A node that takes no part yet.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(crate) fn open(
        settings: ClusterSettings,
        folder: Option<&Path>,
        authority: &Authority,
    ) -> Result<Self, NodeError> {
        let folder = folder.ok_or(NodeError::NoFolder)?;
        let (file, seen) = TermFile::open(folder, settings.own)?;
        let deciding = Deciding::open(folder, settings.own)?;
        let NodeIdentity {
            chain,
            certificate,
            key,
        } = authority.node_identity(settings.own)?;
        let tls = tls::node_client(certificate, key.clone_key(), authority.trust())?;
        let keep: Keep = Arc::new(move |term| file.keep(term));
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        let leadership = Leadership {
            role: Role::Election,
            reachable: [].into(),
        };
        Ok(Self {
            settings,
            inbox: sender,
            leadership: watch::Sender::new(leadership),
            deciding,
            tls,
            shown: (chain, key),
            lives: Arc::default(),
            refused: Mutex::default(),
            engine: Mutex::new(Some(Engine { seen, keep, inbox })),
        })
    }

    /// Its place in the cluster, for what depends on who leads.
    pub(crate) fn seat(&self) -> Seat {
        Seat {
            own: self.own(),
            members: self.members().clone(),
            leadership: self.watch(),
            tls: Arc::clone(&self.tls),
        }
    }

    /// The certificates that it shows to whoever calls it, and the key of the first.
    pub(crate) fn shown(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.shown.0.clone(), self.shown.1.clone_key())
    }

    /// Whether a process that calls as another node, with this key, is a second one of that id.
    pub(super) fn is_doubled(&self, node: NodeId, key: DeviceBytes) -> bool {
        self.lives.is_doubled(node, key, Instant::now().into_std())
    }

    /// Takes note of why a caller with the certificate of a node is refused. Answers whether that is to be told: it goes on calling, several times
    /// a second.
    pub(super) fn is_news(&self, number: u8, refusal: &str) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let before = refused.insert(number, (refusal.to_owned(), Instant::now()));
        before.is_none_or(|(told, last)| told != refusal || last.elapsed() > REFUSED_LONG_AGO)
    }

    pub(crate) fn own(&self) -> NodeId {
        self.settings.own
    }

    pub(crate) fn members(&self) -> &Members {
        &self.settings.members
    }

    /// Who leads, and each change of that.
    pub(crate) fn watch(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// Who leads now.
    pub(crate) fn leadership(&self) -> Leadership {
        self.leadership.borrow().clone()
    }

    /// What the cluster decides by majority.
    pub(crate) fn deciding(&self) -> &Deciding {
        &self.deciding
    }

    /// Takes in what another node has said.
    ///
    /// # Errors
    /// It is not heard.
    pub(super) fn hear(&self, from: NodeId, message: Message) -> Result<(), Unheard> {
        self.inbox.try_send((from, message)).map_err(|error| match error {
            TrySendError::Full(_) => Unheard::Full,
            TrySendError::Closed(_) => Unheard::Ended,
        })
    }

    /// Takes part until `shutdown`, and then hands over. What is decided becomes of these accounts. A second call does nothing.
    pub(crate) async fn run(&self, accounts: Arc<Accounts>, shutdown: CancellationToken) {
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(engine) = engine else {
            return;
        };
        let driver = Driver::new(self, engine, shutdown.clone());
        let surroundings = Surroundings {
            own: self.own(),
            nodes: self.members().ids().collect(),
            links: driver.links.clone(),
            leadership: self.watch(),
            accounts,
            is_forced: self.settings.accepts_lost_accounts,
            limits: self.settings.limits,
        };
        tokio::join!(driver.run(), self.deciding.run(surroundings, shutdown));
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
