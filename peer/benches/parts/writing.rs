//! Entries of one author, one after the other, as a member writes them.

use std::sync::Arc;

use peerchat::{
    net::convert::encoder,
    node::types::{
        Author, Authority, Body, Conversation, DeviceId, Draft, Encode, Entry, Lamport, RoomName, Seq, UserName,
        WallTime,
    },
    seal::TagKey,
};

/// Under which the room is.
pub const AUTHORITY: Authority = Authority([0xa0; 32]);

pub fn room_name() -> RoomName {
    RoomName::new("bench").unwrap()
}

/// As a peer encodes what its user says.
pub fn encode() -> Encode {
    encoder(TagKey::of_device(|_| [1; 64]))
}

pub fn room() -> Conversation {
    Conversation::Room(room_name())
}

/// The author of an endless log.
pub struct Writer {
    text: String,
    encode: Encode,
    last: Option<Arc<Entry>>,
}

impl Writer {
    /// Whose texts are so long.
    pub fn new(bytes: usize) -> Self {
        Self {
            text: "x".repeat(bytes),
            encode: encode(),
            last: None,
        }
    }

    pub fn user(&self) -> UserName {
        UserName::new("bob").unwrap()
    }

    pub fn device(&self) -> DeviceId {
        DeviceId([2; 32])
    }
}

impl Iterator for Writer {
    type Item = Arc<Entry>;

    fn next(&mut self) -> Option<Arc<Entry>> {
        let last = self.last.as_deref();
        let seq = last.map_or(1, |last| last.seq.0 + 1);
        let entry = (self.encode.0)(Draft {
            conversation: room(),
            author: Author {
                device: self.device(),
                incarnation: 1,
            },
            seq: Seq(seq),
            user: (seq == 1).then(|| self.user()),
            previous: last.map_or(AUTHORITY.origin(), |last| last.id),
            seen: Vec::new(),
            lamport: Lamport(seq),
            sent_at: WallTime(0),
            body: Body::Text(self.text.clone()),
        });
        self.last = Some(Arc::clone(&entry));
        Some(entry)
    }
}
