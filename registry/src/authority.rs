//! The authority of a registry: the key that certifies whose device is whose.
//!
//! Its certificate follows from its key. Peers know a registry by the fingerprint of that certificate, so neither is ever made
//! anew where one of them is there: a lost key is an error for the operator to look into, and not a new registry.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use peerchat_identity::{
    CertificateError, DeviceBytes, DeviceKey, Fingerprint, NoKey, Trust, san,
    secret_file::{self, SecretFileError},
};
use peerchat_proto::names::UserName;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyUsagePurpose, NameConstraints, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
    SigningKey, date_time_ymd, string::Ia5String,
};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The files of an authority in its folder.
const KEY_FILE: &str = "ca.key";
const CERTIFICATE_FILE: &str = "ca.der";

/// How much earlier than now a certificate begins: clocks of peers that are behind by less see nothing wrong.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// The longest time for which a device is certified. Above it, a revoked device that the registry cannot tell of would be believed
/// for too long.
pub const LIFETIME_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The last second for which certificates are made, in the year 8999. A clock beyond it is wrong, and its certificates end here.
const LAST_SECOND: Duration = Duration::from_secs(221_845_392_000);

/// The years in which the authority and the registry's own certificate are valid. Peers pin the authority, and the registry's key
/// is a new one at each start: neither is safer for an end that would come as a surprise.
const FIRST_YEAR: i32 = 2_020;
const LAST_YEAR: i32 = 9_999;

/// Why there is no authority, or no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file cannot be used, or others can get at it.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The folder cannot be locked.
    #[error("cannot lock the folder {}", path.display())]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key is something else.
    #[error("{}: {source}; restore a copy of it", path.display())]
    Key {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        source: NoKey,
    },
    /// The certificate is there and the key is not.
    #[error(
        "{} is missing although {CERTIFICATE_FILE} is there; restore a copy of it: with a new one no peer would know \
        this registry any more", path.display()
    )]
    KeyLost {
        /// Where it should be.
        path: PathBuf,
    },
    /// The certificate is another key's, or none.
    #[error("{} does not fit {KEY_FILE}; restore a copy of it", path.display())]
    Unfit {
        /// Where.
        path: PathBuf,
    },
    /// The system has no random numbers.
    #[error("the system has no random numbers for a key")]
    NoRandomness,
    /// A certificate cannot be made or read.
    #[error("a certificate cannot be made")]
    Certificate(#[from] rcgen::Error),
    /// The authority's own certificate cannot be used.
    #[error("the authority's certificate cannot be used")]
    Trust(#[from] CertificateError),
}

/// The key of the authority, as rcgen wants to see it.
struct Key {
    pair: DeviceKey,
    public: DeviceBytes,
}

/// The public key of whoever is certified.
struct Certified(DeviceBytes);

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

/// The authority of a registry.
pub struct Authority {
    issuer: Issuer<'static, Key>,
    trust: Trust,
    random: SystemRandom,
}

impl Authority {
    /// The authority in a folder, which is made where there is none.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        secret_file::private_folder(folder)?;
        let _lock = lock(folder)?;
        match Self::read(folder)? {
            Some(authority) => Ok(authority),
            None => {
                let key = generate()?;
                secret_file::write(&folder.join(KEY_FILE), key.pkcs8())?;
                let certificate = own_certificate(&key)?;
                secret_file::write(&folder.join(CERTIFICATE_FILE), &certificate)?;
                Self::new(key, certificate)
            }
        }
    }

    /// The authority in a folder; none where there is none yet.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn find(folder: &Path) -> Result<Option<Self>, AuthorityError> {
        if !folder.exists() {
            return Ok(None);
        }
        secret_file::private_folder(folder)?;
        let _lock = lock(folder)?;
        Self::read(folder)
    }

    /// A new one that ends with the process.
    ///
    /// # Errors
    /// [`AuthorityError::NoRandomness`].
    pub fn in_memory() -> Result<Self, AuthorityError> {
        let key = generate()?;
        let certificate = own_certificate(&key)?;
        Self::new(key, certificate)
    }

    fn read(folder: &Path) -> Result<Option<Self>, AuthorityError> {
        let path = folder.join(KEY_FILE);
        let certificate_path = folder.join(CERTIFICATE_FILE);
        let certificate = secret_file::read(&certificate_path)?;
        let Some(key) = secret_file::read(&path)? else {
            return match certificate {
                Some(_) => Err(AuthorityError::KeyLost { path }),
                None => Ok(None),
            };
        };
        let key = DeviceKey::from_pkcs8(&key).map_err(|source| AuthorityError::Key { path, source })?;
        let certificate = match certificate {
            Some(certificate) => CertificateDer::from(certificate.to_vec()),
            // A crash came between the two, or somebody removed it: it is the same again.
            None => {
                let certificate = own_certificate(&key)?;
                secret_file::write(&certificate_path, &certificate)?;
                certificate
            }
        };
        let authority = Self::new(key, certificate)?;
        if authority.vouches_for_itself() {
            Ok(Some(authority))
        } else {
            Err(AuthorityError::Unfit { path: certificate_path })
        }
    }

    fn new(key: DeviceKey, certificate: CertificateDer<'static>) -> Result<Self, AuthorityError> {
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&certificate, key.into())?,
            trust: Trust::new(certificate)?,
            random: SystemRandom::new(),
        })
    }

    /// What peers must know of the authority to believe its certificates.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// By which peers know the registry.
    pub fn fingerprint(&self) -> Fingerprint {
        self.trust.fingerprint()
    }

    /// Certifies that a device, which has proved to have its key, is the user's, for [`LIFETIME_MAX`] at most. All that is in the certificate is written here,
    /// and nothing is taken from a request.
    ///
    /// # Errors
    /// The system fails.
    pub fn issue(
        &self,
        device: &DeviceBytes,
        user: &UserName,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .min(LAST_SECOND);
        let mut params = leaf("Peerchat device");
        params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(CLOCKS_APART);
        let lifetime = lifetime.min(LIFETIME_MAX);
        params.not_after = date_time_ymd(1970, 1, 1) + now.saturating_add(lifetime).min(LAST_SECOND);
        params.subject_alt_names = vec![
            SanType::DnsName(Ia5String::try_from(san::dns_name(device))?),
            SanType::URI(Ia5String::try_from(san::user_uri(user))?),
        ];
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        params.serial_number = Some(self.serial()?);
        Ok(params.signed_by(&Certified(*device), &self.issuer)?.der().clone())
    }

    /// The certificates that the registry shows, and the key of the first: a new one each time.
    ///
    /// # Errors
    /// The system fails.
    pub fn registry_identity(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let key = generate()?;
        let mut params = leaf("Peerchat registry");
        params.subject_alt_names = vec![SanType::DnsName(Ia5String::try_from(san::REGISTRY)?)];
        params.serial_number = Some(self.serial()?);
        let own = params.signed_by(&Certified(key.public()), &self.issuer)?.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.pkcs8().to_vec()));
        Ok((vec![own, self.trust.authority().clone()], key))
    }

    fn serial(&self) -> Result<SerialNumber, AuthorityError> {
        let mut serial = [0; 16];
        self.random
            .fill(&mut serial)
            .map_err(|_| AuthorityError::NoRandomness)?;
        Ok(positive(serial))
    }

    /// Whether the certificate is that of the key: what the key signs is believed by whoever believes the certificate.
    fn vouches_for_itself(&self) -> bool {
        let somebody = UserName::new("nobody").ok();
        let issued = somebody.and_then(|user| {
            let now = SystemTime::now();
            let device = self.issuer.key().public;
            let issued = self.issue(&device, &user, CLOCKS_APART, now).ok()?;
            self.trust.introduced(&issued).ok()
        });
        issued.is_some()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authority {}", self.fingerprint())
    }
}

fn generate() -> Result<DeviceKey, AuthorityError> {
    DeviceKey::generate().map_err(|_| AuthorityError::NoRandomness)
}

/// Two who start at the same time in the same folder must not both make a key.
fn lock(folder: &Path) -> Result<fs::File, AuthorityError> {
    let locked = fs::File::open(folder).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| AuthorityError::Lock {
        path: folder.to_owned(),
        source,
    })
}

/// The authority's own certificate. Nothing in it but the key differs, so that it can be made again.
fn own_certificate(key: &DeviceKey) -> Result<CertificateDer<'static>, rcgen::Error> {
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

fn leaf(name: &str) -> CertificateParams {
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
fn positive(mut serial: [u8; 16]) -> SerialNumber {
    serial[0] = serial[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&serial)
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
