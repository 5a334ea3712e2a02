//! Signatures that cost nothing: a hash under the device's own name stands in for one. Nobody in the simulation forges.

use std::sync::Arc;

use bytes::Bytes;
use peerchat::{
    node::types::{DeviceId, UserName},
    seal::{Judge, Notary, SharedNotary, TagKey},
};

/// The notary of a simulated device.
#[derive(Debug)]
pub struct SimNotary {
    device: DeviceId,
    tags: TagKey,
}

impl SimNotary {
    pub fn shared(device: DeviceId) -> SharedNotary {
        let tags = TagKey::of_device(|message| signature(&device, message));
        Arc::new(Self { device, tags })
    }
}

/// What the registry would certify.
pub fn certificate(device: &DeviceId, user: &UserName) -> Bytes {
    [&device.0, user.shown().as_bytes()].concat().into()
}

fn signature(device: &DeviceId, message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    let mut hasher = blake3::Hasher::new_keyed(&device.0);
    hasher.update(message).finalize_xof().fill(&mut signature);
    signature
}

impl Judge for SimNotary {
    fn is_signed(&self, device: &DeviceId, message: &[u8], found: &[u8; 64]) -> bool {
        signature(device, message) == *found
    }

    fn introduced(&self, certificate: &[u8]) -> Result<(DeviceId, UserName), String> {
        let (device, user) = certificate.split_first_chunk::<32>().ok_or("too short")?;
        let user = std::str::from_utf8(user).map_err(|error| error.to_string())?;
        let user = UserName::new(user).map_err(|error| error.to_string())?;
        Ok((DeviceId(*device), user))
    }
}

impl Notary for SimNotary {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        signature(&self.device, message)
    }

    fn tag_key(&self) -> &TagKey {
        &self.tags
    }
}
