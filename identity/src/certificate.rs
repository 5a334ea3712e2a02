//! Reading certificates, and judging them.

use std::time::{Duration, SystemTime};

use peerchat_proto::names::UserName;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, oid_registry::OID_SIG_ED25519, prelude::FromDer as _,
};

use crate::{DeviceBytes, Fingerprint, san};

/// The longest certificate that is looked at. One of a device has about 400 bytes, with the longest name 800.
const BYTES_MAX: usize = 4 * 1024;

/// Why a certificate is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be read.
    #[error("it is no certificate that can be read")]
    Malformed,
    /// Its key is none of a device.
    #[error("its key is not an Ed25519 key")]
    OtherKey,
    /// It does not name one device and one user as those of Peerchat do, or the device is not its key's.
    #[error("it does not name a device and a user of Peerchat")]
    OtherNames,
    /// It names no node of a cluster.
    #[error("it does not name a node of a cluster")]
    NoNode,
    /// It is not that of whoever holds the authority.
    #[error("it does not name a registry's operator")]
    NoOperator,
    /// The authority did not sign it, or it is not for its use or time.
    #[error("the registry's authority does not vouch for it: {0}")]
    NotTrusted(String),
}

/// What a certificate says of a device. Nothing of it is believed before [`Trust`] has judged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// The certificate itself.
    pub der: CertificateDer<'static>,
    /// The device: the key that is certified.
    pub device: DeviceBytes,
    /// Whose device it is, as the name is shown.
    pub user: UserName,
    /// From when it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
}

impl DeviceCertificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// It is none, or not one of a device.
    pub fn parse(der: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let certificate = read(der)?;
        let device = key_of(&certificate)?;
        let [GeneralName::DNSName(dns), GeneralName::URI(uri)] = names_of(&certificate)? else {
            return Err(CertificateError::OtherNames);
        };
        let user = san::user(uri).filter(|_| san::device(dns) == Some(device));
        let time = |seconds: i64| {
            SystemTime::UNIX_EPOCH
                .checked_add(since_epoch(seconds)?)
                .ok_or(CertificateError::Malformed)
        };
        Ok(Self {
            der: der.clone().into_owned(),
            device,
            user: user.ok_or(CertificateError::OtherNames)?,
            not_before: time(certificate.validity().not_before.timestamp())?,
            not_after: time(certificate.validity().not_after.timestamp())?,
        })
    }
}

/// The device of any certificate, whoever signed it: its key.
pub(crate) fn device_of(der: &CertificateDer<'_>) -> Result<DeviceBytes, CertificateError> {
    key_of(&read(der)?)
}

/// When the time of any certificate begins, whoever signed it.
pub(crate) fn begins(der: &CertificateDer<'_>) -> Result<UnixTime, CertificateError> {
    let begins = read(der)?.validity().not_before.timestamp();
    Ok(UnixTime::since_unix_epoch(since_epoch(begins)?))
}

fn since_epoch(seconds: i64) -> Result<Duration, CertificateError> {
    let seconds = u64::try_from(seconds).map_err(|_| CertificateError::Malformed)?;
    Ok(Duration::from_secs(seconds))
}

fn read<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, CertificateError> {
    if der.len() > BYTES_MAX {
        return Err(CertificateError::Malformed);
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::Malformed),
    }
}

fn names_of<'a>(certificate: &'a X509Certificate<'a>) -> Result<&'a [GeneralName<'a>], CertificateError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| CertificateError::Malformed)?;
    Ok(names
        .map(|names| names.value.general_names.as_slice())
        .unwrap_or_default())
}

fn key_of(certificate: &X509Certificate<'_>) -> Result<DeviceBytes, CertificateError> {
    let key = certificate.public_key();
    if key.algorithm.algorithm != OID_SIG_ED25519 {
        return Err(CertificateError::OtherKey);
    }
    key.subject_public_key
        .data
        .as_ref()
        .try_into()
        .map_err(|_| CertificateError::OtherKey)
}

/// The authority of a registry, and what it vouches for.
#[derive(Debug, Clone)]
pub struct Trust {
    authority: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
}

impl Trust {
    /// Believes what this authority has signed.
    ///
    /// # Errors
    /// It is no certificate.
    pub fn new(authority: CertificateDer<'static>) -> Result<Self, CertificateError> {
        let anchor = anchor_from_trusted_cert(&authority)
            .map_err(|_| CertificateError::Malformed)?
            .to_owned();
        Ok(Self { authority, anchor })
    }

    /// The authority's certificate.
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// How the authority is told from others.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.authority)
    }

    /// The device of a certificate that is valid at `now`.
    ///
    /// # Errors
    /// It is not one of a device, the authority does not vouch for it, or its time has not come or is over.
    pub fn valid(&self, der: &CertificateDer<'_>, now: SystemTime) -> Result<DeviceCertificate, CertificateError> {
        let certificate = DeviceCertificate::parse(der)?;
        self.judge(&certificate.der, now)?;
        Ok(certificate)
    }

    /// The device of a certificate that was valid once: an introduction, which is read for as long as there is a log.
    ///
    /// # Errors
    /// It is not one of a device, or the authority does not vouch for it.
    pub fn introduced(&self, der: &CertificateDer<'_>) -> Result<DeviceCertificate, CertificateError> {
        let certificate = DeviceCertificate::parse(der)?;
        self.judge(&certificate.der, certificate.not_before)?;
        Ok(certificate)
    }

    /// The node of a cluster for which a certificate was made that is valid at `now`.
    ///
    /// # Errors
    /// It is not one of a node, the authority does not vouch for it, or its time has not come or is over.
    pub fn node(&self, der: &CertificateDer<'_>, now: SystemTime) -> Result<u8, CertificateError> {
        let certificate = read(der)?;
        let [GeneralName::DNSName(name)] = names_of(&certificate)? else {
            return Err(CertificateError::NoNode);
        };
        let node = san::node(name).ok_or(CertificateError::NoNode)?;
        self.judge(der, now)?;
        Ok(node)
    }

    /// Makes sure that a certificate is that of whoever holds this authority.
    ///
    /// # Errors
    /// It is another one, the authority does not vouch for it, or its time has not come or is over.
    pub fn operator(&self, der: &CertificateDer<'_>, now: SystemTime) -> Result<(), CertificateError> {
        let certificate = read(der)?;
        match names_of(&certificate)? {
            [GeneralName::DNSName(name)] if *name == san::OPERATOR => self.judge(der, now),
            _ => Err(CertificateError::NoOperator),
        }
    }

    fn judge(&self, certificate: &CertificateDer<'_>, at: SystemTime) -> Result<(), CertificateError> {
        let error = |error: webpki::Error| CertificateError::NotTrusted(error.to_string());
        let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let leaf = EndEntityCert::try_from(certificate).map_err(error)?;
        leaf.verify_for_usage(
            &[webpki::ring::ED25519],
            std::slice::from_ref(&self.anchor),
            &[],
            UnixTime::since_unix_epoch(at),
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(error)?;
        Ok(())
    }
}
