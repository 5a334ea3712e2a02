//! Many who come and go at registries that share what they know, while each part of it is killed.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use peerchat_identity::DeviceKey;
use tokio::task::JoinSet;
use tonic::Status;

use crate::{
    caller::*,
    harness::*,
    servers::Kind,
    shared::{Site, in_the_end},
};

const CALLERS: u8 = 12;
const ROOMS: [&str; 3] = ["lobby", "tea", "work"];

/// The addresses at which registries are reached, and what the callers do.
#[derive(Default)]
pub(crate) struct Load {
    addresses: Mutex<Vec<String>>,
    is_over: AtomicBool,
    rounds: AtomicUsize,
}

impl Load {
    fn address(&self, n: usize) -> String {
        let addresses = self.addresses.lock().unwrap();
        addresses[n % addresses.len()].clone()
    }

    /// From now on registries are reached at these.
    pub(crate) fn reach(&self, addresses: impl IntoIterator<Item = String>) {
        *self.addresses.lock().unwrap() = addresses.into_iter().collect();
    }

    /// Logs in at whichever registry answers.
    async fn log_in(&self, n: u8, at: &mut usize) -> Result<Caller, Status> {
        *at += 1;
        self.log_in_as(&format!("user{n}"), key(n), *at).await
    }

    /// Logs in as some user with some device.
    pub(crate) async fn log_in_as(&self, user: &str, device: &DeviceKey, at: usize) -> Result<Caller, Status> {
        let channel = try_dial(&self.address(at), device, endpoint()).await?;
        Caller::over(channel, login(user, "127.0.0.1:40000")).await
    }

    /// Starts the callers.
    pub(crate) fn start(self: &Arc<Self>) -> JoinSet<()> {
        let mut callers = JoinSet::new();
        for n in 0..CALLERS {
            callers.spawn(Arc::clone(self).run(n));
        }
        callers
    }

    /// Ends what callers do. Then all come into one room, wherever they reach a registry, and each sees the same. No registry has panicked.
    pub(crate) async fn end(&self, mut callers: JoinSet<()>, registries: &[Registry]) {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = callers.join_next().await {
            ended.unwrap();
        }
        let mut here = Vec::new();
        for n in 0..CALLERS {
            let mut at = usize::from(n);
            let mut caller = in_the_end(async || self.log_in(n, &mut at).await).await;
            caller.join("lobby").await.unwrap();
            let stream = caller.watch(&[]).await;
            here.push((caller, stream));
        }
        let mut expected: Vec<_> = (0..CALLERS).map(device).collect();
        expected.sort();
        for (caller, _) in &mut here {
            let joined = caller.join("lobby").await.unwrap();
            let mut found: Vec<_> = joined.members.iter().map(|member| member.device.to_vec()).collect();
            found.sort();
            assert_eq!(found, expected);
        }
        for registry in registries {
            assert!(!registry.has_logged("panicked"), "{}", registry.log());
        }
    }

    /// What a peer does, over and over; any error makes it log in again.
    async fn run(self: Arc<Self>, n: u8) {
        let mut at = usize::from(n);
        while !self.is_over.load(Ordering::Relaxed) {
            if self.stay(n, &mut at).await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn stay(&self, n: u8, at: &mut usize) -> Result<(), Status> {
        let mut caller = self.log_in(n, at).await?;
        let stream = caller.try_watch(&["user0"]).await?;
        for round in 0..10 {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let room = ROOMS[(usize::from(n) + round) % ROOMS.len()];
            let joined = caller.join(room).await?;
            assert!(
                joined.members.iter().any(|member| member.device.to_vec() == device(n)),
                "who joined is in it"
            );
            caller
                .find(&format!("user{}", (n + 1) % CALLERS))
                .await
                .or_else(|status| match status.code() {
                    tonic::Code::NotFound => Ok(Vec::new()),
                    _ => Err(status),
                })?;
            caller.list_rooms().await?;
            caller.leave(room).await?;
            stream.renew(&caller.lease, &[]).await;
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until the callers have got on.
    pub(crate) async fn goes_on(&self) {
        let before = self.rounds.load(Ordering::Relaxed);
        in_the_end(async || {
            let done = self.rounds.load(Ordering::Relaxed) - before;
            if done >= usize::from(CALLERS) {
                Ok(())
            } else {
                Err(format!("{done} rounds"))
            }
        })
        .await;
    }
}

async fn every_part_is_killed_under_load(database: Kind) {
    let Some(mut site) = Site::start(database).await else {
        return;
    };
    let mut registries: Vec<_> = (0..3).map(|_| site.registry()).collect();
    let load = Arc::new(Load::default());
    let tell = |registries: &[Registry]| {
        load.reach(registries.iter().map(|registry| registry.address.clone()));
    };
    tell(&registries);
    let callers = load.start();
    load.goes_on().await;

    drop(registries.remove(1));
    load.goes_on().await;
    tell(&registries);
    registries.push(site.registry());
    tell(&registries);
    load.goes_on().await;

    site.redis.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    site.redis.resume().await;
    load.goes_on().await;

    site.database.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    load.goes_on().await;
    site.database.resume().await;
    load.goes_on().await;

    load.end(callers, &registries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_is_killed_under_load_with_mariadb() {
    every_part_is_killed_under_load(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_is_killed_under_load_with_postgres() {
    every_part_is_killed_under_load(Kind::Postgres).await;
}
