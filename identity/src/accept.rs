//! Accepting connections: with TLS only, so many at most, none that stays silent at first, no party with more than its share of
//! them, and all cut at the end.

mod admission;
mod calls;
mod entrance;
mod places;

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
    sync::mpsc,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use self::{
    admission::{Admission, Entered},
    entrance::Arrival,
};
pub use self::{
    admission::{Kept, Place},
    calls::{NoteCalls, NotedCalls, Noting},
    entrance::Entrance,
};
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
    /// How long after its beginning something must be asked over a connection, unless its device has another one that is kept.
    pub first_call_timeout: Duration,
}

/// The share of all connections that one device may have, those that are kept among them.
const SHARE_OF_A_DEVICE: usize = 16;

/// So many connections are a device's in any case: a link, and some calls at once.
const OF_A_DEVICE_MIN: usize = 8;

impl Limits {
    /// The most connections of one device.
    fn per_device_max(&self) -> usize {
        (self.connections_max / SHARE_OF_A_DEVICE).max(OF_A_DEVICE_MIN)
    }

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
    /// The place that the connection has among all.
    pub place: Place,
}

/// Why a connection was closed, most often before anything was asked over it.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// As many are open as there may be, and all of them are in use.
    #[error("a connection was refused: as many are open as there may be")]
    TooMany,
    /// As many were open as there may be, and a newcomer was let in.
    #[error("a connection from {0} was closed: its address had the most that were idle when there was no place left")]
    Crowded(SocketAddr),
    /// Its device has more than its share.
    #[error("a connection from {0} was closed: its device has as many as one may have")]
    Share(SocketAddr),
    /// Nothing was asked over it in time.
    #[error("a connection from {0} was closed: nothing was asked over it")]
    Idle(SocketAddr),
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
    let admission = Admission::new(&limits, Arc::clone(&refused));
    tokio::spawn(async move {
        let (until, closing) = (severed.clone(), entrance.closing());
        let accepting = async {
            loop {
                let (stream, address) = entrance.next().await;
                let Some(config) = config() else {
                    refused(Refused::NoCertificate);
                    continue;
                };
                let closing = severed.child_token();
                let entered = match admission.enter(address, closing.clone()) {
                    Ok(entered) => entered,
                    Err(why) => {
                        refused(why);
                        continue;
                    }
                };
                let is_proxy = entrance.is_proxy(address);
                let (ready, refused) = (ready.clone(), Arc::clone(&refused));
                tokio::spawn(async move {
                    let arrival = Arrival {
                        stream,
                        address,
                        is_proxy,
                    };
                    match shake_hands(arrival, config, limits, Arc::clone(&refused), closing, entered).await {
                        // Where nobody serves any more, the connection ends here.
                        Ok(connection) => drop(ready.send(Ok(connection)).await),
                        Err(why) => refused(why),
                    }
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = admission.watch() => {}
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
    closing: CancellationToken,
    entered: Entered,
) -> Result<Connection, Refused> {
    let near = arrival.address;
    let broken = |address| move |source| Refused::Handshake { address, source };
    let handshake = async {
        socket::prepare(&arrival.stream).map_err(broken(near))?;
        let (stream, address) = arrival.named().await?;
        if address != near {
            entered.comes_from(address);
        }
        let stream = TlsAcceptor::from(config).accept(stream).await;
        Ok((stream.map_err(broken(address))?, address))
    };
    let (stream, address) = tokio::select! {
        done = timeout(limits.handshake_timeout, handshake) => {
            done.map_err(|_| broken(near)(io::ErrorKind::TimedOut.into()))??
        }
        () = closing.cancelled() => return Err(broken(near)(io::ErrorKind::ConnectionAborted.into())),
    };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let device = shown.and_then(|shown| certificate::device_of(shown).ok());
    if let Some(device) = device {
        entered.is_of(device);
    }
    let caller = Caller {
        address,
        device,
        certificate: shown
            .and_then(|shown| DeviceCertificate::parse(shown).ok())
            .map(Arc::new),
        shown: shown.map(|shown| Arc::new(shown.clone())),
        place: entered.place(),
    };
    Ok(Connection {
        stream,
        caller,
        closed: Box::pin(closing.clone().cancelled_owned()),
        closing,
        preface: Some((PREFACE_BYTES, Box::pin(sleep(limits.preface_timeout)))),
        refused,
        _entered: entered,
    })
}

/// One connection.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    /// Cancelled when everything is cut, or when somebody else needs the place more.
    closing: CancellationToken,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How many bytes of the preface are still to come, and until when.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    refused: Watcher,
    _entered: Entered,
}

impl Connection {
    /// Whoever waits until the other side takes what is written must notice too that the connection is closed: HTTP/2 reads nothing
    /// meanwhile. It was woken for that by what it has last read.
    fn refuse_closed(&self) -> io::Result<()> {
        match self.closing.is_cancelled() {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }
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
        if self.closed.as_mut().poll(cx).is_ready() {
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
        self.refuse_closed()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.refuse_closed()?;
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
