//! A bare socket between two processes: there and back.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::Instant,
};

use super::FloorOrder;
use crate::bench::{
    BenchError,
    crew::{Crew, Hand},
    samples::Samples,
    wire::Report,
};

/// Two processes.
pub struct Echo {
    server: Hand,
    client: Hand,
}

impl Echo {
    /// Starts both.
    ///
    /// # Errors
    /// One does not start.
    pub async fn start(crew: &Crew) -> Result<Self, BenchError> {
        let mut server = crew.start("the echo of a bare socket", &["floor"]).await?;
        match server.ask(&FloorOrder::ServeTcp).await? {
            Report::Ready { listen } => server.listen = listen,
            other => return Err(server.unexpected(&other)),
        }
        let client = crew.start("the caller of a bare socket", &["floor"]).await?;
        Ok(Self { server, client })
    }

    /// Sends so often.
    ///
    /// # Errors
    /// One of the two has ended.
    pub async fn talk(&mut self, count: u64, payload: usize) -> Result<Samples, BenchError> {
        let to = self.server.listen.clone();
        self.client.tell(&FloorOrder::TalkTcp { to, count, payload }).await?;
        Ok(Samples(self.client.samples().await?))
    }

    /// Ends both.
    ///
    /// # Errors
    /// One does not end.
    pub async fn end(self) -> Result<(), BenchError> {
        self.client.end().await?;
        self.server.end().await
    }
}

/// Echoes in a thread of its own; answers where.
pub(super) fn serve() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let echo = move || {
        let mut buffer = vec![0; 64 * 1024];
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            let _slower = stream.set_nodelay(true);
            // Until the other side closes.
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
        }
    };
    thread::Builder::new().name("echo".into()).spawn(echo)?;
    Ok(address)
}

/// The other end.
pub(super) fn talk(to: &str, count: u64, payload: usize) -> anyhow::Result<Vec<u64>> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    let (sent, mut back) = (vec![b'x'; payload], vec![0; payload]);
    let mut ns = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        stream.write_all(&sent)?;
        stream.read_exact(&mut back)?;
        ns.push(begun.elapsed().as_nanos() as u64);
    }
    Ok(ns)
}
