//! Where accounts are brought to. Whatever may heal by itself, such as a cluster between two leaders, is waited for.

use std::{path::Path, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    accounts::{
        WallTime,
        change::{Change, Done, What},
        importing::{AccountPart, Imported},
        invite::StoredInvite,
        store::{DatabaseUrl, Outcome, Place, Store, StoreError},
    },
    address::Address,
    authority::Authority,
    cluster::{Operator, OperatorError},
    command::CommandError,
};

/// How long a registry may take for one change.
const ANSWER_WAIT: Duration = Duration::from_secs(6);

/// How often all that could take a change are asked, and how long it is waited in between: longer than it takes to replace a leader.
const ROUNDS_MAX: usize = 6;
const PAUSE: Duration = Duration::from_secs(1);

/// Where accounts are brought to.
pub(in crate::command) enum Target {
    /// To the registries that run with an authority.
    Registries(Box<Registries>),
    /// Into a database.
    Database(Store),
}

/// Registries, of which one is asked until it cannot do it.
pub(in crate::command) struct Registries {
    authority: Authority,
    /// At least one. The first is the one to be asked.
    addresses: Vec<Address>,
    /// The connection to it.
    connected: Option<Operator>,
}

impl Target {
    /// The registries at these addresses, at least one, whose authority is in `ca`.
    pub(in crate::command) fn registries(ca: &Path, addresses: &[Address]) -> Result<Self, CommandError> {
        let authority = Authority::find(ca)?.ok_or_else(|| CommandError::NoAuthority(ca.to_owned()))?;
        Ok(Self::Registries(Box::new(Registries {
            authority,
            addresses: addresses.to_vec(),
            connected: None,
        })))
    }

    /// A database, which no node of a cluster has for its own.
    pub(in crate::command) async fn database(url: DatabaseUrl) -> Result<Self, CommandError> {
        let store = Store::open(&Place::Url(url)).await?;
        if store.position().await?.index > 0 {
            return Err(CommandError::IntoNode);
        }
        Ok(Self::Database(store))
    }

    /// Has a part of an account taken in.
    pub(super) async fn import(&mut self, part: &AccountPart, at: WallTime) -> Result<Imported, CommandError> {
        match self {
            Self::Registries(registries) => registries.call(async |operator| operator.import(part).await).await,
            Self::Database(store) => match decide(store, What::Import(part.clone()), at).await? {
                Done::Imported(imported) => Ok(imported),
                _ => Err(StoreError::Raced.into()),
            },
        }
    }

    /// Has an invite stored, which ends when it would have.
    pub(super) async fn add_invite(&mut self, invite: &StoredInvite, now: WallTime) -> Result<(), CommandError> {
        let (hash, expires) = (invite.hash, invite.expires);
        match self {
            Self::Registries(registries) => {
                let lifetime = Duration::from_secs(expires.0.saturating_sub(now.0));
                let call = async |operator: &mut Operator| operator.add_invite(hash, lifetime).await;
                registries.call(call).await
            }
            Self::Database(store) => {
                let what = What::AddInvite { invite: hash, expires };
                Ok(decide(store, what, now).await.map(drop)?)
            }
        }
    }

    pub(super) async fn close(&self) {
        if let Self::Database(store) = self {
            store.close().await;
        }
    }
}

impl Registries {
    async fn call<T>(
        &mut self,
        call: impl AsyncFn(&mut Operator) -> Result<T, OperatorError>,
    ) -> Result<T, CommandError> {
        let mut failures = Vec::new();
        for round in 0..ROUNDS_MAX {
            if round > 0 {
                sleep(PAUSE).await;
                failures.clear();
            }
            for _ in 0..self.addresses.len() {
                match timeout(ANSWER_WAIT, self.call_once(&call)).await {
                    Ok(Ok(done)) => return Ok(done),
                    Ok(Err(failure)) if failure.is_worth_another() => failures.push(failure.to_string()),
                    Ok(Err(failure)) => return Err(failure.into()),
                    Err(_) => failures.push(format!(
                        "{} does not answer within {} s",
                        self.addresses[0],
                        ANSWER_WAIT.as_secs()
                    )),
                }
                self.connected = None;
                self.addresses.rotate_left(1);
            }
        }
        Err(CommandError::NotImported(failures.join("; ")))
    }

    async fn call_once<T>(
        &mut self,
        call: &impl AsyncFn(&mut Operator) -> Result<T, OperatorError>,
    ) -> Result<T, OperatorError> {
        let operator = match self.connected.take() {
            Some(operator) => operator,
            None => Operator::connect(&self.authority, self.addresses[0].as_str()).await?,
        };
        call(self.connected.insert(operator)).await
    }
}

async fn decide(store: &Store, what: What, at: WallTime) -> Outcome {
    let change = Change { at, what };
    let mut round = 1;
    loop {
        match store.decide(&change).await {
            Err(StoreError::Raced | StoreError::Busy | StoreError::Away) if round < ROUNDS_MAX => round += 1,
            outcome => return outcome,
        }
        sleep(PAUSE).await;
    }
}
