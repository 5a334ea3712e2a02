//! The tables, and how those of an older registry become those of this one.

use sqlx::{Any, Row as _, Transaction};

use super::{StoreError, dialect::Dialect, keeping, looks};

/// The steps from nothing to the newest tables. A step that has been released never changes; another one is added. Each statement
/// can be repeated: MariaDB commits at each of them, so a crash may come between two.
const STEPS: [&[&str]; 3] = [
    &[
        "CREATE TABLE IF NOT EXISTS accounts (
            name {name} NOT NULL PRIMARY KEY,
            shown {name} NOT NULL,
            password {text},
            created {number} NOT NULL,
            changed {number} NOT NULL
        ) {table}",
        "CREATE TABLE IF NOT EXISTS devices (
            device {hash} NOT NULL PRIMARY KEY,
            account {name} NOT NULL REFERENCES accounts (name),
            label {text} NOT NULL,
            added_by {text} NOT NULL,
            added {number} NOT NULL,
            seen {number} NOT NULL,
            revoked {number}
        ) {table}",
        "CREATE INDEX IF NOT EXISTS devices_of_account ON devices (account)",
        "CREATE INDEX IF NOT EXISTS devices_revoked ON devices (revoked)",
        "CREATE TABLE IF NOT EXISTS invites (
            hash {hash} NOT NULL PRIMARY KEY,
            created {number} NOT NULL,
            expires {number} NOT NULL,
            used {number},
            used_by {name}
        ) {table}",
    ],
    // How far a node of a cluster has come; one row.
    &["CREATE TABLE IF NOT EXISTS ledger_position (
        term {number} NOT NULL,
        place {number} NOT NULL PRIMARY KEY
    ) {table}"],
    &[
        // Which database this is; one row.
        "CREATE TABLE IF NOT EXISTS identity (
            id {hash} NOT NULL PRIMARY KEY
        ) {table}",
        // What names look like; see `accounts::looks`.
        "CREATE TABLE IF NOT EXISTS looks (
            look {hash} NOT NULL PRIMARY KEY,
            account {name} NOT NULL REFERENCES accounts (name)
        ) {table}",
    ],
];

/// The version with which names began to have looks.
const WITH_LOOKS: i64 = 3;

/// Brings the tables up to date. The transaction keeps out whoever else would do it.
pub(super) async fn bring_up_to_date(work: &mut Transaction<'_, Any>, dialect: Dialect) -> Result<(), StoreError> {
    let create = "CREATE TABLE IF NOT EXISTS schema_version (version {number} NOT NULL PRIMARY KEY) {table}";
    sqlx::query(dialect.statement(create)).execute(&mut **work).await?;
    let version = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
    let found: i64 = sqlx::query(dialect.statement(version))
        .fetch_one(&mut **work)
        .await?
        .try_get(0)?;
    let newest = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > newest {
        return Err(StoreError::Newer { found, newest });
    }
    let done = usize::try_from(found).unwrap_or_default();
    for (step, version) in STEPS.iter().zip(1_i64..).skip(done) {
        for statement in *step {
            sqlx::query(dialect.statement(statement)).execute(&mut **work).await?;
        }
        if version == WITH_LOOKS {
            looks::fill(work, dialect).await?;
        }
        let record = sqlx::query(dialect.statement("INSERT INTO schema_version (version) VALUES (?)"));
        record.bind(version).execute(&mut **work).await?;
    }
    keeping::name(work, dialect).await
}
