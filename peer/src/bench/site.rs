//! A registry and the peers around it, as one scenario needs them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    BenchError,
    check::{self, Checked},
    crew::{Crew, Hand},
    wire::{Order, Report},
};

/// The room in which all is said.
pub const ROOM: &str = "bench";
/// How long peers may take to find each other, and to bring each other what they lack.
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// How long to wait before looking again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is said where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In the room.
    Room,
    /// Between the first two, directly.
    Direct,
}

/// A registry and peers.
pub struct Site {
    crew: Crew,
    folder: PathBuf,
    registry: Hand,
    /// HOST:PORT of the registry, for the peers.
    pub at: String,
    /// The peers that run.
    pub peers: Vec<Hand>,
}

impl Site {
    /// Starts a registry.
    ///
    /// # Errors
    /// It does not start.
    pub async fn new(crew: &Crew, folder: &Path) -> Result<Self, BenchError> {
        let data = folder.join("registry");
        let args = ["registry".into(), "--data".into(), data.into_os_string()];
        let registry = crew.start("the registry", &args).await?;
        Ok(Self {
            crew: crew.clone(),
            folder: folder.to_owned(),
            at: registry.listen.clone(),
            registry,
            peers: Vec::new(),
        })
    }

    /// The name of the peer with this number.
    pub fn name(number: usize) -> String {
        format!("peer{number}")
    }

    /// Starts a peer that is not counted among those of the site.
    ///
    /// # Errors
    /// It does not start.
    pub async fn extra(&self, name: &str, advertise: Option<&str>) -> Result<Hand, BenchError> {
        let mut args: Vec<OsString> = vec!["member".into(), name.into()];
        args.extend(["--registry".into(), self.at.clone().into()]);
        args.extend(["--data".into(), self.folder.clone().into_os_string()]);
        args.extend(advertise.into_iter().flat_map(|at| ["--advertise".into(), at.into()]));
        self.crew.start(name, &args).await
    }

    /// Starts so many peers and lets all of them see each other.
    ///
    /// # Errors
    /// One does not start, or not all find each other.
    pub async fn fill(&mut self, members: usize, at: Where) -> Result<(), BenchError> {
        for number in 0..members {
            let peer = self.extra(&Self::name(number), None).await?;
            self.peers.push(peer);
        }
        self.gather(at).await
    }

    /// Brings all peers into the conversation, and waits until each has a link with each.
    ///
    /// # Errors
    /// Not all find each other.
    pub async fn gather(&mut self, at: Where) -> Result<(), BenchError> {
        for number in 0..self.peers.len() {
            let order = match at {
                Where::Room => Order::Join { room: ROOM.into() },
                Where::Direct => Order::Open {
                    user: Self::name(1 - number),
                },
            };
            done(&mut self.peers[number], &order).await?;
        }
        self.all_linked().await
    }

    /// Waits until each has a link with each.
    ///
    /// # Errors
    /// Not all find each other.
    pub async fn all_linked(&mut self) -> Result<(), BenchError> {
        let others = self.peers.len().saturating_sub(1) as u64;
        let until = Instant::now() + SETTLE_MAX;
        for peer in &mut self.peers {
            wait_for(peer, &Order::Online, others, until).await?;
        }
        Ok(())
    }

    /// Waits until all hold so many entries, ends all peers in order, and compares what is on their disks.
    ///
    /// # Errors
    /// Something is missing or differs.
    pub async fn check(&mut self, at: Where, entries: u64) -> Result<Checked, BenchError> {
        let until = Instant::now() + SETTLE_MAX;
        for peer in &mut self.peers {
            wait_for(peer, &Order::Version, entries, until).await?;
        }
        let names: Vec<String> = self.peers.iter().map(|peer| peer.name.clone()).collect();
        for peer in self.peers.drain(..) {
            peer.end().await?;
        }
        let folder = self.folder.clone();
        let checked = tokio::task::spawn_blocking(move || check::logs(&folder, &names, at, entries)).await;
        checked.map_err(|error| BenchError::Wrong(error.to_string()))?
    }

    /// Ends the registry; the peers have ended.
    ///
    /// # Errors
    /// It does not end.
    pub async fn end(self) -> Result<(), BenchError> {
        for peer in self.peers {
            peer.end().await?;
        }
        self.registry.end().await
    }
}

/// Gives an order that is only to be carried out.
///
/// # Errors
/// It is not.
pub async fn done(peer: &mut Hand, order: &Order) -> Result<(), BenchError> {
    match peer.ask(order).await? {
        Report::Done => Ok(()),
        other => Err(peer.unexpected(&other)),
    }
}

/// Asks a peer until it counts what is wanted. More than that is wrong as well.
async fn wait_for(peer: &mut Hand, order: &Order, wanted: u64, until: Instant) -> Result<(), BenchError> {
    loop {
        let found = peer.count(order).await?;
        if found == wanted {
            return Ok(());
        }
        if Instant::now() > until || found > wanted {
            return Err(BenchError::Wrong(format!(
                "{} counts {found} where there are {wanted} ({order:?})",
                peer.name
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
