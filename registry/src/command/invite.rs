//! `peerchat-registry invite`: in the database of a registry, or at a cluster, where a majority must have it.

use std::{path::Path, time::Duration};

use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{CommandError, check_begun};
use crate::{
    accounts::{
        WallTime,
        change::{Change, What},
        invite::Invite,
        store::{Place, Store},
    },
    address::Address,
    authority::Authority,
    cluster::{Operator, ledger_store::LedgerStore},
};

/// How long a registry may take to have it stored.
const ANSWER_WAIT: Duration = Duration::from_secs(6);

/// Makes an invite in a database, which no node of a cluster has for its own.
pub(super) async fn make(place: &Place, lifetime: Duration, now: WallTime) -> Result<Zeroizing<String>, CommandError> {
    // Before the cluster's first decision nothing in the database shows whose it is.
    if matches!(place, Place::Folder(folder) if LedgerStore::is_in(folder)) {
        return Err(CommandError::OfCluster);
    }
    let store = Store::open(place).await?;
    if let Place::Folder(folder) = place {
        check_begun(folder, &store).await?;
    }
    if store.position().await?.index > 0 {
        return Err(CommandError::OfCluster);
    }
    let invite = Invite::generate()?;
    let what = What::AddInvite {
        invite: invite.hash(),
        expires: now.after(lifetime),
    };
    store.decide(&Change { at: now, what }).await?;
    store.close().await;
    Ok(invite.reveal())
}

/// Has an invite stored by the first of these registries that can. Each is asked for another one: where it is not known whether one was stored, nobody has
/// it.
pub(super) async fn ask_for(
    ca: &Path,
    registries: &[Address],
    lifetime: Duration,
) -> Result<Zeroizing<String>, CommandError> {
    let authority = Authority::find(ca)?.ok_or_else(|| CommandError::NoAuthority(ca.to_owned()))?;
    let mut failures = Vec::new();
    for address in registries {
        let invite = Invite::generate()?;
        let asked = async {
            let mut operator = Operator::connect(&authority, address.as_str()).await?;
            operator.add_invite(invite.hash(), lifetime).await
        };
        match timeout(ANSWER_WAIT, asked).await {
            Ok(Ok(())) => return Ok(invite.reveal()),
            Ok(Err(failure)) if failure.is_worth_another() => failures.push(failure.to_string()),
            Ok(Err(failure)) => return Err(failure.into()),
            Err(_) => failures.push(format!("{address} does not answer within {} s", ANSWER_WAIT.as_secs())),
        }
    }
    Err(CommandError::NotInvited(failures.join("; ")))
}
