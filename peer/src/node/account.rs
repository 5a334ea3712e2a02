//! The user's account at the registry, as far as the user is told of it.

use super::types::{DeviceId, WallTime};

/// What is new about the user's account at the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountNews {
    /// These are its devices.
    Devices {
        /// Those that were not revoked, in the order in which they came.
        devices: Vec<OwnDevice>,
        /// It can be entered with a password.
        has_password: bool,
    },
    /// A device is one of the user's from now on.
    Approved {
        /// Which.
        device: DeviceId,
        /// What it calls itself.
        label: String,
    },
    /// A device is one of the user's no longer.
    Revoked(DeviceId),
    /// The account has another password.
    PasswordSet,
    /// This device waits to be approved: on another device of the user, who types this code.
    Code {
        /// The code.
        code: String,
        /// For how long it can be approved, in seconds.
        valid_s: u64,
    },
}

/// A device of the user's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDevice {
    /// Which.
    pub device: DeviceId,
    /// What it calls itself.
    pub label: String,
    /// When it was added.
    pub added: WallTime,
    /// When it last logged in.
    pub seen: WallTime,
    /// It is logged in.
    pub online: bool,
    /// It is this one.
    pub here: bool,
}
