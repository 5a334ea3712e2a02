//! Look-ups and log-ins at a registry outside of a session: what a load on a registry is made of.

use std::{sync::Arc, time::Duration};

use peerchat_identity::{
    DeviceKey,
    connect::connect,
    tls::{self, TlsError},
};
use peerchat_proto::v1::{self as wire, routing_service_client::RoutingServiceClient};
use rustls::ClientConfig;
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Status, transport::Channel};

use super::channel::{self, ConnectError};
use crate::node::types::UserName;

/// How often the lease is renewed, well before it ends.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// Nothing can be looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// There is no connection.
    #[error("{0}")]
    Connect(String),
    /// The key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The registry refuses.
    #[error("the registry refuses: {}", .0.message())]
    Refused(#[from] Box<Status>),
}

impl From<ConnectError> for LookupError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error.to_string())
    }
}

/// A device that is logged in and looks up others. The lease is renewed until this is dropped.
#[derive(Debug)]
pub struct Lookups {
    clients: Vec<RoutingServiceClient<Channel>>,
    lease: bytes::Bytes,
    _renewing: DropGuard,
}

impl Lookups {
    /// Logs in a device of `user` and opens the pool. Whatever registry listens there is believed.
    ///
    /// # Errors
    /// No registry listens there, or it refuses.
    pub async fn open(
        registry: &str,
        key: &DeviceKey,
        user: &UserName,
        connections: usize,
    ) -> Result<Self, LookupError> {
        let config = tls::registry_client(key)?;
        let mut clients = Vec::new();
        for _ in 0..connections.max(1) {
            clients.push(connected(registry, Arc::clone(&config)).await?);
        }
        let login = log_in(&mut clients[0], user).await?;
        let stop = CancellationToken::new();
        renew(clients[0].clone(), login.lease.clone(), stop.clone()).await?;
        Ok(Self {
            clients,
            lease: login.lease,
            _renewing: stop.drop_guard(),
        })
    }

    /// Looks up a user over one of the connections; answers where his devices listen.
    ///
    /// # Errors
    /// He is not known, or the registry is gone.
    pub async fn find(&self, connection: usize, user: &UserName) -> Result<Vec<String>, LookupError> {
        let mut client = self.clients[connection % self.clients.len()].clone();
        let request = wire::FindRequest {
            lease: self.lease.clone(),
            user: user.key().to_owned(),
        };
        let found = client.find(request).await.map_err(Box::new)?.into_inner();
        Ok(found.peers.into_iter().map(|peer| peer.address).collect())
    }
}

/// Logs a device of `user` in over a connection of its own, and hangs up. Answers whether the name was free.
///
/// # Errors
/// No registry listens there, or it refuses.
pub async fn log_in_once(registry: &str, key: &DeviceKey, user: &UserName) -> Result<bool, LookupError> {
    let mut client = connected(registry, tls::registry_client(key)?).await?;
    Ok(log_in(&mut client, user).await?.is_new_account)
}

async fn log_in(
    client: &mut RoutingServiceClient<Channel>,
    user: &UserName,
) -> Result<wire::LogInResponse, LookupError> {
    let request = wire::LogInRequest {
        user: user.shown().to_owned(),
        // Nobody will dial it.
        address: "127.0.0.1:9".to_owned(),
        ..wire::LogInRequest::default()
    };
    Ok(client.log_in(request).await.map_err(Box::new)?.into_inner())
}

async fn connected(registry: &str, config: Arc<ClientConfig>) -> Result<RoutingServiceClient<Channel>, ConnectError> {
    let stream = channel::within_deadline(registry, connect(registry, tls::registry_name(), config)).await?;
    Ok(RoutingServiceClient::new(channel::over(stream, registry).await?))
}

/// Keeps the lease, and passes over what is told with it.
async fn renew(
    mut client: RoutingServiceClient<Channel>,
    lease: bytes::Bytes,
    stop: CancellationToken,
) -> Result<(), LookupError> {
    let (renewals, requests) = mpsc::channel(1);
    let renewal = wire::WatchRequest {
        lease,
        users: Vec::new(),
    };
    // There is room for one.
    let _room = renewals.try_send(renewal.clone());
    let mut changes = client
        .watch(ReceiverStream::new(requests))
        .await
        .map_err(Box::new)?
        .into_inner();
    let keep = async move {
        loop {
            tokio::select! {
                change = changes.message() => if !matches!(change, Ok(Some(_))) {
                    break;
                },
                () = sleep(RENEW_EVERY) => if renewals.send(renewal.clone()).await.is_err() {
                    break;
                },
            }
        }
    };
    tokio::spawn(async move { stop.run_until_cancelled(keep).await });
    Ok(())
}
