//! What the authority's certificates are made of.

use peerchat_identity::{DeviceBytes, DeviceKey, san};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, PKCS_ED25519, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
    date_time_ymd,
};
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;

/// The years in which the authority, the registry's own certificate and that of a cluster's node are valid. Peers pin the authority, and
/// the registry's keys are new ones at each start, which never leave its process: none is safer for an end that would come as a surprise.
/// And none depends on anybody's clock, as long as that is past the first of these years.
const FIRST_YEAR: i32 = 2_020;
const LAST_YEAR: i32 = 9_999;

/// The key of the authority, as rcgen wants to see it.
pub(super) struct Key {
    pair: DeviceKey,
    pub(super) public: DeviceBytes,
}

/// The public key of whoever is certified.
pub(super) struct Certified(pub(super) DeviceBytes);

impl PublicKeyData for Certified {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.pair.sign(message).to_vec())
    }
}

impl From<DeviceKey> for Key {
    fn from(pair: DeviceKey) -> Self {
        let public = pair.public();
        Self { pair, public }
    }
}

/// The authority's own certificate. Nothing in it but the key differs, so that it can be made again.
pub(super) fn own_certificate(key: &DeviceKey) -> Result<CertificateDer<'static>, rcgen::Error> {
    let mut params = named("Peerchat authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: [san::DEVICES, san::REGISTRY]
            .map(|name| GeneralSubtree::DnsName(name.into()))
            .to_vec(),
        excluded_subtrees: Vec::new(),
    });
    let hash = digest(&SHA256, &key.public());
    params.serial_number = hash.as_ref().first_chunk().map(|serial| positive(*serial));
    let key = DeviceKey::from_pkcs8(key.pkcs8()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    Ok(params.self_signed(&Key::from(key))?.der().clone())
}

pub(super) fn leaf(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(FIRST_YEAR, 1, 1);
    params.not_after = date_time_ymd(LAST_YEAR, 12, 31);
    params
}

/// RFC 5280 wants a positive number, and DER writes it without leading zeros.
pub(super) fn positive(mut serial: [u8; 16]) -> SerialNumber {
    serial[0] = serial[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&serial)
}
