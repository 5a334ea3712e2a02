//! This node's part in the ledger: with a clock, its disk, its accounts and the way to the other nodes.

mod disk;
mod phase;
mod telling;
mod waiting;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{
    disk::Disk,
    phase::Phase,
    telling::{News, Situation},
    waiting::Waiting,
};
use super::{
    Leadership, LedgerStatus,
    election::Role,
    ledger::{Change, Input, Kept, Ledger, Limits, Message, Output, Place, Refusal, Standing, Ticket},
    ledger_store::LedgerStore,
    link::Link,
    node::NodeError,
    term::{NodeId, Term},
    wire::change::change_to_bytes,
};
use crate::{
    accounts::{
        Accounts,
        decider::{Decider, Undecided, Wish},
    },
    routes::Millis,
};

/// How many messages wait to be heard. What comes when it is full is lost, and said again.
const INBOX_MAX: usize = 256;

/// How many of what has come are taken in one turn, so that one sync does for all of them.
const TURN_MAX: usize = 64;

/// The longest sleep. There is always something to be said before that.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The ledger of this node, as the rest of its registry sees it.
#[derive(Debug)]
pub(crate) struct Deciding {
    inbox: mpsc::Sender<(NodeId, Message)>,
    decider: Decider,
    told: Mutex<Told>,
    /// The highest term that it has seen. The election must know.
    seen: watch::Sender<Term>,
    /// Whether the node can take part in anything: its disk takes what it must keep.
    is_able: watch::Sender<bool>,
    /// What runs it, until it runs.
    engine: Mutex<Option<Engine>>,
}

#[derive(Debug)]
struct Engine {
    store: LedgerStore,
    kept: Kept,
    inbox: mpsc::Receiver<(NodeId, Message)>,
    wishes: mpsc::Receiver<Wish>,
    /// A random number that no other life of the node has.
    life: u64,
}

/// What is told of it.
#[derive(Debug)]
struct Told {
    committed: u64,
    applied: u64,
    standing: Standing,
    /// What keeps it from taking part.
    trouble: Option<String>,
}

/// What is around a node's ledger while it runs.
pub(super) struct Surroundings {
    pub own: NodeId,
    pub nodes: Vec<NodeId>,
    pub links: BTreeMap<NodeId, Link>,
    pub leadership: watch::Receiver<Leadership>,
    pub accounts: Arc<Accounts>,
    /// The operator says that it counts, whatever was lost.
    pub is_forced: bool,
    pub limits: Limits,
}

impl Deciding {
    /// The ledger in a folder, which takes no part yet.
    pub(super) fn open(folder: &std::path::Path, own: NodeId) -> Result<Self, NodeError> {
        let (mut salt, mut life) = ([0; 16], [0; 8]);
        let random = SystemRandom::new();
        for bytes in [&mut salt[..], &mut life] {
            random.fill(bytes).map_err(|_| NodeError::NoRandomness)?;
        }
        let (store, kept) = LedgerStore::open(folder, own, salt)?;
        let (inbox, heard) = mpsc::channel(INBOX_MAX);
        let (decider, wishes) = Decider::new();
        Ok(Self {
            inbox,
            decider,
            told: Mutex::new(Told {
                committed: 0,
                applied: 0,
                standing: Standing::NoLeader,
                trouble: None,
            }),
            seen: watch::Sender::new(Term::NONE),
            is_able: watch::Sender::new(true),
            engine: Mutex::new(Some(Engine {
                store,
                kept,
                inbox: heard,
                wishes,
                life: u64::from_le_bytes(life),
            })),
        })
    }

    /// The way to what it decides.
    pub(crate) fn decider(&self) -> Decider {
        self.decider.clone()
    }

    /// Takes in what another node has said, if there is room.
    pub(super) fn hear(&self, from: NodeId, message: Message) {
        // What is lost is said again.
        let _ = self.inbox.try_send((from, message));
    }

    /// The highest term that it has seen, and each later one.
    pub(super) fn seen(&self) -> watch::Receiver<Term> {
        self.seen.subscribe()
    }

    /// Whether the node can take part in anything, and each change of that.
    pub(super) fn is_able(&self) -> watch::Receiver<bool> {
        self.is_able.subscribe()
    }

    /// How far it is.
    pub(super) fn status(&self) -> LedgerStatus {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let takes_part = matches!(told.standing, Standing::Leads(_) | Standing::Follows(_));
        LedgerStatus {
            committed: told.committed,
            applied: told.applied,
            is_taking_part: takes_part && told.trouble.is_none(),
            standing: told.trouble.clone().unwrap_or_else(|| told.standing.to_string()),
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes part until `shutdown`. A second call does nothing.
    pub(super) async fn run(&self, around: Surroundings, shutdown: CancellationToken) {
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(engine) = engine else {
            return;
        };
        let disk = Disk::new(engine.store, Arc::clone(&around.accounts), self, shutdown.clone());
        let Some(applied) = disk.position().await else {
            return;
        };
        let ledger = Ledger::new(
            around.own,
            around.nodes.iter().copied(),
            engine.kept,
            applied,
            engine.life,
            around.limits,
        );
        let driver = Driver {
            deciding: self,
            own: around.own,
            ledger,
            disk,
            snapshots: JoinSet::new(),
            applied,
            waiting: Waiting::default(),
            links: around.links,
            leadership: around.leadership,
            nodes: around.nodes,
            news: News::default(),
            inbox: engine.inbox,
            wishes: engine.wishes,
            started: Instant::now(),
            shutdown,
        };
        driver.run(around.is_forced).await;
    }
}

struct Driver<'d> {
    deciding: &'d Deciding,
    own: NodeId,
    ledger: Ledger,
    disk: Disk<'d>,
    /// What reads all accounts for another node, while another one needs them. Never two.
    snapshots: JoinSet<Option<(Place, Change)>>,
    /// The last change that was made in the accounts.
    applied: Place,
    waiting: Waiting,
    links: BTreeMap<NodeId, Link>,
    leadership: watch::Receiver<Leadership>,
    nodes: Vec<NodeId>,
    news: News,
    inbox: mpsc::Receiver<(NodeId, Message)>,
    wishes: mpsc::Receiver<Wish>,
    started: Instant,
    shutdown: CancellationToken,
}

impl Driver<'_> {
    async fn run(mut self, is_forced: bool) {
        let mut role = Role::Election;
        let mut inputs = vec![Input::Tick];
        if is_forced {
            warn!(
                "--accept-lost-accounts is for one start; left in, it would make this node count after the next lost disk as well"
            );
            inputs.push(Input::Force);
        }
        let (mut heard, mut wished) = (Vec::new(), Vec::new());
        loop {
            let now = self.now();
            let outputs = self.ledger.handle_all(inputs.drain(..), now);
            if self.carry_out(outputs).await.is_none() {
                return;
            }
            self.tell();
            let now = self.now();
            let wake_at = self.news.due(now).into_iter().fold(self.ledger.wake_at(), Millis::min);
            let wake_in = Duration::from_millis(wake_at.0.saturating_sub(now.0)).min(SLEEP_MAX);
            let wake_at = Instant::now() + wake_in;
            let wake_at = self.waiting.wake_at().map_or(wake_at, |at| at.min(wake_at));
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                changed = self.leadership.changed() => if changed.is_err() { return },
                _ = self.inbox.recv_many(&mut heard, TURN_MAX) => {}
                _ = self.wishes.recv_many(&mut wished, TURN_MAX) => {}
                Some(read) = self.snapshots.join_next() => {
                    let read = read.ok().flatten();
                    inputs.extend(read.map(|(at, state)| Input::Snapshot { at, state }));
                }
                () = sleep_until(wake_at) => inputs.push(Input::Tick),
            }
            let is = self.leadership.borrow_and_update().role;
            if is != role {
                role = is;
                inputs.push(Input::Role(role));
            }
            inputs.extend(heard.drain(..).map(|(from, message)| Input::Message { from, message }));
            for wish in wished.drain(..) {
                let proposal = self.waiting.take(wish, Instant::now(), change_to_bytes);
                inputs.extend(proposal.map(|(ticket, change)| Input::Propose { ticket, change }));
            }
            let due = self.waiting.look(Instant::now());
            inputs.extend(due.map(|(ticket, change)| Input::Propose { ticket, change }));
        }
    }

    /// Does what has come out, in its order. None at the end, or where the node cannot go on.
    async fn carry_out(&mut self, outputs: Vec<Output>) -> Option<()> {
        let mut outputs = outputs.into();
        while !std::collections::VecDeque::is_empty(&outputs) {
            let phase = Phase::take(&mut outputs);
            let mut more = Vec::new();
            self.disk.keep(phase.records).await?;
            if let Some((at, state)) = phase.install {
                self.disk.install(at, &state).await?;
                info!(%at.index, "took the accounts of another node");
                self.applied = at;
            }
            if let Some((at, ..)) = phase.changes.last() {
                self.applied = *at;
                for (ticket, outcome) in self.disk.apply(phase.changes).await? {
                    more.extend(self.waiting.applied(ticket, outcome, Instant::now()));
                }
            }
            for output in phase.others {
                match output {
                    Output::Send { to, message } => {
                        if let Some(link) = self.links.get(&to) {
                            link.decide(message);
                        }
                    }
                    Output::Refused { ticket, why } => more.extend(self.refused(ticket, why)),
                    Output::Seen(term) => {
                        let is_later = |seen: &mut Term| std::mem::replace(seen, term.max(*seen)) < term;
                        self.deciding.seen.send_if_modified(is_later);
                    }
                    Output::TakeSnapshot if self.snapshots.is_empty() => {
                        self.snapshots.spawn(self.disk.snapshot());
                    }
                    Output::TakeSnapshot => {}
                    Output::Persist(_) | Output::Apply { .. } | Output::Install { .. } => {}
                }
            }
            // Nothing where there is nothing: time passes in the loop, which hears what comes in.
            if !more.is_empty() {
                let more = more.into_iter();
                let more = more.map(|(ticket, change)| Input::Propose { ticket, change });
                outputs.extend(self.ledger.handle_all(more, self.now()));
            }
        }
        Some(())
    }

    fn refused(&mut self, ticket: Ticket, why: Refusal) -> Option<waiting::Proposal> {
        let undecided = self.undecided(why);
        self.waiting.refused(ticket, why, Instant::now(), &undecided)
    }

    /// What is told to who waited in vain.
    fn undecided(&self, why: Refusal) -> Undecided {
        if why == Refusal::Busy {
            return Undecided::Busy;
        }
        let leadership = self.leadership.borrow();
        let is_silent = |node: &NodeId| *node != self.own && !leadership.reachable.contains(node);
        let situation = Situation {
            role: leadership.role,
            standing: self.ledger.standing(),
            is_blank: self.ledger.is_blank(),
            silent: self.nodes.iter().copied().filter(is_silent).collect(),
            nodes: self.nodes.len(),
        };
        situation.reason()
    }

    fn tell(&mut self) {
        let (committed, applied, standing) = (self.ledger.committed(), self.applied.index, self.ledger.standing());
        match &standing {
            same if !self.news.take(same, self.now()) => {}
            Standing::Contradicted(_) => error!(%standing, "accounts of the cluster"),
            _ => info!(%standing, "accounts of the cluster"),
        }
        self.deciding.tell(|told| {
            told.committed = committed;
            told.applied = applied;
            told.standing = standing;
        });
    }

    fn now(&self) -> Millis {
        Millis::from(self.started.elapsed())
    }
}
