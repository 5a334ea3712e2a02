//! An account that another registry had, in the database.

use peerchat_proto::names::UserName;
use sqlx::Row as _;

use super::{Device, StoreError, Value, WallTime, Work, maybe_time, time};
use crate::accounts::{
    importing::{self, AccountHere, AccountPart, DeviceHere, Fate, Imported},
    looks::looks,
    password::PasswordHash,
};

impl Work {
    /// Takes in a part of an account, as far as nothing here is against it.
    pub(super) async fn import(&mut self, part: &AccountPart, now: WallTime) -> Result<Imported, StoreError> {
        let key = part.name.key();
        self.hold(key, now).await?;
        let account = self.account_here(key).await?;
        let mut devices = Vec::new();
        for device in &part.devices {
            let sql = "SELECT account, revoked FROM devices WHERE device = ?";
            let row = self.one(sql, &[Value::Hash(&device.device.0)]).await?;
            let here = |row: sqlx::any::AnyRow| {
                Ok::<_, StoreError>(DeviceHere {
                    account: row.try_get(0)?,
                    is_revoked: maybe_time(&row, 1)?.is_some(),
                })
            };
            devices.push(row.map(here).transpose()?);
        }
        let plan = importing::judge(part, account.as_ref(), &devices);
        if plan.account == Fate::Made {
            self.insert_account(&part.name, part.password.as_ref(), part.created)
                .await?;
            self.keep_looks(&looks(&part.name), key).await?;
        }
        if let (true, Some(password)) = (plan.sets_password, &part.password) {
            let sql = "UPDATE accounts SET password = ? WHERE name = ?";
            self.run(sql, &[Value::Text(password.as_str()), Value::Text(key)])
                .await?;
        }
        for device in &plan.adds {
            self.insert_device(key, device).await?;
        }
        Ok(Imported {
            account: plan.account,
            added: plan.adds.len(),
            skipped: plan.skipped,
        })
    }

    async fn account_here(&mut self, key: &str) -> Result<Option<AccountHere>, StoreError> {
        let sql = "SELECT password, created FROM accounts WHERE name = ?";
        let Some(row) = self.one(sql, &[Value::Text(key)]).await? else {
            return Ok(None);
        };
        let (live, ever) = self.counts(key).await?;
        let password: Option<String> = row.try_get(0)?;
        Ok(Some(AccountHere {
            created: time(&row, 1)?,
            password: password.as_deref().map(PasswordHash::stored),
            live,
            ever,
        }))
    }

    /// Stores an account with what is known of it.
    pub(super) async fn insert_account(
        &mut self,
        name: &UserName,
        password: Option<&PasswordHash>,
        created: WallTime,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO accounts (name, shown, password, created, changed) VALUES (?, ?, ?, ?, ?)";
        let values = [
            Value::Text(name.key()),
            Value::Text(name.shown()),
            Value::MaybeText(password.map(PasswordHash::as_str)),
            Value::Time(created),
            Value::Time(created),
        ];
        self.run(sql, &values).await.map(drop)
    }

    /// Stores a device of an account with all that is known of it.
    pub(super) async fn insert_device(&mut self, key: &str, device: &Device) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO devices (device, account, label, added_by, added, seen, revoked) VALUES (?, ?, ?, ?, ?, ?, ?)";
        let values = [
            Value::Hash(&device.device.0),
            Value::Text(key),
            Value::Text(device.label.as_str()),
            Value::Text(device.added_by.as_str()),
            Value::Time(device.added),
            Value::Time(device.seen),
            Value::MaybeTime(device.revoked),
        ];
        self.run(sql, &values).await.map(drop)
    }
}
