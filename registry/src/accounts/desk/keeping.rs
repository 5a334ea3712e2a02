//! What is done beside all else so that a copy of the accounts is whole, and one that is not is known.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use super::Accounts;
use crate::accounts::{
    begun::{self, Begun, Mark},
    store::StoreError,
};

/// For how long nothing is written before what was is moved into the database's own file. One move is a sync or two, so a burst of log-ins
/// has one.
const IDLE: Duration = Duration::from_secs(1);

/// How long what was written may stay beside, where something is written all the time.
const LATEST: Duration = Duration::from_secs(5);

impl Accounts {
    /// Which accounts these are, and how many.
    ///
    /// # Errors
    /// The database fails.
    pub async fn found(&self) -> Result<Mark, StoreError> {
        Ok(Mark {
            id: self.store.id().await?,
            extent: self.store.extent().await?,
        })
    }

    /// The same accounts, with the mark that is to say how many there are.
    #[must_use]
    pub fn marked(mut self, begun: Begun) -> Self {
        self.begun = Some(Arc::new(begun));
        self
    }

    /// Keeps the mark up to date, and little beside the database that is not in it. Runs for as long as it is polled.
    pub async fn keep(&self) {
        loop {
            match self.store.checkpoint().await {
                Ok(true) => {}
                // Somebody reads what would be overwritten. It is tried with the next change, or here.
                Ok(false) => {
                    sleep(IDLE).await;
                    continue;
                }
                Err(error) => warn!(%error, "what was written of the accounts cannot be moved into their file"),
            }
            self.keep_mark().await;
            self.store.changed().await;
            let latest = Instant::now() + LATEST;
            while timeout_at(latest.min(Instant::now() + IDLE), self.store.changed())
                .await
                .is_ok()
                && Instant::now() < latest
            {}
        }
    }

    /// Keeps how much there is.
    pub(super) async fn keep_mark(&self) {
        if let Some(begun) = &self.begun {
            begun::keep(begun, self.store.written()).await;
        }
    }

    /// Keeps it at once where there was nothing before: from then on the accounts are missed where they are missing.
    pub(super) async fn mark_first(&self) {
        let is_first = |begun: &Arc<Begun>| begun.is_first(self.store.written());
        if self.begun.as_ref().is_some_and(is_first) {
            self.keep_mark().await;
        }
    }
}
