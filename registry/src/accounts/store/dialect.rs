//! What the databases say differently. All statements are written once, with `?` for a value and a word in braces for a type, and
//! read here; nothing else knows which database there is.

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};
use zeroize::Zeroizing;

/// How long a caller waits for a connection to SQLite, where it is for others to finish, and to a server: shorter than a call may
/// take, so that its caller hears why.
const SQLITE_ACQUIRE: Duration = Duration::from_secs(10);
const SERVER_ACQUIRE: Duration = Duration::from_secs(3);

/// How long a server may take for a statement.
const SERVER_ANSWER: Duration = Duration::from_secs(2);

/// How long a connection to a server is used.
const SERVER_LIFETIME: Duration = Duration::from_secs(600);

/// The URL of a database. It may have a password in it, so it is never shown.
#[derive(Clone)]
pub struct DatabaseUrl(Zeroizing<String>);

/// The databases that are known. See [`Dialect::is_built_in`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    MariaDb,
}

/// A URL of no database that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It is of something else.
    #[error("expected the URL of a database: sqlite:, postgres: or mariadb:")]
    Unknown,
    /// It is of a database whose driver is not part of this program.
    #[error(
        "this program was built without PostgreSQL and MariaDB; start `peerchat-registry`, or build this one with the feature \
        `shared` of the package peerchat-registry"
    )]
    NotBuiltIn,
}

impl DatabaseUrl {
    /// Accounts in the memory of this process.
    pub(super) fn memory() -> Self {
        Self(Zeroizing::new("sqlite::memory:".into()))
    }

    /// The SQLite file with this path, which is there already.
    pub(super) fn file(path: &Path) -> Result<Self, DatabaseUrlError> {
        let path = path.to_str().ok_or(DatabaseUrlError::Unknown)?;
        // All that has a meaning in a URL.
        let escape = |c: char| match c {
            '%' | '?' | '#' | ' ' | '\\' | '"' | '<' | '>' | '\t' | '\n' | '\r' => format!("%{:02X}", c as u32),
            c => c.to_string(),
        };
        let path: String = path.chars().map(escape).collect();
        Ok(Self(Zeroizing::new(format!("sqlite:{path}?mode=rw"))))
    }

    pub(super) fn is_memory(&self) -> bool {
        self.0.starts_with("sqlite::memory:")
    }

    /// The path in the URL of an SQLite file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let path = self.0.strip_prefix("sqlite:").filter(|_| !self.is_memory())?;
        Some(path.strip_prefix("//").unwrap_or(path).into())
    }

    /// Whether whoever reads the URL learns a password.
    pub fn has_password(&self) -> bool {
        let Some((_, rest)) = self.0.split_once("://") else {
            return false;
        };
        let (authority, query) = (rest.split(['/', '?']).next().unwrap_or_default(), rest.split_once('?'));
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.is_some_and(|user| user.contains(':')) || query.is_some_and(|(_, query)| query.contains("password"))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn dialect(&self) -> Result<Dialect, DatabaseUrlError> {
        match self.0.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Dialect::Sqlite),
            Some("postgres" | "postgresql") => Ok(Dialect::Postgres),
            Some("mysql" | "mariadb") => Ok(Dialect::MariaDb),
            _ => Err(DatabaseUrlError::Unknown),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        let url = Self(Zeroizing::new(text.to_owned()));
        // To connect without a driver would be a panic of sqlx.
        if url.dialect()?.is_built_in() {
            Ok(url)
        } else {
            Err(DatabaseUrlError::NotBuiltIn)
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.split_once(':').map_or("", |(scheme, _)| scheme))?;
        f.write_str(":…")
    }
}

impl Dialect {
    /// Whether this program has the driver. SQLite has no server to be shared, and is always there.
    const fn is_built_in(self) -> bool {
        cfg!(feature = "shared") || matches!(self, Self::Sqlite)
    }

    /// The types of columns. A name must be compared byte by byte: what is one name has been decided before.
    const fn types(self) -> [(&'static str, &'static str); 5] {
        match self {
            Self::Sqlite => [
                ("{name}", "TEXT"),
                ("{text}", "TEXT"),
                ("{hash}", "BLOB"),
                ("{number}", "INTEGER"),
                ("{table}", "STRICT, WITHOUT ROWID"),
            ],
            Self::Postgres => [
                ("{name}", "VARCHAR(64) COLLATE \"C\""),
                ("{text}", "VARCHAR(255)"),
                ("{hash}", "BYTEA"),
                ("{number}", "BIGINT"),
                ("{table}", ""),
            ],
            Self::MariaDb => [
                ("{name}", "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
                ("{text}", "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
                ("{hash}", "VARBINARY(32)"),
                ("{number}", "BIGINT"),
                ("{table}", "ENGINE = InnoDB"),
            ],
        }
    }

    /// A statement as this database reads it. Statements are constants: no value is ever written into one.
    pub(super) fn statement(self, sql: &'static str) -> SqlStr {
        match self.read(sql) {
            Cow::Borrowed(sql) => sql.into_sql_str(),
            Cow::Owned(sql) => AssertSqlSafe(sql).into_sql_str(),
        }
    }

    fn read(self, sql: &'static str) -> Cow<'static, str> {
        let mut read = Cow::Borrowed(sql);
        if sql.contains('{') {
            for (word, meaning) in self.types() {
                read = read.replace(word, meaning).into();
            }
        }
        if self == Self::Postgres && sql.contains('?') {
            let mut parts = read.split('?');
            let first = parts.next().unwrap_or_default().to_owned();
            let numbered = parts.zip(1..).fold(first, |sql, (part, n)| format!("{sql}${n}{part}"));
            read = numbered.into();
        }
        read
    }

    /// Said once on each new connection.
    pub(super) const fn greeting(self) -> &'static [&'static str] {
        match self {
            // Another process may be writing, such as `peerchat-registry invite`: it is waited for. A name that was given away
            // must not be free again after a power cut: each commit is synced.
            Self::Sqlite => &[
                "PRAGMA busy_timeout = 5000",
                "PRAGMA journal_mode = WAL",
                "PRAGMA synchronous = FULL",
                "PRAGMA foreign_keys = ON",
                "PRAGMA secure_delete = ON",
            ],
            // What was read after a row was written must be what others had left, whatever the database's own default is.
            Self::Postgres => &[
                "SET statement_timeout = '10s'",
                "SET lock_timeout = '5s'",
                "SET default_transaction_isolation = 'read committed'",
            ],
            // Otherwise whoever looks for a name that is not there would lock the gap, and of many who want it all but one would
            // be deadlocked, again and again.
            Self::MariaDb => &[
                "SET SESSION innodb_lock_wait_timeout = 5",
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            ],
        }
    }

    /// Begins a transaction that is going to write. SQLite takes its lock at once: one that reads first would fail, not wait,
    /// if another one wrote meanwhile.
    pub(super) const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
            Self::MariaDb => "START TRANSACTION",
        }
    }

    /// Keeps others from bringing the tables up to date at the same time, until the connection ends or gives it up. Answers 1. It is held
    /// for longer than a transaction: until all that the transaction did can be seen.
    pub(super) const fn lock_schema(self) -> Option<&'static str> {
        match self {
            Self::Sqlite | Self::Postgres => None,
            Self::MariaDb => Some("SELECT COALESCE(GET_LOCK('peerchat_schema', 10), 0)"),
        }
    }

    /// Gives up that lock.
    pub(super) const fn unlock_schema(self) -> Option<&'static str> {
        match self {
            Self::Sqlite | Self::Postgres => None,
            Self::MariaDb => Some("DO RELEASE_LOCK('peerchat_schema')"),
        }
    }

    /// Does the same until the transaction ends, where a database can.
    pub(super) const fn hold_schema(self) -> Option<&'static str> {
        match self {
            Self::Sqlite | Self::MariaDb => None,
            Self::Postgres => Some("SELECT pg_advisory_xact_lock(7337242478)"),
        }
    }

    /// Connections that are open at most. An SQLite database in memory is its one connection's.
    pub(super) const fn connections(self, in_memory: bool) -> u32 {
        match self {
            Self::Sqlite if in_memory => 1,
            Self::Sqlite => 4,
            Self::Postgres | Self::MariaDb => 16,
        }
    }

    /// How long a caller waits for a connection.
    pub(super) const fn acquire_timeout(self) -> Duration {
        match self {
            Self::Sqlite => SQLITE_ACQUIRE,
            Self::Postgres | Self::MariaDb => SERVER_ACQUIRE,
        }
    }

    /// How long a connection is used. A server that is no longer the one that takes what is written may keep its connections open.
    pub(super) const fn lifetime(self) -> Option<Duration> {
        match self {
            // One in memory ends with its connection.
            Self::Sqlite => None,
            Self::Postgres | Self::MariaDb => Some(SERVER_LIFETIME),
        }
    }

    /// How long it may take for a statement.
    pub(super) const fn answer_timeout(self) -> Option<Duration> {
        match self {
            Self::Sqlite => None,
            Self::Postgres | Self::MariaDb => Some(SERVER_ANSWER),
        }
    }

    /// Moves what was written from the file beside into the database's own, without anybody's waiting for it. Answers how many pages are beside, and
    /// how many of them were moved.
    pub(super) const fn checkpoint(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("PRAGMA wal_checkpoint(PASSIVE)"),
            Self::Postgres | Self::MariaDb => None,
        }
    }

    /// Looks for damage at the start; answers `ok` where there is none.
    pub(super) const fn check(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => Some("PRAGMA quick_check(1)"),
            Self::Postgres | Self::MariaDb => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_reads_a_statement_its_own_way() {
        let sql = "SELECT a FROM b WHERE c = ? AND d > ?";
        assert_eq!(Dialect::Sqlite.read(sql), sql);
        assert_eq!(Dialect::MariaDb.read(sql), sql);
        assert_eq!(Dialect::Postgres.read(sql), "SELECT a FROM b WHERE c = $1 AND d > $2");
        let sql = "CREATE TABLE t (a {name} NOT NULL, b {hash}, c {number})";
        assert_eq!(
            Dialect::Sqlite.read(sql),
            "CREATE TABLE t (a TEXT NOT NULL, b BLOB, c INTEGER)"
        );
        assert!(
            Dialect::MariaDb
                .read(sql)
                .contains("utf8mb4_bin NOT NULL, b VARBINARY(32), c BIGINT")
        );
    }

    fn typed(url: &str) -> DatabaseUrl {
        DatabaseUrl(Zeroizing::new(url.into()))
    }

    #[test]
    fn only_a_database_whose_driver_is_built_in_is_taken() {
        assert!("sqlite:/var/lib/a.sqlite".parse::<DatabaseUrl>().is_ok());
        for url in ["postgres://host/db", "mariadb://host/db", "mysql://host/db"] {
            let taken = url.parse::<DatabaseUrl>().map(drop);
            if cfg!(feature = "shared") {
                assert_eq!(taken, Ok(()), "{url}");
            } else {
                assert_eq!(taken, Err(DatabaseUrlError::NotBuiltIn), "{url}");
            }
        }
    }

    #[test]
    fn a_url_tells_the_database_and_nothing_else() {
        for (url, dialect) in [
            ("sqlite:/var/lib/a.sqlite", Dialect::Sqlite),
            ("postgres://me:hunter2@host/db", Dialect::Postgres),
            ("mariadb://me:hunter2@host/db", Dialect::MariaDb),
            ("mysql://me:hunter2@host/db", Dialect::MariaDb),
        ] {
            let url = typed(url);
            assert_eq!(url.dialect(), Ok(dialect));
            assert!(!format!("{url:?}").contains("hunter2"));
            assert_eq!(url.has_password(), dialect != Dialect::Sqlite);
        }
        for url in [
            "postgres://me@host/db",
            "mysql://host:3306/db?ssl-mode=required",
            "sqlite::memory:",
        ] {
            assert!(!typed(url).has_password(), "{url}");
        }
        assert!(typed("postgres://host/db?user=me&password=x").has_password());
        for other in ["", "/var/lib/a.sqlite", "oracle://host"] {
            assert_eq!(other.parse::<DatabaseUrl>().unwrap_err(), DatabaseUrlError::Unknown);
        }
    }
}
