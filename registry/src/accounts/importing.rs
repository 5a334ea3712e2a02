//! Accounts that another registry had, on their way into these: in how many parts each goes, and what becomes of a part here. Pure.
//!
//! Nothing that is here is taken from anybody: a name that is somebody else's stays his, and so does a device. The same part twice changes nothing more.

use std::collections::VecDeque;

use peerchat_proto::names::UserName;

use super::{
    WallTime,
    password::PasswordHash,
    rules::{DEVICES_EVER_MAX, DEVICES_MAX},
    store::{Device, StoredAccount},
};
use crate::routes::DeviceId;

/// The most devices of one part, so that each fits into one change of a cluster: all that can be live are in the first.
pub const PART_DEVICES_MAX: usize = DEVICES_MAX;

/// An account as it was elsewhere, with some of its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountPart {
    /// Its name.
    pub name: UserName,
    /// What is stored of its password.
    pub password: Option<PasswordHash>,
    /// When the name was taken.
    pub created: WallTime,
    /// [`PART_DEVICES_MAX`] at most.
    pub devices: Vec<Device>,
}

/// What has become of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Of its account.
    pub account: Fate,
    /// How many of its devices are new here.
    pub added: usize,
    /// Those that were not taken.
    pub skipped: Vec<SkippedDevice>,
}

impl Imported {
    /// Whether the account is here now.
    pub fn is_taken(&self) -> bool {
        matches!(self.account, Fate::Made | Fate::Known)
    }

    /// Whether a device of the part is one of the account's here now. Of an account that was not taken none is, whatever it is here.
    pub fn has(&self, device: DeviceId) -> bool {
        self.is_taken() && self.skipped.iter().all(|skipped| skipped.device != device)
    }
}

/// What has become of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The name was free.
    Made,
    /// It was here already.
    Known,
    /// The name is somebody else's here, so nothing was done.
    NameTaken,
    /// Nobody could ever log in: it has no password, and all of its devices are other users' here. So the name stays free.
    LeftOut,
}

/// A device that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedDevice {
    /// Which.
    pub device: DeviceId,
    /// Why not.
    pub why: Skipped,
}

/// Why a device was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// It is another account's.
    #[error("it is a device of {0} there")]
    OfAnother(String),
    /// It was revoked elsewhere.
    #[error("it was revoked, and is in use there: revoke it there if that still holds")]
    InUse,
    /// As many as there can be.
    #[error("its user has as many devices there as can be")]
    NoRoom,
}

/// An account that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHere {
    /// When its name was taken.
    pub created: WallTime,
    /// What is stored of its password.
    pub password: Option<PasswordHash>,
    /// Its devices that may log in.
    pub live: usize,
    /// Those and the revoked ones.
    pub ever: usize,
}

/// A device that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceHere {
    /// The key of its account's name.
    pub account: String,
    /// It can never log in again.
    pub is_revoked: bool,
}

/// What is to be done with a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<'a> {
    /// What is told of the account.
    pub account: Fate,
    /// The account that is here has no password, and takes that of the part.
    pub sets_password: bool,
    /// Devices to be stored.
    pub adds: Vec<&'a Device>,
    /// Devices that are not taken.
    pub skipped: Vec<SkippedDevice>,
}

/// The first part of an account, and the devices that are left for [`next_part`]: those that are live come first.
pub fn first_part(account: &StoredAccount, mut devices: Vec<Device>) -> (AccountPart, VecDeque<Device>) {
    devices.sort_by_key(|device| device.revoked.is_some());
    let rest = devices.split_off(devices.len().min(PART_DEVICES_MAX));
    let part = AccountPart {
        name: account.name.clone(),
        password: account.password.clone(),
        created: account.created,
        devices,
    };
    (part, rest.into())
}

/// The part after the first one, of which this has become: its first device is one that was taken, by which the account is known again.
/// None at the end, or where nothing was taken.
pub fn next_part(first: &AccountPart, became: &Imported, rest: &mut VecDeque<Device>) -> Option<AccountPart> {
    let known_by = first.devices.iter().find(|device| became.has(device.device))?;
    if rest.is_empty() {
        return None;
    }
    let more = rest.drain(..rest.len().min(PART_DEVICES_MAX - 1));
    Some(AccountPart {
        devices: std::iter::once(known_by.clone()).chain(more).collect(),
        ..first.clone()
    })
}

/// What is to be done with a part, where `account` has its name and `devices` are what is here of its devices, in its order.
pub fn judge<'a>(part: &'a AccountPart, account: Option<&AccountHere>, devices: &[Option<DeviceHere>]) -> Plan<'a> {
    let mut plan = Plan {
        account: Fate::NameTaken,
        sets_password: false,
        adds: Vec::new(),
        skipped: Vec::new(),
    };
    if let Some(account) = account {
        if !is_same(part, account, devices) {
            return plan;
        }
        plan.account = Fate::Known;
        plan.sets_password = account.password.is_none() && part.password.is_some();
    }
    let (mut live, mut ever) = account.map_or((0, 0), |account| (account.live, account.ever));
    for (device, here) in part.devices.iter().zip(devices) {
        let is_live = device.revoked.is_none();
        let why = match here {
            Some(here) if here.account != part.name.key() => Skipped::OfAnother(here.account.clone()),
            Some(here) if !is_live && !here.is_revoked => Skipped::InUse,
            Some(_) => continue,
            None if ever >= DEVICES_EVER_MAX || (is_live && live >= DEVICES_MAX) => Skipped::NoRoom,
            None => {
                ever += 1;
                live += usize::from(is_live);
                plan.adds.push(device);
                continue;
            }
        };
        let device = device.device;
        plan.skipped.push(SkippedDevice { device, why });
    }
    if account.is_none() {
        let is_of_use = part.password.is_some() || !plan.adds.is_empty();
        plan.account = if is_of_use { Fate::Made } else { Fate::LeftOut };
    }
    plan
}

/// Whether the account that has the name here is this one: it was imported before, or its user has taken his name anew with a device
/// that counts on both sides, and that could let in the others by itself.
fn is_same(part: &AccountPart, account: &AccountHere, devices: &[Option<DeviceHere>]) -> bool {
    let shared = |is_enough: &dyn Fn(&Device, &DeviceHere) -> bool| {
        let mut pairs = part.devices.iter().zip(devices);
        pairs.any(|(device, here)| {
            let here = here.as_ref().filter(|here| here.account == part.name.key());
            here.is_some_and(|here| is_enough(device, here))
        })
    };
    let has_its_password = part.password.is_some() && part.password == account.password;
    let was_imported = account.created == part.created && (has_its_password || shared(&|_, _| true));
    was_imported || shared(&|device, here| device.revoked.is_none() && !here.is_revoked)
}

#[cfg(test)]
#[path = "importing_tests.rs"]
mod tests;
