//! Certificates that connections show are kept beside the entries of their devices, for third parties.

use bytes::Bytes;

use super::Net;
use crate::{node::Input, seal};

impl Net {
    /// A device has proved whose it is.
    pub(super) async fn introduce(&self, certificate: &[u8]) {
        match seal::introduction(Bytes::copy_from_slice(certificate), self.notary.as_ref()) {
            Ok(introduction) => self.tell(Input::Introduced(introduction)).await,
            // It was believed for a connection, so the registry's authority has changed since.
            Err(error) => tracing::debug!(%error, "a certificate is not kept"),
        }
    }
}

/// Introduces this device as soon as the registry has certified it.
pub(super) async fn introduce_own(net: Net) {
    let mut shown = net.credentials.watch();
    loop {
        let certificate = shown
            .borrow_and_update()
            .as_ref()
            .map(|shown| shown.certificate.der.clone());
        if let Some(certificate) = certificate {
            net.introduce(&certificate).await;
        }
        tokio::select! {
            changed = shown.changed() => if changed.is_err() { return },
            () = net.shutdown.cancelled() => return,
        }
    }
}
