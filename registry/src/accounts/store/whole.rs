//! All accounts at once, as one registry gives them to another one that has to have the same.

use sqlx::{Row as _, any::AnyRow};
use tokio_stream::StreamExt as _;

use super::{
    Device, Store, StoreError, Value, WallTime, Work, answered, bound, changing::Position, devices, invites,
    maybe_time, time,
};
use crate::accounts::{invite::StoredInvite, looks::Look, password::PasswordHash};
use peerchat_proto::names::UserName;

/// All that is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whole {
    /// By name.
    pub accounts: Vec<StoredAccount>,
    /// By key, those that were revoked among them.
    pub devices: Vec<StoredDevice>,
    /// By hash, those that were used among them.
    pub invites: Vec<WholeInvite>,
    /// What names look like, by look, each with the key of the name that was there first.
    pub looks: Vec<(Look, String)>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAccount {
    /// Its name.
    pub name: UserName,
    /// What is stored of its password.
    pub password: Option<PasswordHash>,
    /// When the name was taken.
    pub created: WallTime,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDevice {
    /// The key of its account's name.
    pub account: String,
    /// What is known of it.
    pub device: Device,
}

/// An invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeInvite {
    /// What is stored of any.
    pub stored: StoredInvite,
    /// When it was used.
    pub used: Option<WallTime>,
}

impl Store {
    /// All that is stored, and the position of the last change in it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn whole(&self) -> Result<(Position, Whole), StoreError> {
        // One transaction sees one state.
        let mut work = self.read().await?;
        let position = work.position().await?;
        let sql = "SELECT shown, password, created FROM accounts ORDER BY name";
        let accounts = work.each(sql, account).await?;
        let sql = "SELECT device, label, added_by, added, seen, revoked, account FROM devices ORDER BY device";
        let of_account = |row: &AnyRow| {
            let (account, device) = (row.try_get(6)?, devices::device(row)?);
            Ok(StoredDevice { account, device })
        };
        let devices = work.each(sql, of_account).await?;
        let sql = "SELECT hash, created, expires, used_by, used FROM invites ORDER BY hash";
        let whole_invite = |row: &AnyRow| {
            let (stored, used) = (invites::invite(row)?, maybe_time(row, 4)?);
            Ok(WholeInvite { stored, used })
        };
        let invites = work.each(sql, whole_invite).await?;
        let look = |row: &AnyRow| Ok((Look(super::hash(row, 0)?), row.try_get(1)?));
        let looks = work.each("SELECT look, account FROM looks ORDER BY look", look).await?;
        let whole = Whole {
            accounts,
            devices,
            invites,
            looks,
        };
        Ok((position, whole))
    }

    /// Puts this in place of all that is stored, in one transaction with its position.
    ///
    /// # Errors
    /// The database fails, or this does not fit together; then what was stored is there still.
    pub async fn install(&self, position: Position, whole: &Whole) -> Result<(), StoreError> {
        let mut work = self.write_decided().await?;
        for sql in [
            "DELETE FROM devices",
            "DELETE FROM looks",
            "DELETE FROM accounts",
            "DELETE FROM invites",
        ] {
            work.run(sql, &[]).await?;
        }
        for account in &whole.accounts {
            work.insert_account(&account.name, account.password.as_ref(), account.created)
                .await?;
        }
        for (look, account) in &whole.looks {
            work.keep_looks(&[*look], account).await?;
        }
        for StoredDevice { account, device } in &whole.devices {
            work.insert_device(account, device).await?;
        }
        for invite in &whole.invites {
            let sql = "INSERT INTO invites (hash, created, expires, used, used_by) VALUES (?, ?, ?, ?, ?)";
            let values = [
                Value::Hash(&invite.stored.hash.0),
                Value::Time(invite.stored.created),
                Value::Time(invite.stored.expires),
                Value::MaybeTime(invite.used),
                Value::MaybeText(invite.stored.used_by.as_deref()),
            ];
            work.run(sql, &values).await?;
        }
        work.set_position(position).await?;
        work.commit().await?;
        self.written.changed.notify_one();
        Ok(())
    }
}

impl Work {
    /// All that a statement without values finds. Rows take several times the memory of what is read from them, so there are never many.
    async fn each<T>(
        &mut self,
        sql: &'static str,
        read: impl Fn(&AnyRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = bound(self.dialect, sql, &[]).fetch(&mut *self.transaction);
        let mut found = Vec::new();
        while let Some(row) = answered(self.dialect, async { rows.next().await.transpose() }).await? {
            found.push(read(&row)?);
        }
        Ok(found)
    }
}

fn account(row: &AnyRow) -> Result<StoredAccount, StoreError> {
    let password: Option<String> = row.try_get(1)?;
    Ok(StoredAccount {
        name: UserName::new(&row.try_get::<String, _>(0)?).map_err(|_| StoreError::Damaged)?,
        password: password.as_deref().map(PasswordHash::stored),
        created: time(row, 2)?,
    })
}
