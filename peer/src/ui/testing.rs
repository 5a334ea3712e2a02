//! Values for tests.

use crate::node::{
    event::Line,
    private::Invitation,
    types::{Author, Conversation, DeviceId, EntryId, Lamport, RoomName, Seq, UserName, WallTime},
};

pub(crate) fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

pub(crate) fn room(name: &str) -> Conversation {
    Conversation::Room(RoomName::new(name).unwrap())
}

/// A private room of this name.
pub(crate) fn private(name: &str, secret: u8) -> Invitation {
    Invitation::new(&RoomName::new(name).unwrap(), [secret; 16].into())
}

pub(crate) fn author(device: u8) -> Author {
    Author {
        device: DeviceId([device; 32]),
        incarnation: 0x1f,
    }
}

/// A line of #lobby at 2026-01-31T14:02:07.042Z.
pub(crate) fn line(name: &str, text: &str) -> Line {
    Line {
        conversation: room("lobby"),
        id: EntryId([7; 32]),
        user: user(name),
        author: author(11),
        seq: Seq(4),
        lamport: Lamport(17),
        version: 13,
        sent_at: WallTime(1_769_868_127_042),
        text: Some(text.into()),
    }
}
