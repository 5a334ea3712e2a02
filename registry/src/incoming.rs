//! Accepting connections: how many at most, how long one may stay silent at first, and how all are cut at the end.

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
pub(crate) struct Limits {
    /// Open connections at a time: one for every lease there can be, and some for those who look on.
    pub(crate) connections_max: usize,
    /// How long a new connection may take to say that it speaks HTTP/2. Keepalive begins only after that.
    pub(crate) preface_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 12_000,
            preface_timeout: Duration::from_secs(5),
        }
    }
}

/// How many bytes the client's HTTP/2 preface has.
const PREFACE_BYTES: usize = 24;

/// How long to wait before accepting again when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connections of a listener.
#[derive(Debug)]
pub(crate) struct Incoming {
    listener: TcpListener,
    limits: Limits,
    places: Arc<Semaphore>,
    severed: CancellationToken,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    /// Accepts connections, all of which end when `severed` is cancelled.
    pub(crate) fn new(listener: TcpListener, limits: Limits, severed: CancellationToken) -> Self {
        Self {
            listener,
            limits,
            places: Arc::new(Semaphore::new(limits.connections_max)),
            severed,
            pause: None,
        }
    }

    fn connection(&self, stream: TcpStream) -> Option<Connection> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            warn!(
                most = self.limits.connections_max,
                "refused a connection: as many are open as there may be"
            );
            return None;
        };
        // Small messages go out at once. Failing here means that the connection is broken already.
        stream.set_nodelay(true).ok()?;
        Some(Connection {
            stream,
            severed: Box::pin(self.severed.clone().cancelled_owned()),
            preface: Some((PREFACE_BYTES, Box::pin(sleep(self.limits.preface_timeout)))),
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
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    severed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How many bytes of the preface are still to come, and until when.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
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
        let read = buf.filled().len() - before;
        let Some((missing, deadline)) = &mut self.preface else {
            return polled;
        };
        *missing = missing.saturating_sub(read);
        if *missing == 0 {
            self.preface = None;
        } else if deadline.as_mut().poll(cx).is_ready() {
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
        caller.write_all(&[b'x'; PREFACE_BYTES - 1]).await.unwrap();
        let error = connection.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn severing_ends_a_connection_that_waits() {
        let (mut incoming, address, severed) = listening(Limits::default()).await;
        let mut caller = TcpStream::connect(address).await.unwrap();
        let mut connection = incoming.next().await.unwrap().unwrap();
        caller.write_all(&[b'x'; PREFACE_BYTES]).await.unwrap();
        let reading = tokio::spawn(async move { connection.read_to_end(&mut Vec::new()).await });
        severed.cancel();
        let error = reading.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
