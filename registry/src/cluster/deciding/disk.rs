//! What the ledger does to the disks: its own file, and the accounts. Where one refuses, the node takes no part in anything until it does not.

use std::{error::Error, fmt::Write as _, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{Deciding, phase::Applied};
use crate::{
    accounts::{
        Accounts,
        store::{Outcome, Position, StoreError},
    },
    cluster::{
        ledger::{Change, Place, Record, Ticket},
        ledger_store::{LedgerStore, LedgerStoreError},
        node::KEEP_LAST,
        term::Term,
        wire::change::{Unreadable, change_from_bytes, whole_from_bytes, whole_to_bytes},
    },
};

/// After how long what a disk did not take is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Both disks. Every step is tried until it is done; none at the end of the process, or where it never can be.
pub(super) struct Disk<'d> {
    /// None while it writes.
    store: Option<LedgerStore>,
    accounts: Arc<Accounts>,
    deciding: &'d Deciding,
    shutdown: CancellationToken,
}

impl<'d> Disk<'d> {
    pub(super) fn new(
        store: LedgerStore,
        accounts: Arc<Accounts>,
        deciding: &'d Deciding,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            store: Some(store),
            accounts,
            deciding,
            shutdown,
        }
    }

    /// The place of the last change that was made.
    pub(super) async fn position(&self) -> Option<Place> {
        let position = self.until_done(|| self.accounts.position()).await?;
        self.place(position).await
    }

    async fn place(&self, position: Position) -> Option<Place> {
        match Term::new(position.term) {
            Some(term) => Some(Place {
                term,
                index: position.index,
            }),
            None => self.give_up(&StoreError::Damaged).await,
        }
    }

    /// Keeps records, in one sync.
    pub(super) async fn keep(&mut self, records: Vec<Record>) -> Option<()> {
        if records.is_empty() {
            return Some(());
        }
        let mut is_first = true;
        loop {
            let mut store = self.store.take()?;
            let some = if is_first { records.clone() } else { Vec::new() };
            let kept = spawn_blocking(move || {
                // What has failed is in the file or not; a new file has it for sure.
                let kept = if is_first { store.keep(&some) } else { store.mend() };
                (store, kept)
            });
            let (store, kept) = tokio::select! {
                kept = kept => kept.ok()?,
                () = self.long_ended() => return None,
            };
            self.store = Some(store);
            match kept {
                Ok(()) => break,
                Err(failure) => self.rest::<LedgerStoreError>(&failure).await?,
            }
            is_first = false;
        }
        self.goes_on();
        Some(())
    }

    /// Makes changes; what became of those that were proposed here.
    pub(super) async fn apply(&self, changes: Vec<Applied>) -> Option<Vec<(Ticket, Outcome)>> {
        let mut read = Vec::new();
        for (at, change, _) in &changes {
            match change.as_deref().map_or(Ok(None), change_from_bytes) {
                Ok(change) => read.push((position(*at), change)),
                Err(unreadable) => return self.give_up::<Unreadable, _>(&unreadable).await,
            }
        }
        let outcomes = self.until_done(|| self.accounts.apply(&read)).await?;
        let ticket = |at: Position| {
            let found = changes.iter().find(|(of, ..)| of.index == at.index);
            found.and_then(|(_, _, ticket)| *ticket)
        };
        let outcomes = outcomes.into_iter();
        Some(
            outcomes
                .filter_map(|(at, outcome)| Some((ticket(at)?, outcome)))
                .collect(),
        )
    }

    /// Puts these accounts in place of its own.
    pub(super) async fn install(&self, at: Place, state: &Change) -> Option<()> {
        match whole_from_bytes(state) {
            Ok(whole) => self.until_done(|| self.accounts.install(position(at), &whole)).await,
            Err(unreadable) => self.give_up(&unreadable).await,
        }
    }

    /// All accounts, for another node.
    pub(super) async fn snapshot(&self) -> Option<(Place, Change)> {
        let (position, whole) = self.until_done(|| self.accounts.whole()).await?;
        let state = spawn_blocking(move || whole_to_bytes(&whole)).await.ok()?;
        Some((self.place(position).await?, state.into()))
    }

    /// Tries until it succeeds.
    async fn until_done<T, F: Future<Output = Result<T, StoreError>>>(&self, work: impl Fn() -> F) -> Option<T> {
        loop {
            let worked = tokio::select! {
                worked = work() => worked,
                () = self.long_ended() => return None,
            };
            match worked {
                Ok(done) => {
                    self.goes_on();
                    return Some(done);
                }
                Err(failure) => self.rest(&failure).await?,
            }
        }
    }

    /// Says that the node takes no part, and waits a moment. None at the end.
    async fn rest<E: Error>(&self, failure: &E) -> Option<()> {
        if !self.deciding.is_able.send_replace(false) {
            // It is said already.
        } else {
            let failure = whole_text(failure);
            error!(%failure, "cannot store what the cluster decides about accounts; this node takes no part until it can");
            let trouble = format!("takes no part, since it cannot store what is decided: {failure}");
            self.deciding.tell(|told| told.trouble = Some(trouble));
        }
        tokio::select! {
            () = sleep(RETRY) => Some(()),
            () = self.shutdown.cancelled() => None,
        }
    }

    /// Waits until the end was asked for and the disk has had its time since: one that hangs must not hold up the end.
    async fn long_ended(&self) {
        self.shutdown.cancelled().await;
        sleep(KEEP_LAST).await;
    }

    fn goes_on(&self) {
        if !self.deciding.is_able.send_replace(true) {
            info!("stores what the cluster decides about accounts again");
            self.deciding.tell(|told| told.trouble = None);
        }
    }

    /// Says that the node takes no part any more in this life, and waits for its end.
    async fn give_up<E: Error, T>(&self, failure: &E) -> Option<T> {
        let failure = whole_text(failure);
        error!(%failure, "this node takes no part in its cluster any more");
        self.deciding.is_able.send_replace(false);
        let trouble = format!("takes no part any more: {failure}");
        self.deciding.tell(|told| told.trouble = Some(trouble));
        self.shutdown.cancelled().await;
        None
    }
}

fn position(place: Place) -> Position {
    Position {
        term: place.term.number(),
        index: place.index,
    }
}

/// An error with what has led to it.
fn whole_text(failure: &dyn Error) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        // Writing to a text never fails.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
