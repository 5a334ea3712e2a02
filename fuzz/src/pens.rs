//! Authors with entries of their own making, and a notary that is as cheap as can be.

use std::sync::Arc;

use bytes::Bytes;
use peerchat::{
    net::convert,
    node::{
        sealing::Seal,
        types::{
            Author, Authority, Body, Conversation, DeviceId, Draft, Entry, EntryId, Lamport, RoomName, Seen, Seq,
            UserName, WallTime,
        },
    },
    seal::{Judge, Notary, SharedNotary, TagKey, make},
};

/// Under which all of it is.
pub const AUTHORITY: Authority = Authority([0xa0; 32]);

/// Signs with a hash that anybody can make.
#[derive(Debug)]
pub struct HashNotary {
    device: DeviceId,
    tags: TagKey,
}

impl HashNotary {
    /// That of a device.
    pub fn shared(device: DeviceId) -> SharedNotary {
        let tags = TagKey::of_device(|message| signed(&device, message));
        Arc::new(Self { device, tags })
    }
}

fn signed(device: &DeviceId, message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    let mut hasher = blake3::Hasher::new_keyed(&device.0);
    hasher.update(message).finalize_xof().fill(&mut signature);
    signature
}

impl Judge for HashNotary {
    fn is_signed(&self, device: &DeviceId, message: &[u8], signature: &[u8; 64]) -> bool {
        signed(device, message) == *signature
    }

    fn introduced(&self, certificate: &[u8]) -> Result<(DeviceId, UserName), String> {
        let (device, user) = certificate.split_first_chunk::<32>().ok_or("too short")?;
        let user = std::str::from_utf8(user).map_err(|error| error.to_string())?;
        Ok((
            DeviceId(*device),
            UserName::new(user).map_err(|error| error.to_string())?,
        ))
    }
}

impl Notary for HashNotary {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        signed(&self.device, message)
    }

    fn tag_key(&self) -> &TagKey {
        &self.tags
    }
}

/// A user's name that is one.
pub fn user(name: &str) -> UserName {
    UserName::new(name).expect("a name")
}

/// A device.
pub fn device(n: u8) -> DeviceId {
    DeviceId([n; 32])
}

/// The one room that most targets have.
pub fn room() -> Conversation {
    Conversation::Room(RoomName::new("lobby").expect("a name"))
}

/// An author who writes entries and seals them.
#[derive(Clone)]
pub struct Pen {
    /// Who.
    pub author: Author,
    /// Whose.
    pub user: UserName,
    /// Where.
    pub conversation: Conversation,
    /// What was written last.
    pub last: Option<(Seq, EntryId, Lamport)>,
    notary: SharedNotary,
}

impl Pen {
    /// That of the device with this number, in the room.
    pub fn new(n: u8) -> Self {
        Self::of(n, user(&format!("user-{n}")), room())
    }

    /// That of a user's device in a conversation.
    pub fn of(n: u8, user: UserName, conversation: Conversation) -> Self {
        let author = Author {
            device: device(n),
            incarnation: n.into(),
        };
        let notary = HashNotary::shared(author.device);
        Self {
            author,
            user,
            conversation,
            last: None,
            notary,
        }
    }

    /// What it would write next.
    pub fn draft(&self, text: &str) -> Draft {
        let (seq, lamport) = self.last.map_or((Seq::FIRST, Lamport(1)), |(seq, _, lamport)| {
            (seq.next(), Lamport(lamport.0.saturating_add(1)))
        });
        Draft {
            conversation: self.conversation.clone(),
            author: self.author,
            seq,
            user: (seq == Seq::FIRST).then(|| self.user.clone()),
            previous: self.last.map_or(AUTHORITY.origin(), |(_, id, _)| id),
            seen: Vec::new(),
            lamport,
            sent_at: WallTime(0),
            body: Body::Text(text.to_owned()),
        }
    }

    /// Goes on after an entry.
    pub fn wrote(&mut self, draft: Draft) -> Arc<Entry> {
        let entry = convert::encode_entry(draft);
        self.last = Some((entry.seq, entry.id, entry.lamport));
        entry
    }

    /// Writes.
    pub fn write(&mut self, text: &str) -> Arc<Entry> {
        self.wrote(self.draft(text))
    }

    /// Writes in answer to what others wrote.
    pub fn answer(&mut self, text: &str, to: &[&Entry]) -> Arc<Entry> {
        let mut draft = self.draft(text);
        let mut seen: Vec<Seen> = to
            .iter()
            .filter(|entry| entry.author != self.author)
            .map(|entry| Seen {
                author: entry.author,
                seq: entry.seq,
            })
            .collect();
        seen.sort_by_key(|seen| (seen.author, std::cmp::Reverse(seen.seq)));
        seen.dedup_by_key(|seen| seen.author);
        let most = to.iter().map(|entry| entry.lamport.0).max().unwrap_or(0);
        draft.lamport = Lamport(draft.lamport.0.max(most.saturating_add(1)));
        draft.seen = seen;
        self.wrote(draft)
    }

    /// A seal of an entry.
    pub fn seal_of(&self, seq: Seq, id: EntryId) -> Seal {
        make(self.notary.as_ref(), &self.conversation, self.author, seq, id)
    }

    /// A seal of what was written last.
    ///
    /// # Panics
    /// Nothing was.
    pub fn seal(&self) -> Seal {
        let (seq, id, _) = self.last.expect("something was written");
        self.seal_of(seq, id)
    }

    /// What [`HashNotary`] takes for a certificate.
    pub fn certificate(&self) -> Bytes {
        [&self.author.device.0[..], self.user.shown().as_bytes()]
            .concat()
            .into()
    }
}
