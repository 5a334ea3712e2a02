//! The key of a device.

use std::fmt;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::{DeviceBytes, san};

/// An Ed25519 key pair (RFC 8032), kept as PKCS#8 (RFC 8410) and wiped from memory at its end.
pub struct DeviceKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: Ed25519KeyPair,
    public: DeviceBytes,
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// The bytes are something else.
    #[error("it is no Ed25519 key in PKCS#8")]
    Malformed,
    /// The system has no random numbers.
    #[error("the system has no random numbers for a new key")]
    NoRandomness,
}

impl DeviceKey {
    /// A new key.
    ///
    /// # Errors
    /// [`NoKey::NoRandomness`].
    pub fn generate() -> Result<Self, NoKey> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| NoKey::NoRandomness)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// The key in these bytes.
    ///
    /// # Errors
    /// [`NoKey::Malformed`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, NoKey> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| NoKey::Malformed)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| NoKey::Malformed)?;
        Ok(Self {
            pkcs8: Zeroizing::new(pkcs8.to_vec()),
            pair,
            public,
        })
    }

    /// The key pair, to be kept.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half: the device.
    pub fn public(&self) -> DeviceBytes {
        self.public
    }

    /// An Ed25519 signature. The message says what it is for, so that no signature means two things.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        signature
            .as_ref()
            .try_into()
            .expect("an Ed25519 signature has 64 bytes")
    }

    /// Whether a signature over `message` is that of `device`.
    pub fn verify(device: &DeviceBytes, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, device)
            .verify(message, signature)
            .is_ok()
    }

    /// A certificate that vouches for nothing but the key itself: how a device shows itself to a registry.
    pub(crate) fn self_signed(&self) -> Result<CertificateDer<'static>, rcgen::Error> {
        let key = PrivatePkcs8KeyDer::from(self.pkcs8.as_slice());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519)?;
        let certificate = CertificateParams::new([san::dns_name(&self.public)])?.self_signed(&key)?;
        Ok(certificate.der().clone())
    }

    pub(crate) fn for_tls(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.to_vec()))
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key of {}", san::dns_name(&self.public))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_signs_for_itself_alone() {
        let key = DeviceKey::generate().unwrap();
        let again = DeviceKey::from_pkcs8(key.pkcs8()).unwrap();
        assert_eq!(again.public(), key.public());
        let signature = again.sign(b"text");
        assert!(DeviceKey::verify(&key.public(), b"text", &signature));
        assert!(!DeviceKey::verify(&key.public(), b"test", &signature));
        assert!(!DeviceKey::verify(
            &DeviceKey::generate().unwrap().public(),
            b"text",
            &signature
        ));
        assert_eq!(DeviceKey::from_pkcs8(b"no key").unwrap_err(), NoKey::Malformed);
        assert!(!format!("{key:?}").contains("pkcs8"), "a key never shows itself");
    }
}
