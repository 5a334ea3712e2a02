//! One of the others, and what it writes.

use std::sync::Arc;

use super::{AUTHORITY, encode, room};
use crate::node::{
    PeerAddress,
    types::{Author, Body, Conversation, DeviceId, Draft, Entry, Heights, Lamport, Seen, Seq, UserName, WallTime},
};

/// One of the others: its user, who has one device.
#[derive(Clone, Copy)]
pub(in crate::node) struct Other(pub(in crate::node) u8, pub(in crate::node) &'static str);

impl Other {
    pub(in crate::node) fn device(self) -> DeviceId {
        DeviceId([self.0; 32])
    }

    pub(in crate::node) fn author(self, incarnation: u64) -> Author {
        let device = self.device();
        Author { device, incarnation }
    }

    pub(in crate::node) fn user(self) -> UserName {
        UserName::new(self.1).unwrap()
    }

    pub(in crate::node) fn address(self) -> PeerAddress {
        PeerAddress {
            user: self.user(),
            device: self.device(),
            address: format!("{}:1", self.1),
        }
    }

    /// The first entry of an author of its own.
    pub(in crate::node) fn first(self, incarnation: u64) -> Arc<Entry> {
        self.write(incarnation, None, &[])
    }

    /// The entry after `last`, which has seen entries of others that have the Lamport time 1.
    pub(in crate::node) fn write(self, incarnation: u64, last: Option<&Entry>, seen: &[Seen]) -> Arc<Entry> {
        self.write_in(room(), incarnation, last, seen)
    }

    /// The same in another conversation.
    pub(in crate::node) fn write_in(
        self,
        conversation: Conversation,
        incarnation: u64,
        last: Option<&Entry>,
        seen: &[Seen],
    ) -> Arc<Entry> {
        let mut greatest = last.map(|last| last.lamport).unwrap_or_default();
        greatest.0 = greatest.0.max(u64::from(!seen.is_empty()));
        self.written(conversation, incarnation, last, seen, Lamport(greatest.0 + 1))
    }

    /// The same in the room, with a Lamport time of the test's choice.
    pub(in crate::node) fn write_at(
        self,
        incarnation: u64,
        last: Option<&Entry>,
        seen: &[Seen],
        lamport: Lamport,
    ) -> Arc<Entry> {
        self.written(room(), incarnation, last, seen, lamport)
    }

    fn written(
        self,
        conversation: Conversation,
        incarnation: u64,
        last: Option<&Entry>,
        seen: &[Seen],
        lamport: Lamport,
    ) -> Arc<Entry> {
        encode(Draft {
            conversation,
            author: self.author(incarnation),
            seq: last.map(|last| last.seq).unwrap_or_default().next(),
            user: last.is_none().then(|| self.user()),
            previous: last.map_or(AUTHORITY.origin(), |last| last.id),
            seen: seen.to_vec(),
            lamport,
            sent_at: WallTime::default(),
            body: Body::Text("text".into()),
        })
    }

    /// So many entries of one author.
    pub(in crate::node) fn chain(self, incarnation: u64, count: usize) -> Vec<Arc<Entry>> {
        let mut chain: Vec<Arc<Entry>> = Vec::new();
        for _ in 0..count {
            chain.push(self.write(incarnation, chain.last().map(AsRef::as_ref), &[]));
        }
        chain
    }

    /// What it says that it holds of its own.
    pub(in crate::node) fn holds(self, count: u64) -> Heights {
        Heights([(self.author(1), Seq(count))].into())
    }
}
