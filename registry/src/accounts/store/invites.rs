//! Invites in the database.

use sqlx::{Row as _, any::AnyRow};

use super::{Store, StoreError, Value, WallTime, Work, count, hash, maybe_time, time};
use crate::accounts::{
    invite::{InviteHash, OPEN_MAX, StoredInvite},
    rules::InviteState,
};

impl Store {
    /// All invites, the oldest first: those that can be used, that were used, and that expired lately.
    ///
    /// # Errors
    /// The database fails.
    pub async fn invites(&self) -> Result<Vec<StoredInvite>, StoreError> {
        let sql = "SELECT hash, created, expires, used_by FROM invites ORDER BY created, hash";
        let rows = self.read().await?.all(sql, &[]).await?;
        rows.iter().map(invite).collect()
    }
}

impl Work {
    /// Stores a new invite; one that is there already stays as it is. Those that have expired unused are forgotten.
    pub(super) async fn add_invite(
        &mut self,
        invite: InviteHash,
        expires: WallTime,
        now: WallTime,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM invites WHERE used IS NULL AND expires <= ?";
        self.run(sql, &[Value::Time(now)]).await?;
        if self.invite_state(Some(invite), now).await? != InviteState::Unknown {
            return Ok(());
        }
        let sql = "SELECT COUNT(*) FROM invites WHERE used IS NULL";
        let open = self.one(sql, &[]).await?.ok_or(StoreError::Damaged)?;
        if count(&open, 0)? >= OPEN_MAX {
            return Err(StoreError::TooManyInvites(OPEN_MAX));
        }
        let sql = "INSERT INTO invites (hash, created, expires) VALUES (?, ?, ?)";
        let values = [Value::Hash(&invite.0), Value::Time(now), Value::Time(expires)];
        self.run(sql, &values).await.map(drop)
    }

    pub(super) async fn invite_state(
        &mut self,
        invite: Option<InviteHash>,
        now: WallTime,
    ) -> Result<InviteState, StoreError> {
        let Some(invite) = invite else {
            return Ok(InviteState::None);
        };
        let sql = "SELECT expires, used FROM invites WHERE hash = ?";
        let Some(row) = self.one(sql, &[Value::Hash(&invite.0)]).await? else {
            return Ok(InviteState::Unknown);
        };
        Ok(match (maybe_time(&row, 1)?, time(&row, 0)?) {
            (Some(_), _) => InviteState::Used,
            (None, expires) if expires <= now => InviteState::Expired,
            (None, _) => InviteState::Good,
        })
    }

    /// Uses up an invite, once: of two who bring it at the same time the second finds it used when he looks again.
    pub(super) async fn use_invite(&mut self, invite: InviteHash, by: &str, now: WallTime) -> Result<(), StoreError> {
        let sql = "UPDATE invites SET used = ?, used_by = ? WHERE hash = ? AND used IS NULL";
        let values = [Value::Time(now), Value::Text(by), Value::Hash(&invite.0)];
        match self.run(sql, &values).await? {
            1 => Ok(()),
            _ => Err(StoreError::Raced),
        }
    }
}

/// The invite of a row that begins with hash, created, expires and used_by.
pub(super) fn invite(row: &AnyRow) -> Result<StoredInvite, StoreError> {
    Ok(StoredInvite {
        hash: InviteHash(hash(row, 0)?),
        created: time(row, 1)?,
        expires: time(row, 2)?,
        used_by: row.try_get(3)?,
    })
}
