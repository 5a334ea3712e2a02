//! How a leader serves one follower.

use std::{pin::pin, time::Duration};

use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{Stream, StreamExt as _};

use super::{
    ClusterTable,
    leading::{Arrival, NotLeading},
    message::{Down, Gathered, Hello, Up},
    queue::{Waiting, queue},
    restored,
};
use crate::{
    cluster::term::NodeId,
    routes::{LeaseRecord, limits::LEASES_MAX},
};

/// How long a follower may take to say what its peers hold.
const CLAIMS_WAIT: Duration = Duration::from_secs(5);

/// Why a node is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeFollowerError {
    #[error("this node does not lead, or not under that term")]
    NotLeading,
    #[error("say first what your peers hold, and within {} s", CLAIMS_WAIT.as_secs())]
    NoClaims,
    #[error("that makes no sense here")]
    Nonsense,
}

impl From<NotLeading> for ServeFollowerError {
    fn from(_: NotLeading) -> Self {
        Self::NotLeading
    }
}

impl ClusterTable {
    /// Serves a follower until its stream ends, or until this node leads no longer.
    pub(crate) async fn serve_follower(
        &self,
        node: NodeId,
        hello: Hello,
        ups: impl Stream<Item = Up>,
        out: mpsc::Sender<Down>,
    ) -> Result<(), ServeFollowerError> {
        let mut ups = pin!(ups);
        let claims = timeout(CLAIMS_WAIT, read_claims(&mut ups));
        let claims = claims.await.ok().flatten().ok_or(ServeFollowerError::NoClaims)?;
        let (downs, waiting) = queue();
        let id = {
            let mut state = self.lock();
            let id = state.next_arrival();
            let position = hello.position;
            let arrival = Arrival {
                id,
                position,
                claims,
                downs,
            };
            state.arrive(node, hello.term, arrival)?;
            id
        };
        self.gathered.notify_one();
        let served = tokio::select! {
            () = write(waiting, out) => Ok(()),
            read = self.read(node, &mut ups) => read,
        };
        self.lock().gone(node, id);
        served
    }

    async fn read(&self, node: NodeId, ups: &mut (impl Stream<Item = Up> + Unpin)) -> Result<(), ServeFollowerError> {
        let mut parts = Gathered::default();
        while let Some(up) = ups.next().await {
            match up {
                Up::Submit { ticket, order } => {
                    let mut state = self.lock();
                    state.order(node, ticket, order);
                    state.settle();
                }
                Up::Part(part) => {
                    let copy = match parts.take(part) {
                        Ok(None) => continue,
                        Ok(Some(whole)) => restored(whole).await,
                        Err(none) => Err(none),
                    };
                    self.lock().came(node, copy);
                    self.gathered.notify_one();
                }
                Up::Hello(_) | Up::Claim(_) | Up::ClaimsEnd => return Err(ServeFollowerError::Nonsense),
            }
        }
        Ok(())
    }
}

async fn read_claims(ups: &mut (impl Stream<Item = Up> + Unpin)) -> Option<Vec<LeaseRecord>> {
    let mut claims = Vec::new();
    loop {
        match ups.next().await? {
            Up::Claim(claim) if claims.len() < LEASES_MAX => claims.push(claim),
            Up::ClaimsEnd => return Some(claims),
            _ => return None,
        }
    }
}

/// Brings what waits for a follower to the wire, until this node leads no longer or nobody reads.
async fn write(mut queue: Waiting, out: mpsc::Sender<Down>) {
    while let Some(down) = queue.next().await {
        let downs = match down {
            Down::Table(parts) => parts.into_iter().map(Down::Part).collect(),
            down => vec![down],
        };
        for down in downs {
            if out.send(down).await.is_err() {
                return;
            }
        }
    }
}
