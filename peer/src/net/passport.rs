//! Who is at the other end of a connection, and until when that may be believed.

use std::{sync::Arc, time::Duration};

use peerchat_identity::{CertificateError, DeviceCertificate};
use tokio::time::sleep;

use crate::{
    credentials::Credentials,
    node::types::{DeviceId, Reader, UserName},
};

/// The certificate that the other end has shown last.
#[derive(Debug)]
pub(super) struct Passport {
    credentials: Arc<Credentials>,
    certificate: DeviceCertificate,
}

/// Why it counts no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the device's certificate has ended and was not renewed")]
    Ended,
    #[error("the device was revoked")]
    Revoked,
}

/// Why a new certificate is not taken in place of the one before.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenewError {
    #[error("its renewed certificate cannot be used: {0}")]
    Certificate(#[from] CertificateError),
    #[error("its renewed certificate is for another device or user")]
    Other,
    #[error("it renewed a certificate that this peer cannot judge without one of its own")]
    NotCertified,
}

impl Passport {
    /// The certificate of a connection, which TLS has judged.
    pub(super) fn new(credentials: Arc<Credentials>, certificate: DeviceCertificate) -> Self {
        Self {
            credentials,
            certificate,
        }
    }

    pub(super) fn device(&self) -> DeviceId {
        DeviceId(self.certificate.device)
    }

    /// The certificate itself.
    pub(super) fn der(&self) -> &[u8] {
        &self.certificate.der
    }

    pub(super) fn user(&self) -> &UserName {
        &self.certificate.user
    }

    /// Who it is when it asks for something.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            user: self.user().clone(),
            device: self.device(),
        }
    }

    /// Why it does not count now, if so.
    pub(super) fn fault(&self) -> Option<Fault> {
        if self.credentials.is_revoked(&self.device()) {
            return Some(Fault::Revoked);
        }
        (self.certificate.not_after <= self.credentials.clock().now()).then_some(Fault::Ended)
    }

    /// Takes a newer certificate of the same device and user.
    pub(super) fn renew(&mut self, der: &[u8]) -> Result<(), RenewError> {
        let shown = self.credentials.shown().ok_or(RenewError::NotCertified)?;
        let renewed = shown.trust.valid(&der.into(), self.credentials.clock().now())?;
        if (renewed.device, &renewed.user) != (self.certificate.device, &self.certificate.user) {
            return Err(RenewError::Other);
        }
        if renewed.not_after > self.certificate.not_after {
            self.certificate = renewed;
        }
        Ok(())
    }

    /// Ends when this certificate counts no longer. To be asked for anew after each renewal.
    pub(super) fn ended(&self) -> impl Future<Output = Fault> + Send + use<> {
        /// Registries tell the time and machines sleep: it is looked at again at least this often.
        const LOOK_EVERY: Duration = Duration::from_secs(60);
        let shown = Self::new(self.credentials.clone(), self.certificate.clone());
        async move {
            let mut revoked = shown.credentials.watch_revoked();
            loop {
                if let Some(fault) = shown.fault() {
                    return fault;
                }
                let left = shown
                    .certificate
                    .not_after
                    .duration_since(shown.credentials.clock().now())
                    .unwrap_or_default();
                tokio::select! {
                    () = sleep(left.min(LOOK_EVERY)) => {}
                    // The sender lives as long as the credentials.
                    _ = revoked.changed() => {}
                }
            }
        }
    }
}
