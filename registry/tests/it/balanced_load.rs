//! Many who come and go behind nginx, which is all that they know, while each part behind it is killed, stopped or added. Meanwhile
//! two devices at a time ask for the same new name.

use std::{sync::Arc, time::Duration};

use peerchat_identity::DeviceKey;
use tonic::Code;

use crate::{
    balancing::{Nginx, behind_nginx},
    harness::*,
    servers::Kind,
    shared::{Site, in_the_end},
    shared_load::Load,
};

/// How many names are asked for: less than one address may ask for at a single registry.
const NAMES: usize = 16;

/// How long nobody reaches the database: longer than any call waits.
const AWAY: Duration = Duration::from_secs(10);

/// A name that two devices have asked for at once.
struct Granted {
    name: String,
    winner: DeviceKey,
    loser: DeviceKey,
}

/// Asks until the answer is one: whether this device has the name. Without an answer it may have it, so it asks again.
async fn claim(load: &Load, name: &str, device: &DeviceKey) -> bool {
    loop {
        match load.log_in_as(name, device, 0).await {
            Ok(_) => return true,
            Err(status) if status.code() == Code::AlreadyExists => return false,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Asks for one name after another.
async fn ask_for_names(load: Arc<Load>) -> Vec<Granted> {
    let mut granted = Vec::new();
    for n in 0..NAMES {
        let name = format!("name{n}");
        let (one, other) = (DeviceKey::generate().unwrap(), DeviceKey::generate().unwrap());
        let claims = tokio::join!(claim(&load, &name, &one), claim(&load, &name, &other));
        let (winner, loser) = match claims {
            (true, false) => (one, other),
            (false, true) => (other, one),
            _ => panic!("{name} was given to both or to neither: {claims:?}"),
        };
        granted.push(Granted { name, winner, loser });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    granted
}

async fn every_part_fails_behind_nginx(database: Kind) {
    let Some(mut site) = Site::start(database).await else {
        return;
    };
    let mut registries: Vec<_> = (0..3).map(|_| behind_nginx(&site)).collect();
    let Some(nginx) = Nginx::start(&registries.iter().collect::<Vec<_>>()).await else {
        return;
    };
    let load = Arc::new(Load::default());
    load.reach([nginx.address.clone()]);
    let callers = load.start();
    let names = tokio::spawn(ask_for_names(Arc::clone(&load)));
    load.goes_on().await;

    drop(registries.remove(1));
    load.goes_on().await;

    site.redis.kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    site.redis.resume().await;
    load.goes_on().await;

    site.database.kill();
    let resumed = tokio::time::Instant::now() + AWAY;
    while tokio::time::Instant::now() < resumed {
        // Who is known comes in all the time.
        load.goes_on().await;
    }
    site.database.resume().await;
    load.goes_on().await;

    registries.push(behind_nginx(&site));
    nginx.reload(&registries.iter().collect::<Vec<_>>());
    registries[2].logged("logs in").await;
    load.goes_on().await;

    // No name is lost, and none is given to a second one.
    for Granted { name, winner, loser } in names.await.unwrap() {
        in_the_end(async || load.log_in_as(&name, &winner, 0).await).await;
        let refusal = refused(load.log_in_as(&name, &loser, 0).await);
        assert_eq!(refusal.0, Code::AlreadyExists, "{name}: {}", refusal.1);
    }
    load.end(callers, &registries).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_fails_behind_nginx_with_mariadb() {
    every_part_fails_behind_nginx(Kind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_fails_behind_nginx_with_postgres() {
    every_part_fails_behind_nginx(Kind::Postgres).await;
}
