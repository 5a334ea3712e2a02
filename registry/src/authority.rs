//! The authority of a registry: the key that certifies whose device is whose.
//!
//! Its certificate follows from its key. Peers know a registry by the fingerprint of that certificate, so neither is ever made
//! anew where one of them is there: a lost key is an error for the operator to look into, and not a new registry.

mod template;

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
    CertificateParams, ExtendedKeyUsagePurpose, Issuer, SanType, SerialNumber, SigningKey as _, date_time_ymd,
    string::Ia5String,
};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use self::template::{Certified, Key, leaf, own_certificate, positive};
use crate::cluster::term::NodeId;

/// The files of an authority in its folder.
pub(crate) const KEY_FILE: &str = "ca.key";
const CERTIFICATE_FILE: &str = "ca.der";

/// How much earlier than now a certificate begins: clocks of peers that are behind by less see nothing wrong. In a cluster any node
/// certifies for all, so it is also by how much a node's clock may be ahead of everybody else's.
const CLOCKS_APART: Duration = Duration::from_secs(2 * 3_600);

/// The longest time for which a device is certified. Above it, a revoked device that the registry cannot tell of would be believed
/// for too long.
pub const LIFETIME_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The last second for which certificates are made, in the year 8999. A clock beyond it is wrong, and its certificates end here.
const LAST_SECOND: Duration = Duration::from_secs(221_845_392_000);

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
    /// There is one already, where a new one was to be made.
    #[error("{} is there already; it is not overwritten: with another one no peer would know the registries any more", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
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
    #[error("{} is damaged or does not fit {KEY_FILE}; restore a copy of it", path.display())]
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

/// What a node of a cluster shows of itself.
#[derive(Debug)]
pub struct NodeIdentity {
    /// To whoever calls it.
    pub chain: Vec<CertificateDer<'static>>,
    /// To the nodes that it calls. It says nothing but which node that is.
    pub certificate: CertificateDer<'static>,
    /// The key of both.
    pub key: PrivateKeyDer<'static>,
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
            None => Self::make(folder),
        }
    }

    /// A new authority in a folder, for several registries that are to be one. It is made where it is not there.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`] where there is one, or a part of one, and the others as they say.
    pub fn create(folder: &Path) -> Result<Self, AuthorityError> {
        secret_file::private_folder(folder)?;
        let _lock = lock(folder)?;
        for file in [KEY_FILE, CERTIFICATE_FILE] {
            let path = folder.join(file);
            if path.exists() {
                return Err(AuthorityError::Exists { path });
            }
        }
        Self::make(folder)
    }

    fn make(folder: &Path) -> Result<Self, AuthorityError> {
        let key = generate()?;
        secret_file::write(&folder.join(KEY_FILE), key.pkcs8())?;
        let certificate = own_certificate(&key)?;
        secret_file::write(&folder.join(CERTIFICATE_FILE), &certificate)?;
        Self::new(key, certificate)
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
        // A damaged one is none of this key's either.
        let authority = Self::new(key, certificate).ok().filter(Self::vouches_for_itself);
        let authority = authority.ok_or(AuthorityError::Unfit { path: certificate_path })?;
        Ok(Some(authority))
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

    /// The certificates that the registry shows to whoever calls it, and the key of the first: a new one each time.
    ///
    /// # Errors
    /// The system fails.
    pub fn registry_identity(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let key = generate()?;
        let own = self.certified(leaf("Peerchat registry"), [san::REGISTRY.to_owned()], &key)?;
        Ok((vec![own, self.trust.authority().clone()], private(&key)))
    }

    /// What a node of a cluster shows: the others can tell which one it is. Both certificates are for one key, a new one each time, so they
    /// can also tell whether the process that they call is the one that calls them.
    ///
    /// # Errors
    /// The system fails.
    pub fn node_identity(&self, node: NodeId) -> Result<NodeIdentity, AuthorityError> {
        let (key, name) = (generate()?, san::node_name(node.number()));
        let mut calls = leaf("Peerchat node");
        calls.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let called = [san::REGISTRY.to_owned(), name.clone()];
        let own = self.certified(leaf("Peerchat registry"), called, &key)?;
        Ok(NodeIdentity {
            chain: vec![own, self.trust.authority().clone()],
            certificate: self.certified(calls, [name], &key)?,
            key: private(&key),
        })
    }

    /// A certificate by which whoever has this authority shows that he has, and its key: a new one for each call.
    ///
    /// # Errors
    /// The system fails.
    pub fn operator_identity(&self) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), AuthorityError> {
        let mut params = leaf("Peerchat operator");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = generate()?;
        let certificate = self.certified(params, [san::OPERATOR.to_owned()], &key)?;
        Ok((certificate, private(&key)))
    }

    /// A certificate with these names, for a key that was made for it.
    fn certified(
        &self,
        mut params: CertificateParams,
        names: impl IntoIterator<Item = String>,
        key: &DeviceKey,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let names = names
            .into_iter()
            .map(|name| Ok(SanType::DnsName(Ia5String::try_from(name)?)));
        params.subject_alt_names = names.collect::<Result<_, rcgen::Error>>()?;
        params.serial_number = Some(self.serial()?);
        Ok(params.signed_by(&Certified(key.public()), &self.issuer)?.der().clone())
    }

    /// A secret that follows from the authority's key and a purpose, so that all who share the authority have it and nobody else.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn secret(&self, purpose: &str) -> Result<[u8; 32], AuthorityError> {
        // Of one key and one text there is one Ed25519 signature. Certificates begin otherwise, so none of them is this.
        let signed = self.issuer.key().sign(purpose.as_bytes())?;
        let mut secret = [0; 32];
        secret.copy_from_slice(digest(&SHA256, &signed).as_ref());
        Ok(secret)
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

fn private(key: &DeviceKey) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.pkcs8().to_vec()))
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

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
