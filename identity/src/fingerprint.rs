//! The fingerprint of a registry, as ssh shows those of its hosts.

use std::{fmt, str::FromStr};

use data_encoding::BASE64_NOPAD;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;

const PREFIX: &str = "SHA256:";

/// The SHA-256 of the certificate of a registry's authority: whoever has been told it out of band knows the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is SHA256: and 43 characters of base64, as `peerchat-registry fingerprint` prints it")]
pub struct NoFingerprint;

impl Fingerprint {
    /// The fingerprint of an authority.
    pub fn of(authority: &CertificateDer<'_>) -> Self {
        let hash = digest(&SHA256, authority);
        Self(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// The hash itself.
    pub fn bytes(self) -> [u8; 32] {
        self.0
    }
}

impl From<[u8; 32]> for Fingerprint {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_NOPAD.encode(&self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(NoFingerprint)?;
        let bytes = BASE64_NOPAD
            .decode(text.trim_end_matches('=').as_bytes())
            .map_err(|_| NoFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| NoFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_shown() {
        let fingerprint = Fingerprint::of(&CertificateDer::from(vec![1, 2, 3]));
        let shown = fingerprint.to_string();
        assert_eq!(shown.len(), PREFIX.len() + 43);
        assert_eq!(shown.parse(), Ok(fingerprint));
        assert_eq!(format!("{shown}=").parse(), Ok(fingerprint));
        for wrong in ["", "SHA256:", "SHA256:AAAA", "MD5:00", &shown[7..]] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(NoFingerprint), "{wrong}");
        }
    }
}
