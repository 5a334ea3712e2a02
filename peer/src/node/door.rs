//! How rooms are named by those who type: the way into one, and a private one among those that somebody is in.

use std::fmt;

use peerchat_proto::{
    base32,
    names::{ID_SHOWN, RoomId},
};

use super::{
    private::{Invitation, InvitationError},
    types::{NameError, RoomName},
};

/// The way into a room, as somebody types it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// By its name: one that is open to all, or a private one to which the invitation is kept.
    Name(RoomName),
    /// By an invitation.
    Invitation(Invitation),
}

/// A text that is no way into a room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// The name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The invitation is none.
    #[error(transparent)]
    Invitation(#[from] InvitationError),
}

impl Door {
    /// Reads the name of a room, with or without `#`, or an invitation.
    ///
    /// # Errors
    /// It is neither.
    pub fn read(text: &str) -> Result<Self, DoorError> {
        if Invitation::is_meant(text) {
            return Ok(Self::Invitation(Invitation::read(text)?));
        }
        Ok(Self::Name(RoomName::parse(text.strip_prefix('#').unwrap_or(text))?))
    }
}

/// A private room as somebody names it who need not type all of its id: `plans:x7k2`, or `plans` where that is clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    name: RoomName,
    id: String,
}

impl Called {
    /// Any private room of this name.
    pub fn by(name: &RoomName) -> Self {
        Self {
            name: name.clone(),
            id: String::new(),
        }
    }

    /// Reads `name:` and the beginning of an id, as the screen shows it; none where there is no `:`.
    ///
    /// # Errors
    /// The name breaks a rule, or so begins no id.
    pub fn read(text: &str) -> Result<Option<Self>, NameError> {
        let Some((name, id)) = text.split_once(':') else {
            return Ok(None);
        };
        let name = RoomName::new(name)?;
        let id = id.trim_end_matches('…').to_lowercase();
        if id.len() >= ID_SHOWN && base32::is_start(&id, size_of::<RoomId>()) {
            Ok(Some(Self { name, id }))
        } else {
            Err(NameError::Reserved(':'))
        }
    }

    /// Whether a room is called so.
    pub fn is(&self, room: &RoomName) -> bool {
        room.base() == self.name.as_str() && room.id().is_some_and(|id| id.starts_with(&self.id))
    }
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}:{}", self.name, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::private::Secret;

    fn plans() -> Invitation {
        Invitation::new(&RoomName::new("plans").unwrap(), Secret::default())
    }

    #[test]
    fn a_door_is_a_name_or_an_invitation() {
        let name = |name| RoomName::parse(name).unwrap();
        assert_eq!(Door::read("#Lobby"), Ok(Door::Name(name("lobby"))));
        let private = plans().room();
        assert_eq!(Door::read(private.as_str()), Ok(Door::Name(private)));
        assert_eq!(Door::read(&plans().text()), Ok(Door::Invitation(plans())));
        assert!(matches!(Door::read("a b"), Err(DoorError::Name(_))));
        assert!(matches!(Door::read("invite:x"), Err(DoorError::Invitation(_))));
    }

    #[test]
    fn a_private_room_is_called_by_the_start_of_its_id() {
        let room = plans().room();
        for called in [room.label(), room.as_str().to_owned(), room.as_str()[..10].to_owned()] {
            assert!(Called::read(&called).unwrap().unwrap().is(&room), "{called}");
        }
        assert!(Called::by(&RoomName::new("plans").unwrap()).is(&room));
        assert!(!Called::by(&RoomName::new("plans").unwrap()).is(&RoomName::new("plans").unwrap()));
        assert_eq!(Called::read("plans:x7k"), Err(NameError::Reserved(':')));
        assert_eq!(Called::read("plans"), Ok(None));
        assert!(Called::read("a b:c").is_err());
    }
}
