//! Dialling with TLS.

use std::{
    future::ready,
    io,
    sync::{Arc, Mutex},
};

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::{CertificateError, DeviceBytes, DeviceCertificate, Fingerprint, certificate, socket};

/// Connects to `address`, such as HOST:PORT, and shakes hands with whoever has a certificate for `name`. The caller sets the deadline.
///
/// # Errors
/// Nobody listens there, or somebody else does. In TLS 1.3 a refusal of this side's own certificate shows only later, at the first
/// read.
pub async fn connect(
    address: impl ToSocketAddrs,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    socket::prepare(&stream)?;
    TlsConnector::from(config).connect(name, stream).await
}

/// gRPC over a stream. When the stream ends, the channel has ended: whoever was at its other end must prove it again. The
/// `endpoint` says how HTTP/2 is spoken; where it leads to is settled.
///
/// # Errors
/// The other end speaks no HTTP/2.
pub async fn grpc(stream: TlsStream<TcpStream>, endpoint: Endpoint) -> Result<Channel, tonic::transport::Error> {
    let once = Mutex::new(Some(TokioIo::new(stream)));
    let connector = service_fn(move |_| {
        let stream = once.lock().ok().and_then(|mut stream| stream.take());
        ready(stream.ok_or(io::Error::from(io::ErrorKind::NotConnected)))
    });
    endpoint.connect_with_connector(connector).await
}

/// The fingerprint of the registry at the other end.
pub fn registry_fingerprint(stream: &TlsStream<TcpStream>) -> Option<Fingerprint> {
    stream.get_ref().1.peer_certificates()?.last().map(Fingerprint::of)
}

/// The key of whoever is at the other end; none where it is none of a kind that is used here.
pub fn shown_key(stream: &TlsStream<TcpStream>) -> Option<DeviceBytes> {
    certificate::device_of(stream.get_ref().1.peer_certificates()?.first()?).ok()
}

/// The certificate of the device at the other end.
///
/// # Errors
/// It is not one of a device.
pub fn device_certificate(stream: &TlsStream<TcpStream>) -> Result<DeviceCertificate, CertificateError> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    DeviceCertificate::parse(chain.first().ok_or(CertificateError::Malformed)?)
}
