//! Invites: secrets that let somebody take a name at a registry that takes not everybody.

use std::{fmt, str::FromStr, time::Duration};

use data_encoding::BASE32_NOPAD;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use zeroize::Zeroizing;

use super::WallTime;

/// How long an invite can be used unless said otherwise.
pub const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Invites that can still be used, at the same time.
pub const OPEN_MAX: usize = 10_000;

const SECRET_BYTES: usize = 16;

/// The secret of an invite: 26 letters and digits. It is shown once, to whoever makes it.
pub struct Invite(Zeroizing<[u8; SECRET_BYTES]>);

/// What is stored of an invite. The secret is random and long, so its plain SHA-256 gives nothing away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InviteHash(pub(crate) [u8; 32]);

/// A text that is no invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an invite is 26 letters and digits, as `peerchat-registry invite` prints it")]
pub struct NoInvite;

/// The system has no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system has no random numbers for an invite")]
pub struct NoRandomness;

/// An invite as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvite {
    /// Its hash.
    pub hash: InviteHash,
    /// When it was made.
    pub created: WallTime,
    /// From when on it can no longer be used.
    pub expires: WallTime,
    /// The key of the name that was taken with it.
    pub used_by: Option<String>,
}

impl Invite {
    /// A new one.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        SystemRandom::new()
            .fill(secret.as_mut_slice())
            .map_err(|_| NoRandomness)?;
        Ok(Self(secret))
    }

    /// What is stored of it.
    pub fn hash(&self) -> InviteHash {
        let hash = digest(&SHA256, self.0.as_slice());
        InviteHash(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// The secret, for the one to whom it is given.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = BASE32_NOPAD.encode(self.0.as_slice());
        text.make_ascii_lowercase();
        Zeroizing::new(text)
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invite …")
    }
}

impl FromStr for Invite {
    type Err = NoInvite;

    /// White space around it and case do not count.
    fn from_str(text: &str) -> Result<Self, NoInvite> {
        let text = Zeroizing::new(text.trim().to_ascii_uppercase());
        let decoded = BASE32_NOPAD.decode(text.as_bytes()).map(Zeroizing::new);
        let secret = decoded
            .map_err(|_| NoInvite)?
            .as_slice()
            .try_into()
            .map_err(|_| NoInvite)?;
        Ok(Self(Zeroizing::new(secret)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_is_read_as_it_is_shown_and_never_shows_itself() {
        let invite = Invite::generate().unwrap();
        let shown = invite.reveal();
        assert_eq!(shown.len(), 26);
        for text in [shown.to_string(), shown.to_uppercase(), format!(" {}\n", *shown)] {
            assert_eq!(text.parse::<Invite>().unwrap().hash(), invite.hash());
        }
        assert!(!format!("{invite:?}").contains(&*shown));
        assert_ne!(Invite::generate().unwrap().hash(), invite.hash());
        for wrong in [
            "",
            "abc",
            &shown[1..],
            &format!("{}a", *shown),
            "ääääääääääääääääääääääääää",
        ] {
            assert_eq!(wrong.parse::<Invite>().unwrap_err(), NoInvite, "{wrong}");
        }
    }
}
