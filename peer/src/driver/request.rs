//! What a user asks of his peer. Answers come as [`Event`](crate::node::event::Event)s, in the order of the requests as far as
//! nobody else must be asked.

use std::fmt;

use zeroize::Zeroizing;

use crate::node::{
    people::Wish,
    private::Invitation,
    types::{Conversation, RoomName, UserName},
};

/// One thing that the user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Be in a room, which is created where it is not there. Answered by `Joined`, then `Synced`; or by `NotEntered`.
    Join(RoomName),
    /// Be in a private room, new or not. Answered as `Join`.
    JoinPrivate(Invitation),
    /// What others enter a private room with. Answered by `Invitation`, or by a notice.
    Invite(Conversation),
    /// Open the direct conversation with a user. Answered by `Joined`, then `Synced`; or by `NotEntered`.
    Open(UserName),
    /// Be in a room no longer, or close a direct conversation (its log stays). Answered by `Left`.
    Leave(Conversation),
    /// Say something. Answered by `Sent` once it is in the own log, then by `Delivered` per member. What is said while a
    /// conversation is being joined waits until its history is there, so that it does not sort before it.
    Write {
        /// Where.
        conversation: Conversation,
        /// What.
        text: String,
    },
    /// Something about somebody. Answered by `People`.
    People(Wish),
    /// The last entries. Answered by `Replay`.
    History {
        /// Of which conversation.
        conversation: Conversation,
        /// How many.
        last: usize,
    },
    /// The entries that contain a text, case and width folded. Answered by `Replay`.
    Search {
        /// In which conversation.
        conversation: Conversation,
        /// What to look for.
        text: String,
        /// How many of the latest hits to show.
        last: usize,
    },
    /// The version. Answered by `Version`.
    Version(Conversation),
    /// Who is there. Answered by `Who`.
    Who(Conversation),
    /// Own conversations and the registry's rooms. Answered by `List`.
    List,
    /// How registries and links stand. Answered by `Status`.
    Status,
    /// Something about the user's account at the registry. Answered by `Account`, or by a notice where it is refused.
    Account(AccountAsk),
    /// This conversation is current from now on: remembered for the next start. Not answered.
    Current(Conversation),
    /// End in order. Answered by `Bye`.
    Quit,
}

/// What can be asked about one's own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountAsk {
    /// Which devices it has.
    Devices,
    /// Make the device that shows this code one of them.
    Approve(String),
    /// End the device whose id begins with this.
    Revoke(String),
    /// Set the password.
    SetPassword(Secret),
}

/// A text that is nobody else's business: wiped from memory at its end, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a secret.
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// What it is.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
