//! Accepting connections: with TLS only, so many at most, none that stays silent at first, and all cut at the end.

mod entrance;

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use self::entrance::Arrival;
pub use self::entrance::Entrance;
use crate::{DeviceBytes, DeviceCertificate, certificate, proxy::NoHeader, socket};

/// What connections are bound by.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections at a time, those that still shake hands among them.
    pub connections_max: usize,
    /// How long the handshake of TLS may take.
    pub handshake_timeout: Duration,
    /// How long a new connection may take after that to say that it speaks HTTP/2. Keepalive begins only then.
    pub preface_timeout: Duration,
}

impl Limits {
    /// The same, with so many connections at most.
    pub fn at_most(self, connections: u64) -> Self {
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        Self {
            connections_max: self.connections_max.min(connections),
            ..self
        }
    }
}

/// How many bytes the client's HTTP/2 preface has.
const PREFACE_BYTES: usize = 24;

/// How many connections wait to be served after their handshake. When they are as many, no more are accepted.
const READY_MAX: usize = 64;

/// Who is at the other end of a connection. A part of every request that comes over it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// From where, as this side or a proxy that it believes has seen it.
    pub address: SocketAddr,
    /// The device whose key the caller has; none where it showed no certificate.
    pub device: Option<DeviceBytes>,
    /// The certificate that it showed, where that is one of a device. The verifier of the configuration has judged it.
    pub certificate: Option<Arc<DeviceCertificate>>,
    /// Whatever certificate it showed. It has that one's key; what else is in it nobody has judged but the verifier.
    pub shown: Option<Arc<CertificateDer<'static>>>,
}

/// Why a connection was closed before anything was asked over it.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// As many are open as there may be.
    #[error("a connection was refused: as many are open as there may be")]
    TooMany,
    /// This side has nothing to show yet.
    #[error("a connection was refused: there is no certificate to show")]
    NoCertificate,
    /// TLS did not come about.
    #[error("a connection from {address} was refused: {source}")]
    Handshake {
        /// From where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// It came from a proxy and did not say properly for whom.
    #[error("a connection of the proxy {address} was refused: {source}")]
    Proxy {
        /// Of the proxy.
        address: SocketAddr,
        /// Why.
        source: NoHeader,
    },
    /// It did not say in time that it speaks HTTP/2.
    #[error("a connection from {0} was silent for too long")]
    Silent(SocketAddr),
}

/// Who is told of every connection that is refused. It is called while the runtime waits, so it must not block.
type Watcher = Arc<dyn Fn(Refused) + Send + Sync>;

/// Accepts connections at an entrance until it is closed, or until `severed` is cancelled, which also cuts all that are open.
///
/// Each is accepted with what `config` answers at that moment; none where it has nothing to show yet, and then the connection is
/// closed. `refused` is told of those that come to nothing, and must not block.
pub fn accept(
    entrance: impl Into<Entrance>,
    limits: Limits,
    config: impl Fn() -> Option<Arc<ServerConfig>> + Send + Sync + 'static,
    refused: impl Fn(Refused) + Send + Sync + 'static,
    severed: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let entrance = entrance.into();
    let (ready, connections) = mpsc::channel(READY_MAX);
    let refused: Watcher = Arc::new(refused);
    let places = Arc::new(Semaphore::new(limits.connections_max));
    tokio::spawn(async move {
        let (until, closing) = (severed.clone(), entrance.closing());
        let accepting = async {
            loop {
                let (stream, address) = entrance.next().await;
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    refused(Refused::TooMany);
                    continue;
                };
                let Some(config) = config() else {
                    refused(Refused::NoCertificate);
                    continue;
                };
                let is_proxy = entrance.is_proxy(address);
                let (ready, refused, severed) = (ready.clone(), Arc::clone(&refused), severed.clone());
                tokio::spawn(async move {
                    let arrival = Arrival {
                        stream,
                        address,
                        is_proxy,
                    };
                    match shake_hands(arrival, config, limits, Arc::clone(&refused), severed, place).await {
                        // Where nobody serves any more, the connection ends here.
                        Ok(connection) => drop(ready.send(Ok(connection)).await),
                        Err(why) => refused(why),
                    }
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = until.cancelled() => {}
            () = closing.cancelled() => {}
        }
    });
    ReceiverStream::new(connections)
}

async fn shake_hands(
    arrival: Arrival,
    config: Arc<ServerConfig>,
    limits: Limits,
    refused: Watcher,
    severed: CancellationToken,
    place: OwnedSemaphorePermit,
) -> Result<Connection, Refused> {
    let near = arrival.address;
    let broken = |address| move |source| Refused::Handshake { address, source };
    let handshake = async {
        socket::prepare(&arrival.stream).map_err(broken(near))?;
        let (stream, address) = arrival.named().await?;
        let stream = TlsAcceptor::from(config).accept(stream).await;
        Ok((stream.map_err(broken(address))?, address))
    };
    let (stream, address) = tokio::select! {
        done = timeout(limits.handshake_timeout, handshake) => {
            done.map_err(|_| broken(near)(io::ErrorKind::TimedOut.into()))??
        }
        () = severed.cancelled() => return Err(broken(near)(io::ErrorKind::ConnectionAborted.into())),
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let caller = Caller {
        address,
        device: shown.and_then(|shown| certificate::device_of(shown).ok()),
        certificate: shown
            .and_then(|shown| DeviceCertificate::parse(shown).ok())
            .map(Arc::new),
        shown: shown.map(|shown| Arc::new(shown.clone())),
    };
    Ok(Connection {
        stream,
        caller,
        severed: Box::pin(severed.cancelled_owned()),
        preface: Some((PREFACE_BYTES, Box::pin(sleep(limits.preface_timeout)))),
        refused,
        _place: place,
    })
}

/// One connection.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    severed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How many bytes of the preface are still to come, and until when.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    refused: Watcher,
    _place: OwnedSemaphorePermit,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection of {:?}", self.caller)
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.severed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        let Some((missing, deadline)) = &mut self.preface else {
            return polled;
        };
        *missing = missing.saturating_sub(read);
        if *missing == 0 {
            self.preface = None;
        } else if deadline.as_mut().poll(cx).is_ready() {
            (self.refused)(Refused::Silent(self.caller.address));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
