//! Judging by Ed25519 and by what a registry has certified, and signing with the device's key.

use std::{fmt, sync::Arc};

use peerchat_identity::DeviceKey;

use super::{Judge, Notary, SharedNotary, TagKey};
use crate::node::types::{DeviceId, UserName};

/// Says whose a device is by its certificate: by who signed that and by the names in it, whatever the time.
pub type Introduced = dyn Fn(&[u8]) -> Result<(DeviceId, UserName), String> + Send + Sync;

/// Makes the signatures of a device.
pub type Sign = dyn Fn(&[u8]) -> [u8; 64] + Send + Sync;

/// A judge of devices' signatures.
pub struct DeviceJudge {
    introduced: Box<Introduced>,
}

impl fmt::Debug for DeviceJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceJudge")
    }
}

impl DeviceJudge {
    /// A judge who believes certificates as `introduced` does.
    pub fn new(introduced: impl Fn(&[u8]) -> Result<(DeviceId, UserName), String> + Send + Sync + 'static) -> Self {
        Self {
            introduced: Box::new(introduced),
        }
    }
}

impl Judge for DeviceJudge {
    fn is_signed(&self, device: &DeviceId, message: &[u8], signature: &[u8; 64]) -> bool {
        DeviceKey::verify(&device.0, message, signature)
    }

    fn introduced(&self, certificate: &[u8]) -> Result<(DeviceId, UserName), String> {
        (self.introduced)(certificate)
    }
}

/// The notary of a device.
pub struct DeviceNotary {
    sign: Box<Sign>,
    judge: DeviceJudge,
    tags: TagKey,
}

impl fmt::Debug for DeviceNotary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceNotary")
    }
}

impl DeviceNotary {
    /// The notary of the device that signs like this.
    pub fn shared(sign: impl Fn(&[u8]) -> [u8; 64] + Send + Sync + 'static, judge: DeviceJudge) -> SharedNotary {
        let tags = TagKey::of_device(&sign);
        let sign = Box::new(sign);
        Arc::new(Self { sign, judge, tags })
    }
}

impl Judge for DeviceNotary {
    fn is_signed(&self, device: &DeviceId, message: &[u8], signature: &[u8; 64]) -> bool {
        self.judge.is_signed(device, message, signature)
    }

    fn introduced(&self, certificate: &[u8]) -> Result<(DeviceId, UserName), String> {
        self.judge.introduced(certificate)
    }
}

impl Notary for DeviceNotary {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        (self.sign)(message)
    }

    fn tag_key(&self) -> &TagKey {
        &self.tags
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        node::types::{Author, Conversation, EntryId, Seq},
        seal::{is_good, make},
    };

    #[test]
    fn a_seal_is_good_for_what_it_was_made_of_and_for_nothing_else() {
        let key = || DeviceKey::generate().unwrap();
        let (key, other) = (key(), key());
        let author = Author {
            device: DeviceId(key.public()),
            incarnation: 1,
        };
        let nobody = || DeviceJudge::new(|_| Err("nobody is certified".into()));
        let notary = DeviceNotary::shared(move |message| key.sign(message), nobody());
        let users = ["alice", "bob", "carol"].map(|name| UserName::new(name).unwrap());
        let conversation = Conversation::direct(&users[0], &users[1]);
        let seal = make(notary.as_ref(), &conversation, author, Seq(7), EntryId([3; 32]));
        assert!(is_good(&nobody(), &conversation, &seal));
        assert!(!is_good(&nobody(), &Conversation::direct(&users[0], &users[2]), &seal));
        let mut altered = [seal.clone(), seal.clone(), seal.clone(), seal.clone(), seal];
        altered[0].seq = Seq(8);
        altered[1].id.0[31] ^= 1;
        altered[2].author.incarnation = 2;
        altered[3].author.device = DeviceId(other.public());
        altered[4].signature[0] ^= 1;
        assert!(altered.iter().all(|seal| !is_good(&nobody(), &conversation, seal)));
    }
}
