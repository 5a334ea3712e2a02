//! One end of a floor: gRPC over mutual TLS with tonic as it comes, one thread, nothing kept.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use anyhow::Context as _;
use bytes::Bytes;
use peerchat_identity::{
    DeviceCertificate, DeviceKey, Trust,
    accept::{Limits, accept},
    connect::{connect, grpc},
    tls,
};
use rustls::{ClientConfig, pki_types::CertificateDer};
use tokio::{
    net::TcpListener,
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, Streaming,
    client::Grpc,
    codegen::{
        BoxFuture, Service,
        http::{self, uri::PathAndQuery},
    },
    server::{NamedService, StreamingService},
    transport::{Channel, Endpoint, Server},
};
use tonic_prost::ProstCodec;

use super::{FloorOrder, Papers, To, calls, from_hex, tcp};
use crate::bench::wire::{Report, read_orders, report};

const PATH: &str = "/peerchat.bench.Echo/Link";
/// How many messages wait to be sent to one, and how many of them go in one batch.
const WAITING_MAX: usize = 1_024;
pub(super) const BATCH_MAX: usize = 256;
const LIMITS: Limits = Limits {
    connections_max: 1_024,
    handshake_timeout: std::time::Duration::from_secs(10),
    preface_timeout: std::time::Duration::from_secs(10),
    first_call_timeout: std::time::Duration::MAX,
};

/// Messages as they are sent: the least that gRPC can carry.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Batch {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) messages: Vec<Bytes>,
    /// So many have come; of a question, are to come.
    #[prost(uint64, tag = "2")]
    pub(super) come: u64,
}

/// Whatever waits goes in one batch, so a single message waits for nothing.
struct Batches(mpsc::Receiver<Bytes>);

impl Stream for Batches {
    type Item = Batch;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Batch>> {
        let mut messages = Vec::new();
        let polled = self.0.poll_recv_many(context, &mut messages, BATCH_MAX);
        polled.map(|many| (many > 0).then_some(Batch { messages, come: 0 }))
    }
}

struct Link {
    client: Grpc<Channel>,
    out: mpsc::Sender<Bytes>,
    back: Streaming<Batch>,
}

/// Runs an end until the bench ends it.
///
/// # Errors
/// Something fails, and then there is no floor.
pub async fn run() -> anyhow::Result<()> {
    let mut orders = read_orders::<FloorOrder>()?;
    report(&Report::Ready { listen: String::new() })?;
    let (mut client, mut links) = (None, Vec::new());
    while let Some(order) = orders.recv().await {
        let order = order.map_err(anyhow::Error::msg)?;
        let done = async {
            Ok::<_, anyhow::Error>(match order {
                FloorOrder::Serve(papers) => {
                    let (listen, config) = serve(&papers).await?;
                    client = Some(config);
                    Report::Ready { listen }
                }
                FloorOrder::Dial { to } => {
                    let config = client.clone().context("there are no papers")?;
                    for to in to {
                        links.push(dial(&to, Arc::clone(&config)).await?);
                    }
                    Report::Done
                }
                FloorOrder::Talk { count, payload } => talk(&mut links, count, payload).await?,
                FloorOrder::Stream { count, payload } => stream(&mut links, count, payload).await?,
                FloorOrder::Many { count, payload } => {
                    let link = links.first().context("nobody was dialled")?;
                    calls::many(&link.client, count, payload).await?
                }
                FloorOrder::One {
                    at_once,
                    count,
                    payload,
                } => {
                    let clients: Vec<_> = links.iter().map(|link| link.client.clone()).collect();
                    calls::one(&clients, at_once, count, payload).await?
                }
                FloorOrder::ServeTcp => Report::Ready { listen: tcp::serve()? },
                FloorOrder::TalkTcp { to, count, payload } => {
                    let talk = tokio::task::spawn_blocking(move || tcp::talk(&to, count, payload));
                    Report::Samples { ns: talk.await?? }
                }
            })
        };
        let why = match done.await {
            Ok(done) => {
                report(&done)?;
                continue;
            }
            Err(error) => error.to_string(),
        };
        report(&Report::Failed { why })?;
    }
    Ok(())
}

async fn serve(papers: &Papers) -> anyhow::Result<(String, Arc<ClientConfig>)> {
    let key = DeviceKey::from_pkcs8(&from_hex(&papers.key)?)?;
    let certificate = DeviceCertificate::parse(&CertificateDer::from(from_hex(&papers.certificate)?))?;
    let trust = Trust::new(from_hex(&papers.authority)?.into())?;
    let config = tls::peer_server(&key, &certificate, &trust, tls::system_clock())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let incoming = accept(
        listener,
        LIMITS,
        move || Some(Arc::clone(&config)),
        |_| {},
        CancellationToken::new(),
    );
    tokio::spawn(Server::builder().add_service(Echo).serve_with_incoming(incoming));
    Ok((
        address,
        tls::peer_client(&key, &certificate, &trust, tls::system_clock())?,
    ))
}

async fn dial(to: &To, config: Arc<ClientConfig>) -> anyhow::Result<Link> {
    let device = from_hex(&to.device)?;
    let device = device
        .try_into()
        .map_err(|_| anyhow::anyhow!("{:?} is no device", to.device))?;
    let stream = connect(&to.address, tls::device_name(&device), config).await?;
    let endpoint = Endpoint::from_shared(format!("https://{}", to.address))?.tcp_nodelay(true);
    let mut client = Grpc::new(grpc(stream, endpoint).await?);
    client.ready().await?;
    let (out, messages) = mpsc::channel(WAITING_MAX);
    let request = Request::new(Batches(messages));
    let codec = ProstCodec::<Batch, Batch>::default();
    let back = client
        .streaming(request, PathAndQuery::from_static(PATH), codec)
        .await?;
    Ok(Link {
        client,
        out,
        back: back.into_inner(),
    })
}

async fn talk(links: &mut [Link], count: u64, payload: usize) -> anyhow::Result<Report> {
    let message = Bytes::from(vec![b'x'; payload]);
    let mut ns = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        for link in &*links {
            link.out.send(message.clone()).await?;
        }
        for link in &mut *links {
            link.back.message().await?.context("the stream has ended")?;
        }
        ns.push(begun.elapsed().as_nanos() as u64);
    }
    Ok(Report::Samples { ns })
}

/// Sends to all without waiting, and counts what came.
async fn stream(links: &mut Vec<Link>, count: u64, payload: usize) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let out: Vec<_> = links.iter().map(|link| link.out.clone()).collect();
    tokio::spawn(async move {
        for _ in 0..count {
            let message = Bytes::from(vec![b'x'; payload]);
            for out in &out {
                // Waiting only where there is no room: the runtime interrupts whoever waits often, and then batches are small.
                let sent = match out.try_send(message.clone()) {
                    Err(TrySendError::Full(message)) => out.send(message).await.is_ok(),
                    sent => sent.is_ok(),
                };
                if !sent {
                    return;
                }
            }
        }
    });
    // Each by itself: one that is not read holds up the others.
    let mut reading = JoinSet::new();
    for mut link in links.drain(..) {
        reading.spawn(async move {
            let mut come = 0;
            while come < count {
                let batch = link.back.message().await?;
                come += batch.context("the stream has ended")?.come;
            }
            Ok::<_, anyhow::Error>(link)
        });
    }
    while let Some(read) = reading.join_next().await {
        links.push(read??);
    }
    Ok(Report::Streamed {
        elapsed_ns: begun.elapsed().as_nanos() as u64,
        ns: Vec::new(),
    })
}

/// Sends a single message back as it came, and a word for each batch.
#[derive(Debug, Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "peerchat.bench.Echo";
}

impl Service<http::Request<tonic::body::Body>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != PATH {
                return Ok(calls::serve(request).await);
            }
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Batch, Batch>::default());
            Ok(grpc.streaming(Echo, request).await)
        })
    }
}

impl StreamingService<Batch> for Echo {
    type Response = Batch;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Batch, Status>> + Send>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Batch>>) -> Self::Future {
        let back = request.into_inner().map(|batch| {
            let mut batch = batch?;
            batch.come = batch.messages.len() as u64;
            batch.messages.truncate(1);
            Ok(batch)
        });
        Box::pin(async move { Ok(Response::new(Box::pin(back) as Self::ResponseStream)) })
    }
}
