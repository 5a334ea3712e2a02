//! What this peer hosts for the others.

use std::{pin::Pin, time::Duration};

use peerchat_identity::{
    accept::{Caller, Limits, NoteCalls, Place, Refused, accept},
    open_files,
};
use peerchat_proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        self as wire,
        chat_service_server::{ChatService, ChatServiceServer},
    },
};
use tokio::{net::TcpListener, sync::oneshot, time::timeout};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, transport::Server};

use super::{
    CALL_DEADLINE, CONNECTION_WINDOW_BYTES, KEEPALIVE_EVERY, KEEPALIVE_WAIT, MESSAGE_BYTES_MAX, Net,
    STREAM_WINDOW_BYTES,
    connections::{self, Connection, Given},
    convert,
    giving::{Asked, ends},
    link,
    parts::{Part, Parts, READER_WAIT},
    passport::{Fault, Passport},
    refusing::Counted,
};
use crate::{
    driver::ports::{Incoming, link_queue},
    node::{
        limits::{LINK_QUEUE_MAX, LINKS_MAX},
        link::LinkUp,
        types::EntryError,
    },
};

/// What connections are bound by: a link to every device that may have one, and as many for calls beside them. Where one more comes, an
/// idle one is closed for it.
const LIMITS: Limits = Limits {
    connections_max: 2 * LINKS_MAX,
    handshake_timeout: Duration::from_secs(5),
    preface_timeout: Duration::from_secs(5),
    first_call_timeout: Duration::from_secs(10),
};
/// The most calls at once on one connection.
const STREAMS_MAX: u32 = 256;

/// The limits where so many files may be open: half of these are left for the logs.
fn limits(open_files: Option<u64>) -> Limits {
    LIMITS.at_most(open_files.map_or(u64::MAX, |most| most / 2))
}

/// The peer's server cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the server for other peers failed: {0}")]
pub struct ServeError(#[from] Box<dyn std::error::Error + Send + Sync>);

/// Serves other peers on `listener` until the shutdown of `net`.
///
/// # Errors
/// The server cannot be made of its parts, or accepting fails for good.
pub async fn serve(net: Net, listener: TcpListener) -> Result<(), ServeError> {
    let shutdown = net.shutdown.clone();
    let credentials = net.credentials.clone();
    let refusals = net.refusals.clone();
    let chat = ChatServiceServer::new(Chat { net }).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let chat = Counted::new(chat, refusals.clone());
    let limits = limits(open_files::limit());
    // Whichever way this future ends, no connection outlives it.
    let severed = CancellationToken::new();
    let _sever = severed.clone().drop_guard();
    let config = move || credentials.shown().map(|shown| shown.server.clone());
    let refused = move |refused: Refused| refusals.unknown(&refused.to_string());
    let connections = accept(listener, limits, config, refused, severed);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ChatServiceServer<Chat>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let boxed = |error: tonic_reflection::server::Error| ServeError(Box::new(error));
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_WAIT))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .layer(NoteCalls)
        .add_service(chat)
        .add_service(health_service)
        .add_service(reflection().build_v1().map_err(boxed)?)
        .add_service(reflection().build_v1alpha().map_err(boxed)?)
        .serve_with_incoming_shutdown(connections, shutdown.cancelled_owned())
        .await
        .map_err(|error| ServeError(Box::new(error)))
}

#[derive(Debug)]
struct Chat {
    net: Net,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ChatService for Chat {
    type LinkStream = Answers<wire::LinkResponse>;
    type HistoryStream = ReceiverStream<Part>;

    async fn link(&self, request: Request<Streaming<wire::LinkRequest>>) -> Result<Response<Self::LinkStream>, Status> {
        let passport = self.caller(&request)?;
        let place = place(&request)?;
        let mut frames = request.into_inner();
        let first = timeout(CALL_DEADLINE, frames.message())
            .await
            .map_err(|_| Status::deadline_exceeded(format!("no hello within {CALL_DEADLINE:?}")))??;
        let hello = first
            .and_then(|request| request.frame)
            .and_then(|frame| frame.hello)
            .ok_or_else(|| Status::invalid_argument("the first frame of a link must have a hello"))?;
        let up = self.introduced(&passport, hello)?;
        let net = self.net.clone();
        let (queue, outlet) = link_queue(LINK_QUEUE_MAX);
        let closed = outlet.closed.clone();
        let link = up.link;
        net.introduce(passport.der()).await;
        let (calls, asked) = connections::calls();
        let known = net.connections.add(link, Connection::Accepted(calls));
        let outgoing = link::FrameStream::new(&net, outlet, link).with_calls(asked);
        net.incoming
            .send(Incoming::LinkUp(up, queue))
            .await
            .map_err(|_| ends())?;
        let frames = frames.map(|request| request.map(|request| request.frame.unwrap_or_default()));
        let kept = place.keep();
        let incoming = net.incoming.clone();
        net.tasks.spawn(async move {
            link::pump(frames, passport, None, link, incoming, closed).await;
            drop((known, kept));
        });
        Ok(Response::new(Box::pin(
            outgoing.map(|frame| Ok(wire::LinkResponse { frame: Some(frame) })),
        )))
    }

    async fn version(&self, request: Request<wire::VersionRequest>) -> Result<Response<wire::VersionResponse>, Status> {
        let reader = self.caller(&request)?.reader();
        let wire::VersionRequest { conversation } = request.into_inner();
        let conversation = convert::conversation_from_wire(conversation).map_err(invalid)?;
        let (reply, answer) = oneshot::channel();
        let incoming = Incoming::Version {
            conversation,
            reader,
            reply,
        };
        let heights = self.net.ask_driver(incoming, answer).await?;
        Ok(Response::new(wire::VersionResponse {
            version: heights.version(),
            heights: convert::heights_to_wire(&heights),
        }))
    }

    async fn history(&self, request: Request<wire::HistoryRequest>) -> Result<Response<Self::HistoryStream>, Status> {
        let reader = self.caller(&request)?.reader();
        let place = place(&request)?;
        let asked = Asked::read(request.into_inner()).map_err(invalid)?;
        let passed = self.net.histories.pass(&reader.user, reader.user == self.net.me.user)?;
        let (parts, answer) = Parts::new(READER_WAIT)?;
        let net = self.net.clone();
        // As many as may pass are kept, and no more.
        let kept = place.keep();
        self.net.tasks.spawn(async move {
            net.give(asked, reader, parts).await;
            drop((passed, kept));
        });
        Ok(Response::new(answer))
    }

    async fn give_history(
        &self,
        request: Request<Streaming<wire::GiveHistoryRequest>>,
    ) -> Result<Response<wire::GiveHistoryResponse>, Status> {
        // The link over which it was asked may have outlived the certificate of the connection, with others that followed.
        let giver = self.passport(&request)?;
        if let Some(fault @ Fault::Revoked) = giver.fault() {
            return Err(Status::unauthenticated(fault.to_string()));
        }
        let mut parts = request.into_inner();
        let first = timeout(CALL_DEADLINE, parts.message())
            .await
            .map_err(|_| Status::deadline_exceeded(format!("no ticket within {CALL_DEADLINE:?}")))??;
        let ticket = first.map(|first| first.ticket).unwrap_or_default();
        let waiting = self.net.connections.waiting(giver.device(), ticket);
        let waiting = waiting.ok_or_else(|| Status::cancelled("nobody waits for this history"))?;
        let (call, ended) = oneshot::channel();
        // Where the reader has gone meanwhile, the call has ended as well.
        let _gone = waiting.send(Given { parts, _call: call });
        let _has_enough = ended.await;
        Ok(Response::new(wire::GiveHistoryResponse {}))
    }
}

impl Chat {
    /// Who calls: what the certificate of his connection says, and nothing else. It may have ended, or been revoked, since the
    /// connection was made.
    fn caller<T>(&self, request: &Request<T>) -> Result<Passport, Status> {
        let passport = self.passport(request)?;
        match passport.fault() {
            None => Ok(passport),
            Some(fault) => Err(Status::unauthenticated(fault.to_string())),
        }
    }

    /// What was shown when the connection was made.
    fn passport<T>(&self, request: &Request<T>) -> Result<Passport, Status> {
        let caller = request.extensions().get::<Caller>();
        let certificate = caller.and_then(|caller| caller.certificate.as_deref());
        let certificate =
            certificate.ok_or_else(|| Status::unauthenticated("a caller shows a device's certificate"))?;
        Ok(Passport::new(self.net.credentials.clone(), certificate.clone()))
    }

    fn introduced(&self, passport: &Passport, hello: wire::Hello) -> Result<LinkUp, Status> {
        Ok(LinkUp {
            link: self.net.new_link(),
            device: passport.device(),
            user: passport.user().clone(),
            session: hello.session,
            address: convert::address("address", hello.address).map_err(invalid)?,
            dialed_by_us: false,
        })
    }
}

/// The place that the caller's connection has.
fn place<T>(request: &Request<T>) -> Result<Place, Status> {
    let caller = request.extensions().get::<Caller>();
    let place = caller.map(|caller| caller.place.clone());
    place.ok_or_else(|| Status::internal("a call without a connection"))
}

fn invalid(error: EntryError) -> Status {
    Status::invalid_argument(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_logs() {
        assert_eq!(limits(Some(256)).connections_max, 128);
        assert_eq!(limits(Some(1 << 20)).connections_max, LIMITS.connections_max);
        assert_eq!(limits(None).connections_max, LIMITS.connections_max);
    }
}
