//! What the ledger does to the disks: its own file, and the accounts. Where one refuses, the node takes no part in anything until it does not.

use std::{error::Error, fmt::Write as _, pin::pin, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

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

/// How long a disk may take. One that takes longer is as bad as one that refuses: those who wait for a decision are refused by then, and as the leader
/// this node would keep all others from deciding.
const PATIENCE: Duration = Duration::from_secs(3);

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
    pub(super) async fn keep(&mut self, mut records: Vec<Record>) -> Option<()> {
        if records.is_empty() {
            return Some(());
        }
        loop {
            let mut store = self.store.take()?;
            let some = std::mem::take(&mut records);
            let kept = spawn_blocking(move || {
                // What has failed is in the file or not; a new file has it for sure.
                let kept = if some.is_empty() {
                    store.mend()
                } else {
                    store.keep(&some)
                };
                (store, kept)
            });
            let (store, kept) = self.wait_for(kept).await?.ok()?;
            self.store = Some(store);
            match kept {
                Ok(()) => break,
                Err(failure) => self.rest::<LedgerStoreError>(&failure).await?,
            }
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
        let state = Arc::clone(state);
        // It may be hundreds of megabytes.
        let read = spawn_blocking(move || whole_from_bytes(&state));
        match self.wait_for(read).await?.ok()? {
            Ok(whole) => self.until_done(|| self.accounts.install(position(at), &whole)).await,
            Err(unreadable) => self.give_up(&unreadable).await,
        }
    }

    /// All accounts, for another node: decisions go on while they are read. None where that fails, after a moment; whoever needs them asks again.
    pub(super) fn snapshot(&self) -> impl Future<Output = Option<(Place, Change)>> + Send + 'static {
        let accounts = Arc::clone(&self.accounts);
        async move {
            match accounts.whole().await {
                Ok((position, whole)) => {
                    let term = Term::new(position.term)?;
                    let index = position.index;
                    let state = spawn_blocking(move || whole_to_bytes(&whole).into());
                    Some((Place { term, index }, state.await.ok()?))
                }
                Err(failure) => {
                    let failure = whole_text(&failure);
                    warn!(%failure, "cannot read the accounts that another node needs");
                    sleep(RETRY).await;
                    None
                }
            }
        }
    }

    /// Tries until it succeeds.
    async fn until_done<T, F: Future<Output = Result<T, StoreError>>>(&self, work: impl Fn() -> F) -> Option<T> {
        loop {
            match self.wait_for(work()).await? {
                Ok(done) => {
                    self.goes_on();
                    return Some(done);
                }
                Err(failure) => self.rest(&failure).await?,
            }
        }
    }

    /// Waits for a disk, and after a while takes no part meanwhile. None at the end, which a disk that hangs must not hold up.
    async fn wait_for<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut is_late) = (pin!(work), false);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                () = sleep(PATIENCE), if !is_late => {
                    is_late = true;
                    self.stands_aside(&format!("its disk takes longer than {} s", PATIENCE.as_secs()));
                }
                () = self.long_ended() => return None,
            }
        }
    }

    fn stands_aside(&self, failure: &str) {
        if self.becomes_able(false) {
            error!(%failure, "cannot store what the cluster decides about accounts; this node takes no part until it can");
        }
        let trouble = format!("takes no part, since it cannot store what is decided: {failure}");
        self.deciding.tell(|told| told.trouble = Some(trouble));
    }

    /// Says that the node takes no part, and waits a moment. None at the end.
    async fn rest<E: Error>(&self, failure: &E) -> Option<()> {
        self.stands_aside(&whole_text(failure));
        tokio::select! {
            () = sleep(RETRY) => Some(()),
            () = self.shutdown.cancelled() => None,
        }
    }

    /// Waits until the end was asked for and the disk has had its time since.
    async fn long_ended(&self) {
        self.shutdown.cancelled().await;
        sleep(KEEP_LAST).await;
    }

    fn goes_on(&self) {
        if self.becomes_able(true) {
            info!("stores what the cluster decides about accounts again");
            self.deciding.tell(|told| told.trouble = None);
        }
    }

    /// Whether it was otherwise before. The election hears of nothing else.
    fn becomes_able(&self, is_able: bool) -> bool {
        let was_other = |was: &mut bool| std::mem::replace(was, is_able) != is_able;
        self.deciding.is_able.send_if_modified(was_other)
    }

    /// Says that the node takes no part any more in this life, and waits for its end.
    async fn give_up<E: Error, T>(&self, failure: &E) -> Option<T> {
        let failure = whole_text(failure);
        error!(%failure, "this node takes no part in its cluster any more");
        self.becomes_able(false);
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

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use tokio::{sync::Notify, time::timeout};

    use super::*;
    use crate::{
        accounts::{Policy, rules::Registration, store::Place as Database},
        cluster::term::NodeId,
    };

    #[tokio::test]
    async fn a_disk_that_hangs_is_as_bad_as_one_that_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let deciding = Deciding::open(&folder.path().join("3"), NodeId::new(3).unwrap()).unwrap();
        let engine = deciding.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        let policy = Policy {
            registration: Registration::Open,
            certificate_lifetime: Duration::from_secs(60),
        };
        let accounts = Arc::new(Accounts::open(&Database::Memory, policy).await.unwrap());
        let disk = Disk::new(engine.unwrap().store, accounts, &deciding, CancellationToken::new());
        let (hangs, mut is_able) = (Notify::new(), deciding.is_able());
        let stored = disk.until_done(async || {
            hangs.notified().await;
            Ok(())
        });
        let watched = async {
            timeout(10 * PATIENCE, is_able.wait_for(|is_able| !is_able))
                .await
                .unwrap()
                .unwrap();
            assert!(deciding.status().standing.contains("disk takes longer"));
            hangs.notify_one();
        };
        assert_eq!(tokio::join!(stored, watched).0, Some(()));
        assert!(*deciding.is_able().borrow());
        assert!(!deciding.status().standing.contains("disk"));
    }
}
