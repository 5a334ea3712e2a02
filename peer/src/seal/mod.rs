//! What proves that an entry is its author's, wherever it comes from: seals, introductions and tags.
//!
//! A **seal** is the signature of an author's device over one of its entries; by the chain of hashes it vouches for all that the
//! author wrote before. An **introduction** is the certificate that says whose a device is. It is judged by who signed it and by the
//! names in it: a certificate is valid for hours, and a history is pulled after years. A **tag** is what a device puts into its own
//! entries so that it knows them again after it has lost its disk; nobody else can make or judge it.
//!
//! What is decided on these grounds is in `node`. Here is what takes a key: [`Judge`] and [`Notary`], and [`HistoryReader`], which judges a pulled history.

mod device;
mod reader;
mod tag;

use std::{fmt, sync::Arc};

use bytes::Bytes;

pub use self::{
    device::{DeviceJudge, DeviceNotary, Introduced, Sign},
    reader::{HistoryReader, Part},
    tag::{TAG_FIELD_BYTES, TagKey},
};
use crate::node::{
    contradiction::Contradiction,
    sealing::{Introduction, Seal},
    types::{Author, Conversation, DeviceId, Entry, EntryId, Seq, UserName},
};

/// What a seal's signature begins with, so that a signature that was made for anything else is none.
const DOMAIN: &[u8] = b"peerchat seal of an entry 1\n";

/// Whose signatures and certificates are believed.
pub trait Judge: fmt::Debug + Send + Sync {
    /// Whether a signature is a device's.
    fn is_signed(&self, device: &DeviceId, message: &[u8], signature: &[u8; 64]) -> bool;

    /// Whose a device is, by a certificate that may have ended long ago.
    ///
    /// # Errors
    /// Why it is not believed.
    fn introduced(&self, certificate: &[u8]) -> Result<(DeviceId, UserName), String>;
}

/// A judge with the own device's key.
pub trait Notary: Judge {
    /// The signature of the own device.
    fn sign(&self, message: &[u8]) -> [u8; 64];

    /// With what the own device knows its entries again.
    fn tag_key(&self) -> &TagKey;
}

/// What a certificate says of whose a device is.
///
/// # Errors
/// Why it is not believed.
pub fn introduction(certificate: Bytes, judge: &dyn Judge) -> Result<Introduction, String> {
    let (device, user) = judge.introduced(&certificate)?;
    Ok(Introduction {
        device,
        user,
        certificate,
    })
}

/// Seals an entry of the own device.
pub fn make(notary: &dyn Notary, conversation: &Conversation, author: Author, seq: Seq, id: EntryId) -> Seal {
    let signature = notary.sign(&message(conversation, &author, seq, &id));
    Seal {
        author,
        seq,
        id,
        signature,
    }
}

/// Whether a seal is its author's.
pub fn is_good(judge: &dyn Judge, conversation: &Conversation, seal: &Seal) -> bool {
    let message = message(conversation, &seal.author, seal.seq, &seal.id);
    judge.is_signed(&seal.author.device, &message, &seal.signature)
}

/// Whether an author contradicts himself, as this claims.
pub fn is_proved(judge: &dyn Judge, conversation: &Conversation, proof: &Contradiction) -> bool {
    let is_good = |seal| is_good(judge, conversation, seal);
    proof.holds(conversation) && is_good(&proof.seal) && is_good(&proof.other)
}

/// Whether the own device wrote an entry, by its tag.
pub fn is_own(notary: &dyn Notary, me: &DeviceId, entry: &Entry) -> bool {
    entry.author.device == *me && notary.tag_key().is_in(&entry.bytes)
}

/// A notary that many can use.
pub type SharedNotary = Arc<dyn Notary>;

/// What a seal signs. Every part has a length of its own or one that is told, so no two seals sign the same bytes.
fn message(conversation: &Conversation, author: &Author, seq: Seq, id: &EntryId) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    let (kind, names) = match conversation {
        Conversation::Room(room) => (b'r', vec![room.as_str()]),
        Conversation::Direct(pair) => (b'd', vec![pair.low().key(), pair.high().key()]),
    };
    message.push(kind);
    for name in names {
        message.extend_from_slice(&(name.len() as u32).to_le_bytes());
        message.extend_from_slice(name.as_bytes());
    }
    message.extend_from_slice(&author.device.0);
    message.extend_from_slice(&author.incarnation.to_le_bytes());
    message.extend_from_slice(&seq.0.to_le_bytes());
    message.extend_from_slice(&id.0);
    message
}

#[cfg(test)]
mod figures;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
