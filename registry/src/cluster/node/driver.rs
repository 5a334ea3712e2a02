//! The election with a clock, chance, a disk and links to the other nodes.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use super::{Engine, KEEP_LAST, Keep, Node};
use crate::{
    cluster::{
        election::{Election, Input, Message, Output, Role},
        link::{Link, LinkState},
        term::{NodeId, Term},
    },
    routes::Millis,
};

/// How many changes of links wait to be noted.
const LINK_STATES_MAX: usize = 64;

/// After how long a term that the disk did not take is tried again.
const KEEP_RETRY: Duration = Duration::from_secs(1);

/// How long the last words of a node that ends may take.
const RESIGN_WAIT: Duration = Duration::from_millis(500);

pub(super) struct Driver<'n> {
    node: &'n Node,
    election: Election,
    keep: Keep,
    inbox: mpsc::Receiver<(NodeId, Message)>,
    pub(super) links: BTreeMap<NodeId, Link>,
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
    pub(super) fn new(node: &'n Node, engine: Engine, shutdown: CancellationToken) -> Self {
        let (states, link_states) = mpsc::channel(LINK_STATES_MAX);
        let mut tasks = JoinSet::new();
        let others = node.members().iter().filter(|(id, _)| *id != node.own());
        let links = others.map(|(id, address)| {
            let (tls, states, lives) = (Arc::clone(&node.tls), states.clone(), Arc::clone(&node.lives));
            let link = Link::start(id, address.clone(), node.members(), tls, states, lives, &mut tasks);
            (id, link)
        });
        Self {
            links: links.collect(),
            seen: node.deciding.seen(),
            is_able: node.deciding.is_able(),
            node,
            election: Election::new(node.own(), node.members().ids(), engine.seen, Millis(0)),
            keep: engine.keep,
            inbox: engine.inbox,
            link_states,
            tasks,
            started: Instant::now(),
            chance: fastrand::Rng::new(),
            shutdown,
        }
    }

    pub(super) async fn run(mut self) {
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
        let now = Millis::from(self.started.elapsed());
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
            let keep = Arc::clone(&self.keep);
            let kept = tokio::select! {
                kept = spawn_blocking(move || keep(term)) => kept,
                () = self.long_ended() => return false,
            };
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

    /// Waits until the end was asked for and the disk has had its time since: one that hangs must not hold up the end.
    async fn long_ended(&self) {
        self.shutdown.cancelled().await;
        sleep(KEEP_LAST).await;
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
            // A part of each change. What lasts, the ledger tells.
            Role::Election => debug!("no node leads"),
        }
    }

    fn note(&self, id: NodeId, state: LinkState) {
        self.node.leadership.send_if_modified(|leadership| match state {
            LinkState::Up => leadership.reachable.insert(id),
            LinkState::Down => leadership.reachable.remove(&id),
        });
    }
}
