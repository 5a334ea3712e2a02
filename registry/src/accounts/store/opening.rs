//! How a database is opened: its connections, and its tables brought up to date.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use peerchat_identity::secret_file;
use sqlx::{
    AnyConnection, Connection as _, Row as _,
    any::{AnyConnectOptions, AnyPoolOptions},
};
use tokio::time::timeout;

use super::{
    DatabaseUrl, FILE, OpenError, Store, StoreError,
    dialect::Dialect,
    failure::{Failure, failure},
    schema,
};
use crate::outage::Outage;

impl Store {
    pub(super) async fn connect(url: &DatabaseUrl, dialect: Dialect) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = url.reveal().parse()?;
        // A pool would try a connection that fails again and again, and in the end say only that it took too long.
        let first = AnyConnection::connect_with(&options).await;
        let mut first = first.map_err(|error| match failure(&error) {
            Failure::Away => StoreError::Unreachable(error),
            _ => error.into(),
        })?;
        greet(&mut first, dialect).await?;
        if let Some(check) = dialect.check() {
            let found: String = sqlx::query(check).fetch_one(&mut first).await?.try_get(0)?;
            if found != "ok" {
                return Err(StoreError::Damaged);
            }
        }
        first.close().await?;
        let is_memory = url.is_memory();
        let pool = |connections| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(dialect.acquire_timeout())
                // A database in memory ends with its connection.
                .idle_timeout(None)
                .max_lifetime(dialect.lifetime())
                .after_connect(move |connection, _| Box::pin(greet(connection, dialect)))
                .after_release(move |connection, _| Box::pin(is_usable(connection, dialect, is_memory)))
                .connect_lazy_with(options.clone())
        };
        let callers = pool(dialect.connections(is_memory));
        let store = Self {
            decided: match dialect {
                Dialect::Sqlite if !is_memory => pool(1),
                // Of a node of a cluster only in tests.
                _ => callers.clone(),
            },
            pool: callers,
            dialect,
            outage: Arc::new(Outage::of("the database of the accounts")),
            written: Arc::default(),
        };
        store.bring_up_to_date().await?;
        Ok(store)
    }

    async fn bring_up_to_date(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        if let Some(lock) = self.dialect.lock_schema() {
            let has_it: i64 = sqlx::query(lock).fetch_one(&mut *connection).await?.try_get(0)?;
            if has_it != 1 {
                return Err(StoreError::Busy);
            }
        }
        let mut work = connection.begin_with(self.dialect.begin()).await?;
        if let Some(hold) = self.dialect.hold_schema() {
            sqlx::query(hold).execute(&mut *work).await?;
        }
        let done = schema::bring_up_to_date(&mut work, self.dialect).await;
        if done.is_ok() {
            work.commit().await?;
        } else {
            work.rollback().await?;
        }
        if let Some(unlock) = self.dialect.unlock_schema() {
            sqlx::query(unlock).execute(&mut *connection).await?;
        }
        done
    }
}

async fn greet(connection: &mut AnyConnection, dialect: Dialect) -> Result<(), sqlx::Error> {
    for statement in dialect.greeting() {
        sqlx::query(*statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Whether a connection that was used can be used again. The pool would wait for one that is dead for as long as the system takes to
/// notice, which may be a quarter of an hour; and it has only so many. SQLite gives up a transaction by itself where its disk is full, and then sqlx
/// believes for ever that it is still open: what is committed later would not be stored.
async fn is_usable(connection: &mut AnyConnection, dialect: Dialect, is_memory: bool) -> Result<bool, sqlx::Error> {
    let late = |_| sqlx::Error::Io(io::ErrorKind::TimedOut.into());
    match dialect.answer_timeout() {
        Some(limit) => timeout(limit, connection.ping()).await.map_err(late)??,
        // Behind what ends the last transaction.
        None => connection.ping().await?,
    }
    // One in memory ends with its connection, and has no disk.
    Ok(is_memory || !connection.is_in_transaction())
}

/// The path of the SQLite file, which is there and is its owner's alone. SQLite gives the files beside it the same mode.
pub(super) fn private_file(folder: &Path) -> Result<PathBuf, OpenError> {
    secret_file::private_folder(folder)?;
    private_path(&folder.join(FILE))
}

/// The same, in a folder of somebody else's choice.
pub(super) fn private_path(path: &Path) -> Result<PathBuf, OpenError> {
    let path = path.to_owned();
    secret_file::private_file(&path)?;
    fs::canonicalize(&path).map_err(|source| OpenError::Path { path, source })
}
