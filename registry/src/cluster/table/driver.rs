//! What a node does with its copy as its leadership changes: it follows, or gathers and leads, or waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::StreamExt as _;
use tracing::{debug, info, warn};

use super::{
    ClusterTable, drop_apart,
    message::{Down, Gathered, Hello, Up},
    restored,
    state::{PENDING_MAX, Part},
};
use crate::{
    cluster::{
        election::Role,
        term::{NodeId, Term},
        wire::{LinkError, NodeClient},
    },
    engine::TICK,
};

/// How long a new leader waits for the others at least: whom it can talk to it knows only then.
const GATHER_MIN: Duration = Duration::from_millis(250);

/// How long it waits for those to whom it can talk. Who comes later has the whole table sent, and what its peers hold is put in.
const GATHER_MAX: Duration = Duration::from_secs(1);

/// How often it looks whom it can talk to meanwhile.
const GATHER_LOOK: Duration = Duration::from_millis(25);

/// How long the copy of a follower may take. Without it the next one's is taken.
const COPY_WAIT: Duration = Duration::from_secs(2);

/// How long the renewals of peers that watch nobody new are gathered.
const RENEWALS_WAIT: Duration = Duration::from_secs(1);

/// After how long a follower whose stream broke tries again.
const FOLLOW_RETRY: Duration = Duration::from_millis(100);

/// For how long a node may fail to follow a leader that it hears before its operator is told: as long as a new leader takes at most.
const FOLLOW_PATIENCE: Duration = Duration::from_secs(4);

/// For how many ticks a leader may have no word of a follower: a second. The streams of a node that stands still, or is cut off, do not break
/// by themselves for a long time, and its peers are to be missed as soon as those of a dead one. If it is there it comes again.
const SILENT_TICKS_MAX: u32 = 4;

/// Why a node does not follow any longer.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the leader is none of the list")]
    Unknown,
    #[error("the leader says what makes no sense: {0}")]
    Nonsense(&'static str),
}

const NO_TABLE: FollowError = FollowError::Nonsense("no table");

impl ClusterTable {
    /// Takes part, for ever.
    pub(crate) async fn run(&self) {
        tokio::join!(self.change_parts(), self.tick(), self.gather_renewals());
    }

    async fn change_parts(&self) {
        let mut leadership = self.seat.leadership.clone();
        loop {
            let role = leadership.borrow_and_update().role;
            let takes_part = async {
                match role {
                    Role::Leader(term) => self.lead(term).await,
                    Role::Follower(term) => self.follow(term).await,
                    Role::Election => {}
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = takes_part => {}
                changed = leadership.wait_for(|now| now.role != role) => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
            // Whoever followed this node is told by the end of its stream.
            self.lock().part = Part::Apart;
        }
    }

    async fn tick(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = BTreeMap::<NodeId, u32>::new();
        loop {
            ticks.tick().await;
            let reachable = self.seat.leadership.borrow().reachable.clone();
            let mut state = self.lock();
            silent.retain(|node, _| !reachable.contains(node));
            for node in state.followers().difference(&reachable) {
                let ticks = silent.entry(*node).or_default();
                *ticks += 1;
                if *ticks > SILENT_TICKS_MAX {
                    state.dismiss(*node);
                    silent.remove(node);
                }
            }
            state.expire();
        }
    }

    async fn gather_renewals(&self) {
        let mut seconds = interval(RENEWALS_WAIT);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            self.lock().pass_on_renewals();
        }
    }

    async fn lead(&self, term: Term) {
        self.lock().gather(term);
        self.await_others().await;
        let ahead = self.lock().ahead();
        let mut copy = None;
        for (node, downs) in ahead {
            if !downs.say(Down::TableWanted) {
                continue;
            }
            if let Ok(Some(replica)) = timeout(COPY_WAIT, self.copy_of(node)).await {
                copy = Some(replica);
                break;
            }
        }
        let mut state = self.lock();
        let old = state.lead(copy);
        let position = state.replica.position();
        drop(state);
        drop_apart(old);
        info!(term = %position.term, revision = position.revision, "serves the table of leases to the cluster");
    }

    async fn await_others(&self) {
        let begun = Instant::now();
        let others: BTreeSet<NodeId> = self.seat.members.ids().filter(|id| *id != self.seat.own).collect();
        while begun.elapsed() < GATHER_MAX {
            let arrived = self.lock().arrived();
            let are_all_here = arrived.is_superset(&others);
            let are_reachable_here = arrived.is_superset(&self.seat.leadership.borrow().reachable);
            if are_all_here || (are_reachable_here && begun.elapsed() >= GATHER_MIN) {
                return;
            }
            let _ = timeout(GATHER_LOOK, self.gathered.notified()).await;
        }
    }

    async fn copy_of(&self, node: NodeId) -> Option<super::replica::Replica> {
        loop {
            if let Some(copy) = self.lock().take_copy(node) {
                return copy.ok();
            }
            let _ = timeout(GATHER_LOOK, self.gathered.notified()).await;
        }
    }

    async fn follow(&self, term: Term) {
        let (mut since, mut told) = (Instant::now(), false);
        loop {
            let failure = match self.follow_once(term, &mut told).await {
                Ok(()) => "the stream ended".to_owned(),
                Err(error) => error.to_string(),
            };
            debug!(%term, failure, "does not have the leader's orders; tries again");
            let part = std::mem::replace(&mut self.lock().part, Part::Apart);
            if matches!(part, Part::Following(_)) {
                since = Instant::now();
            } else if !told && since.elapsed() > FOLLOW_PATIENCE {
                warn!(
                    %term, failure,
                    "cannot follow the leader, so this node answers from an old table and takes no change; can it reach the leader's address?"
                );
                told = true;
            }
            sleep(FOLLOW_RETRY).await;
        }
    }

    /// Follows until the stream ends. `told` is whether the log says that it cannot.
    async fn follow_once(&self, term: Term, told: &mut bool) -> Result<(), FollowError> {
        let seat = &self.seat;
        let leader = term.leader().ok_or(FollowError::Unknown)?;
        let address = seat.members.address(leader).ok_or(FollowError::Unknown)?;
        let mut client = NodeClient::connect(address.as_str(), leader, seat.tls.clone()).await?;
        let (ups, said) = mpsc::channel(PENDING_MAX);
        let (hello, claims) = {
            let state = self.lock();
            let nodes = seat.members.numbers();
            let position = state.replica.position();
            (Hello { nodes, term, position }, state.claims())
        };
        let introduce = async {
            let first = [Up::Hello(hello)].into_iter();
            let claims = claims.into_iter().map(Up::Claim);
            for up in first.chain(claims).chain([Up::ClaimsEnd]) {
                // Where nobody takes it the stream ends, which is seen below.
                let _ = ups.send(up).await;
            }
        };
        let (downs, ()) = tokio::join!(client.follow(said), introduce);
        let mut downs = downs?;
        let mut parts = Gathered::default();
        while let Some(down) = downs.next().await {
            match down? {
                Down::TableWanted => {
                    let parts = self.lock().replica.parts();
                    for part in parts {
                        let _ = ups.send(Up::Part(part)).await;
                    }
                }
                Down::Table(_) => return Err(FollowError::Nonsense("a table in one piece")),
                Down::Part(part) => {
                    if let Some(whole) = parts.take(part).map_err(|_| NO_TABLE)? {
                        let replica = restored(whole).await.map_err(|_| NO_TABLE)?;
                        let old = self.lock().replace(replica);
                        drop_apart(old);
                    }
                }
                Down::GoOn(term) => self.lock().begin(term),
                Down::Entry(entry) => {
                    let taken = self.lock().take(&entry);
                    taken.map_err(|_| FollowError::Nonsense("an order out of its place"))?;
                }
                Down::Ready => {
                    let mut state = self.lock();
                    state.part = Part::Following(ups.clone());
                    state.is_ready();
                    drop(state);
                    if std::mem::take(told) {
                        info!(%term, "follows the leader again");
                    }
                }
            }
        }
        Ok(())
    }
}
