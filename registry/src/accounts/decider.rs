//! The way to whoever decides about accounts where a registry does not do so alone. The desk asks here, and its cluster answers.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{change::Change, store::Outcome};

/// How long a call may wait for decisions, all that it needs together: less than its caller does, so that he is told why.
pub const DECISION_WAIT: Duration = Duration::from_millis(4_000);

/// Wishes that are on their way. More are refused.
pub const WISHES_MAX: usize = 1_024;

/// What the desk wants of those who decide.
#[derive(Debug)]
pub enum Wish {
    /// A change, if the rules are for it.
    Change {
        /// Which.
        change: Box<Change>,
        /// Until when it is waited for.
        until: Instant,
        /// What becomes of it.
        answer: oneshot::Sender<Result<Outcome, Undecided>>,
    },
    /// To have all that was decided anywhere before this was wished.
    CatchUp {
        /// Until when it is waited for.
        until: Instant,
        /// That it is there.
        answer: oneshot::Sender<Result<(), Undecided>>,
    },
}

/// Why nothing is decided. A change may still be made later where this was not known in time: making it twice does no harm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// No majority.
    #[error(
        "too few registries of this cluster can be reached: {reached} of {nodes}; a new name, device, password or invite needs {needed}; \
        try again when more of them are back"
    )]
    TooFew {
        /// With the one that says so.
        reached: usize,
        /// Of how many.
        nodes: usize,
        /// How many would do.
        needed: usize,
    },
    /// This registry has nothing on its disk, and these nodes are missing.
    #[error(
        "this registry has no accounts yet: a cluster begins, and a node whose disk is new counts, only when all nodes can be reached: \
        start {0}; then try again"
    )]
    NotBegun(String),
    /// Something else keeps them from it.
    #[error(
        "the registries of this cluster can decide nothing about accounts at the moment: {0}; try again when that has changed"
    )]
    Standing(String),
    /// Too many wait.
    #[error("too much waits to be decided by the registries of this cluster; try again in a moment")]
    Busy,
    /// It was not known in time: this registry is kept from taking part, or leaders have changed too often.
    #[error(
        "this registry could not find out in time what its cluster has decided about accounts; try again, or at another one. \
        `peerchat-registry status` tells which ones take part"
    )]
    Aside,
    /// It ends.
    #[error("the registry is shutting down")]
    Ended,
}

/// The desk's end.
#[derive(Debug, Clone)]
pub struct Decider(mpsc::Sender<Wish>);

impl Decider {
    /// A way, and the other end of it.
    pub fn new() -> (Self, mpsc::Receiver<Wish>) {
        let (sender, wishes) = mpsc::channel(WISHES_MAX);
        (Self(sender), wishes)
    }

    /// Has a change decided. The outer error says that it is not known what became of it.
    ///
    /// # Errors
    /// [`Undecided`].
    pub async fn decide(&self, change: Change, until: Instant) -> Result<Outcome, Undecided> {
        let change = Box::new(change);
        self.wish(until, |answer| Wish::Change { change, until, answer }).await
    }

    /// Waits until what is stored here includes all that was decided anywhere before.
    ///
    /// # Errors
    /// [`Undecided`].
    pub async fn catch_up(&self, until: Instant) -> Result<(), Undecided> {
        self.wish(until, |answer| Wish::CatchUp { until, answer }).await
    }

    async fn wish<T>(
        &self,
        until: Instant,
        wish: impl FnOnce(oneshot::Sender<Result<T, Undecided>>) -> Wish,
    ) -> Result<T, Undecided> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(wish(answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Undecided::Busy,
            mpsc::error::TrySendError::Closed(_) => Undecided::Ended,
        })?;
        match timeout_at(until, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Undecided::Ended),
            Err(_) => Err(Undecided::Aside),
        }
    }
}
