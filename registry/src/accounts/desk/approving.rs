//! A new device that waits until an old one lets it in.

use std::pin::pin;

use peerchat_proto::names::UserName;
use ring::rand::SecureRandom as _;
use tokio::time::Instant;

use super::{AccountError, Accounts, Arrival, deciding::is_no_device};
use crate::{
    accounts::{
        Now,
        change::What,
        linking::{Code, NotApproved, Ticket, Waiting},
        rules::{self, DeviceState, Refusal, Stored},
        store::Found,
        throttle::Origin,
    },
    routes::DeviceId,
};

/// What becomes of a device that asks for approval.
#[derive(Debug)]
pub enum Asked {
    /// It waits.
    Waits(Ticket),
    /// It is one of the user's already.
    IsIn,
}

impl Accounts {
    /// Lets a device that is new to a taken name wait for approval. One that asks again has the same code, and its former request
    /// waits no longer.
    ///
    /// # Errors
    /// The device could not be approved, or too many wait.
    pub async fn ask_to_link(&self, arrival: &Arrival<'_>, now: Now) -> Result<Asked, AccountError> {
        let judge = |found: &Found| match (found.stored, found.device) {
            (Stored::Nothing, DeviceState::Unknown) => Err(Refusal::NoSuchUser),
            (stored, device) => rules::may_approve(stored, DeviceState::Live, device),
        };
        let who = (arrival.name, arrival.device, None);
        let found = self.look_up(who, now.wall, Self::deadline(), |found| judge(found).err());
        let found = found.await?;
        judge(&found)?;
        if found.device == DeviceState::Live {
            return Ok(Asked::IsIn);
        }
        let mut random = [0; 5];
        self.random.fill(&mut random).map_err(|_| AccountError::NoRandomness)?;
        let (key, label, from) = (arrival.name.key(), arrival.label.clone(), Origin::new(arrival.from));
        let asked = self
            .lock()
            .links
            .ask(key, arrival.device, label, from, random, now.running);
        self.links_changed.notify_waiters();
        Ok(Asked::Waits(asked?))
    }

    /// Waits until a device that asked waits no longer. Whether it is in now is in the store.
    pub async fn waited(&self, ticket: &Ticket) {
        loop {
            let mut changed = pin!(self.links_changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if !self.lock().links.waits(ticket) {
                return;
            }
            changed.await;
        }
    }

    /// Makes the device that waits with this code one of the user's, as `by` wishes, which is one already. To be run to its end:
    /// see [`Accounts::revoke`].
    ///
    /// # Errors
    /// [`AccountError`]; the device goes on waiting then.
    pub async fn approve(&self, name: &UserName, by: DeviceId, code: Code, now: Now) -> Result<Waiting, AccountError> {
        let until = Self::deadline();
        let found = self.look_up((name, by, None), now.wall, until, is_no_device);
        if is_no_device(&found.await?).is_some() {
            return Err(Refusal::NotADevice.into());
        }
        let waiting = {
            let mut waits = self.lock();
            let found = waits.links.approve(name.key(), code, now.running);
            if !matches!(found, Err(NotApproved::TooManyTries(_))) {
                waits.tell_code(name.key(), found.is_ok());
            }
            found?
        };
        self.let_in(name, by, waiting, now, until).await
    }

    /// Does the same for another registry, which has counted the try and knows the code in a form of its own: `is_it` says which one
    /// that is. None where no device waits here with it.
    pub async fn approve_for(
        &self,
        name: &UserName,
        by: DeviceId,
        is_it: impl Fn(Code) -> bool,
        now: Now,
    ) -> Option<Result<Waiting, AccountError>> {
        let waiting = self.lock().links.find(name.key(), is_it, now.running)?;
        Some(self.let_in(name, by, waiting, now, Self::deadline()).await)
    }

    /// A code that somebody of the account typed here was right at another registry.
    pub fn approved_elsewhere(&self, name: &UserName) {
        let mut waits = self.lock();
        waits.links.was_right(name.key());
        waits.tell_code(name.key(), true);
    }

    async fn let_in(
        &self,
        name: &UserName,
        by: DeviceId,
        waiting: Waiting,
        now: Now,
        until: Instant,
    ) -> Result<Waiting, AccountError> {
        let what = What::Approve {
            name: name.clone(),
            by,
            device: waiting.device,
            label: waiting.label.clone(),
        };
        self.decide(what, now.wall, until).await?;
        self.waits_no_longer(waiting.device);
        Ok(waiting)
    }

    /// Takes note that a device needs no approval any more.
    pub(super) fn waits_no_longer(&self, device: DeviceId) {
        self.lock().links.forget(device);
        self.links_changed.notify_waiters();
    }

    /// Whoever asked for approval with this request has gone.
    pub fn give_up(&self, ticket: &Ticket) {
        self.lock().links.give_up(ticket);
    }

    /// Lets nobody wait for approval any more.
    pub fn end_waiting(&self) {
        self.lock().links.clear();
        self.links_changed.notify_waiters();
    }
}
