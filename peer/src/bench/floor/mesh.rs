//! Processes that are joined by bare gRPC streams over mutual TLS, as many as a room has members.

use std::time::{Duration, SystemTime};

use peerchat_identity::DeviceKey;
use peerchat_registry::authority::Authority;

use super::{FloorOrder, Papers, To, to_hex};
use crate::{
    bench::{
        BenchError,
        crew::{Crew, Hand},
        samples::Samples,
        wire::Report,
    },
    node::types::UserName,
};

/// How long the papers are good for.
const VALID: Duration = Duration::from_secs(24 * 3_600);

/// The processes.
pub struct Mesh {
    ends: Vec<Hand>,
    senders: usize,
}

impl Mesh {
    /// Starts so many, of which the first ones are to send to all others.
    ///
    /// # Errors
    /// One does not start.
    pub async fn start(crew: &Crew, members: usize, senders: usize) -> Result<Self, BenchError> {
        Self::joined(crew, members, senders, 1).await
    }

    /// Starts two, of which the first one is to ask the other one over so many connections.
    ///
    /// # Errors
    /// One does not start.
    pub async fn pool(crew: &Crew, connections: usize) -> Result<Self, BenchError> {
        Self::joined(crew, 2, 1, connections).await
    }

    async fn joined(crew: &Crew, members: usize, senders: usize, connections: usize) -> Result<Self, BenchError> {
        let authority = Authority::in_memory().map_err(wrong)?;
        let (mut ends, mut addresses) = (Vec::new(), Vec::new());
        for number in 0..members {
            let mut end = crew
                .start(&format!("end {number} of the bare mesh"), &["floor"])
                .await?;
            let key = DeviceKey::generate().map_err(wrong)?;
            let user = UserName::new(&format!("end{number}")).map_err(wrong)?;
            let issued = authority.issue(&key.public(), &user, VALID, SystemTime::now());
            let papers = Papers {
                key: to_hex(key.pkcs8()),
                certificate: to_hex(&issued.map_err(wrong)?),
                authority: to_hex(authority.trust().authority()),
            };
            let Report::Ready { listen } = end.ask(&FloorOrder::Serve(papers)).await? else {
                return Err(end.failed("it does not serve".to_owned()));
            };
            addresses.push(To {
                address: listen,
                device: to_hex(&key.public()),
            });
            ends.push(end);
        }
        for (number, end) in ends.iter_mut().enumerate().take(senders) {
            let mut to = addresses.clone();
            to.remove(number);
            let to = std::iter::repeat_n(to, connections).flatten().collect();
            match end.ask(&FloorOrder::Dial { to }).await? {
                Report::Done => {}
                other => return Err(end.unexpected(&other)),
            }
        }
        Ok(Self { ends, senders })
    }

    /// Each sender sends so often, all at once.
    ///
    /// # Errors
    /// One of them has ended.
    pub async fn talk(&mut self, count: u64, payload: usize) -> Result<Samples, BenchError> {
        let mut samples = Samples::default();
        for sender in &mut self.ends[..self.senders] {
            sender.tell(&FloorOrder::Talk { count, payload }).await?;
        }
        for sender in &mut self.ends[..self.senders] {
            samples.add(sender.samples().await?);
        }
        Ok(samples)
    }

    /// The first one sends so many as fast as it goes; answers how long that took.
    ///
    /// # Errors
    /// One of them has ended.
    pub async fn stream(&mut self, count: u64, payload: usize) -> Result<u64, BenchError> {
        Ok(self.streamed(&FloorOrder::Stream { count, payload }).await?.0)
    }

    /// The first one asks another for so many messages; answers how long that took.
    ///
    /// # Errors
    /// One of them has ended.
    pub async fn many(&mut self, count: u64, payload: usize) -> Result<u64, BenchError> {
        let order = FloorOrder::Many { count, payload };
        Ok(self.streamed(&order).await?.0)
    }

    /// The first one asks so often for one message, with so many questions under way over each connection; answers how long all took
    /// together, and each.
    ///
    /// # Errors
    /// One of them has ended.
    pub async fn one(&mut self, at_once: usize, count: u64, payload: usize) -> Result<(u64, Samples), BenchError> {
        let order = FloorOrder::One {
            at_once,
            count,
            payload,
        };
        let (elapsed, ns) = self.streamed(&order).await?;
        Ok((elapsed, Samples(ns)))
    }

    async fn streamed(&mut self, order: &FloorOrder) -> Result<(u64, Vec<u64>), BenchError> {
        let sender = &mut self.ends[0];
        match sender.ask(order).await? {
            Report::Streamed { elapsed_ns, ns } => Ok((elapsed_ns, ns)),
            other => Err(sender.unexpected(&other)),
        }
    }

    /// Ends all.
    ///
    /// # Errors
    /// One does not end.
    pub async fn end(self) -> Result<(), BenchError> {
        for end in self.ends {
            end.end().await?;
        }
        Ok(())
    }
}

fn wrong(error: impl std::fmt::Display) -> BenchError {
    BenchError::Floor(error.to_string())
}
