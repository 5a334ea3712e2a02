//! A notary that is as cheap as can be, and an author with entries of its own making.

use std::sync::Arc;

use bytes::Bytes;

use super::{Judge, Notary, SharedNotary, TagKey, make};
use crate::{
    net::convert,
    node::{
        sealing::Seal,
        types::{
            Author, Authority, Body, Conversation, DeviceId, Draft, Entry, EntryId, Lamport, RoomName, Seen, Seq,
            UserName, WallTime,
        },
    },
};

/// Under which all conversations are.
pub const AUTHORITY: Authority = Authority([0xa0; 32]);

/// Signs with a hash that anybody can make; no test forges it.
#[derive(Debug)]
pub struct HashNotary {
    pub device: DeviceId,
    tags: TagKey,
}

impl HashNotary {
    pub fn shared(device: DeviceId) -> SharedNotary {
        let tags = TagKey::of_device(|message| signed(&device, message));
        Arc::new(Self { device, tags })
    }

    /// What it takes for a certificate.
    pub fn certificate(device: DeviceId, user: &str) -> Bytes {
        let content = [&device.0[..], user.as_bytes()].concat();
        [&content[..], blake3::hash(&content).as_bytes()].concat().into()
    }
}

/// What a certificate of [`HashNotary::certificate`] says.
pub fn introduced(certificate: &[u8]) -> Result<(DeviceId, UserName), String> {
    let (content, hash) = certificate.split_last_chunk::<32>().ok_or("too short")?;
    let (device, user) = content.split_first_chunk::<32>().ok_or("too short")?;
    let user = std::str::from_utf8(user).map_err(|error| error.to_string())?;
    if blake3::hash(content).as_bytes() != hash {
        return Err("not certified".into());
    }
    let user = UserName::new(user).map_err(|error| error.to_string())?;
    Ok((DeviceId(*device), user))
}

fn signed(device: &DeviceId, message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    blake3::Hasher::new_keyed(&device.0)
        .update(message)
        .finalize_xof()
        .fill(&mut signature);
    signature
}

impl Judge for HashNotary {
    fn is_signed(&self, device: &DeviceId, message: &[u8], signature: &[u8; 64]) -> bool {
        signed(device, message) == *signature
    }

    fn introduced(&self, certificate: &[u8]) -> Result<(DeviceId, UserName), String> {
        introduced(certificate)
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

pub fn device(n: u8) -> DeviceId {
    DeviceId([n; 32])
}

pub fn room() -> Conversation {
    Conversation::Room(RoomName::new("lobby").unwrap())
}

/// Writes an author's entries and seals them.
pub struct Pen {
    pub author: Author,
    pub user: String,
    pub last: Option<(Seq, EntryId)>,
    notary: SharedNotary,
}

impl Pen {
    pub fn new(n: u8) -> Self {
        let author = Author {
            device: device(n),
            incarnation: u64::from(n),
        };
        Self {
            author,
            user: format!("user-{n}"),
            last: None,
            notary: HashNotary::shared(author.device),
        }
    }

    pub fn draft(&self, text: &str, seen: Vec<Seen>) -> Draft {
        let seq = self.last.map_or(Seq::FIRST, |(seq, _)| seq.next());
        Draft {
            conversation: room(),
            author: self.author,
            seq,
            user: (seq == Seq::FIRST).then(|| UserName::new(&self.user).unwrap()),
            previous: self.last.map_or(AUTHORITY.origin(), |(_, id)| id),
            seen,
            // Right for whoever has seen nothing of others.
            lamport: Lamport(seq.0),
            sent_at: WallTime(0),
            body: Body::Text(text.into()),
        }
    }

    pub fn write(&mut self, text: &str, seen: Vec<Seen>) -> Arc<Entry> {
        let entry = convert::encode_entry(self.draft(text, seen));
        self.last = Some((entry.seq, entry.id));
        entry
    }

    /// A seal of what was written last.
    pub fn seal(&self) -> Seal {
        let (seq, id) = self.last.unwrap();
        make(self.notary.as_ref(), &room(), self.author, seq, id)
    }

    pub fn certificate(&self) -> Bytes {
        HashNotary::certificate(self.author.device, &self.user)
    }
}
