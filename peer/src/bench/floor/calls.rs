//! Calls that are no two-way stream, with nothing behind them: many messages for one question, which is what a pull is at least, and one
//! for one, which is what a look-up is at least.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use anyhow::Context as _;
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tonic::{
    Request, Response, Status,
    body::Body,
    client::Grpc,
    codegen::{
        BoxFuture,
        http::{self, uri::PathAndQuery},
    },
    server::{ServerStreamingService, UnaryService},
    transport::Channel,
};
use tonic_prost::ProstCodec;

use super::part::{BATCH_MAX, Batch};
use crate::bench::wire::Report;

/// Where many messages are asked for, and where one is.
pub(super) const MANY: &str = "/peerchat.bench.Echo/Many";
pub(super) const ONE: &str = "/peerchat.bench.Echo/One";
/// The most bytes of messages in one batch.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Serves a call to one of the two.
pub(super) async fn serve(request: http::Request<Body>) -> http::Response<Body> {
    let mut grpc = tonic::server::Grpc::new(ProstCodec::<Batch, Batch>::default());
    match request.uri().path() {
        MANY => grpc.server_streaming(Many, request).await,
        _ => grpc.unary(One, request).await,
    }
}

/// So many messages like the first one of the question.
struct Batches {
    message: Bytes,
    left: u64,
}

impl Stream for Batches {
    type Item = Result<Batch, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let fit = (BATCH_BYTES_MAX / self.message.len().max(1)).clamp(1, BATCH_MAX) as u64;
        let come = self.left.min(fit);
        self.left -= come;
        let messages = (0..come).map(|_| self.message.clone()).collect();
        Poll::Ready((come > 0).then_some(Ok(Batch { messages, come })))
    }
}

struct Many;

impl ServerStreamingService<Batch> for Many {
    type Response = Batch;
    type ResponseStream = Batches;
    type Future = BoxFuture<Response<Batches>, Status>;

    fn call(&mut self, request: Request<Batch>) -> Self::Future {
        let Batch { mut messages, come } = request.into_inner();
        let message = messages.pop().unwrap_or_default();
        Box::pin(async move { Ok(Response::new(Batches { message, left: come })) })
    }
}

struct One;

impl UnaryService<Batch> for One {
    type Response = Batch;
    type Future = BoxFuture<Response<Batch>, Status>;

    fn call(&mut self, request: Request<Batch>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(request.into_inner())) })
    }
}

/// Asks for so many messages of so many bytes, and reads them all.
pub(super) async fn many(client: &Grpc<Channel>, count: u64, payload: usize) -> anyhow::Result<Report> {
    let mut client = client.clone();
    let begun = Instant::now();
    client.ready().await?;
    let request = Request::new(question(payload, count));
    let codec = ProstCodec::<Batch, Batch>::default();
    let answer = client.server_streaming(request, PathAndQuery::from_static(MANY), codec);
    let (mut answer, mut come) = (answer.await?.into_inner(), 0);
    while come < count {
        let batch = answer.message().await?.context("the stream has ended")?;
        come += batch.messages.len() as u64;
    }
    Ok(Report::Streamed {
        elapsed_ns: begun.elapsed().as_nanos() as u64,
        ns: Vec::new(),
    })
}

/// Asks so often for one message of so many bytes, with so many questions under way over each connection.
pub(super) async fn one(
    clients: &[Grpc<Channel>],
    at_once: usize,
    count: u64,
    payload: usize,
) -> anyhow::Result<Report> {
    let asked = Arc::new(AtomicU64::new(0));
    let mut asking = JoinSet::new();
    let begun = Instant::now();
    for client in clients.iter().flat_map(|client| std::iter::repeat_n(client, at_once)) {
        let (mut client, asked) = (client.clone(), Arc::clone(&asked));
        asking.spawn(async move {
            let mut ns = Vec::new();
            while asked.fetch_add(1, Ordering::Relaxed) < count {
                let begun = Instant::now();
                client.ready().await?;
                let request = Request::new(question(payload, 1));
                let codec = ProstCodec::<Batch, Batch>::default();
                client.unary(request, PathAndQuery::from_static(ONE), codec).await?;
                ns.push(begun.elapsed().as_nanos() as u64);
            }
            Ok::<_, anyhow::Error>(ns)
        });
    }
    let mut all = Vec::new();
    while let Some(ns) = asking.join_next().await {
        all.extend(ns??);
    }
    Ok(Report::Streamed {
        elapsed_ns: begun.elapsed().as_nanos() as u64,
        ns: all,
    })
}

fn question(payload: usize, come: u64) -> Batch {
    Batch {
        messages: vec![Bytes::from(vec![b'x'; payload])],
        come,
    }
}
