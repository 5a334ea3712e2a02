//! Who comes in: accounts in the database, and how a caller becomes one of them.

use std::time::Duration;

use peerchat_proto::names::UserName;
use sqlx::Row as _;

use super::{AddedBy, Store, StoreError, Value, WallTime, Work, maybe_time, time};
use crate::{
    accounts::{
        DeviceLabel,
        change::{Claim, Proof, Settled},
        invite::InviteHash,
        password::PasswordHash,
        rules::{self, Brought, Decision, DeviceState, InviteState, PasswordResult, Stored},
    },
    routes::DeviceId,
};

/// How exactly it is stored when a device last logged in. Where many come back at once, because a registry was started again or the table
/// of leases was emptied, each would otherwise be a commit that is synced.
const SEEN_WITHIN: Duration = Duration::from_secs(600);

/// What is stored about a name, a device and an invite.
#[derive(Debug, Clone)]
pub struct Found {
    /// The name.
    pub stored: Stored,
    /// The device.
    pub device: DeviceState,
    /// The name as its owner writes it.
    pub shown: Option<UserName>,
    /// What a password must have as its hash.
    pub password: Option<PasswordHash>,
    /// The invite.
    pub invite: InviteState,
    /// What the device was called when it last logged in, and when that was, if it is one of the account.
    pub last: Option<(DeviceLabel, WallTime)>,
}

impl Found {
    /// Whether it need not be stored that the device logs in again.
    pub fn is_known(&self, label: &DeviceLabel, now: WallTime) -> bool {
        let lately = now.before(SEEN_WITHIN)..=now;
        self.last
            .as_ref()
            .is_some_and(|(last, seen)| last == label && lately.contains(seen))
    }
}

impl Store {
    /// What is stored about a name, a device and an invite.
    ///
    /// # Errors
    /// The database fails.
    pub async fn look_up(
        &self,
        name: &UserName,
        device: DeviceId,
        invite: Option<InviteHash>,
        now: WallTime,
    ) -> Result<Found, StoreError> {
        self.read().await?.find(name.key(), device, invite, now).await
    }

    /// Takes note that a known device is back.
    ///
    /// # Errors
    /// [`StoreError::Raced`] where it is no longer known.
    pub async fn welcome(
        &self,
        name: &UserName,
        device: DeviceId,
        label: &DeviceLabel,
        now: WallTime,
    ) -> Result<Settled, StoreError> {
        let mut work = self.write().await?;
        work.hold(name.key(), now).await?;
        let found = work.find(name.key(), device, None, now).await?;
        let user = found.shown.filter(|_| found.device == DeviceState::Live);
        let user = user.ok_or(StoreError::Raced)?;
        work.welcome(device, label, now).await?;
        work.commit().await?;
        self.written.changed.notify_one();
        let decision = Decision::Welcome;
        Ok(Settled { user, decision })
    }
}

impl Work {
    /// Lets somebody in, if the rules do.
    pub(super) async fn settle(&mut self, claim: &Claim, now: WallTime) -> Result<Settled, StoreError> {
        let key = claim.name.key();
        self.hold(key, now).await?;
        let found = self.find(key, claim.device, claim.invite, now).await?;
        let password = match (&claim.proof, &found.password) {
            (Proof::Compared { with, is_right }, Some(stored)) if with == stored => match is_right {
                true => PasswordResult::Right,
                false => PasswordResult::Wrong,
            },
            // It was changed, or the name was taken, after the caller's was looked at.
            (Proof::Compared { .. }, _) | (Proof::New(_), Some(_)) => return Err(StoreError::Raced),
            (Proof::None | Proof::New(_), _) => PasswordResult::None,
        };
        let invite = found.invite;
        let brought = Brought { password, invite };
        let decision = rules::decide(found.stored, found.device, brought, claim.registration);
        match decision {
            Decision::Create { uses_invite } => {
                match self.taken(&claim.looks).await? {
                    // The very same name, since it was looked for above.
                    Some(taken) if taken == claim.name => return Err(StoreError::Raced),
                    Some(taken) => return Err(StoreError::LooksLike(taken)),
                    None => {}
                }
                if let Some(invite) = claim.invite.filter(|_| uses_invite) {
                    self.use_invite(invite, key, now).await?;
                }
                self.create(claim, now).await?;
            }
            Decision::AddDevice => {
                self.add(key, claim.device, &claim.label, AddedBy::Password, now)
                    .await?;
            }
            Decision::Welcome => self.welcome(claim.device, &claim.label, now).await?,
            Decision::Refuse(refusal) => return Err(refusal.into()),
        }
        let user = found.shown.unwrap_or_else(|| claim.name.clone());
        Ok(Settled { user, decision })
    }

    /// Gives an account a password, or another one, at the wish of one of its devices.
    pub(super) async fn set_password(
        &mut self,
        name: &UserName,
        by: DeviceId,
        password: &PasswordHash,
        now: WallTime,
    ) -> Result<(), StoreError> {
        self.hold(name.key(), now).await?;
        if self.state_of(by, name.key()).await? != DeviceState::Live {
            return Err(rules::Refusal::NotADevice.into());
        }
        let sql = "UPDATE accounts SET password = ? WHERE name = ?";
        self.run(sql, &[Value::Text(password.as_str()), Value::Text(name.key())])
            .await
            .map(drop)
    }

    /// Keeps others away from an account until the transaction ends. Must come first.
    pub(super) async fn hold(&mut self, key: &str, now: WallTime) -> Result<(), StoreError> {
        let sql = "UPDATE accounts SET changed = ? WHERE name = ?";
        self.run(sql, &[Value::Time(now), Value::Text(key)]).await.map(drop)
    }

    pub(super) async fn find(
        &mut self,
        key: &str,
        device: DeviceId,
        invite: Option<InviteHash>,
        now: WallTime,
    ) -> Result<Found, StoreError> {
        let (state, last) = self.device(device, key).await?;
        let mut found = Found {
            stored: Stored::Nothing,
            device: state,
            last,
            shown: None,
            password: None,
            invite: self.invite_state(invite, now).await?,
        };
        let sql = "SELECT shown, password FROM accounts WHERE name = ?";
        if let Some(account) = self.one(sql, &[Value::Text(key)]).await? {
            let shown: String = account.try_get(0)?;
            found.shown = Some(UserName::new(&shown).map_err(|_| StoreError::Damaged)?);
            let password: Option<String> = account.try_get(1)?;
            found.password = password.as_deref().map(PasswordHash::stored);
            let (live, ever) = self.counts(key).await?;
            found.stored = Stored::Account {
                live,
                ever,
                has_password: found.password.is_some(),
            };
        }
        Ok(found)
    }

    pub(super) async fn state_of(&mut self, device: DeviceId, key: &str) -> Result<DeviceState, StoreError> {
        Ok(self.device(device, key).await?.0)
    }

    /// What a device is to a name; and of one of its own what it is called, and when it last logged in.
    async fn device(
        &mut self,
        device: DeviceId,
        key: &str,
    ) -> Result<(DeviceState, Option<(DeviceLabel, WallTime)>), StoreError> {
        let sql = "SELECT account, revoked, label, seen FROM devices WHERE device = ?";
        let Some(row) = self.one(sql, &[Value::Hash(&device.0)]).await? else {
            return Ok((DeviceState::Unknown, None));
        };
        if maybe_time(&row, 1)?.is_some() {
            return Ok((DeviceState::Revoked, None));
        }
        let (account, label): (String, String) = (row.try_get(0)?, row.try_get(2)?);
        if account != key {
            return Ok((DeviceState::OfAnother, None));
        }
        Ok((DeviceState::Live, Some((DeviceLabel::new(&label), time(&row, 3)?))))
    }

    async fn create(&mut self, claim: &Claim, now: WallTime) -> Result<(), StoreError> {
        let password = match &claim.proof {
            Proof::New(password) => Some(password),
            Proof::None | Proof::Compared { .. } => None,
        };
        self.insert_account(&claim.name, password, now).await?;
        self.keep_looks(&claim.looks, claim.name.key()).await?;
        self.add(claim.name.key(), claim.device, &claim.label, AddedBy::Registration, now)
            .await
    }

    async fn welcome(&mut self, device: DeviceId, label: &DeviceLabel, now: WallTime) -> Result<(), StoreError> {
        let sql = "UPDATE devices SET seen = ?, label = ? WHERE device = ?";
        let values = [Value::Time(now), Value::Text(label.as_str()), Value::Hash(&device.0)];
        self.run(sql, &values).await.map(drop)
    }
}
