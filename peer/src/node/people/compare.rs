//! What two users compare to know that nobody stands between them: the same words on both sides, if both know the same devices.

use std::collections::{BTreeMap, BTreeSet};

use super::words::WORDS;
use crate::node::types::{DeviceId, UserName, WallTime};

/// How many words are compared. Twelve of 256 are 96 bits.
pub const WORDS_COUNT: usize = 12;

/// How often the hash is taken again. Who stands between two users may make up keys for both sides, and needs any two that give the
/// same words: for 96 bits that is some 2^48 tries and not 2^96. With 2^20 hashes for each, a tenth of a second, it is 2^68 hashes,
/// which takes one who has a thousand of the fastest cards about a year, for this one pair of users.
const ROUNDS: u32 = 1 << 20;

/// What the hash is for, so that no other use of BLAKE3 gives the same.
const CONTEXT: &str = "peerchat 2026 words that two users compare";

/// The words, as they are read aloud.
pub type Words = [&'static str; WORDS_COUNT];

/// A device in a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Whose it is.
    pub user: UserName,
    /// Which.
    pub device: DeviceId,
    /// When it was first met; none for the own one, and for one that was only heard of.
    pub first_met: Option<WallTime>,
    /// It is part of the words: it was met, or is the own one. Others wrote what is held here, and the other side may have met them.
    pub counts: bool,
    /// It was compared before.
    pub trusted: bool,
}

/// What is known of two users' devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// With whom.
    pub user: UserName,
    /// The devices of both: the own user's first, then those that count, then by id.
    pub devices: Vec<Compared>,
    /// All of the other user's devices that count were compared before.
    pub trusted: bool,
}

impl Comparison {
    /// The words. They depend on names and keys alone, so both sides get the same, whoever asks. Takes a tenth of a second.
    pub fn words(&self) -> Words {
        self.words_after(ROUNDS)
    }

    fn words_after(&self, rounds: u32) -> Words {
        let mut users: BTreeMap<&str, BTreeSet<DeviceId>> = BTreeMap::new();
        for known in self.devices.iter().filter(|known| known.counts) {
            users.entry(known.user.key()).or_default().insert(known.device);
        }
        // Every part comes after its length: no two different sets are the same bytes.
        let mut bytes = Vec::new();
        let number = |bytes: &mut Vec<u8>, count: usize| bytes.extend((count as u64).to_be_bytes());
        for (name, devices) in &users {
            number(&mut bytes, name.len());
            bytes.extend(name.as_bytes());
            number(&mut bytes, devices.len());
            bytes.extend(devices.iter().flat_map(|device| device.0));
        }
        let key = blake3::derive_key(CONTEXT, &bytes);
        let hash = (0..rounds).fold(key, |hash, _| *blake3::keyed_hash(&key, &hash).as_bytes());
        std::array::from_fn(|place| WORDS[usize::from(hash[place])])
    }
}

#[cfg(test)]
mod tests;
