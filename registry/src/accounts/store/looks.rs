//! What the names of accounts look like, in the database. Of those that were made before this was asked, or elsewhere, the first one of
//! several that look alike has the look; all keep their names.

use peerchat_proto::names::UserName;
use sqlx::{Any, Row as _, Transaction};
use tokio_stream::StreamExt as _;

use super::{Store, StoreError, Value, Work, bound, dialect::Dialect};
use crate::accounts::looks::{Look, looks};

const TAKEN: &str =
    "SELECT accounts.shown FROM looks JOIN accounts ON accounts.name = looks.account WHERE looks.look = ?";
const HAS: &str = "SELECT account FROM looks WHERE look = ?";
const KEEP: &str = "INSERT INTO looks (look, account) VALUES (?, ?)";

impl Store {
    /// The name of somebody that looks like one of these.
    ///
    /// # Errors
    /// The database fails.
    pub async fn taken(&self, looks: &[Look]) -> Result<Option<UserName>, StoreError> {
        self.read().await?.taken(looks).await
    }
}

impl Work {
    pub(super) async fn taken(&mut self, looks: &[Look]) -> Result<Option<UserName>, StoreError> {
        for look in looks {
            if let Some(row) = self.one(TAKEN, &[Value::Hash(&look.0)]).await? {
                let shown: String = row.try_get(0)?;
                return UserName::new(&shown).map(Some).map_err(|_| StoreError::Damaged);
            }
        }
        Ok(None)
    }

    /// Stores what an account looks like, as far as none was there first.
    pub(super) async fn keep_looks(&mut self, looks: &[Look], key: &str) -> Result<(), StoreError> {
        for look in looks {
            if self.one(HAS, &[Value::Hash(&look.0)]).await?.is_none() {
                self.run(KEEP, &[Value::Hash(&look.0), Value::Text(key)]).await?;
            }
        }
        Ok(())
    }
}

/// Stores what all accounts look like, the oldest first.
pub(super) async fn fill(work: &mut Transaction<'_, Any>, dialect: Dialect) -> Result<(), StoreError> {
    let mut names = Vec::new();
    let mut rows = bound(dialect, "SELECT shown FROM accounts ORDER BY created, name", &[]).fetch(&mut **work);
    while let Some(row) = rows.next().await.transpose()? {
        let shown: String = row.try_get(0)?;
        names.push(UserName::new(&shown).map_err(|_| StoreError::Damaged)?);
    }
    drop(rows);
    for name in names {
        for look in looks(&name) {
            let has = bound(dialect, HAS, &[Value::Hash(&look.0)]);
            if has.fetch_optional(&mut **work).await?.is_none() {
                let values = [Value::Hash(&look.0), Value::Text(name.key())];
                bound(dialect, KEEP, &values).execute(&mut **work).await?;
            }
        }
    }
    Ok(())
}
