//! Changes: made here, or decided by a cluster and made at all its nodes.

use peerchat_proto::names::UserName;
use tokio::time::Instant;

use super::{AccountError, Accounts};
use crate::{
    accounts::{
        WallTime,
        change::{Change, Done, What},
        decider::{DECISION_WAIT, Decider},
        importing::{AccountPart, Imported},
        invite::InviteHash,
        rules::{DeviceState, Refusal},
        store::{Found, Outcome, Position, StoreError, Whole},
    },
    routes::DeviceId,
};

impl Accounts {
    /// The same accounts, whose changes somebody else decides. What is decided he brings with [`apply`](Self::apply).
    #[must_use]
    pub fn decided_by(mut self, decider: Decider) -> Self {
        self.decider = Some(decider);
        self
    }

    /// Until when a call that begins now waits for decisions.
    pub(super) fn deadline() -> Instant {
        Instant::now() + DECISION_WAIT
    }

    /// Makes a change, or has it made.
    pub(super) async fn decide(&self, what: What, at: WallTime, until: Instant) -> Result<Done, AccountError> {
        let change = Change { at, what };
        let done = match &self.decider {
            None => self.store.decide(&change).await?,
            Some(decider) => decider.decide(change, until).await??,
        };
        self.mark_first().await;
        Ok(done)
    }

    /// Takes in a part of an account that another registry had, as far as nothing here is against it.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn import(&self, part: AccountPart, at: WallTime) -> Result<Imported, AccountError> {
        match self.decide(What::Import(part), at, Self::deadline()).await? {
            Done::Imported(imported) => Ok(imported),
            _ => Err(StoreError::Raced.into()),
        }
    }

    /// What is stored about a name, a device and an invite. Where that is against the caller it is looked up once more when all is here that others have
    /// decided: who was let in elsewhere a moment ago is not refused here.
    pub(super) async fn look_up(
        &self,
        (name, device, invite): (&UserName, DeviceId, Option<InviteHash>),
        at: WallTime,
        until: Instant,
        against: impl Fn(&Found) -> Option<Refusal>,
    ) -> Result<Found, AccountError> {
        let found = self.store.look_up(name, device, invite, at).await?;
        let Some(decider) = &self.decider else {
            return Ok(found);
        };
        if against(&found).is_none_or(Refusal::is_for_ever) {
            return Ok(found);
        }
        decider.catch_up(until).await?;
        Ok(self.store.look_up(name, device, invite, at).await?)
    }

    /// Makes changes that were decided, in their places: see [`Store::apply`](crate::accounts::store::Store::apply).
    ///
    /// # Errors
    /// The database fails; then none of them was made.
    pub async fn apply(&self, changes: &[(Position, Option<Change>)]) -> Result<Vec<(Position, Outcome)>, StoreError> {
        let outcomes = self.store.apply(changes).await?;
        for (at, outcome) in &outcomes {
            let change = changes.iter().find(|(of, _)| of == at);
            if let (Some((_, Some(change))), Ok(done)) = (change, outcome) {
                match (&change.what, done) {
                    (What::Claim(claim), _) => self.waits_no_longer(claim.device),
                    (What::Approve { device, .. }, _) => self.waits_no_longer(*device),
                    (What::Revoke { device, .. }, _) => self.forget(*device),
                    (What::Import(part), Done::Imported(imported)) => {
                        let devices = part.devices.iter().map(|device| device.device);
                        devices
                            .filter(|device| imported.has(*device))
                            .for_each(|device| self.waits_no_longer(device));
                    }
                    (What::Import(_) | What::SetPassword { .. } | What::AddInvite { .. }, _) => {}
                }
            }
        }
        Ok(outcomes)
    }

    /// The position of the last change that was brought.
    ///
    /// # Errors
    /// The database fails.
    pub async fn position(&self) -> Result<Position, StoreError> {
        self.store.position().await
    }

    /// Whether nobody has an account or an invite.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        self.store.is_empty().await
    }

    /// All that is stored, and its position.
    ///
    /// # Errors
    /// The database fails.
    pub async fn whole(&self) -> Result<(Position, Whole), StoreError> {
        self.store.whole().await
    }

    /// Puts this in place of all that is stored.
    ///
    /// # Errors
    /// The database fails; then what was stored is there still.
    pub async fn install(&self, position: Position, whole: &Whole) -> Result<(), StoreError> {
        self.store.install(position, whole).await?;
        self.forget_all();
        Ok(())
    }
}

/// Why what is stored is against a device that says that it is one of the name's.
pub(super) fn is_no_device(found: &Found) -> Option<Refusal> {
    match found.device {
        DeviceState::Live => None,
        DeviceState::Revoked => Some(Refusal::DeviceRevoked),
        DeviceState::OfAnother => Some(Refusal::DeviceOfAnother),
        DeviceState::Unknown => Some(Refusal::NotADevice),
    }
}
