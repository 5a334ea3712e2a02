//! Knowing one's own entries again.
//!
//! An entry that was sent a moment before its author's power failed has no seal yet, and its author may have lost it while others
//! hold it. Only the author could seal it, and it must not do so on anybody's word. So every entry ends with a tag: the hash of the
//! bytes before it, hashed again under a key that only the device has. Whoever lost an entry takes it back by its tag, and seals it then.
//!
//! What is under the key is a hash and not the bytes, since those are hashed for the entry's id as well: hashing is what takes longest
//! in writing an entry, and so it is done once.

use std::fmt;

/// The length of a tag.
const TAG_BYTES: usize = 16;
/// How the contract's encoding writes the field `tag` of an entry: its number, that it has bytes, and how many.
const FIELD: [u8; 2] = [10 << 3 | 2, TAG_BYTES as u8];

/// How many bytes a tag adds to an entry.
pub const TAG_FIELD_BYTES: usize = FIELD.len() + TAG_BYTES;

/// The key of a device's tags. Only the device knows it, and it is the same as long as the device's key is.
#[derive(Clone)]
pub struct TagKey([u8; 32]);

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey")
    }
}

impl TagKey {
    /// The key that follows from the device's own one. `sign` makes the device's signatures, which are the same every time
    /// (RFC 8032); nothing else is ever signed with these words, so nobody else sees this one.
    pub fn of_device(sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Self {
        let secret = sign(b"peerchat key of the tags of own entries 1\n");
        Self(blake3::derive_key(
            "peerchat 2026 key of the tags of own entries",
            &secret,
        ))
    }

    /// Ends the encoding of an entry, which has no tag, with one. Returns the hash of all of it.
    pub fn put(&self, entry: &mut Vec<u8>) -> blake3::Hash {
        let untagged = entry.len();
        let mut hasher = blake3::Hasher::new();
        hasher.update(entry);
        let tag = self.of(&hasher.finalize());
        entry.extend_from_slice(&FIELD);
        entry.extend_from_slice(&tag);
        hasher.update(&entry[untagged..]);
        hasher.finalize()
    }

    /// Whether an entry ends with a tag under this key.
    pub fn is_in(&self, entry: &[u8]) -> bool {
        let Some((rest, tag)) = entry.split_last_chunk::<TAG_BYTES>() else {
            return false;
        };
        // Whoever could try tags against the time that this takes can ask once per pull, and has 2^128 to try.
        rest.strip_suffix(&FIELD)
            .is_some_and(|entry| self.of(&blake3::hash(entry)) == *tag)
    }

    /// The tag of an entry whose bytes before it have this hash.
    fn of(&self, entry: &blake3::Hash) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&blake3::keyed_hash(&self.0, entry.as_bytes()).as_bytes()[..TAG_BYTES]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_device_that_tagged_an_entry_knows_it_again() {
        let (one, other) = (TagKey::of_device(|_| [1; 64]), TagKey::of_device(|_| [2; 64]));
        let mut entry = b"an entry".to_vec();
        assert!(!one.is_in(&entry));
        let hash = one.put(&mut entry);
        assert_eq!(hash, blake3::hash(&entry), "the id of what was tagged");
        assert!(one.is_in(&entry) && !other.is_in(&entry));
        for at in 0..entry.len() {
            let mut altered = entry.clone();
            altered[at] ^= 1;
            assert!(!one.is_in(&altered), "{at}");
            assert!(!one.is_in(&entry[..at]), "{at}");
        }
    }
}
