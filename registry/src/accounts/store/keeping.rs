//! Which database this is, how much is in it, and moving what was written out of the file beside it.
//!
//! SQLite writes into a file beside the database and moves that into it now and then; a copy of the database alone lacks the rest. So it is moved as soon
//! as nothing has been written for a moment, by whoever runs [`Accounts::keep`](crate::accounts::Accounts::keep).

use std::sync::atomic::{AtomicU64, Ordering};

use ring::rand::{SecureRandom as _, SystemRandom};
use sqlx::{Any, Row as _, Transaction};
use tokio::sync::Notify;

use super::{Store, StoreError, Value, Work, bound, count, dialect::Dialect, hash};
use crate::accounts::{
    begun::{Extent, StoreId},
    change::Done,
    importing::Fate,
    rules::Decision,
};

const ID: &str = "SELECT id FROM identity";

/// Gives a database a number by which it is known, if it has none.
pub(super) async fn name(work: &mut Transaction<'_, Any>, dialect: Dialect) -> Result<(), StoreError> {
    if bound(dialect, ID, &[]).fetch_optional(&mut **work).await?.is_none() {
        let mut id = [0; 32];
        let filled = SystemRandom::new().fill(&mut id);
        filled.map_err(|_| StoreError::NoRandomness)?;
        let named = bound(dialect, "INSERT INTO identity (id) VALUES (?)", &[Value::Hash(&id)]);
        named.execute(&mut **work).await?;
    }
    Ok(())
}

/// What has been stored in this life of the process.
#[derive(Debug, Default)]
pub(super) struct Written {
    accounts: AtomicU64,
    devices: AtomicU64,
    revoked: AtomicU64,
    /// Something was.
    pub(super) changed: Notify,
}

impl Written {
    /// What has become of a change. Of one that may have been no news nothing is counted: there is at least so much.
    pub(super) fn count(&self, done: &Done) {
        let add = |to: &AtomicU64, some: usize| to.fetch_add(some as u64, Ordering::Relaxed);
        match done {
            Done::LetIn(settled) => match settled.decision {
                Decision::Create { .. } => {
                    add(&self.accounts, 1);
                    add(&self.devices, 1);
                }
                Decision::AddDevice => drop(add(&self.devices, 1)),
                Decision::Welcome | Decision::Refuse(_) => {}
            },
            Done::Revoked { is_new } => drop(add(&self.revoked, usize::from(*is_new))),
            Done::Imported(imported) => {
                add(&self.accounts, usize::from(imported.account == Fate::Made));
                add(&self.devices, imported.added);
            }
            Done::Plainly => {}
        }
        self.changed.notify_one();
    }

    pub(super) fn extent(&self) -> Extent {
        Extent {
            accounts: self.accounts.load(Ordering::Relaxed),
            devices: self.devices.load(Ordering::Relaxed),
            revoked: self.revoked.load(Ordering::Relaxed),
        }
    }
}

impl Store {
    /// Which database this is.
    ///
    /// # Errors
    /// The database fails.
    pub async fn id(&self) -> Result<StoreId, StoreError> {
        let row = self.read().await?.one(ID, &[]).await?;
        Ok(StoreId(hash(&row.ok_or(StoreError::Damaged)?, 0)?))
    }

    /// How much is in it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn extent(&self) -> Result<Extent, StoreError> {
        let mut work = self.read().await?;
        Ok(Extent {
            accounts: work.number("SELECT COUNT(*) FROM accounts").await?,
            devices: work.number("SELECT COUNT(*) FROM devices").await?,
            revoked: work
                .number("SELECT COUNT(*) FROM devices WHERE revoked IS NOT NULL")
                .await?,
        })
    }

    /// What was stored since it was opened, at least.
    pub fn written(&self) -> Extent {
        self.written.extent()
    }

    /// Waits until something is stored that was not waited for yet.
    pub async fn changed(&self) {
        self.written.changed.notified().await;
    }

    /// Moves what was written into the database's own file. Answers whether all of it is there now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn checkpoint(&self) -> Result<bool, StoreError> {
        let Some(sql) = self.dialect.checkpoint() else {
            return Ok(true);
        };
        let row = sqlx::query(sql).fetch_one(&self.pool).await?;
        let (beside, moved): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        Ok(beside <= moved)
    }
}

impl Work {
    async fn number(&mut self, sql: &'static str) -> Result<u64, StoreError> {
        let row = self.one(sql, &[]).await?.ok_or(StoreError::Damaged)?;
        Ok(count(&row, 0)? as u64)
    }
}
