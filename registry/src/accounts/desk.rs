//! Where callers are let in: the store, the passwords, and those who must wait, put together.

mod approving;
mod counting;
mod recalling;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use peerchat_proto::names::UserName;
use ring::rand::SystemRandom;
use tokio::sync::{Notify, mpsc};

pub use approving::Asked;

use super::{
    DeviceLabel, Now, WallTime,
    invite::{self, Invite, InviteHash, StoredInvite},
    linking::{Links, NoRoom, NotApproved},
    password::{HashError, Hasher, Password},
    recall::Recall,
    rules::{self, Brought, Decision, DeviceState, PasswordResult, Refusal, Registration},
    store::{Claim, Device, Found, OpenError, Place, Proof, RevokedDevice, Settled, Store, StoreError},
    throttle::{Guesses, NEW_NAMES, Origin, TOLD, Throttle, Wait},
    tries::Tried,
};
use crate::routes::{DeviceId, Millis};

/// How often a step is begun again because somebody else was faster. Each time somebody got through, so three are plenty.
const ROUNDS_MAX: usize = 3;

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
    policy: Policy,
    hasher: Hasher,
    waiting: Mutex<Waits>,
    /// Somebody who waited for approval waits no longer.
    links_changed: Notify,
    random: SystemRandom,
    recall: Mutex<Recall>,
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

    async fn settle(&self, arrival: &Arrival<'_>, now: Now) -> Result<Admission, AccountError> {
        let from = Origin::new(arrival.from);
        let mut counted = false;
        for _ in 0..ROUNDS_MAX {
            let found = self
                .store
                .look_up(arrival.name, arrival.device, arrival.invite, now.wall)
                .await?;
            // Should it be revoked now: see `Service::certify`.
            if let (Decision::Welcome, Some(user)) = (self.expected(&found), &found.shown)
                && found.is_known(arrival.label, now.wall)
            {
                let (user, decision) = (user.clone(), Decision::Welcome);
                return Ok(self.admitted(Settled { user, decision }, arrival.device));
            }
            if let Decision::Create { .. } = self.expected(&found)
                && !counted
                && !from.is_loopback()
            {
                // On one machine names are taken by its own users, and by tests in hundreds.
                self.takes_a_name(from, now.running)?;
                counted = true;
            }
            let proof = self.proof(arrival, &found, from, now.running).await?;
            let was_compared = matches!(proof, Proof::Compared { is_right: true, .. });
            let claim = Claim {
                name: arrival.name,
                device: arrival.device,
                label: arrival.label,
                proof,
                invite: arrival.invite,
                registration: self.policy.registration,
            };
            match self.store.settle(&claim, now.wall).await {
                Err(StoreError::Raced) => {}
                settled => {
                    if was_compared {
                        self.guessed_right(arrival.name, from);
                    }
                    return Ok(self.admitted(settled?, arrival.device));
                }
            }
        }
        Err(StoreError::Raced.into())
    }

    /// What would happen without a password.
    fn expected(&self, found: &Found) -> Decision {
        let brought = Brought {
            password: PasswordResult::None,
            invite: found.invite,
        };
        rules::decide(found.stored, found.device, brought, self.policy.registration)
    }

    /// Looks at the password where it decides something; nothing is hashed for anybody else.
    async fn proof(
        &self,
        arrival: &Arrival<'_>,
        found: &Found,
        from: Origin,
        now: Millis,
    ) -> Result<Proof, AccountError> {
        let Some(password) = arrival.password else {
            return Ok(Proof::None);
        };
        match (self.expected(found), &found.password) {
            (Decision::Create { .. }, _) => Ok(Proof::New(self.hasher.hash(password).await?)),
            (Decision::Refuse(Refusal::NameTaken { .. }), Some(with)) => {
                self.guesses(arrival.name, from, now)?;
                Ok(Proof::Compared {
                    is_right: self.hasher.is_right(password, with).await?,
                    with: with.clone(),
                })
            }
            _ => Ok(Proof::None),
        }
    }

    fn admitted(&self, settled: Settled, device: DeviceId) -> Admission {
        let is_new_user = matches!(settled.decision, Decision::Create { .. });
        let is_new_device = settled.decision != Decision::Welcome;
        if is_new_device {
            self.waits_no_longer(device);
        }
        Admission {
            user: settled.user,
            is_new_user,
            is_new_device,
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
        let revoked = self.store.revoke(name, by, device, now).await;
        self.forget(device);
        Ok(revoked?)
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
        let found = self.store.look_up(name, by, None, now).await?;
        if found.device != DeviceState::Live {
            return Err(Refusal::NotADevice.into());
        }
        let password = self.hasher.hash(password).await?;
        Ok(self.store.set_password(name, by, &password, now).await?)
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
        self.store.add_invite(invite.hash(), now.after(lifetime), now).await?;
        Ok(invite)
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
    }

    /// Nothing that is done under the lock can fail half-way.
    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
