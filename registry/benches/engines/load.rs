//! Callers: devices that log in, join rooms and look others up, many at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use peerchat_identity::{DeviceKey, connect, tls};
use peerchat_proto::v1::{
    FindRequest, JoinRoomRequest, LogInRequest, WatchRequest, routing_service_client::RoutingServiceClient,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

/// Who is in a room together.
const ROOM_MEMBERS: usize = 20;

/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(5);

/// Log-ins at the same time while leases are made only to be weighed.
const LOG_INS_AT_ONCE: usize = 64;

/// How many calls were answered in a second, and how long one took.
pub struct Figures {
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
}

impl Figures {
    fn of(mut latencies: Vec<Duration>, took: Duration) -> Self {
        latencies.sort();
        let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        Self {
            per_second: latencies.len() as f64 / took.as_secs_f64(),
            p50: at(50),
            p99: at(99),
        }
    }
}

/// The name of a user.
pub fn user(n: usize) -> String {
    format!("user-{n}")
}

/// The devices.
#[derive(Clone)]
pub struct Load {
    keys: Arc<Vec<DeviceKey>>,
}

/// A device with a lease.
#[derive(Clone)]
pub struct Caller {
    client: RoutingServiceClient<Channel>,
    lease: Vec<u8>,
}

impl Load {
    /// Makes keys for the first so many users.
    pub fn new(devices: usize) -> Self {
        let keys = (0..devices).map(|_| DeviceKey::generate().unwrap());
        Self {
            keys: Arc::new(keys.collect()),
        }
    }

    /// The device of a user; of one who never calls it is any number.
    pub fn device(&self, user: usize) -> [u8; 32] {
        match self.keys.get(user) {
            Some(key) => key.public(),
            None => {
                let mut device = [0; 32];
                device[..8].copy_from_slice(&(user as u64).to_be_bytes());
                device
            }
        }
    }

    async fn log_in(&self, address: &str, n: usize) -> Caller {
        self.try_log_in(address, n).await.unwrap()
    }

    /// Logs a user in; the connection ends with what is returned.
    pub async fn try_log_in(&self, address: &str, n: usize) -> Result<Caller, Status> {
        let tls = tls::registry_client(&self.keys[n]).unwrap();
        let stream = connect::connect(address, tls::registry_name(), tls).await.unwrap();
        let channel = connect::grpc(stream, Endpoint::from_static("https://registry"))
            .await
            .unwrap();
        let mut client = RoutingServiceClient::new(channel);
        let request = LogInRequest {
            user: user(n),
            address: format!("127.0.0.1:{}", 10_000 + n % 50_000),
            ..Default::default()
        };
        let lease = client.log_in(request).await?.into_inner().lease.to_vec();
        Ok(Caller { client, lease })
    }

    /// Lets the first `count` users log in and stay, each with its stream and in a room of twenty. They are there for as long as what
    /// is returned.
    pub async fn stay(&self, addresses: &[String], count: usize) -> JoinSet<()> {
        let (ready, mut readies) = mpsc::channel(LOG_INS_AT_ONCE);
        let turns = Arc::new(tokio::sync::Semaphore::new(LOG_INS_AT_ONCE));
        let mut staying = JoinSet::new();
        for n in 0..count {
            let (load, address) = (self.clone(), addresses[n % addresses.len()].clone());
            let (ready, turns) = (ready.clone(), Arc::clone(&turns));
            staying.spawn(async move {
                let turn = turns.acquire().await;
                let mut caller = load.log_in(&address, n).await;
                let stream = caller.watch().await;
                caller.join(format!("team-{}", n / ROOM_MEMBERS)).await;
                drop(turn);
                let _ = ready.send(()).await;
                stream.await;
            });
        }
        for _ in 0..count {
            tokio::select! {
                _ = readies.recv() => {}
                Some(ended) = staying.join_next() => panic!("somebody could not stay: {ended:?}"),
            }
        }
        staying
    }

    /// Looks up registered users who are not there, at random and one at a time.
    pub async fn find_registered(&self, address: &str, registered: usize, count: usize) -> Figures {
        let mut chance = fastrand::Rng::with_seed(7);
        let mut caller = self.log_in(address, 0).await;
        let mut stream = JoinSet::new();
        stream.spawn(caller.watch().await);
        let (mut latencies, begun) = (Vec::with_capacity(count), Instant::now());
        for _ in 0..count {
            let whom = chance.usize(1..registered);
            latencies.push(timed(caller.find(user(whom))).await);
        }
        Figures::of(latencies, begun.elapsed())
    }

    /// All devices log in, `callers` at a time; then so many stay, join rooms of twenty, and look each other up. How long each took.
    pub async fn run(
        &self,
        addresses: &[String],
        callers: usize,
        joins: usize,
        finds: usize,
    ) -> (Figures, Figures, Figures) {
        let devices = self.keys.len();
        let log_ins = all_at_once(callers, |first| {
            let (load, addresses) = (self.clone(), addresses.to_vec());
            async move {
                let mut latencies = Vec::new();
                for n in (first..devices).step_by(callers) {
                    latencies.push(timed(async { drop(load.log_in(&addresses[n % addresses.len()], n).await) }).await);
                }
                latencies
            }
        })
        .await;

        let mut streams = JoinSet::new();
        let mut there = Vec::new();
        for n in 0..callers {
            let mut caller = self.log_in(&addresses[n % addresses.len()], n).await;
            streams.spawn(caller.watch().await);
            there.push(caller);
        }
        let joined = all_at_once(callers, |n| {
            let mut caller = there[n].clone();
            async move {
                let mut latencies = Vec::new();
                for room in 0..joins {
                    let room = format!("team-{}-{room}", n / ROOM_MEMBERS);
                    latencies.push(timed(caller.join(room)).await);
                }
                latencies
            }
        })
        .await;
        let found = all_at_once(callers, |n| {
            let mut caller = there[n].clone();
            async move {
                let mut chance = fastrand::Rng::with_seed(n as u64);
                let mut latencies = Vec::new();
                for _ in 0..finds {
                    latencies.push(timed(caller.find(user(chance.usize(..callers)))).await);
                }
                latencies
            }
        })
        .await;
        (log_ins, joined, found)
    }
}

impl Caller {
    /// Opens the stream of the lease. What is returned keeps it up, for ever.
    async fn watch(&mut self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (renewals, sent) = mpsc::channel(1);
        let renewal = WatchRequest {
            lease: self.lease.clone().into(),
            ..Default::default()
        };
        renewals.send(renewal.clone()).await.unwrap();
        let mut changes = self.client.watch(ReceiverStream::new(sent)).await.unwrap().into_inner();
        let client = self.client.clone();
        async move {
            // The connection goes with the last of those who use it.
            let _client = client;
            let mut due = tokio::time::interval(RENEWAL);
            loop {
                tokio::select! {
                    _ = due.tick() => renewals.send(renewal.clone()).await.unwrap(),
                    change = changes.message() => assert!(matches!(change, Ok(Some(_))), "the stream goes on: {change:?}"),
                }
            }
        }
    }

    async fn join(&mut self, room: String) {
        let lease = self.lease.clone().into();
        self.client.join_room(JoinRoomRequest { lease, room }).await.unwrap();
    }

    async fn find(&mut self, user: String) {
        let lease = self.lease.clone().into();
        self.client.find(FindRequest { lease, user }).await.unwrap();
    }
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let begun = Instant::now();
    work.await;
    begun.elapsed()
}

/// Runs so many of the same at once, each of which answers how long what it did took.
async fn all_at_once<W>(count: usize, work: impl Fn(usize) -> W) -> Figures
where
    W: Future<Output = Vec<Duration>> + Send + 'static,
{
    let begun = Instant::now();
    let mut working = JoinSet::new();
    for n in 0..count {
        working.spawn(work(n));
    }
    let latencies = working.join_all().await.concat();
    Figures::of(latencies, begun.elapsed())
}
