//! Where callers are let in: the store, the passwords, and those who must wait, put together.

mod admitting;
mod approving;
mod counting;
mod deciding;
mod keeping;
mod recalling;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use peerchat_proto::names::{NameError, UserName};
use ring::rand::SystemRandom;
use tokio::sync::{Notify, mpsc};

pub use approving::Asked;

use super::{
    DeviceLabel, Now, WallTime,
    begun::Begun,
    change::{Done, What},
    decider::{Decider, Undecided},
    invite::{self, Invite, InviteHash, StoredInvite},
    linking::{Links, NoRoom, NotApproved},
    password::{HashError, Hasher, Password},
    recall::Recall,
    rules::{Refusal, Registration},
    store::{Device, Found, OpenError, Place, RevokedDevice, Store, StoreError},
    throttle::{Guesses, NEW_NAMES, Origin, TOLD, Throttle, Wait},
    tries::Tried,
};
use crate::routes::DeviceId;

/// What the operator has decided.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Who may take a free name.
    pub registration: Registration,
    /// How long a certificate may be valid, and so how long a revoked device must be told of.
    pub certificate_lifetime: Duration,
}

/// Somebody who logs in.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// As whom.
    pub name: &'a UserName,
    /// With which device, proved by TLS.
    pub device: DeviceId,
    /// What it calls itself.
    pub label: &'a DeviceLabel,
    /// A password: that of the name if it is taken, and its first one if it is free.
    pub password: Option<&'a Arc<Password>>,
    /// An invite.
    pub invite: Option<InviteHash>,
    /// From where.
    pub from: IpAddr,
}

/// He is in.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The user's name as its owner writes it: the one to certify.
    pub user: UserName,
    /// The name was free.
    pub is_new_user: bool,
    /// The device was not one of the user's before.
    pub is_new_device: bool,
}

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The rules are against it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody may take such a name.
    #[error("the name cannot be taken: {0}")]
    Name(#[from] NameError),
    /// Too many tries.
    #[error(transparent)]
    Wait(#[from] Wait),
    /// The password cannot be looked at.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// There is no code for another device.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The code is not approved.
    #[error(transparent)]
    NotApproved(#[from] NotApproved),
    /// The system failed.
    #[error("the registry's system gives no random numbers; its operator must look into it")]
    NoRandomness,
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
    /// The cluster decides nothing now.
    #[error(transparent)]
    Undecided(#[from] Undecided),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Store(other),
        }
    }
}

/// The accounts of a registry.
#[derive(Debug)]
pub struct Accounts {
    store: Store,
    /// Who decides, if not this registry alone.
    decider: Option<Decider>,
    policy: Policy,
    hasher: Hasher,
    waiting: Mutex<Waits>,
    /// Somebody who waited for approval waits no longer.
    links_changed: Notify,
    random: SystemRandom,
    recall: Mutex<Recall>,
    /// Says how many accounts there are, where that is kept.
    begun: Option<Arc<Begun>>,
}

/// What only matters while the registry runs.
#[derive(Debug)]
struct Waits {
    guesses: Guesses,
    new_names: Throttle<Origin>,
    told: Throttle<Arc<str>>,
    links: Links,
    /// Who tells the other registries of the site what was tried here; none where there are none.
    others: Option<mpsc::Sender<Tried>>,
}

impl Accounts {
    /// Opens the accounts, and makes them where there are none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(place: &Place, policy: Policy) -> Result<Self, OpenError> {
        Ok(Self {
            store: Store::open(place).await?,
            decider: None,
            policy,
            hasher: Hasher::default(),
            waiting: Mutex::new(Waits {
                guesses: Guesses::default(),
                new_names: Throttle::new(NEW_NAMES),
                told: Throttle::new(TOLD),
                links: Links::default(),
                others: None,
            }),
            links_changed: Notify::new(),
            random: SystemRandom::new(),
            recall: Mutex::default(),
            begun: None,
        })
    }

    /// Lets somebody in: a known device without a question, a new one with the password, and a new user as the policy says.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn admit(&self, arrival: &Arrival<'_>, now: Now) -> Result<Admission, AccountError> {
        match self.settle(arrival, now).await {
            Ok(admission) => {
                let mut recall = self.recall();
                recall.name(&admission.user);
                recall.device(arrival.device, &admission.user);
                Ok(admission)
            }
            Err(AccountError::Store(StoreError::Away)) => self.recognise(arrival),
            Err(error) => Err(error),
        }
    }

    /// Whether an attempt that brought nothing is to be told to the user's devices and to the log.
    pub fn is_told(&self, name: &UserName, now: Now) -> bool {
        self.lock().told.attempt(&name.key().into(), now.running).is_ok()
    }

    /// Ends a device of the user for ever, as `by` wishes, which is one too; answers whether it was not ended before. To be run to
    /// its end, since others must hear of what is stored: a future that is dropped may have stored it and tells nobody.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn revoke(
        &self,
        name: &UserName,
        by: DeviceId,
        device: DeviceId,
        now: WallTime,
    ) -> Result<bool, AccountError> {
        let name = name.clone();
        let revoked = self
            .decide(What::Revoke { name, by, device }, now, Self::deadline())
            .await;
        self.forget(device);
        Ok(matches!(revoked?, Done::Revoked { is_new: true }))
    }

    /// Gives the user a password, as `by` wishes, which is one of his devices.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_password(
        &self,
        name: &UserName,
        by: DeviceId,
        password: &Arc<Password>,
        now: WallTime,
    ) -> Result<(), AccountError> {
        let until = Self::deadline();
        let found = self.look_up((name, by, None), now, until, deciding::is_no_device);
        if deciding::is_no_device(&found.await?).is_some() {
            return Err(Refusal::NotADevice.into());
        }
        let (name, password) = (name.clone(), self.hasher.hash(password).await?);
        let what = What::SetPassword { name, by, password };
        self.decide(what, now, until).await.map(drop)
    }

    /// All devices that a user ever had.
    ///
    /// # Errors
    /// The database fails.
    pub async fn devices(&self, name: &UserName) -> Result<Vec<Device>, AccountError> {
        Ok(self.store.devices(name).await?)
    }

    /// The devices whose certificates may not have ended although they were revoked.
    ///
    /// # Errors
    /// The database fails.
    pub async fn revoked(&self, now: WallTime) -> Result<Vec<RevokedDevice>, AccountError> {
        let read = self.store.revoked_within(self.policy.certificate_lifetime, now).await;
        self.or_recalled(read, |recall, read| recall.revoked(read), Recall::last_revoked)
    }

    /// What is stored about a name and a device.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, name: &UserName, device: DeviceId, now: WallTime) -> Result<Found, AccountError> {
        Ok(self.store.look_up(name, device, None, now).await?)
    }

    /// Makes an invite that can be used once within `lifetime`.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn invite(&self, lifetime: Duration, now: WallTime) -> Result<Invite, AccountError> {
        let invite = Invite::generate().map_err(|invite::NoRandomness| AccountError::NoRandomness)?;
        self.add_invite(invite.hash(), now.after(lifetime), now).await?;
        Ok(invite)
    }

    /// Stores an invite that somebody else has made.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn add_invite(&self, invite: InviteHash, expires: WallTime, now: WallTime) -> Result<(), AccountError> {
        let what = What::AddInvite { invite, expires };
        self.decide(what, now, Self::deadline()).await.map(drop)
    }

    /// All invites.
    ///
    /// # Errors
    /// The database fails.
    pub async fn invites(&self) -> Result<Vec<StoredInvite>, AccountError> {
        Ok(self.store.invites().await?)
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.store.close().await;
        self.keep_mark().await;
    }

    /// Nothing that is done under the lock can fail half-way.
    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
