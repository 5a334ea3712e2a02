//! A registry on a listener: its services, the limits of a connection, and how it ends.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use peerchat_identity::{
    accept::{Entrance, Limits, NoteCalls, Noting, Refused, accept},
    open_files,
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::Router};
use tonic_health::{ServingStatus, server::HealthReporter};
use tracing::warn;

use crate::{
    cluster::Calls,
    registry::Registry,
    service::{CALL_DEADLINE, Service, ending, sharing},
};

/// What connections are bound by, where the system lets the process open so many files.
const LIMITS: Limits = Limits {
    connections_max: 12_000,
    handshake_timeout: Duration::from_secs(5),
    preface_timeout: Duration::from_secs(5),
    first_call_timeout: Duration::from_secs(10),
};

/// Files that are not for connections: the database, what listens, and calls to other registries. Where there are few files it is half of them.
const OTHER_FILES: u64 = 256;

/// The part of the files that is for the connections of a registry in a peer: the peer takes half of them for its own, and the rest is for its logs.
const HOSTED_PART: u64 = 4;

/// How often a silent connection is asked for a sign of life, and how long it may take: a vanished peer is found in 8 s, well
/// before its lease ends.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls and streams that one connection may have open at a time. A peer needs its watch and a call or two for each room that it enters.
const STREAMS_PER_CONNECTION_MAX: u32 = 256;

/// Unary calls of one connection that are worked on at a time; the rest wait.
const CALLS_PER_CONNECTION_MAX: usize = 32;

/// The most bytes of a request to the health and reflection services.
const SIDE_REQUEST_BYTES_MAX: usize = 16 * 1024;

/// How long those who are connected may take to hear of the shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// How long closing the accounts may take. A database or a disk that hangs must not hold up the end.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// The limits where the process may have so many files open.
fn limits(open_files: Option<u64>, is_hosted: bool) -> Limits {
    LIMITS.at_most(open_files.map_or(u64::MAX, |files| {
        if is_hosted {
            files / HOSTED_PART
        } else {
            files.saturating_sub(OTHER_FILES).max(files / 2)
        }
    }))
}

/// How many files a process must be allowed for all connections that its registry would take.
const fn files_wanted(is_hosted: bool) -> u64 {
    let connections = LIMITS.connections_max as u64;
    if is_hosted {
        connections * HOSTED_PART
    } else {
        connections + OTHER_FILES
    }
}

/// Why a registry cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already.
    #[error(
        "{0} is in use by another program, perhaps another registry; stop that one, or choose another port with --listen"
    )]
    Taken(String),
    /// The system does not allow it.
    #[error("not permitted to listen on {0}; choose a port above 1023 with --listen")]
    NotPermitted(String),
    /// Anything else, such as an address that is not this machine's.
    #[error("cannot listen on {address}; choose an address of this machine with --listen")]
    Other {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
}

/// Why a registry stopped serving without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The contract that is built in is damaged.
    #[error("the built-in description of the services cannot be read")]
    Descriptors(#[from] tonic_reflection::server::Error),
    /// The server failed.
    #[error("the gRPC server failed")]
    Server(#[from] tonic::transport::Error),
}

/// Listens on an address; port 0 takes a free one.
///
/// # Errors
/// [`BindError::Taken`] where somebody else listens there, and the others as they say.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    bind_to(&address.to_string()).await
}

/// Listens at HOST:PORT. A host that has several addresses must have one of this machine's among them.
///
/// # Errors
/// As [`bind`].
pub async fn bind_to(address: &str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| {
        let address = address.to_owned();
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken(address),
            io::ErrorKind::PermissionDenied => BindError::NotPermitted(address),
            _ => BindError::Other { address, source },
        }
    })
}

/// Runs a registry until `shutdown` is cancelled; then nobody listens any more, watchers are told, and within about a second every
/// connection is closed. Dropping the future ends it at once. Runs on either flavour of tokio runtime, and on several
/// listeners in one process, each with a table of its own.
///
/// # Errors
/// [`ServeError`] where the server cannot start or fails.
pub async fn serve(listener: TcpListener, registry: Registry, shutdown: CancellationToken) -> Result<(), ServeError> {
    let registry = Arc::new(registry);
    let (health, router) = router(&registry).await?;
    // Whichever way this future ends, no connection of the registry outlives it.
    let severed = CancellationToken::new();
    let sever = severed.clone().drop_guard();
    let config = Arc::clone(&registry.tls);
    let refusals = Arc::clone(&registry.refusals);
    let refused = move |refused: Refused| refusals.tell(&refused);
    // A balancer must find at once that nobody listens here any more, and try another one.
    let entrance = Entrance::behind(listener, registry.settings.proxies.clone()).until(shutdown.clone());
    let is_hosted = registry.settings.is_hosted;
    let limits = limits(open_files::limit(), is_hosted);
    if limits.connections_max < LIMITS.connections_max {
        let (most, wanted) = (limits.connections_max, files_wanted(is_hosted));
        warn!(
            "the system lets this process open so few files that no more than {most} peers can be connected; allow it {wanted} files"
        );
    }
    let incoming = accept(entrance, limits, move || Some(Arc::clone(&config)), refused, severed);

    // Beside the server, which stops asking for its signal once nobody listens any more.
    let farewell = async {
        shutdown.cancelled().await;
        for service in ["", Service::ROUTING, Service::ACCOUNTS, Calls::NAME] {
            health.set_service_status(service, ServingStatus::NotServing).await;
        }
        registry.engine.close();
        registry.accounts.end_waiting();
        std::future::pending().await
    };
    let too_long = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    let leave_cluster = shutdown.child_token();
    let serving = async {
        let served = tokio::select! {
            served = router.serve_with_incoming_shutdown(incoming, shutdown.cancelled()) => served.map_err(ServeError::from),
            () = farewell => Ok(()),
            () = too_long => Ok(()),
            () = registry.engine.run() => Ok(()),
            () = sharing::run(Arc::clone(&registry)) => Ok(()),
            () = ending::run(Arc::clone(&registry)) => Ok(()),
            () = registry.accounts.keep() => Ok(()),
        };
        leave_cluster.cancel();
        served
    };
    // Another node takes over while this one says good-bye to its peers.
    let in_cluster = async {
        if let Some(node) = &registry.node {
            node.run(Arc::clone(&registry.accounts), leave_cluster.clone()).await;
        }
    };
    let (served, ()) = tokio::join!(serving, in_cluster);
    // First: calls that are at work keep the database open.
    drop(sever);
    if timeout(CLOSE_WAIT, registry.accounts.close()).await.is_err() {
        warn!("the accounts could not be closed in time; what was answered is stored all the same");
    }
    served
}

/// All services behind their limits.
async fn router(registry: &Arc<Registry>) -> Result<(HealthReporter, Router<Noting>), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for service in [Service::ROUTING, Service::ACCOUNTS, Calls::NAME] {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(peerchat_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let router = Server::builder()
        .timeout(CALL_DEADLINE)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION_MAX)
        .layer(NoteCalls)
        .add_service(Service::routing(registry))
        .add_service(Service::accounts(registry))
        .add_service(Calls::service(registry))
        .add_service(health_service.max_decoding_message_size(SIDE_REQUEST_BYTES_MAX))
        .add_service(
            reflection()
                .build_v1()?
                .max_decoding_message_size(SIDE_REQUEST_BYTES_MAX),
        )
        .add_service(
            reflection()
                .build_v1alpha()?
                .max_decoding_message_size(SIDE_REQUEST_BYTES_MAX),
        );
    Ok((health, router))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        let all = LIMITS.connections_max;
        for (files, alone, hosted) in [
            (Some(256), 128, 64),
            (Some(1_024), 768, 256),
            (Some(16_384), all, 4_096),
            (None, all, all),
        ] {
            assert_eq!(limits(files, false).connections_max, alone, "{files:?}");
            assert_eq!(limits(files, true).connections_max, hosted, "{files:?} in a peer");
        }
    }

    #[test]
    fn with_as_many_files_as_are_wanted_all_are_taken() {
        for is_hosted in [false, true] {
            let wanted = files_wanted(is_hosted);
            let connections = |files| limits(Some(files), is_hosted).connections_max;
            assert_eq!(connections(wanted), LIMITS.connections_max);
            assert!(connections(wanted - 1) < LIMITS.connections_max);
        }
    }
}
