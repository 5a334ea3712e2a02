//! What whoever holds the authority has a registry do.

use std::time::{Duration, SystemTime};

use peerchat_identity::accept::Caller;
use peerchat_proto::{names::UserName, v1};
use tonic::{Extensions, Status};
use tracing::info;

use super::{
    Calls,
    change::{change_to_bytes, from_import},
    operator::to_imported,
};
use crate::{
    accounts::{
        change::{Change, What},
        importing::AccountPart,
        invite::InviteHash,
    },
    authority::LIFETIME_MAX,
    cluster::ledger::CHANGE_MAX,
    routes::DeviceId,
    service::account_status,
};

impl Calls {
    /// Stores an invite.
    pub(super) async fn invite(&self, extensions: &Extensions, request: &v1::AddInviteRequest) -> Result<(), Status> {
        self.operator(extensions, "an invite", "invites are made")?;
        let hash = request.hash.as_ref().try_into();
        let hash = hash.map_err(|_| Status::invalid_argument("`hash`: the hash of an invite has 32 bytes"))?;
        let now = self.registry.now().wall;
        let expires = now.after(Duration::from_secs(request.lifetime_s));
        let added = self.registry.accounts.add_invite(InviteHash(hash), expires, now).await;
        added.map_err(account_status)
    }

    /// Takes in a part of an account.
    pub(super) async fn import(
        &self,
        extensions: &Extensions,
        request: &v1::ImportAccountRequest,
    ) -> Result<v1::ImportAccountResponse, Status> {
        self.operator(extensions, "an import", "accounts are imported")?;
        let name = UserName::new(&request.user);
        let name = name.map_err(|error| Status::invalid_argument(format!("`user`: {error}")))?;
        let part = request.account.as_ref().and_then(|account| from_import(name, account));
        let part = part.ok_or_else(|| {
            Status::invalid_argument("`account`: this registry cannot read it; are both of the same version?")
        })?;
        let at = self.registry.now().wall;
        let what = What::Import(part.clone());
        if change_to_bytes(&Change { at, what }).len() > CHANGE_MAX {
            return Err(Status::invalid_argument("`account`: it is too long"));
        }
        let imported = self.registry.accounts.import(part.clone(), at).await;
        let imported = imported.map_err(account_status)?;
        info!(user = %part.name, account = ?imported.account, devices = imported.added, "account imported");
        self.tell_revoked(&part, |device| imported.has(device)).await?;
        Ok(to_imported(imported))
    }

    /// Peers that are there already must not believe the certificate of a device that was revoked elsewhere.
    async fn tell_revoked(&self, part: &AccountPart, is_taken: impl Fn(DeviceId) -> bool) -> Result<(), Status> {
        let since = self.registry.now().wall.before(LIFETIME_MAX);
        for device in &part.devices {
            if device.revoked.is_some_and(|revoked| revoked >= since) && is_taken(device.device) {
                self.registry.engine.revoke(device.device).await?;
            }
        }
        Ok(())
    }

    /// Whether whoever calls holds the authority. Who does not is told of in the log.
    fn operator(&self, extensions: &Extensions, what: &str, doing: &str) -> Result<(), Status> {
        let trust = self.registry.authority.trust();
        let shown = extensions.get::<Caller>().and_then(|caller| caller.shown.as_deref());
        let shown = shown.ok_or_else(|| Status::unauthenticated("show a certificate of the registry's operator"))?;
        trust.operator(shown, SystemTime::now()).map(drop).map_err(|error| {
            let from = extensions.get::<Caller>().map(|caller| caller.address.to_string());
            let from = from.unwrap_or_default();
            self.registry
                .refusals
                .tell(&format_args!("{what} from {from} was refused: {error}"));
            Status::permission_denied(format!("{doing} by whoever holds the authority: {error}"))
        })
    }
}
