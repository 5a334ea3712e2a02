//! The database of the accounts: SQLite in a file of the data folder, or whichever a URL names.
//!
//! What must happen as a whole is one transaction. Each begins by writing the row of the account that it is about: whoever comes
//! second waits there, in every database, and then reads what the first has left. Where there is no such row yet, the unique key
//! decides: of two devices that take a free name at the same moment one gets it, and the other is told [`StoreError::Raced`] and
//! looks again.

mod admission;
mod changing;
#[cfg(test)]
mod changing_tests;
mod devices;
mod dialect;
mod failure;
mod importing;
#[cfg(test)]
mod importing_tests;
mod invites;
mod keeping;
mod looks;
#[cfg(test)]
mod looks_tests;
mod opening;
#[cfg(test)]
mod opening_tests;
mod schema;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
pub(super) mod tests;
mod whole;

use std::{error::Error, io, path::PathBuf, sync::Arc};

use peerchat_identity::secret_file::SecretFileError;
use peerchat_proto::names::UserName;
use sqlx::{Any, AnyPool, Row as _, Transaction, any::AnyRow};

pub use admission::Found;
pub use changing::{Outcome, Position};
pub use devices::{AddedBy, Device, RevokedDevice};
use dialect::Dialect;
pub use dialect::{DatabaseUrl, DatabaseUrlError};
use failure::{Failure, failure};
use keeping::Written;
use tokio::time::timeout;
use tracing::warn;
pub use whole::{StoredAccount, StoredDevice, Whole, WholeInvite};

use super::{WallTime, rules::Refusal};
use crate::outage::Outage;

/// The name of the SQLite file in a data folder.
pub const FILE: &str = "accounts.sqlite";

/// Where accounts are kept.
#[derive(Debug, Clone)]
pub enum Place {
    /// In memory: gone with the process.
    Memory,
    /// In [`FILE`] in this folder.
    Folder(PathBuf),
    /// In this database.
    Url(DatabaseUrl),
}

/// Why accounts cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file cannot be used, or others can get at it.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The path cannot be given to the database.
    #[error("cannot find the accounts at {}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a database that can be used.
    #[error(transparent)]
    Unknown(#[from] DatabaseUrlError),
    /// The database refuses.
    #[error("cannot open the accounts in {place}")]
    Database {
        /// The file, or which database it is.
        place: String,
        /// Why.
        source: StoreError,
    },
}

/// Why something could not be read or stored. Then nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The rules are against it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody has a name that cannot be told from this one.
    #[error("this name looks like {}, which is somebody's; choose one that nobody takes for it", .0.shown())]
    LooksLike(UserName),
    /// Somebody else was faster: look again.
    #[error("somebody else changed the same account at the same time; try again")]
    Raced,
    /// It takes too long.
    #[error("the database of the accounts is busy; try again in a moment")]
    Busy,
    /// It cannot be reached.
    #[error("the database of the accounts does not answer, so nothing can be stored; try again in a moment")]
    Away,
    /// It cannot be reached at the start, when whoever started this can see why.
    #[error(
        "the database of the accounts cannot be reached; is it running, and are host, port and certificates right?"
    )]
    Unreachable(#[source] sqlx::Error),
    /// The system failed.
    #[error("the system has no random numbers to name the database of the accounts by")]
    NoRandomness,
    /// What is stored cannot be read.
    #[error("the database of the accounts is damaged; restore a copy of it")]
    Damaged,
    /// As many as there can be.
    #[error("there are {0} open invites already; wait until some have been used or have expired")]
    TooManyInvites(usize),
    /// A newer registry has changed the tables.
    #[error(
        "the accounts were written by a newer registry (tables of version {found}, known up to {newest}); \
        use that one"
    )]
    Newer {
        /// The version of the tables.
        found: i64,
        /// The newest one that is known here.
        newest: i64,
    },
    /// Anything else.
    #[error("the database of the accounts failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match failure(&error) {
            Failure::Raced => Self::Raced,
            Failure::Busy => Self::Busy,
            Failure::Away => Self::Away,
            Failure::ReadOnly => {
                warn!(
                    error = &error as &dyn Error,
                    "the database of the accounts takes nothing that is written"
                );
                Self::Away
            }
            Failure::Damaged => Self::Damaged,
            Failure::Other => Self::Database(error),
        }
    }
}

/// An open database with tables that are up to date.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    /// For what a cluster has decided: behind many callers it would come so late that the node seems to have lost its disk.
    decided: AnyPool,
    dialect: Dialect,
    outage: Arc<Outage>,
    written: Arc<Written>,
}

/// A transaction. Dropped, it leaves nothing behind.
struct Work {
    transaction: Transaction<'static, Any>,
    dialect: Dialect,
}

/// A value to store.
#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Hash(&'a [u8; 32]),
    Time(WallTime),
    MaybeTime(Option<WallTime>),
    Number(usize),
    Large(u64),
}

impl Store {
    /// Opens accounts, and makes them where there are none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(place: &Place) -> Result<Self, OpenError> {
        let (url, shown) = match place {
            Place::Memory => (DatabaseUrl::memory(), "memory".to_owned()),
            Place::Folder(folder) => {
                let path = opening::private_file(folder)?;
                (DatabaseUrl::file(&path)?, path.display().to_string())
            }
            Place::Url(url) => match url.path() {
                Some(path) => (
                    DatabaseUrl::file(&opening::private_path(&path)?)?,
                    path.display().to_string(),
                ),
                None => (url.clone(), format!("{url:?}")),
            },
        };
        let dialect = url.dialect()?;
        let opened = Self::connect(&url, dialect).await;
        opened.map_err(|source| OpenError::Database { place: shown, source })
    }

    /// Closes all connections. What is committed is on the disk already.
    pub async fn close(&self) {
        self.pool.close().await;
        self.decided.close().await;
    }

    /// A transaction that only reads.
    async fn read(&self) -> Result<Work, StoreError> {
        self.begin(async { Ok(self.pool.begin().await?) }).await
    }

    /// A transaction that writes.
    async fn write(&self) -> Result<Work, StoreError> {
        let begin = self.dialect.begin();
        self.begin(async { Ok(self.pool.begin_with(begin).await?) }).await
    }

    /// A transaction that writes what a cluster has decided.
    async fn write_decided(&self) -> Result<Work, StoreError> {
        let transaction = self.decided.begin_with(self.dialect.begin()).await?;
        let dialect = self.dialect;
        Ok(Work { transaction, dialect })
    }

    async fn begin(
        &self,
        begun: impl Future<Output = Result<Transaction<'static, Any>, StoreError>>,
    ) -> Result<Work, StoreError> {
        if self.outage.ask().is_none() {
            return Err(StoreError::Away);
        }
        let begun = match self.dialect.answer_timeout() {
            Some(_) => timeout(self.dialect.acquire_timeout(), begun)
                .await
                .unwrap_or(Err(StoreError::Away)),
            None => begun.await,
        };
        match &begun {
            Ok(_) => self.outage.answered(),
            Err(StoreError::Away) => self.outage.failed(None),
            Err(_) => {}
        }
        Ok(Work {
            transaction: begun?,
            dialect: self.dialect,
        })
    }
}

impl Work {
    /// Writes, and tells how many rows it found.
    async fn run(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let query = bound(self.dialect, sql, values);
        let done = answered(self.dialect, query.execute(&mut *self.transaction));
        Ok(done.await?.rows_affected())
    }

    async fn one(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<AnyRow>, StoreError> {
        let query = bound(self.dialect, sql, values);
        answered(self.dialect, query.fetch_optional(&mut *self.transaction)).await
    }

    async fn all(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<AnyRow>, StoreError> {
        let query = bound(self.dialect, sql, values);
        answered(self.dialect, query.fetch_all(&mut *self.transaction)).await
    }

    async fn commit(self) -> Result<(), StoreError> {
        answered(self.dialect, self.transaction.commit()).await
    }
}

/// Waits for what a statement brings, and not for ever where its server may have vanished. SQLite has a limit of its own.
async fn answered<T>(
    dialect: Dialect,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match dialect.answer_timeout() {
        Some(limit) => Ok(timeout(limit, statement).await.map_err(|_| StoreError::Away)??),
        None => Ok(statement.await?),
    }
}

fn bound(
    dialect: Dialect,
    sql: &'static str,
    values: &[Value<'_>],
) -> sqlx::query::Query<'static, Any, sqlx::any::AnyArguments> {
    let mut query = sqlx::query(dialect.statement(sql));
    for value in values {
        query = match value {
            Value::Text(text) => query.bind((*text).to_owned()),
            Value::MaybeText(text) => query.bind(text.map(str::to_owned)),
            Value::Hash(hash) => query.bind(hash.to_vec()),
            Value::Time(time) => query.bind(stored(time.0)),
            Value::MaybeTime(time) => query.bind(time.map(|time| stored(time.0))),
            Value::Large(number) => query.bind(stored(*number)),
            Value::Number(number) => query.bind(i64::try_from(*number).unwrap_or(i64::MAX)),
        };
    }
    query
}

/// A number as databases have them.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn time(row: &AnyRow, column: usize) -> Result<WallTime, StoreError> {
    let stored: i64 = row.try_get(column)?;
    Ok(WallTime(u64::try_from(stored).unwrap_or_default()))
}

fn maybe_time(row: &AnyRow, column: usize) -> Result<Option<WallTime>, StoreError> {
    let stored: Option<i64> = row.try_get(column)?;
    Ok(stored.map(|stored| WallTime(u64::try_from(stored).unwrap_or_default())))
}

fn hash(row: &AnyRow, column: usize) -> Result<[u8; 32], StoreError> {
    let stored: Vec<u8> = row.try_get(column)?;
    stored.try_into().map_err(|_| StoreError::Damaged)
}

fn count(row: &AnyRow, column: usize) -> Result<usize, StoreError> {
    let stored: i64 = row.try_get(column)?;
    usize::try_from(stored).map_err(|_| StoreError::Damaged)
}
