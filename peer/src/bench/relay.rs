//! A socket that hands on whatever comes and counts the bytes: that of TLS, without the heads that TCP and IP add. Before each peer stands
//! one, and before the registry, so all that the peers say to anybody is counted once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

/// How much is handed on at once.
const PART_BYTES: usize = 16 * 1024;

/// How many bytes were handed on, by any number of relays together.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// So far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A relay that listens.
#[derive(Debug)]
pub struct Relay {
    /// Where it listens.
    pub address: String,
    target: watch::Sender<String>,
    accepting: AbortHandle,
}

impl Relay {
    /// Listens, and lets callers wait until there is a target.
    ///
    /// # Errors
    /// The system gives no port.
    pub async fn start(count: &Count) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (target, targets) = watch::channel(String::new());
        let count = count.clone();
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(relay(stream, targets.clone(), count.clone()));
            }
        };
        Ok(Self {
            address,
            target,
            accepting: tokio::spawn(accept).abort_handle(),
        })
    }

    /// From now on callers get there.
    pub fn lead_to(&self, address: String) {
        self.target.send_replace(address);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(stream: TcpStream, mut targets: watch::Receiver<String>, count: Count) -> io::Result<()> {
    let target = targets.wait_for(|target| !target.is_empty()).await;
    let target = target.map_err(io::Error::other)?.clone();
    let there = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    there.set_nodelay(true)?;
    let ((from, to), (back, there)) = (stream.into_split(), there.into_split());
    tokio::select! {
        ended = hand_on(from, there, &count) => ended,
        ended = hand_on(back, to, &count) => ended,
    }
}

async fn hand_on(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, count: &Count) -> io::Result<()> {
    let mut part = vec![0; PART_BYTES];
    loop {
        let read = from.read(&mut part).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&part[..read]).await?;
        count.0.fetch_add(read as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_handed_on_is_counted_in_both_directions() {
        let count = Count::default();
        let relay = Relay::start(&count).await.unwrap();
        let mut caller = TcpStream::connect(&relay.address).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        relay.lead_to(listener.local_addr().unwrap().to_string());
        let (mut called, _) = listener.accept().await.unwrap();
        caller.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        called.read_exact(&mut heard).await.unwrap();
        called.write_all(b"yes").await.unwrap();
        caller.read_exact(&mut heard[..3]).await.unwrap();
        assert_eq!((&heard, count.bytes()), (b"yeslo", 8));
    }
}
