//! Invitations: the secret of a private room, and what follows from it.
//!
//! From secret and name three values are derived, none of which tells anything of the others: the id by which the members know the
//! room, what the registry calls it, and the key of the knocks by which members know one another.

use std::fmt;

use peerchat_proto::base32;
use zeroize::Zeroizing;

use super::types::{DeviceId, NameError, RoomName};

/// The bytes of a secret: nobody guesses it.
pub const SECRET_BYTES: usize = 16;

/// The bytes of a check sum, by which a mistyped invitation is told from a good one.
const CHECK_BYTES: usize = 4;

/// How an invitation begins.
const PREFIX: &str = "invite:";

/// What the values are for that are derived. A change makes other rooms of all invitations.
const ID: &str = "peerchat 2026-11 private room: id among its members";
const AT_REGISTRY: &str = "peerchat 2026-11 private room: name at the registry";
const KNOCKS: &str = "peerchat 2026-11 private room: key of knocks";
const CHECK: &str = "peerchat 2026-11 private room: check sum of an invitation";

/// The secret of a room.
pub type Secret = Zeroizing<[u8; SECRET_BYTES]>;

/// What lets somebody into a private room: its name and its secret. Whoever has it can pass it on.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    name: RoomName,
    secret: Secret,
}

/// A text that is no invitation. Says nothing of the text, most of which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// It has another form.
    #[error("an invitation is {PREFIX}NAME:SECRET, as /invite prints it")]
    Form,
    /// The name breaks a rule.
    #[error("the name in the invitation: {0}")]
    Name(#[from] NameError),
    /// Something in it was changed or is missing.
    #[error("this invitation is not as /invite printed it: a part is missing or was changed")]
    Changed,
}

impl Invitation {
    /// The invitation to the room of this name and secret.
    pub fn new(name: &RoomName, secret: Secret) -> Self {
        let name = RoomName::parse(name.base()).unwrap_or_else(|_| name.clone());
        Self { name, secret }
    }

    /// Whether a text is meant to be an invitation.
    pub fn is_meant(text: &str) -> bool {
        text.get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }

    /// A text without the secret that may be in it, to be repeated to the user.
    pub fn without_secret(text: &str) -> &str {
        let start = text.to_ascii_lowercase().find(PREFIX);
        start.map_or(text, |start| &text[..start + PREFIX.len()])
    }

    /// Reads an invitation as it was typed.
    ///
    /// # Errors
    /// The text is none, or not all of one.
    pub fn read(text: &str) -> Result<Self, InvitationError> {
        let rest = text
            .get(PREFIX.len()..)
            .filter(|_| Self::is_meant(text))
            .ok_or(InvitationError::Form)?;
        let (name, code) = rest.rsplit_once(':').ok_or(InvitationError::Form)?;
        let name = RoomName::new(name)?;
        let code = Zeroizing::new(code.to_ascii_lowercase());
        let bytes = base32::decode::<{ SECRET_BYTES + CHECK_BYTES }>(&code).map(Zeroizing::new);
        let bytes = bytes.ok_or(InvitationError::Changed)?;
        let mut secret = Secret::default();
        secret.copy_from_slice(&bytes[..SECRET_BYTES]);
        let invitation = Self { name, secret };
        if invitation.check() == bytes[SECRET_BYTES..] {
            Ok(invitation)
        } else {
            Err(InvitationError::Changed)
        }
    }

    /// The invitation as it is typed. Only for those who may have it.
    pub fn text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES + CHECK_BYTES]);
        bytes[..SECRET_BYTES].copy_from_slice(&*self.secret);
        bytes[SECRET_BYTES..].copy_from_slice(&self.check());
        let code = Zeroizing::new(base32::encode(&*bytes));
        Zeroizing::new(format!("{PREFIX}{}:{}", self.name, *code))
    }

    /// The room, as its members know it.
    pub fn room(&self) -> RoomName {
        let mut id = [0; 16];
        id.copy_from_slice(&self.derive(ID)[..16]);
        self.name.private(&id)
    }

    fn check(&self) -> [u8; CHECK_BYTES] {
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&self.derive(CHECK)[..CHECK_BYTES]);
        check
    }

    /// The name is part of it, so that another name is another room, whatever the secret.
    fn derive(&self, what_for: &str) -> Zeroizing<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_derive_key(what_for);
        hasher.update(&*self.secret);
        hasher.update(self.name.as_str().as_bytes());
        Zeroizing::new(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for Invitation {
    /// The secret is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invitation to {:?}", self.room())
    }
}

/// What a member of a private room works with.
pub struct Keys {
    invitation: Invitation,
    at_registry: RoomName,
    knocks: Zeroizing<[u8; 32]>,
}

impl Keys {
    /// Those that follow from an invitation.
    pub fn of(invitation: Invitation) -> Self {
        Self {
            at_registry: RoomName::unlisted(&invitation.derive(AT_REGISTRY)),
            knocks: invitation.derive(KNOCKS),
            invitation,
        }
    }

    /// What others are let in with.
    pub fn invitation(&self) -> &Invitation {
        &self.invitation
    }

    /// What the registry calls the room.
    pub fn at_registry(&self) -> &RoomName {
        &self.at_registry
    }

    /// What `from` shows `to`, and only one who has the secret can show: no third one can make anything of it, nor show it himself.
    /// To be compared as it is, which takes equally long whatever it is compared with.
    pub fn proof(&self, from: DeviceId, to: DeviceId) -> blake3::Hash {
        blake3::keyed_hash(&self.knocks, &[from.0, to.0].concat())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys of the {:?}", self.invitation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(secret: u8) -> Invitation {
        Invitation::new(&RoomName::new("Plans").unwrap(), Zeroizing::new([secret; SECRET_BYTES]))
    }

    #[test]
    fn an_invitation_is_read_as_it_is_printed() {
        let text = plans(7).text();
        assert!(text.starts_with("invite:plans:") && text.len() == "invite:plans:".len() + 32);
        assert_eq!(Invitation::read(&text).unwrap(), plans(7));
        assert_eq!(Invitation::read(&text.to_uppercase()).unwrap(), plans(7));
    }

    #[test]
    fn a_changed_invitation_is_refused_and_not_repeated() {
        let text = plans(7).text();
        let mut wrong: Vec<String> = (0..text.len())
            .map(|at| {
                let other = if text.as_bytes()[at] == b'b' { "c" } else { "b" };
                [&text[..at], other, &text[at + 1..]].concat()
            })
            .collect();
        wrong.extend([
            text[..text.len() - 1].to_owned(),
            format!("{}a", *text),
            "invite:".into(),
        ]);
        wrong.extend([
            "invite:plans".to_owned(),
            "invite:a b:c".into(),
            "lobby".into(),
            "ínvite:x".into(),
        ]);
        let secret = &text[text.len() - 32..];
        for wrong in wrong {
            let error = Invitation::read(&wrong).expect_err(&wrong).to_string();
            assert!(!error.contains(&secret[..8]), "{error}");
        }
    }

    #[test]
    fn what_is_repeated_to_the_user_has_no_secret() {
        let line = format!("/jion {}", *plans(7).text());
        assert_eq!(Invitation::without_secret(&line), "/jion invite:");
        assert_eq!(Invitation::without_secret("/join é lobby"), "/join é lobby");
        assert_eq!(Invitation::without_secret("é Invite:x"), "é Invite:");
    }

    #[test]
    fn all_that_is_derived_differs_and_tells_nothing_of_the_name() {
        let keys = Keys::of(plans(7));
        let (room, at_registry) = (plans(7).room(), keys.at_registry());
        assert_eq!(room.base(), "plans");
        assert!(at_registry.is_unlisted() && !at_registry.as_str().contains(room.id().unwrap()));
        assert_ne!(room, plans(8).room());
        assert_ne!(keys.at_registry(), Keys::of(plans(8)).at_registry());
        let other = Invitation::new(&RoomName::new("other").unwrap(), Zeroizing::new([7; SECRET_BYTES]));
        assert_ne!(room.id(), other.room().id());
        assert_ne!(keys.at_registry(), Keys::of(other).at_registry());
        let shown = format!("{keys:?} {:?}", plans(7));
        assert!(
            !shown.contains(&plans(7).text()[13..21]) && !shown.contains("[7, 7"),
            "{shown}"
        );
    }

    #[test]
    fn a_proof_is_of_one_device_for_another() {
        let (a, b, c) = (DeviceId([1; 32]), DeviceId([2; 32]), DeviceId([3; 32]));
        let keys = Keys::of(plans(7));
        assert_eq!(keys.proof(a, b), Keys::of(plans(7)).proof(a, b));
        for other in [
            keys.proof(b, a),
            keys.proof(a, c),
            keys.proof(c, b),
            Keys::of(plans(8)).proof(a, b),
        ] {
            assert_ne!(keys.proof(a, b), other);
        }
    }
}
