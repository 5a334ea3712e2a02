//! The service of a peer made by the tests themselves, which answers what no honest one would.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use peerchat_identity::{
    DeviceKey,
    accept::{Limits, accept},
    tls,
};
use peerchat_proto::v1::{
    Entry, GiveHistoryRequest, GiveHistoryResponse, HistoryRequest, HistoryResponse, LinkRequest, LinkResponse, Seen,
    VersionRequest, VersionResponse,
    chat_service_server::{ChatService, ChatServiceServer},
};
use rustls::ServerConfig;
use tokio::runtime::Runtime;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    harness::DEADLINE,
    wire::{Fake, encoded, seal},
};

const LIMITS: Limits = Limits {
    connections_max: 64,
    handshake_timeout: DEADLINE,
    preface_timeout: DEADLINE,
    first_call_timeout: std::time::Duration::MAX,
};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The parts of a history.
pub type Parts = Answers<HistoryResponse>;

/// A part with these encoded entries and nothing that proves them.
pub fn bare(entries: Vec<Bytes>) -> HistoryResponse {
    HistoryResponse {
        entries,
        ..HistoryResponse::default()
    }
}

/// A part with an entry that is sealed by its author. If that is who serves it, it is introduced.
pub fn sealed(key: &DeviceKey, entry: &Entry) -> HistoryResponse {
    HistoryResponse {
        entries: vec![encoded(entry)],
        seals: vec![seal(key, entry)],
        ..HistoryResponse::default()
    }
}

/// What the service answers.
#[derive(Clone)]
pub struct Script {
    /// Whether a link is accepted, and then nothing is ever sent; otherwise it is refused.
    pub takes_links: bool,
    /// What it says that it holds; it never answers if that is nothing.
    pub heights: Option<Vec<Seen>>,
    /// What it sends as a history.
    pub history: Arc<dyn Fn() -> Parts + Send + Sync>,
}

/// A service that runs while this lives.
pub struct Server {
    pub address: SocketAddr,
    shown: Arc<OnceLock<Arc<ServerConfig>>>,
    certificate: Arc<OnceLock<Bytes>>,
    _runtime: Runtime,
}

impl Server {
    pub fn start(script: Script) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let certificate: Arc<OnceLock<Bytes>> = Arc::default();
        let service = ChatServiceServer::new(Service {
            script,
            certificate: Arc::clone(&certificate),
        });
        let shown: Arc<OnceLock<Arc<ServerConfig>>> = Arc::default();
        let config = Arc::clone(&shown);
        runtime.spawn(async move {
            let config = move || config.get().cloned();
            let connections = accept(listener, LIMITS, config, |_| {}, CancellationToken::new());
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(connections).await
        });
        Self {
            address,
            shown,
            certificate,
            _runtime: runtime,
        }
    }

    /// Serves from now on as one who is logged in with its address.
    pub fn serve_as(&self, fake: &Fake) {
        let config = tls::peer_server(&fake.key, &fake.certificate, &fake.trust, tls::system_clock()).unwrap();
        self.shown.set(config).expect("a server is one device's");
        let certificate = Bytes::copy_from_slice(&fake.certificate.der);
        self.certificate.set(certificate).expect("a server is one device's");
    }
}

/// What a server answers, and the certificate with which it introduces itself.
struct Service {
    script: Script,
    certificate: Arc<OnceLock<Bytes>>,
}

#[tonic::async_trait]
impl ChatService for Service {
    type LinkStream = Answers<LinkResponse>;
    type HistoryStream = Answers<HistoryResponse>;

    async fn link(&self, _: Request<Streaming<LinkRequest>>) -> Result<Response<Self::LinkStream>, Status> {
        if self.script.takes_links {
            Ok(Response::new(Box::pin(tokio_stream::pending())))
        } else {
            Err(Status::unavailable("no links here"))
        }
    }

    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        match self.script.heights.clone() {
            None => std::future::pending().await,
            Some(heights) => Ok(Response::new(VersionResponse {
                version: heights.iter().fold(0, |sum, seen| seen.seq.saturating_add(sum)),
                heights,
            })),
        }
    }

    async fn history(&self, _: Request<HistoryRequest>) -> Result<Response<Self::HistoryStream>, Status> {
        let certificate = self.certificate.get().cloned();
        let introduced = move |mut part: HistoryResponse| {
            if !part.seals.is_empty() && part.introductions.is_empty() {
                part.introductions.extend(certificate.clone());
            }
            part
        };
        let parts = (self.script.history)().map(move |part| part.map(&introduced));
        Ok(Response::new(Box::pin(parts)))
    }

    async fn give_history(
        &self,
        _: Request<Streaming<GiveHistoryRequest>>,
    ) -> Result<Response<GiveHistoryResponse>, Status> {
        Err(Status::unimplemented("this peer asks for nothing"))
    }
}
