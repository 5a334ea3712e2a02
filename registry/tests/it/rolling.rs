//! All registries of a site are restarted one by one, behind nginx and under load, and nobody is seen to go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, task::JoinSet};
use tonic::Status;

use crate::{
    balancing::{Nginx, behind_nginx},
    caller::*,
    servers::Kind,
    shared::{Site, in_the_end},
};

/// Those who stay in a room all the time, and those who come and go in another one.
const STAYING: u8 = 6;
const MOVING: u8 = 4;

/// How long a registry may take to end.
const END_MAX: Duration = Duration::from_secs(5);

struct Load {
    nginx: String,
    is_over: AtomicBool,
    /// How often somebody has come, and how often somebody has moved.
    log_ins: AtomicUsize,
    rounds: AtomicUsize,
}

impl Load {
    async fn log_in(&self, n: u8) -> Result<Caller, Status> {
        let channel = try_dial(&self.nginx, key(n), endpoint()).await?;
        let caller = Caller::over(channel, login(&format!("user{n}"), &address(n))).await?;
        self.log_ins.fetch_add(1, Relaxed);
        Ok(caller)
    }

    /// Stays in a room until it is over, wherever that takes it. Answers what it heard.
    async fn stay(self: Arc<Self>, n: u8) -> Vec<String> {
        let mut heard = Vec::new();
        while !self.is_over.load(Relaxed) {
            let come = async {
                let mut caller = self.log_in(n).await?;
                let members = caller.join("tea").await?.members.len();
                Ok::<_, Status>((caller.try_watch(&[]).await?, caller, members))
            };
            let Ok((mut stream, caller, members)) = come.await else {
                // As a peer does; others were asked by nginx already.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            heard.push(format!("finds {members}"));
            while !self.is_over.load(Relaxed) {
                match tokio::time::timeout(Duration::from_millis(500), stream.changes.message()).await {
                    Ok(Ok(Some(change))) => heard.push(short(change.change.unwrap())),
                    Ok(_) => break,
                    Err(_) => {
                        // Where nobody takes it, the stream has ended.
                        let request = peerchat_proto::v1::WatchRequest {
                            lease: caller.lease.clone().into(),
                            users: Vec::new(),
                        };
                        let _ = stream.requests.send(request).await;
                    }
                }
            }
        }
        heard
    }

    /// Comes and goes.
    async fn moves(self: Arc<Self>, n: u8) {
        while !self.is_over.load(Relaxed) {
            let round = async {
                let mut caller = self.log_in(n).await?;
                for _ in 0..5 {
                    caller.join("work").await?;
                    caller.leave("work").await?;
                    self.rounds.fetch_add(1, Relaxed);
                }
                caller.log_out().await
            };
            if round.await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits until so many have come since, and the others have got on.
    async fn goes_on(&self) {
        let before = self.rounds.load(Relaxed);
        in_the_end(async || match self.rounds.load(Relaxed) - before {
            20.. => Ok(()),
            few => Err(few),
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_nginx_is_noticed_by_nobody() {
    let Some(site) = Site::start(Kind::Postgres).await else {
        return;
    };
    let mut registries = [behind_nginx(&site), behind_nginx(&site), behind_nginx(&site)];
    let Some(nginx) = Nginx::start(&registries.each_ref()).await else {
        return;
    };
    let load = Arc::new(Load {
        nginx: nginx.address.clone(),
        is_over: AtomicBool::new(false),
        log_ins: AtomicUsize::new(0),
        rounds: AtomicUsize::new(0),
    });
    let (mut staying, mut moving) = (JoinSet::new(), JoinSet::new());
    for n in 1..=STAYING {
        staying.spawn(Arc::clone(&load).stay(n));
    }
    for n in 11..=10 + MOVING {
        moving.spawn(Arc::clone(&load).moves(n));
    }
    // One that only looks: all are in the room.
    let mut watcher = in_the_end(async || load.log_in(100).await).await;
    in_the_end(async || match watcher.find("user1").await {
        Ok(_) => match watcher
            .list_rooms()
            .await
            .unwrap()
            .iter()
            .find(|room| room.name == "tea")
        {
            Some(tea) if tea.members == u32::from(STAYING) => Ok(()),
            other => Err(format!("{other:?}")),
        },
        Err(status) => Err(status.to_string()),
    })
    .await;
    load.goes_on().await;

    for at in 0..registries.len() {
        let begun = Instant::now();
        registries[at].signal("TERM");
        registries[at].logged("shutting down").await;
        // Nobody listens there from now on, though it says good-bye yet: nginx asks another one.
        let address = registries[at].address.clone();
        in_the_end(async || match TcpStream::connect(&address).await {
            Ok(_) => Err("somebody listens"),
            Err(_) => Ok(()),
        })
        .await;
        assert_eq!(registries[at].ended().await.code(), Some(0), "{}", registries[at].log());
        assert!(begun.elapsed() < END_MAX, "{:?}", begun.elapsed());
        load.goes_on().await;
        registries[at] = behind_nginx(&site);
        nginx.reload(&registries.each_ref());
        load.goes_on().await;
    }

    load.is_over.store(true, Relaxed);
    while let Some(ended) = moving.join_next().await {
        ended.unwrap();
    }
    let mut most = 0;
    while let Some(heard) = staying.join_next().await {
        let heard = heard.unwrap();
        let lost = heard
            .iter()
            .find(|change| change.contains("Lost") || change.contains("Left"));
        assert_eq!(lost, None, "{heard:?}");
        // Once all are there, nobody ever finds fewer.
        let found: Vec<u8> = heard
            .iter()
            .filter_map(|heard| heard.strip_prefix("finds "))
            .map(|members| members.parse().unwrap())
            .collect();
        assert!(found[1..].iter().all(|members| *members == STAYING), "{heard:?}");
        most = most.max(found.len());
    }
    assert!(most > 1, "nobody had to move");
}
