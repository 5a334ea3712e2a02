//! What changes accounts, as a value: whatever decides in which order changes happen can carry it about. All that a decision depends on beside
//! what is stored is in it, the time and the operator's policy among it; so where the same changes are made in the same order, the same is stored.
//!
//! That a known device is back is none: it changes nothing that another registry needs.

use peerchat_proto::names::UserName;

use super::{
    DeviceLabel, WallTime,
    importing::{AccountPart, Imported},
    invite::InviteHash,
    looks::Look,
    password::PasswordHash,
    rules::{Decision, Registration},
};
use crate::routes::DeviceId;

/// A change, as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When it was wanted, by the clock of the registry that was asked.
    pub at: WallTime,
    /// What is to change.
    pub what: What,
}

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Somebody wants to get in who is not in yet.
    Claim(Claim),
    /// A device lets another one in.
    Approve {
        /// Whose both are to be.
        name: UserName,
        /// The one that is in.
        by: DeviceId,
        /// The new one.
        device: DeviceId,
        /// What that calls itself.
        label: DeviceLabel,
    },
    /// A device ends one of its account for ever.
    Revoke {
        /// Whose both are.
        name: UserName,
        /// The one that wishes it.
        by: DeviceId,
        /// The one that ends.
        device: DeviceId,
    },
    /// A device gives its account a password, or another one.
    SetPassword {
        /// Whose it is.
        name: UserName,
        /// The device that wishes it.
        by: DeviceId,
        /// What is stored of the password.
        password: PasswordHash,
    },
    /// The operator has made an invite.
    AddInvite {
        /// What is stored of it.
        invite: InviteHash,
        /// From when on it can no longer be used.
        expires: WallTime,
    },
    /// The operator brings a part of an account that another registry had.
    Import(AccountPart),
}

/// Somebody who wants to get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// As whom.
    pub name: UserName,
    /// With which device, proved by TLS.
    pub device: DeviceId,
    /// What it calls itself.
    pub label: DeviceLabel,
    /// The password.
    pub proof: Proof,
    /// The invite.
    pub invite: Option<InviteHash>,
    /// Whether new names are given away.
    pub registration: Registration,
    /// What the name looks like, by the tables of the registry that was asked.
    pub looks: Vec<Look>,
}

/// What is known of the caller's password before the change is made, which is too short a time to hash in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Nothing.
    None,
    /// It was compared with this hash.
    Compared {
        /// With which.
        with: PasswordHash,
        /// It fits.
        is_right: bool,
    },
    /// The name was free: this is to be its password.
    New(PasswordHash),
}

/// What a change has done.
#[derive(Debug, Clone)]
pub enum Done {
    /// Somebody is in.
    LetIn(Settled),
    /// A device is ended.
    Revoked {
        /// It was not before.
        is_new: bool,
    },
    /// A part of an account was taken in, as far as nothing was against it.
    Imported(Imported),
    /// What was wanted.
    Plainly,
}

/// He is in.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The user's name as its owner writes it.
    pub user: UserName,
    /// [`Decision::Create`], [`Decision::Welcome`] or [`Decision::AddDevice`].
    pub decision: Decision,
}
