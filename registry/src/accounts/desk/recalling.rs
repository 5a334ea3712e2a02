//! What can be answered while the database of the accounts does not answer.

use std::sync::{MutexGuard, PoisonError};

use peerchat_proto::names::UserName;

use super::{AccountError, Accounts, Admission, Arrival, deciding::is_no_device};
use crate::{
    accounts::{WallTime, recall::Recall, rules::DeviceState, store::StoreError},
    routes::DeviceId,
};

impl Accounts {
    /// The name of a user as it is shown, if there is an account of it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn shown(
        &self,
        name: &UserName,
        asks: DeviceId,
        now: WallTime,
    ) -> Result<Option<UserName>, AccountError> {
        let found = self.store.look_up(name, asks, None, now).await;
        self.or_recalled(
            found.map(|found| found.shown),
            |recall, shown| shown.iter().for_each(|shown| recall.name(shown)),
            |recall| recall.shown(name).map(Some),
        )
    }

    /// What a device is to a name.
    ///
    /// # Errors
    /// The database fails, or it is not known here and it cannot be found out whether it was let in elsewhere.
    pub async fn state(&self, name: &UserName, device: DeviceId, now: WallTime) -> Result<DeviceState, AccountError> {
        let found = match self
            .look_up((name, device, None), now, Self::deadline(), is_no_device)
            .await
        {
            Err(AccountError::Store(error)) => Err(error),
            found => Ok(found?),
        };
        self.or_recalled(
            found.map(|found| found.device),
            |recall, state| match state {
                DeviceState::Live => recall.device(device, name),
                _ => recall.forget(device),
            },
            |recall| recall.is_live(device, name).then_some(DeviceState::Live),
        )
    }

    /// Takes note that a device was revoked, wherever that was.
    pub fn forget(&self, device: DeviceId) {
        self.recall().forget(device);
    }

    /// Takes note that devices may have been revoked without this registry having heard of it.
    pub fn forget_all(&self) {
        self.recall().forget_all();
    }

    /// Lets in a device that was let in lately.
    pub(super) fn recognise(&self, arrival: &Arrival<'_>) -> Result<Admission, AccountError> {
        let recall = self.recall();
        let known = recall
            .shown(arrival.name)
            .filter(|_| recall.is_live(arrival.device, arrival.name));
        let user = known.ok_or(AccountError::Store(StoreError::Away))?;
        Ok(Admission {
            user,
            is_new_user: false,
            is_new_device: false,
        })
    }

    /// What was read, or what is remembered where the database does not answer.
    pub(super) fn or_recalled<T>(
        &self,
        read: Result<T, StoreError>,
        remember: impl FnOnce(&mut Recall, &T),
        recall: impl FnOnce(&Recall) -> Option<T>,
    ) -> Result<T, AccountError> {
        match read {
            Ok(read) => {
                remember(&mut self.recall(), &read);
                Ok(read)
            }
            Err(StoreError::Away) => recall(&self.recall()).ok_or(AccountError::Store(StoreError::Away)),
            Err(error) => Err(error.into()),
        }
    }

    /// Nothing that is done under the lock can fail half-way.
    pub(super) fn recall(&self) -> MutexGuard<'_, Recall> {
        self.recall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
