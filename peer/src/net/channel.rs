//! Connections that this peer makes: TLS first, with whom and as whom is settled there; then HTTP/2 and gRPC over it.

use std::{io, net::SocketAddr, sync::Arc};

use peerchat_identity::{DeviceCertificate, Special, connect, tls};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use super::{CALL_DEADLINE, CONNECTION_WINDOW_BYTES, KEEPALIVE_EVERY, KEEPALIVE_WAIT, Net, STREAM_WINDOW_BYTES};
use crate::{credentials::Shown, node::types::DeviceId};

/// The most addresses of a host name that are tried.
const HOSTS_MAX: usize = 16;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("no registry has certified this device yet, or its certificate has ended")]
    NotCertified,
    #[error("device {0} was revoked")]
    Revoked(DeviceId),
    #[error("{0} is no address")]
    Address(String),
    #[error("no connection to {address}: {source}")]
    Io { address: String, source: io::Error },
    #[error("no connection to {address}: no answer within {CALL_DEADLINE:?}")]
    Silent { address: String },
    #[error("no connection to {address}: {source}")]
    Http {
        address: String,
        source: tonic::transport::Error,
    },
    #[error("the certificate at {address} cannot be used: {source}")]
    Certificate {
        address: String,
        source: peerchat_identity::CertificateError,
    },
}

/// A connection that this peer has made to a device.
#[derive(Debug, Clone)]
pub(super) struct Dialled {
    /// Where calls go.
    pub(super) channel: Channel,
    /// What the device has shown.
    pub(super) certificate: DeviceCertificate,
    /// What this peer has shown, and its calls are judged by.
    pub(super) shown: Arc<Shown>,
}

/// A connection to a device at an address.
pub(super) async fn to_device(net: &Net, device: DeviceId, address: &str) -> Result<Dialled, ConnectError> {
    let shown = net.credentials.shown().ok_or(ConnectError::NotCertified)?;
    if net.credentials.is_revoked(&device) {
        return Err(ConnectError::Revoked(device));
    }
    let dialled = async {
        let hosts = may_be_dialled(address).await?;
        connect::connect(&hosts[..], tls::device_name(&device.0), shown.client.clone()).await
    };
    let stream = within_deadline(address, dialled).await?;
    let certificate = connect::device_certificate(&stream).map_err(|source| ConnectError::Certificate {
        address: address.to_owned(),
        source,
    })?;
    Ok(Dialled {
        channel: over(stream, address).await?,
        certificate,
        shown,
    })
}

/// Where an address leads that another one has named, unless no peer can be there. Whoever announces a host name decides later where it
/// leads, so that one must not lead to a link of this machine's either; of a literal address that is for the registry to say.
async fn may_be_dialled(address: &str) -> io::Result<Vec<SocketAddr>> {
    let is_name = address.parse::<SocketAddr>().is_err();
    let mut hosts: Vec<_> = lookup_host(address).await?.take(HOSTS_MAX).collect();
    hosts.retain(|host| match Special::of(host.ip()) {
        None => true,
        Some(Special::LinkLocal) => !is_name,
        Some(Special::Metadata | Special::NotOneHost) => false,
    });
    if hosts.is_empty() {
        return Err(io::Error::other("no peer can be there"));
    }
    Ok(hosts)
}

/// Waits for a connection, but not for ever.
pub(super) async fn within_deadline<T>(
    address: &str,
    connecting: impl Future<Output = io::Result<T>>,
) -> Result<T, ConnectError> {
    match timeout(CALL_DEADLINE, connecting).await {
        Ok(connected) => connected.map_err(|source| ConnectError::Io {
            address: address.to_owned(),
            source,
        }),
        Err(_) => Err(ConnectError::Silent {
            address: address.to_owned(),
        }),
    }
}

/// gRPC over a stream that was made to `address`.
pub(super) async fn over(stream: TlsStream<TcpStream>, address: &str) -> Result<Channel, ConnectError> {
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .map_err(|_| ConnectError::Address(address.to_owned()))?
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_WAIT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let connecting = timeout(CALL_DEADLINE, connect::grpc(stream, endpoint)).await;
    connecting
        .map_err(|_| ConnectError::Silent {
            address: address.to_owned(),
        })?
        .map_err(|source| ConnectError::Http {
            address: address.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_peer_is_dialled_where_none_can_be() {
        for address in [
            "169.254.169.254:80",
            "[fd00:ec2::254]:80",
            "[::ffff:100.100.100.200]:80",
            "0.0.0.0:80",
            "224.0.0.1:80",
        ] {
            may_be_dialled(address).await.unwrap_err();
        }
        for address in ["127.0.0.1:80", "[::1]:80", "169.254.7.7:80", "localhost:80"] {
            assert!(!may_be_dialled(address).await.unwrap().is_empty(), "{address}");
        }
    }
}
