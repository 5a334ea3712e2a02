//! A registry in this process, where none listens on this machine.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A registry that runs in this process.
#[derive(Debug)]
pub(super) struct HostedRegistry {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The address to host a registry at, if `registry` (HOST:PORT) is on this machine's loopback.
pub(super) fn loopback(registry: &str) -> Option<SocketAddr> {
    let (host, _) = registry.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    // A name is looked up only where it is known to be this machine's.
    let mut addresses = registry.to_socket_addrs().ok().filter(|_| loopback)?;
    addresses.find(|address| address.ip().is_loopback() && address.port() != 0)
}

impl HostedRegistry {
    /// Starts a registry that keeps its authority and accounts in `folder`; none if something listens there already, which may be
    /// another peer's that was faster.
    ///
    /// # Errors
    /// What is in the folder cannot be used.
    pub(super) async fn start(address: SocketAddr, folder: PathBuf) -> Result<Option<Self>, String> {
        let Ok(listener) = TcpListener::bind(address).await else {
            return Ok(None);
        };
        let settings = peerchat_registry::Settings::hosted(folder);
        let registry = peerchat_registry::Registry::open(settings).await;
        let registry = registry.map_err(|error| format!("cannot host a registry: {error}"))?;
        let stop = CancellationToken::new();
        let until = stop.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = peerchat_registry::serve(listener, registry, until).await {
                tracing::error!(%error, "the hosted registry failed");
            }
        });
        Ok(Some(Self { stop, task }))
    }

    /// Whether it still runs.
    pub(super) fn runs(&self) -> bool {
        !self.task.is_finished()
    }

    /// Ends it in order.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the hosted registry failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loopback_address_is_hosted() {
        assert_eq!(loopback("127.0.0.1:10001"), Some("127.0.0.1:10001".parse().unwrap()));
        assert_eq!(loopback("[::1]:10001"), Some("[::1]:10001".parse().unwrap()));
        assert!(loopback("localhost:10001").is_some_and(|address| address.ip().is_loopback()));
        for other in [
            "192.0.2.1:10001",
            "registry.example:10001",
            "127.0.0.1",
            "127.0.0.1:0",
            "",
            ":1",
        ] {
            assert_eq!(loopback(other), None, "{other}");
        }
    }
}
