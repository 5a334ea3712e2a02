//! Who gets in: what is stored about a name and a device, and what the caller brings, give a decision. Pure.

use std::{fmt, str::FromStr};

/// Live devices of one account.
pub const DEVICES_MAX: usize = 32;

/// Devices that an account ever had. Revoked ones are never forgotten, so that they never come back.
pub const DEVICES_EVER_MAX: usize = 1_024;

/// Who may take a free name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Registration {
    /// Everybody.
    #[default]
    Open,
    /// Whoever brings an invite.
    Invite,
    /// Nobody.
    Closed,
}

impl Registration {
    const ALL: [(Self, &str); 3] = [(Self::Open, "open"), (Self::Invite, "invite"), (Self::Closed, "closed")];
}

impl FromStr for Registration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|(_, word)| *word == text);
        found.map(|(mode, _)| mode).ok_or("expected open, invite or closed")
    }
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL
            .iter()
            .find(|(mode, _)| mode == self)
            .map_or("", |(_, word)| word);
        f.write_str(word)
    }
}

/// What is stored about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// The name is free.
    Nothing,
    /// It is somebody's.
    Account {
        /// Devices that may log in.
        live: usize,
        /// Those and the revoked ones.
        ever: usize,
        /// It can be entered with a password.
        has_password: bool,
    },
}

/// What is stored about the device whose key the caller has proved to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// Nothing.
    Unknown,
    /// It is one of the account in question.
    Live,
    /// It was revoked, by whichever account it had.
    Revoked,
    /// It is one of another account.
    OfAnother,
}

/// What came of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordResult {
    /// None was given, or there was none to compare it with.
    None,
    /// The account's.
    Right,
    /// Another one.
    Wrong,
}

/// What came of an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteState {
    /// None was given.
    None,
    /// It can be used.
    Good,
    /// There is no such invite.
    Unknown,
    /// Somebody has used it.
    Used,
    /// It is too old.
    Expired,
}

/// What the caller brings beside the device's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brought {
    /// A password.
    pub password: PasswordResult,
    /// An invite.
    pub invite: InviteState,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The name becomes the caller's, with this device as its first.
    Create {
        /// The invite is used up by it.
        uses_invite: bool,
    },
    /// A known device is back.
    Welcome,
    /// The device becomes one of the account.
    AddDevice,
    /// Nothing, and the caller is told why.
    Refuse(Refusal),
}

/// Why somebody does not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is somebody's, and nothing shows that it is the caller's.
    #[error("this name is taken; {}", if *.has_password {
        "if it is yours, give its password, or approve this device on one that is logged in"
    } else {
        "if it is yours, approve this device on one that is logged in"
    })]
    NameTaken {
        /// A password would do.
        has_password: bool,
    },
    /// The password is not the account's.
    #[error("wrong password")]
    WrongPassword,
    /// Once revoked, always revoked.
    #[error("this device was revoked and can never log in again; start with a new data folder")]
    DeviceRevoked,
    /// One key is one user's.
    #[error("this device is another user's; give each user a data folder of its own")]
    DeviceOfAnother,
    /// Nobody gets a new name.
    #[error("this registry takes no new users")]
    RegistrationClosed,
    /// A new name needs an invite.
    #[error(
        "this registry takes new users only with an invite; ask whoever runs it for one, write it into a file of your own (chmod 600), \
        and start with --invitation-file FILE"
    )]
    InviteNeeded,
    /// It was never made here.
    #[error("this registry knows no such invite")]
    InviteUnknown,
    /// It was used.
    #[error("this invite has been used")]
    InviteUsed,
    /// It is over.
    #[error("this invite has expired")]
    InviteExpired,
    /// [`DEVICES_MAX`] or [`DEVICES_EVER_MAX`].
    #[error("this user has as many devices as can be; revoke one that is no longer used")]
    TooManyDevices,
    /// Nobody could log in as this user any more.
    #[error("this is the only device of a user without a password, who could never log in again; set a password first")]
    LastDevice,
    /// Nobody has the name.
    #[error("nobody has this name here; mind the spelling, or log in to take it")]
    NoSuchUser,
    /// The caller has not logged in as this user, or no longer may.
    #[error("this device is not one of the user's")]
    NotADevice,
}

impl Refusal {
    /// Whether somebody wanted a free name who may not take one.
    pub fn is_of_a_new_user(self) -> bool {
        use Refusal::*;
        matches!(
            self,
            RegistrationClosed | InviteNeeded | InviteUnknown | InviteUsed | InviteExpired
        )
    }

    /// Whether it stays so whatever is changed later: then who lacks the latest changes may say it too.
    pub fn is_for_ever(self) -> bool {
        matches!(self, Self::DeviceRevoked | Self::DeviceOfAnother)
    }
}

/// Whether the caller gets in.
pub fn decide(stored: Stored, device: DeviceState, brought: Brought, registration: Registration) -> Decision {
    use Decision::*;
    match (device, stored) {
        (DeviceState::Revoked, _) => Refuse(Refusal::DeviceRevoked),
        (DeviceState::OfAnother, _) => Refuse(Refusal::DeviceOfAnother),
        (DeviceState::Live, Stored::Account { .. }) => Welcome,
        (DeviceState::Unknown, Stored::Account { has_password, .. }) => match brought.password {
            PasswordResult::None => Refuse(Refusal::NameTaken { has_password }),
            PasswordResult::Wrong => Refuse(Refusal::WrongPassword),
            PasswordResult::Right => has_room(stored).map_or_else(Refuse, |()| AddDevice),
        },
        (DeviceState::Unknown | DeviceState::Live, Stored::Nothing) => {
            may_create(registration, brought.invite).map_or_else(Refuse, |uses_invite| Create { uses_invite })
        }
    }
}

/// Whether a free name can be taken, and whether that uses up the invite. An open registry leaves it unused.
fn may_create(registration: Registration, invite: InviteState) -> Result<bool, Refusal> {
    match (registration, invite) {
        (Registration::Open, _) => Ok(false),
        (Registration::Closed, _) => Err(Refusal::RegistrationClosed),
        (Registration::Invite, InviteState::Good) => Ok(true),
        (Registration::Invite, InviteState::None) => Err(Refusal::InviteNeeded),
        (Registration::Invite, InviteState::Unknown) => Err(Refusal::InviteUnknown),
        (Registration::Invite, InviteState::Used) => Err(Refusal::InviteUsed),
        (Registration::Invite, InviteState::Expired) => Err(Refusal::InviteExpired),
    }
}

fn has_room(stored: Stored) -> Result<(), Refusal> {
    match stored {
        Stored::Account { live, ever, .. } if live < DEVICES_MAX && ever < DEVICES_EVER_MAX => Ok(()),
        Stored::Account { .. } => Err(Refusal::TooManyDevices),
        Stored::Nothing => Err(Refusal::NotADevice),
    }
}

/// Whether one device of an account may make another one a device of it.
///
/// # Errors
/// Why not.
pub fn may_approve(stored: Stored, approver: DeviceState, newcomer: DeviceState) -> Result<(), Refusal> {
    if approver != DeviceState::Live {
        return Err(Refusal::NotADevice);
    }
    match newcomer {
        // It came in with the password meanwhile.
        DeviceState::Live => Ok(()),
        DeviceState::Unknown => has_room(stored),
        DeviceState::Revoked => Err(Refusal::DeviceRevoked),
        DeviceState::OfAnother => Err(Refusal::DeviceOfAnother),
    }
}

/// Whether one device of an account may end another one, or itself.
///
/// # Errors
/// Why not.
pub fn may_revoke(stored: Stored, by: DeviceState, device: DeviceState) -> Result<(), Refusal> {
    match (by, device, stored) {
        (DeviceState::Live, DeviceState::Revoked, _) => Ok(()),
        (DeviceState::Live, DeviceState::Live, Stored::Account { live, has_password, .. }) => {
            if live > 1 || has_password {
                Ok(())
            } else {
                Err(Refusal::LastDevice)
            }
        }
        _ => Err(Refusal::NotADevice),
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
