//! What this device shows to others, and whom it believes: its key, the certificate that the registry gave it, the authority that
//! issued it, and the devices that were revoked.
//!
//! The key is made at the first start. Certificate and authority are kept in the folder of that authority, and who was revoked beside the
//! key, so that a peer that starts while its registry is away talks with whom it knows until its certificate ends.

mod clock;
mod faults;
mod revoked;

use std::{
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use peerchat_identity::{
    CertificateError, DeviceCertificate, DeviceKey, Fingerprint, NoKey, Trust,
    secret_file::{self, SecretFileError},
    tls::{self, TlsError},
};
use rustls::{ClientConfig, ServerConfig, pki_types::CertificateDer};
use tokio::sync::watch;

use self::revoked::Revoked;
use crate::{
    folder::places::{self, AUTHORITY_CERTIFICATE},
    log::IoError,
    node::types::{Authority, DeviceId, UserName},
};

pub use clock::{Clock, Compared};
pub use faults::faults;
pub use revoked::{FILE as REVOKED, is_sound as is_revoked};

/// The file with the device's key.
pub const KEY: &str = "device.key";
/// The file with its certificate.
pub const CERTIFICATE: &str = "certificate.der";

/// The credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read or written, or others can read it.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// The folder of an authority cannot be used.
    #[error(transparent)]
    Folder(#[from] IoError),
    /// There is no key.
    #[error("{}: {source}; move it away to become a new device", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NoKey,
    },
    /// The registry's certificate is not one of this device and user.
    #[error("the registry's certificate cannot be used: {0}")]
    Certificate(#[from] CertificateError),
    /// It is one of somebody else.
    #[error("the registry's certificate is for {user}'s device {device}, not for this one")]
    OtherDevice {
        /// Whose it is.
        user: UserName,
        /// Of which device.
        device: DeviceId,
    },
    /// TLS does not take them.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A certificate with the authority behind it, ready for connections.
#[derive(Debug)]
pub struct Shown {
    /// The own certificate.
    pub certificate: DeviceCertificate,
    /// Since when it is shown. Its own beginning lies before that, for clocks that are slow.
    since: SystemTime,
    /// The authority that issued it and those of the others.
    pub trust: Trust,
    /// The end of connections that others dial.
    pub server: Arc<ServerConfig>,
    /// The end of connections that this peer dials.
    pub client: Arc<ClientConfig>,
}

impl Shown {
    /// For how long it can be shown in all.
    pub fn span(&self) -> Duration {
        self.certificate
            .not_after
            .duration_since(self.since)
            .unwrap_or_default()
    }
}

/// The authority whose folder this is; none where its certificate is not there.
///
/// # Errors
/// It cannot be read.
pub fn authority(folder: &Path) -> Result<Option<Trust>, SecretFileError> {
    let authority = secret_file::read(&folder.join(AUTHORITY_CERTIFICATE))?;
    Ok(authority.and_then(|authority| Trust::new(authority.to_vec().into()).ok()))
}

/// Whose a device is, by a certificate that an authority has signed at some time.
///
/// # Errors
/// Why it is not believed.
pub fn introduced(authority: Option<&Trust>, certificate: &[u8]) -> Result<(DeviceId, UserName), String> {
    let authority = authority.ok_or("no registry has certified this device yet")?;
    let certificate = authority
        .introduced(&certificate.into())
        .map_err(|error| error.to_string())?;
    Ok((DeviceId(certificate.device), certificate.user))
}

/// What this device shows, and whom it believes.
#[derive(Debug)]
pub struct Credentials {
    folder: PathBuf,
    user: UserName,
    key: DeviceKey,
    clock: Clock,
    shown: watch::Sender<Option<Arc<Shown>>>,
    /// Whom to believe about authors, whether the own certificate has ended or not.
    authority: RwLock<Option<Trust>>,
    revoked: watch::Sender<Revoked>,
    /// What is wrong with the file of those, for the user.
    damage: Option<String>,
    /// When the kept certificate had ended, if it had at the start.
    lapsed: Option<SystemTime>,
    /// What is on disk.
    kept: Mutex<Option<Arc<Shown>>>,
}

impl Credentials {
    /// Reads what the user's folder has, and what was kept under an authority; makes a key where there is none.
    ///
    /// # Errors
    /// The key cannot be read, made or kept to its owner. A certificate that is not there or has ended is no error: the registry
    /// gives another one.
    pub fn load(folder: &Path, user: &UserName, authority: Option<Authority>) -> Result<Self, CredentialsError> {
        let path = folder.join(KEY);
        let key = match secret_file::read(&path)? {
            Some(pkcs8) => DeviceKey::from_pkcs8(&pkcs8).map_err(|source| CredentialsError::Key { path, source })?,
            None => {
                let key = DeviceKey::generate().map_err(|source| CredentialsError::Key {
                    path: path.clone(),
                    source,
                })?;
                secret_file::write(&path, key.pkcs8())?;
                key
            }
        };
        let (revoked, damage) = revoked::load(folder);
        let mut credentials = Self {
            folder: folder.to_owned(),
            user: user.clone(),
            key,
            clock: Clock::default(),
            shown: watch::channel(None).0,
            authority: RwLock::new(None),
            revoked: watch::channel(revoked).0,
            damage,
            lapsed: None,
            kept: Mutex::default(),
        };
        if let Some(authority) = authority {
            credentials.take_up(authority)?;
        }
        Ok(credentials)
    }

    /// Takes up what was kept under an authority, as far as it is that one's.
    fn take_up(&mut self, meant: Authority) -> Result<(), CredentialsError> {
        let Some(place) = places::find(&self.folder, meant)? else {
            return Ok(());
        };
        let Some(trust) = authority(&place)?.filter(|trust| trust.fingerprint().bytes() == meant.0) else {
            return Ok(());
        };
        if let Some(certificate) = secret_file::read(&place.join(CERTIFICATE))? {
            let certificate = certificate.to_vec().into();
            let parsed = DeviceCertificate::parse(&certificate).ok();
            // It was issued after its beginning, so whatever the clock shows, it is later now.
            if let Some(parsed) = &parsed {
                self.clock.is_at_least(parsed.not_before);
            }
            match self.judge(certificate, trust.authority().clone()) {
                Ok(shown) => {
                    let shown = Arc::new(shown);
                    *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&shown));
                    self.shown.send_replace(Some(shown));
                }
                Err(_) => {
                    let end = parsed.map(|parsed| parsed.not_after);
                    self.lapsed = end.filter(|end| *end <= self.clock.now());
                }
            }
        }
        *self.authority.write().unwrap_or_else(PoisonError::into_inner) = Some(trust);
        Ok(())
    }

    /// This device.
    pub fn device(&self) -> DeviceId {
        DeviceId(self.key.public())
    }

    /// Its key.
    pub fn key(&self) -> &DeviceKey {
        &self.key
    }

    /// The time by which certificates are judged.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// When the kept certificate had ended, where it had at the start.
    pub fn lapsed(&self) -> Option<SystemTime> {
        self.lapsed
    }

    /// What is shown now; none before a registry has certified the device, and after the certificate has ended.
    pub fn shown(&self) -> Option<Arc<Shown>> {
        let shown = self.shown.borrow().clone();
        shown.filter(|shown| self.clock.now() < shown.certificate.not_after)
    }

    /// Whether it is time for another certificate: two thirds of this one's time are over.
    pub fn is_renewal_due(&self) -> bool {
        let shown = self.shown.borrow();
        shown
            .as_ref()
            .is_none_or(|shown| self.clock.now() >= shown.since + shown.span() / 3 * 2)
    }

    /// Tells of each new certificate.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<Shown>>> {
        self.shown.subscribe()
    }

    /// Shows a certificate from now on; [`Credentials::keep`] keeps it. To be judged by the time of the registry that has issued it, which is
    /// told to the [`clock`](Self::clock) before.
    ///
    /// # Errors
    /// It is not one of this device and user by this authority and for now.
    pub fn adopt(
        &self,
        certificate: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    ) -> Result<(), CredentialsError> {
        let shown = self.judge(certificate, authority)?;
        let authority = Some(shown.trust.clone());
        let before = mem::replace(
            &mut *self.authority.write().unwrap_or_else(PoisonError::into_inner),
            authority,
        );
        if before.is_some_and(|before| before.fingerprint() != shown.trust.fingerprint()) {
            // It has revoked others.
            self.revoked.send_modify(|_| {});
        }
        self.shown.send_replace(Some(Arc::new(shown)));
        Ok(())
    }

    /// Keeps what is shown for the next start, unless it is kept already. Waits for the disk, so it is for a thread of its own: a certificate that is
    /// lost is given anew by the registry, and nothing that others are told depends on it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep(&self) -> Result<(), CredentialsError> {
        // One after the other, so that the last one stays.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shown) = self.shown.borrow().clone() else {
            return Ok(());
        };
        let (authority, certificate) = (shown.trust.authority(), &shown.certificate.der);
        let place = places::of(&self.folder, Authority(shown.trust.fingerprint().bytes()))?;
        if kept.as_ref().is_none_or(|kept| kept.trust.authority() != authority) {
            secret_file::write(&place.join(AUTHORITY_CERTIFICATE), authority)?;
        }
        if kept.as_ref().is_none_or(|kept| kept.certificate.der != *certificate) {
            secret_file::write(&place.join(CERTIFICATE), certificate)?;
        }
        *kept = Some(shown);
        Ok(())
    }

    /// Whose a device is, by a certificate that was valid once.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn introduced(&self, certificate: &[u8]) -> Result<(DeviceId, UserName), String> {
        let authority = self.authority.read().unwrap_or_else(PoisonError::into_inner);
        introduced(authority.as_ref(), certificate)
    }

    fn judge(
        &self,
        certificate: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    ) -> Result<Shown, CredentialsError> {
        let trust = Trust::new(authority)?;
        let certificate = trust.valid(&certificate, self.clock.now())?;
        if certificate.device != self.key.public() || certificate.user != self.user {
            return Err(CredentialsError::OtherDevice {
                user: certificate.user,
                device: DeviceId(certificate.device),
            });
        }
        Ok(Shown {
            since: self.clock.now(),
            server: tls::peer_server(&self.key, &certificate, &trust, Arc::new(self.clock.clone()))?,
            client: tls::peer_client(&self.key, &certificate, &trust, Arc::new(self.clock.clone()))?,
            certificate,
            trust,
        })
    }

    /// Believes these devices no longer, on the word of the authority that certifies.
    pub fn revoke(&self, devices: impl IntoIterator<Item = DeviceId>) {
        let Some(authority) = self.fingerprint() else {
            return;
        };
        self.revoked
            .send_if_modified(|revoked| revoked.learn(authority, devices, self.clock.now()));
    }

    /// Whether a device was revoked.
    pub fn is_revoked(&self, device: &DeviceId) -> bool {
        let authority = self.fingerprint();
        authority.is_some_and(|authority| self.revoked.borrow().has(&authority, device))
    }

    /// Tells when devices are revoked.
    pub fn watch_revoked(&self) -> watch::Receiver<Revoked> {
        self.revoked.subscribe()
    }

    /// Keeps who was revoked for the next start. It waits for the disk.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep_revoked(&self) -> Result<(), CredentialsError> {
        // Read before it is written: what comes meanwhile is told anew.
        let revoked = self.revoked.borrow().clone();
        Ok(revoked::save(&self.folder, &revoked)?)
    }

    /// What the user must know of files that could not be read as they should.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// The authority that certifies now.
    fn fingerprint(&self) -> Option<Fingerprint> {
        let authority = self.authority.read().unwrap_or_else(PoisonError::into_inner);
        authority.as_ref().map(Trust::fingerprint)
    }
}

#[cfg(test)]
mod tests;
