//! Accepting connections: how many at most, how long one may stay silent at first, that it begins as one of HTTP/2, and how all are
//! cut at the end. Registry and peers share it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::warn;

/// What connections are bound by.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections at a time. A further one is closed at once.
    pub connections_max: usize,
    /// How long a new connection may take to say that it speaks HTTP/2. Keepalive begins only after that.
    pub preface_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // One for every lease there can be, and some for those who look on.
            connections_max: 12_000,
            preface_timeout: Duration::from_secs(5),
        }
    }
}

/// Why a connection was closed before anything was asked over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many are open as there may be.
    TooMany,
    /// It did not say in time that it speaks HTTP/2.
    Silent,
    /// It speaks something else.
    NotHttp2,
}

impl Refused {
    /// The same for a person to read.
    pub fn why(self) -> &'static str {
        match self {
            Self::TooMany => "as many connections are open as there may be",
            Self::Silent => "a connection was silent for too long",
            Self::NotHttp2 => "a connection does not speak HTTP/2",
        }
    }
}

/// Who is told of every connection that is refused. It is called while the runtime waits, so it must not block.
type Watcher = Arc<dyn Fn(Refused) + Send + Sync>;

/// What a client of HTTP/2 says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait before accepting again when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections of a listener.
pub struct Incoming {
    listener: TcpListener,
    limits: Limits,
    places: Arc<Semaphore>,
    severed: CancellationToken,
    pause: Option<Pin<Box<Sleep>>>,
    refused: Watcher,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Incoming {
    /// Accepts connections, all of which end when `severed` is cancelled.
    pub fn new(listener: TcpListener, limits: Limits, severed: CancellationToken) -> Self {
        Self {
            listener,
            limits,
            places: Arc::new(Semaphore::new(limits.connections_max)),
            severed,
            pause: None,
            refused: Arc::new(|refused| warn!("{}", refused.why())),
        }
    }

    /// Has `watcher` told of every connection that is refused, instead of the program's log.
    #[must_use]
    pub fn watched(self, watcher: impl Fn(Refused) + Send + Sync + 'static) -> Self {
        let refused = Arc::new(watcher);
        Self { refused, ..self }
    }

    fn connection(&self, stream: TcpStream) -> Option<Connection> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            (self.refused)(Refused::TooMany);
            return None;
        };
        // Small messages go out at once. Failing here means that the connection is broken already.
        stream.set_nodelay(true).ok()?;
        Some(Connection {
            stream,
            severed: Box::pin(self.severed.clone().cancelled_owned()),
            preface: Some((PREFACE, Box::pin(sleep(self.limits.preface_timeout)))),
            refused: Arc::clone(&self.refused),
            _place: place,
        })
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, _)) => {
                    if let Some(connection) = self.connection(stream) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
                }
                // The caller went away before it was accepted.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) => {}
                Err(error) => {
                    warn!(%error, "cannot accept a connection; is the limit of open files too low?");
                    self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    severed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What of the preface is still to come, and until when.
    preface: Option<(&'static [u8], Pin<Box<Sleep>>)>,
    refused: Watcher,
    _place: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Connection {
    fn refuse<T>(&mut self, why: Refused, kind: io::ErrorKind) -> Poll<io::Result<T>> {
        self.preface = None;
        (self.refused)(why);
        Poll::Ready(Err(kind.into()))
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.severed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some((missing, deadline)) = &mut self.preface else {
            return polled;
        };
        let read = buf.filled().get(before..).unwrap_or_default();
        let both = read.len().min(missing.len());
        if read[..both] != missing[..both] {
            // A read that fails has read nothing.
            buf.set_filled(before);
            return self.refuse(Refused::NotHttp2, io::ErrorKind::InvalidData);
        }
        *missing = &missing[both..];
        if missing.is_empty() {
            self.preface = None;
        } else if deadline.as_mut().poll(cx).is_ready() {
            buf.set_filled(before);
            return self.refuse(Refused::Silent, io::ErrorKind::TimedOut);
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_stream::StreamExt as _;

    use super::*;

    async fn listening(limits: Limits) -> (Incoming, std::net::SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let severed = CancellationToken::new();
        (Incoming::new(listener, limits, severed.clone()), address, severed)
    }

    #[tokio::test]
    async fn one_more_than_the_most_is_closed_until_a_place_is_free() {
        let one = Limits {
            connections_max: 1,
            ..Limits::default()
        };
        let (mut incoming, address, _severed) = listening(one).await;
        let _first = TcpStream::connect(address).await.unwrap();
        let held = incoming.next().await.unwrap().unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut byte = [0];
        tokio::select! {
            _ = incoming.next() => panic!("accepted over the limit"),
            read = second.read(&mut byte) => assert_eq!(read.unwrap_or(0), 0, "closed"),
        }
        drop(held);
        let _third = TcpStream::connect(address).await.unwrap();
        incoming.next().await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_caller_that_says_too_little_is_cut_off() {
        let short = Limits {
            preface_timeout: Duration::from_millis(20),
            ..Limits::default()
        };
        let (mut incoming, address, _severed) = listening(short).await;
        let mut caller = TcpStream::connect(address).await.unwrap();
        let mut connection = incoming.next().await.unwrap().unwrap();
        caller.write_all(&PREFACE[..PREFACE.len() - 1]).await.unwrap();
        let error = connection.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_is_no_http2_is_cut_off_at_once_and_told() {
        let (incoming, address, _severed) = listening(Limits::default()).await;
        let (tell, mut told) = tokio::sync::mpsc::channel(1);
        let mut incoming = incoming.watched(move |refused| tell.try_send(refused).unwrap());
        let mut caller = TcpStream::connect(address).await.unwrap();
        let mut connection = incoming.next().await.unwrap().unwrap();
        caller.write_all(b"PRI * HTTP/1.1").await.unwrap();
        let error = connection.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(told.recv().await, Some(Refused::NotHttp2));
    }

    #[tokio::test]
    async fn severing_ends_a_connection_that_waits() {
        let (mut incoming, address, severed) = listening(Limits::default()).await;
        let mut caller = TcpStream::connect(address).await.unwrap();
        let mut connection = incoming.next().await.unwrap().unwrap();
        caller.write_all(PREFACE).await.unwrap();
        let reading = tokio::spawn(async move { connection.read_to_end(&mut Vec::new()).await });
        severed.cancel();
        let error = reading.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
