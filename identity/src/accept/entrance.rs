//! Where connections come in, from their callers or by way of proxies.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Refused;
use crate::proxy::{self, Step};

/// How long to wait before accepting again when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where connections come in.
#[derive(Debug)]
pub struct Entrance {
    listener: TcpListener,
    proxies: Vec<IpAddr>,
    /// When it is to be closed.
    closing: CancellationToken,
}

impl Entrance {
    /// One to which these proxies connect others too. What comes from their addresses must begin with a header of the PROXY protocol, and
    /// counts as coming from where that says; what comes from elsewhere must not have one.
    pub fn behind(listener: TcpListener, proxies: Vec<IpAddr>) -> Self {
        Self {
            listener,
            proxies,
            closing: CancellationToken::new(),
        }
    }

    /// The same one, closed as soon as `closing` is cancelled: whoever comes then finds nobody who listens, and those who are in stay.
    pub fn until(self, closing: CancellationToken) -> Self {
        Self { closing, ..self }
    }

    /// What is cancelled when it is to be closed.
    pub(super) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Whether this is the address of a proxy.
    pub(super) fn is_proxy(&self, address: SocketAddr) -> bool {
        let address = address.ip().to_canonical();
        self.proxies.iter().any(|proxy| proxy.to_canonical() == address)
    }

    /// The next connection.
    pub(super) async fn next(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                // The caller went away before it was accepted.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) => {}
                Err(error) => {
                    warn!(%error, "cannot accept a connection; is the limit of open files too low?");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl From<TcpListener> for Entrance {
    fn from(listener: TcpListener) -> Self {
        Self::behind(listener, Vec::new())
    }
}

/// A connection before anything was said over it.
pub(super) struct Arrival {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) is_proxy: bool,
}

impl Arrival {
    /// Reads for whom a proxy has connected, and nothing beyond that.
    pub(super) async fn named(mut self) -> Result<(TcpStream, SocketAddr), Refused> {
        let mut header = Vec::new();
        while self.is_proxy {
            let refused = |source| Refused::Proxy {
                address: self.address,
                source,
            };
            match proxy::step(&header).map_err(refused)? {
                Step::Done(caller) => {
                    self.address = caller.unwrap_or(self.address);
                    break;
                }
                Step::Read(more) => {
                    let from = header.len();
                    header.resize(from + more, 0);
                    let read = self.stream.read_exact(&mut header[from..]).await;
                    read.map_err(|source| Refused::Handshake {
                        address: self.address,
                        source,
                    })?;
                }
            }
        }
        Ok((self.stream, self.address))
    }
}
