//! This process's part in its cluster: the election with a clock, chance, a disk and links to the other nodes.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use peerchat_identity::tls::{self, TlsError};
use rustls::ClientConfig;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        watch,
    },
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{
    ClusterSettings, Leadership, Seat, TermFileError,
    deciding::{Deciding, Surroundings},
    election::{Election, Input, Message, Output, Role},
    ledger_store::LedgerStoreError,
    link::{Link, LinkState},
    members::Members,
    term::{NodeId, Term},
    term_file::TermFile,
};
use crate::{
    accounts::Accounts,
    authority::{Authority, AuthorityError},
    routes::Millis,
};

/// How many messages wait to be heard. Others send a few a second each; what comes when it is full is refused, and as good as lost.
const INBOX_MAX: usize = 256;

/// How many changes of links wait to be noted.
const LINK_STATES_MAX: usize = 64;

/// After how long a term that the disk did not take is tried again.
const KEEP_RETRY: Duration = Duration::from_secs(1);

/// How long the last words of a node that ends may take.
const RESIGN_WAIT: Duration = Duration::from_millis(500);

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

/// A node, as the rest of its registry sees it.
#[derive(Debug)]
pub(crate) struct Node {
    settings: ClusterSettings,
    inbox: mpsc::Sender<(NodeId, Message)>,
    leadership: watch::Sender<Leadership>,
    deciding: Deciding,
    /// With what it calls other nodes.
    tls: Arc<ClientConfig>,
    /// What runs it, until it runs.
    engine: Mutex<Option<Engine>>,
}

#[derive(Debug)]
struct Engine {
    seen: Term,
    file: TermFile,
    inbox: mpsc::Receiver<(NodeId, Message)>,
    tls: Arc<ClientConfig>,
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
        let (certificate, key) = authority.node_identity(settings.own)?;
        let tls = tls::node_client(certificate, key, authority.trust())?;
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
            tls: Arc::clone(&tls),
            engine: Mutex::new(Some(Engine { seen, file, inbox, tls })),
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

struct Driver<'n> {
    node: &'n Node,
    election: Election,
    file: Arc<TermFile>,
    inbox: mpsc::Receiver<(NodeId, Message)>,
    links: BTreeMap<NodeId, Link>,
    link_states: mpsc::Receiver<(NodeId, LinkState)>,
    /// The highest term that the ledger has seen.
    seen: watch::Receiver<Term>,
    /// Whether the ledger's disk takes what it must keep.
    is_able: watch::Receiver<bool>,
    tasks: JoinSet<()>,
    started: Instant,
    chance: fastrand::Rng,
    shutdown: CancellationToken,
}

impl<'n> Driver<'n> {
    fn new(node: &'n Node, engine: Engine, shutdown: CancellationToken) -> Self {
        let (states, link_states) = mpsc::channel(LINK_STATES_MAX);
        let mut tasks = JoinSet::new();
        let others = node.members().iter().filter(|(id, _)| *id != node.own());
        let links = others.map(|(id, address)| {
            let (tls, states) = (Arc::clone(&engine.tls), states.clone());
            let link = Link::start(id, address.clone(), node.members(), tls, states, &mut tasks);
            (id, link)
        });
        Self {
            links: links.collect(),
            seen: node.deciding.seen(),
            is_able: node.deciding.is_able(),
            node,
            election: Election::new(node.own(), node.members().ids(), engine.seen, Millis(0)),
            file: Arc::new(engine.file),
            inbox: engine.inbox,
            link_states,
            tasks,
            started: Instant::now(),
            chance: fastrand::Rng::new(),
            shutdown,
        }
    }

    async fn run(mut self) {
        info!(node = %self.node.own(), nodes = self.links.len() + 1, "takes part in its cluster");
        loop {
            let wake_at = self.started + Duration::from_millis(self.election.wake_at().0);
            let input = tokio::select! {
                () = self.shutdown.cancelled() => break,
                Some((from, message)) = self.inbox.recv() => {
                    if let Some(link) = self.links.get(&from) {
                        link.was_called();
                    }
                    Input::Message { from, message }
                }
                Some((id, state)) = self.link_states.recv() => {
                    self.note(id, state);
                    continue;
                }
                Ok(()) = self.seen.changed() => Input::Seen(*self.seen.borrow_and_update()),
                Ok(()) = self.is_able.changed() => {
                    self.stand_aside().await;
                    Input::Tick
                }
                () = sleep_until(wake_at) => Input::Tick,
            };
            self.step(input).await;
        }
        self.step(Input::Resign).await;
        self.hang_up();
        let said = async { while self.tasks.join_next().await.is_some() {} };
        // Who cannot be told in this time finds out.
        let _ = timeout(RESIGN_WAIT, said).await;
    }

    async fn step(&mut self, input: Input) {
        let now = Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        for output in self.election.handle(input, now, self.chance.u64(..)) {
            match output {
                Output::Persist(term) => {
                    if !self.keep(term).await {
                        // What was not kept must not be said, not even as a last word.
                        return self.hang_up();
                    }
                }
                Output::Send { to, message } => {
                    if let Some(link) = self.links.get(&to) {
                        link.send(message);
                    }
                }
                Output::Became(role) => self.became(role),
            }
        }
        // Where nothing could be kept for a while, it is what it was.
        self.became(self.election.role());
    }

    /// Says nothing and knows of no leader while the ledger's disk refuses: it could not lead, and the others elect without it.
    async fn stand_aside(&mut self) {
        if !*self.is_able.borrow_and_update() {
            self.became(Role::Election);
            tokio::select! {
                _ = self.is_able.wait_for(|is_able| *is_able) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
    }

    /// Lets the links say what is left to be said, and end.
    fn hang_up(&mut self) {
        for (_, link) in std::mem::take(&mut self.links) {
            link.end();
        }
    }

    /// Keeps a term, or tries until it can: meanwhile this node says nothing, so the others elect without it. False at the end.
    async fn keep(&mut self, term: Term) -> bool {
        let mut is_told = false;
        loop {
            let file = Arc::clone(&self.file);
            let kept = spawn_blocking(move || file.keep(term)).await;
            let failure = match kept {
                Ok(Ok(())) => break,
                Ok(Err(failure)) => failure.to_string(),
                Err(failure) => io::Error::from(failure).to_string(),
            };
            if !is_told {
                error!(%failure, "cannot keep the term of the cluster's leader; this node takes no part until it can");
                is_told = true;
                self.became(Role::Election);
            }
            tokio::select! {
                () = sleep(KEEP_RETRY) => {}
                () = self.shutdown.cancelled() => return false,
            }
        }
        if is_told {
            info!("takes part in its cluster again");
        }
        true
    }

    fn became(&self, role: Role) {
        let is_news = self.node.leadership.send_if_modified(|leadership| {
            let is_news = leadership.role != role;
            leadership.role = role;
            is_news
        });
        match role {
            _ if !is_news => {}
            Role::Leader(term) => info!(%term, "this node leads"),
            Role::Follower(term) => {
                let node = term.leader().map(|node| node.number());
                info!(node, %term, "another node leads");
            }
            Role::Election => info!("no node leads"),
        }
    }

    fn note(&self, id: NodeId, state: LinkState) {
        self.node.leadership.send_if_modified(|leadership| match state {
            LinkState::Up => leadership.reachable.insert(id),
            LinkState::Down => leadership.reachable.remove(&id),
        });
    }
}
