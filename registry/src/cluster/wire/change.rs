//! Changes of accounts, and all accounts at once, as the bytes that the ledger keeps and carries about. What is read is checked; nothing that is not whole and
//! known is taken for less than it is, since all nodes must come to the same result.

use peerchat_proto::{
    names::UserName,
    v1::{self, account_change as change, change_claim as claim},
};
use prost::Message as _;
use ring::digest::{SHA256, digest};

use crate::{
    accounts::{
        DeviceLabel, WallTime,
        change::{Change, Claim, Proof, What},
        importing::{AccountPart, PART_DEVICES_MAX},
        invite::{InviteHash, StoredInvite},
        looks::{LOOKS_MAX, Look},
        password::PasswordHash,
        store::{AddedBy, Device, StoredAccount, StoredDevice, Whole, WholeInvite},
    },
    routes::DeviceId,
};

/// The version of [`v1::AccountsWhole`].
const WHOLE_VERSION: u32 = 2;

/// The version of [`v1::ChangeImport`].
const IMPORT_VERSION: u32 = 1;

/// How many bytes of check sum are before it.
const SUM: usize = 32;

/// A change that this registry does not know, or that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cluster has decided something that this registry cannot read: perhaps another node is newer, so install the same version here"
)]
pub(in crate::cluster) struct Unreadable;

/// A change as bytes, of which there is one at least: none are no change.
pub(in crate::cluster) fn change_to_bytes(change: &Change) -> Vec<u8> {
    to_change(change).encode_to_vec()
}

/// The change in these bytes; none where there are none.
pub(in crate::cluster) fn change_from_bytes(bytes: &[u8]) -> Result<Option<Change>, Unreadable> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let change = v1::AccountChange::decode(bytes).ok().and_then(from_change);
    change.map(Some).ok_or(Unreadable)
}

fn to_change(change: &Change) -> v1::AccountChange {
    let (user, what) = match &change.what {
        What::Claim(claim) => (Some(&claim.name), change::What::Claim(to_claim(claim))),
        What::Approve {
            name,
            by,
            device,
            label,
        } => {
            let approve = v1::ChangeApprove {
                by: to_device(*by),
                device: to_device(*device),
                label: label.as_str().to_owned(),
            };
            (Some(name), change::What::Approve(approve))
        }
        What::Revoke { name, by, device } => {
            let (by, device) = (to_device(*by), to_device(*device));
            (Some(name), change::What::Revoke(v1::ChangeRevoke { by, device }))
        }
        What::SetPassword { name, by, password } => {
            let (by, hash) = (to_device(*by), password.as_str().to_owned());
            (Some(name), change::What::Password(v1::ChangePassword { by, hash }))
        }
        What::AddInvite { invite, expires } => {
            let (hash, expires_s) = (invite.0.to_vec().into(), expires.0);
            (None, change::What::Invite(v1::ChangeInvite { hash, expires_s }))
        }
        What::Import(part) => (Some(&part.name), change::What::Import(to_import(part))),
    };
    v1::AccountChange {
        at_s: change.at.0,
        user: user.map_or_else(String::new, |user| user.shown().to_owned()),
        what: Some(what),
    }
}

fn to_claim(claim: &Claim) -> v1::ChangeClaim {
    let hash = |password: &PasswordHash| password.as_str().to_owned();
    let proof = match &claim.proof {
        Proof::None => None,
        Proof::Compared { with, is_right: true } => Some(claim::Proof::Right(hash(with))),
        Proof::Compared { with, is_right: false } => Some(claim::Proof::Wrong(hash(with))),
        Proof::New(password) => Some(claim::Proof::First(hash(password))),
    };
    v1::ChangeClaim {
        device: to_device(claim.device),
        label: claim.label.as_str().to_owned(),
        proof,
        invite: claim.invite.map_or_else(Vec::new, |invite| invite.0.to_vec()).into(),
        registration: claim.registration.to_string(),
        looks: claim.looks.iter().map(|look| look.0.to_vec().into()).collect(),
    }
}

fn from_change(change: v1::AccountChange) -> Option<Change> {
    let name = || UserName::new(&change.user).ok();
    let what = match change.what? {
        change::What::Claim(claim) => What::Claim(from_claim(name()?, claim)?),
        change::What::Approve(approve) => What::Approve {
            name: name()?,
            by: from_device(&approve.by)?,
            device: from_device(&approve.device)?,
            label: DeviceLabel::new(&approve.label),
        },
        change::What::Revoke(revoke) => What::Revoke {
            name: name()?,
            by: from_device(&revoke.by)?,
            device: from_device(&revoke.device)?,
        },
        change::What::Password(password) => What::SetPassword {
            name: name()?,
            by: from_device(&password.by)?,
            password: PasswordHash::stored(&password.hash),
        },
        change::What::Invite(invite) => What::AddInvite {
            invite: from_hash(&invite.hash)?,
            expires: WallTime(invite.expires_s),
        },
        change::What::Import(import) => What::Import(from_import(name()?, &import)?),
    };
    let at = WallTime(change.at_s);
    Some(Change { at, what })
}

fn from_claim(name: UserName, said: v1::ChangeClaim) -> Option<Claim> {
    let compared = |hash: &str, is_right| Proof::Compared {
        with: PasswordHash::stored(hash),
        is_right,
    };
    Some(Claim {
        name,
        device: from_device(&said.device)?,
        label: DeviceLabel::new(&said.label),
        proof: match said.proof {
            None => Proof::None,
            Some(claim::Proof::Right(hash)) => compared(&hash, true),
            Some(claim::Proof::Wrong(hash)) => compared(&hash, false),
            Some(claim::Proof::First(hash)) => Proof::New(PasswordHash::stored(&hash)),
        },
        invite: match said.invite.as_ref() {
            [] => None,
            hash => Some(from_hash(hash)?),
        },
        registration: said.registration.parse().ok()?,
        looks: match said.looks.as_slice() {
            looks @ [_, ..] if looks.len() <= LOOKS_MAX => {
                looks.iter().map(|look| from_look(look)).collect::<Option<_>>()?
            }
            _ => return None,
        },
    })
}

pub(super) fn to_device(device: DeviceId) -> prost::bytes::Bytes {
    device.0.to_vec().into()
}

pub(super) fn from_device(bytes: &[u8]) -> Option<DeviceId> {
    bytes.try_into().ok().map(DeviceId)
}

/// All that is known of a device, of the account with this key.
fn to_known(device: &Device, account: &str) -> v1::WholeDevice {
    v1::WholeDevice {
        device: to_device(device.device),
        account: account.to_owned(),
        label: device.label.as_str().to_owned(),
        added_by: device.added_by.as_str().to_owned(),
        added_s: device.added.0,
        seen_s: device.seen.0,
        revoked_s: device.revoked.map(|time| time.0),
    }
}

fn from_known(said: &v1::WholeDevice) -> Option<Device> {
    Some(Device {
        device: from_device(&said.device)?,
        label: DeviceLabel::new(&said.label),
        added_by: AddedBy::named(&said.added_by)?,
        added: WallTime(said.added_s),
        seen: WallTime(said.seen_s),
        revoked: said.revoked_s.map(WallTime),
    })
}

/// A part of an account of another registry. Its devices are the user's, which is said once.
pub(super) fn to_import(part: &AccountPart) -> v1::ChangeImport {
    v1::ChangeImport {
        version: IMPORT_VERSION,
        password: part.password.as_ref().map_or("", PasswordHash::as_str).to_owned(),
        created_s: part.created.0,
        devices: part.devices.iter().map(|device| to_known(device, "")).collect(),
    }
}

pub(super) fn from_import(name: UserName, said: &v1::ChangeImport) -> Option<AccountPart> {
    if said.version != IMPORT_VERSION || said.devices.len() > PART_DEVICES_MAX {
        return None;
    }
    Some(AccountPart {
        name,
        password: from_password(&said.password),
        created: WallTime(said.created_s),
        devices: said.devices.iter().map(from_known).collect::<Option<_>>()?,
    })
}

fn from_password(stored: &str) -> Option<PasswordHash> {
    (!stored.is_empty()).then(|| PasswordHash::stored(stored))
}

fn from_look(bytes: &[u8]) -> Option<Look> {
    bytes.try_into().ok().map(Look)
}

fn from_hash(bytes: &[u8]) -> Option<InviteHash> {
    bytes.try_into().ok().map(InviteHash)
}

/// All accounts as bytes.
pub(in crate::cluster) fn whole_to_bytes(whole: &Whole) -> Vec<u8> {
    let account = |account: &StoredAccount| v1::WholeAccount {
        user: account.name.shown().to_owned(),
        password: account.password.as_ref().map_or("", PasswordHash::as_str).to_owned(),
        created_s: account.created.0,
    };
    let invite = |invite: &WholeInvite| v1::WholeInvite {
        hash: invite.stored.hash.0.to_vec().into(),
        created_s: invite.stored.created.0,
        expires_s: invite.stored.expires.0,
        used_s: invite.used.map(|time| time.0),
        used_by: invite.stored.used_by.clone().unwrap_or_default(),
    };
    let look = |(look, account): &(Look, String)| v1::WholeLook {
        look: look.0.to_vec().into(),
        account: account.clone(),
    };
    let message = v1::AccountsWhole {
        version: WHOLE_VERSION,
        accounts: whole.accounts.iter().map(account).collect(),
        devices: whole
            .devices
            .iter()
            .map(|of| to_known(&of.device, &of.account))
            .collect(),
        invites: whole.invites.iter().map(invite).collect(),
        looks: whole.looks.iter().map(look).collect(),
    };
    let mut bytes = vec![0; SUM];
    message.encode_raw(&mut bytes);
    let sum = digest(&SHA256, &bytes[SUM..]);
    bytes[..SUM].copy_from_slice(sum.as_ref());
    bytes
}

/// All accounts in these bytes.
pub(in crate::cluster) fn whole_from_bytes(bytes: &[u8]) -> Result<Whole, Unreadable> {
    let (sum, bytes) = bytes.split_at_checked(SUM).ok_or(Unreadable)?;
    if digest(&SHA256, bytes).as_ref() != sum {
        return Err(Unreadable);
    }
    let message = v1::AccountsWhole::decode(bytes).map_err(|_| Unreadable)?;
    if message.version != WHOLE_VERSION {
        return Err(Unreadable);
    }
    from_whole(message).ok_or(Unreadable)
}

fn from_whole(message: v1::AccountsWhole) -> Option<Whole> {
    let account = |account: v1::WholeAccount| {
        Some(StoredAccount {
            name: UserName::new(&account.user).ok()?,
            password: from_password(&account.password),
            created: WallTime(account.created_s),
        })
    };
    let device = |device: v1::WholeDevice| {
        Some(StoredDevice {
            device: from_known(&device)?,
            account: device.account,
        })
    };
    let invite = |invite: v1::WholeInvite| {
        Some(WholeInvite {
            stored: StoredInvite {
                hash: from_hash(&invite.hash)?,
                created: WallTime(invite.created_s),
                expires: WallTime(invite.expires_s),
                used_by: (!invite.used_by.is_empty()).then_some(invite.used_by),
            },
            used: invite.used_s.map(WallTime),
        })
    };
    Some(Whole {
        accounts: message.accounts.into_iter().map(account).collect::<Option<_>>()?,
        devices: message.devices.into_iter().map(device).collect::<Option<_>>()?,
        invites: message.invites.into_iter().map(invite).collect::<Option<_>>()?,
        looks: message
            .looks
            .into_iter()
            .map(|said| Some((from_look(&said.look)?, said.account)))
            .collect::<Option<_>>()?,
    })
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
