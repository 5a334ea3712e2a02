//! Who is who: what peers and registries must do alike about keys, certificates and TLS.
//!
//! A **device** is an Ed25519 key. The registry certifies which user it belongs to, for some hours at a time, and peers
//! believe that certificate and nothing else. To the registry a device shows its bare key, in a certificate that it signed
//! itself: TLS proves that it has the key, and nothing in it can expire.
//!
//! From the inside out: [`san`] is how a device and a user are written into a certificate; [`DeviceKey`] signs;
//! [`DeviceCertificate`] and [`Trust`] read certificates and judge them; [`Fingerprint`] names a registry; [`tls`] has the
//! five configurations that there are; [`accept`] and [`connect`] make connections of them; [`proxy`] reads what a proxy
//! says of whom it connects; [`secret_file`] keeps keys; [`open_files`] makes room for many connections; [`log_lines`] writes
//! the log of a program; [`Special`] names addresses that are no peer's.

pub mod accept;
mod certificate;
pub mod connect;
mod device_key;
mod fingerprint;
pub mod log_lines;
pub mod open_files;
pub mod proxy;
pub mod san;
pub mod secret_file;
mod socket;
mod special;
pub mod tls;
mod verifier;

pub use certificate::{CertificateError, DeviceCertificate, Trust};
pub use device_key::{DeviceKey, NoKey};
pub use fingerprint::{Fingerprint, NoFingerprint};
pub use special::Special;

/// The bytes of a device's Ed25519 public key.
pub type DeviceBytes = [u8; 32];
