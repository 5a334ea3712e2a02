//! The five configurations of TLS that there are: both ends of a connection between peers, both ends of one to a registry, and a
//! registry's end towards another one of its cluster.
//!
//! TLS 1.3 and HTTP/2 only. No session is ever resumed: a resumed one would bring back the certificate of the first, which may
//! have ended or been revoked since.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    time_provider::{DefaultTimeProvider, TimeProvider},
    version::TLS13,
};

use crate::{
    DeviceBytes, DeviceCertificate, DeviceKey, Trust, san,
    verifier::{AnyDevice, AnyRegistry},
};

/// The protocol that is negotiated.
const ALPN: &[u8] = b"h2";

/// TLS cannot be set up with these keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The library refuses them.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    /// The authority cannot be used for callers.
    #[error("TLS cannot be set up with the registry's authority: {0}")]
    Authority(#[from] rustls::server::VerifierBuilderError),
    /// The device's key cannot sign a certificate.
    #[error("the device's key cannot be shown to a registry: {0}")]
    Key(#[from] rcgen::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(trust: &Trust) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(trust.authority().clone())?;
    Ok(Arc::new(roots))
}

fn finished_server(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

fn finished_client(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// The clock of this machine, for whoever has no better one to judge certificates by.
pub fn system_clock() -> Arc<dyn TimeProvider> {
    Arc::new(DefaultTimeProvider)
}

/// A peer's end towards peers that dial it: both show certificates of the same authority, which are judged by `clock`.
///
/// # Errors
/// Key, certificate and authority do not fit.
pub fn peer_server(
    key: &DeviceKey,
    certificate: &DeviceCertificate,
    trust: &Trust,
    clock: Arc<dyn TimeProvider>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let callers = WebPkiClientVerifier::builder_with_provider(roots(trust)?, Arc::clone(&provider)).build()?;
    let config = ServerConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(callers)
        .with_single_cert(vec![certificate.der.clone()], key.for_tls())?;
    Ok(finished_server(config))
}

/// A peer's end towards peers that it dials, whose certificates are judged by `clock`. Which device is meant is in the name that is
/// dialled: see [`device_name`].
///
/// # Errors
/// Key, certificate and authority do not fit.
pub fn peer_client(
    key: &DeviceKey,
    certificate: &DeviceCertificate,
    trust: &Trust,
    clock: Arc<dyn TimeProvider>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_details(provider(), clock)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots(trust)?)
        .with_client_auth_cert(vec![certificate.der.clone()], key.for_tls())?;
    Ok(finished_client(config))
}

/// A registry's end: shows its own certificate and its authority's, and takes any device that has its key.
///
/// # Errors
/// Key and certificate do not fit.
pub fn registry_server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(AnyDevice(provider)))
        .with_single_cert(chain, key)?;
    Ok(finished_server(config))
}

/// A device's end towards a registry. Any registry will do: it is the caller's part to look at the fingerprint
/// ([`registry_fingerprint`](crate::connect::registry_fingerprint)) before anything is said.
///
/// # Errors
/// The key cannot be used.
pub fn registry_client(key: &DeviceKey) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyRegistry(provider)))
        .with_client_auth_cert(vec![key.self_signed()?], key.for_tls())?;
    Ok(finished_client(config))
}

/// The end of a cluster's node towards another node, which is reached where that one serves peers. Which node is meant is in the name
/// that is dialled: see [`node_name`].
///
/// # Errors
/// Key, certificate and authority do not fit.
pub fn node_client(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    trust: &Trust,
) -> Result<Arc<ClientConfig>, TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots(trust)?)
        .with_client_auth_cert(vec![certificate], key)?;
    Ok(finished_client(config))
}

/// The name to dial for one device and no other.
pub fn device_name(device: &DeviceBytes) -> ServerName<'static> {
    san::dns_name(device)
        .try_into()
        .expect("52 letters and digits are a DNS label")
}

/// The name to dial for a registry.
pub fn registry_name() -> ServerName<'static> {
    san::REGISTRY.try_into().expect("it is a DNS name")
}

/// The name to dial for one node of a cluster and no other.
pub fn node_name(node: u8) -> ServerName<'static> {
    san::node_name(node).try_into().expect("it is a DNS name")
}
