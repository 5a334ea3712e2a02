//! The devices of accounts in the database.

use std::time::Duration;

use peerchat_proto::names::UserName;
use sqlx::{Row as _, any::AnyRow};

use super::{Store, StoreError, Value, WallTime, Work, count, hash, maybe_time, time};
use crate::{
    accounts::{
        DeviceLabel,
        rules::{self, DeviceState},
    },
    routes::DeviceId,
};

/// Revoked devices that are told at once, the latest first. Nobody revokes as many within the lifetime of a certificate.
const REVOKED_TOLD_MAX: usize = 10_000;

/// How a device became one of its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddedBy {
    /// It took the name.
    Registration,
    /// With the account's password.
    Password,
    /// Another device let it in.
    Approval,
}

impl AddedBy {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Registration, "registration"),
        (Self::Password, "password"),
        (Self::Approval, "approval"),
    ];

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(way, _)| *way == self)
            .map_or("", |(_, word)| word)
    }

    /// The way with this word; none where there is none.
    pub fn named(word: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|(_, of)| *of == word);
        found.map(|(way, _)| way)
    }
}

/// A device of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub device: DeviceId,
    /// What it calls itself.
    pub label: DeviceLabel,
    /// How it came in.
    pub added_by: AddedBy,
    /// When it came in.
    pub added: WallTime,
    /// When it last logged in.
    pub seen: WallTime,
    /// Since when it never can again.
    pub revoked: Option<WallTime>,
}

/// A device that others must no longer believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedDevice {
    /// Which.
    pub device: DeviceId,
    /// Since when.
    pub revoked: WallTime,
}

impl Store {
    /// All devices that a name ever had, the oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn devices(&self, name: &UserName) -> Result<Vec<Device>, StoreError> {
        let sql = "SELECT device, label, added_by, added, seen, revoked FROM devices WHERE account = ? ORDER BY added, device";
        let rows = self.read().await?.all(sql, &[Value::Text(name.key())]).await?;
        rows.iter().map(device).collect()
    }

    /// The devices, whosever they are, that were revoked within the last `lifetime` of a certificate: older certificates have
    /// ended by themselves.
    ///
    /// # Errors
    /// The database fails.
    pub async fn revoked_within(&self, lifetime: Duration, now: WallTime) -> Result<Vec<RevokedDevice>, StoreError> {
        let sql = "SELECT device, revoked FROM devices WHERE revoked >= ? ORDER BY revoked DESC, device LIMIT ?";
        let since = now.before(lifetime);
        let values = [Value::Time(since), Value::Number(REVOKED_TOLD_MAX)];
        let rows = self.read().await?.all(sql, &values).await?;
        let told = rows.iter().map(|row| {
            Ok(RevokedDevice {
                device: DeviceId(hash(row, 0)?),
                revoked: time(row, 1)?,
            })
        });
        told.collect()
    }
}

impl Work {
    /// Makes a device one of the account of another one, which approves it.
    pub(super) async fn approve(
        &mut self,
        name: &UserName,
        by: DeviceId,
        device: DeviceId,
        label: &DeviceLabel,
        now: WallTime,
    ) -> Result<(), StoreError> {
        self.hold(name.key(), now).await?;
        let by = self.find(name.key(), by, None, now).await?;
        let state = self.state_of(device, name.key()).await?;
        rules::may_approve(by.stored, by.device, state)?;
        if state == DeviceState::Unknown {
            self.add(name.key(), device, label, AddedBy::Approval, now).await?;
        }
        Ok(())
    }

    /// Ends a device for ever, and answers whether it was not ended before: one that is revoked already stays so since it was.
    pub(super) async fn revoke(
        &mut self,
        name: &UserName,
        by: DeviceId,
        device: DeviceId,
        now: WallTime,
    ) -> Result<bool, StoreError> {
        self.hold(name.key(), now).await?;
        let by = self.find(name.key(), by, None, now).await?;
        let state = self.state_of(device, name.key()).await?;
        // A revoked device of another account is none of this one's business.
        let is_own = self.is_of(device, name.key()).await?;
        rules::may_revoke(
            by.stored,
            by.device,
            if is_own { state } else { DeviceState::OfAnother },
        )?;
        let sql = "UPDATE devices SET revoked = ? WHERE device = ? AND revoked IS NULL";
        let ended = self.run(sql, &[Value::Time(now), Value::Hash(&device.0)]).await?;
        Ok(ended > 0)
    }

    async fn is_of(&mut self, device: DeviceId, key: &str) -> Result<bool, StoreError> {
        let sql = "SELECT added FROM devices WHERE device = ? AND account = ?";
        let row = self.one(sql, &[Value::Hash(&device.0), Value::Text(key)]).await?;
        Ok(row.is_some())
    }

    pub(super) async fn add(
        &mut self,
        key: &str,
        device: DeviceId,
        label: &DeviceLabel,
        added_by: AddedBy,
        now: WallTime,
    ) -> Result<(), StoreError> {
        let device = Device {
            device,
            label: label.clone(),
            added_by,
            added: now,
            seen: now,
            revoked: None,
        };
        self.insert_device(key, &device).await
    }

    /// How many devices of an account may log in, and how many it ever had.
    pub(super) async fn counts(&mut self, key: &str) -> Result<(usize, usize), StoreError> {
        let sql = "SELECT COUNT(*), COUNT(revoked) FROM devices WHERE account = ?";
        let counts = self.one(sql, &[Value::Text(key)]).await?.ok_or(StoreError::Damaged)?;
        let (ever, revoked) = (count(&counts, 0)?, count(&counts, 1)?);
        Ok((ever.saturating_sub(revoked), ever))
    }
}

/// The device of a row that begins with device, label, added_by, added, seen and revoked.
pub(super) fn device(row: &AnyRow) -> Result<Device, StoreError> {
    let added_by: String = row.try_get(2)?;
    Ok(Device {
        device: DeviceId(hash(row, 0)?),
        label: DeviceLabel::new(&row.try_get::<String, _>(1)?),
        added_by: AddedBy::named(&added_by).ok_or(StoreError::Damaged)?,
        added: time(row, 3)?,
        seen: time(row, 4)?,
        revoked: maybe_time(row, 5)?,
    })
}
