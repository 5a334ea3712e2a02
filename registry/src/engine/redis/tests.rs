//! A registry's part of the table, at a server that loses what it had or refuses something.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_stream::StreamExt as _;

use super::*;
use crate::{
    address::Address,
    routes::{Peer, limits},
    servers::{Kind, Server},
};
use peerchat_proto::names::RoomName;

/// How long anything may take that heals by itself.
const SOON: Duration = Duration::from_secs(30);

async fn open(server: &Server) -> Arc<RedisTable> {
    let url = server.url("").parse().unwrap();
    Arc::new(RedisTable::open(url, Box::new(|_| {})).await.unwrap())
}

/// The same, with all that it does by itself until the set is dropped.
async fn at_work(server: &Server, tasks: &mut JoinSet<()>) -> Arc<RedisTable> {
    let table = open(server).await;
    let works = Arc::clone(&table);
    tasks.spawn(async move { works.work().await });
    table
}

fn peer(n: u8) -> (Peer, LeaseToken) {
    let peer = Peer {
        user: UserName::new(&format!("user{n}")).unwrap(),
        device: DeviceId([n; 32]),
        address: Address::new("192.0.2.1:1", None).unwrap(),
    };
    (peer, LeaseToken([n; 16]))
}

async fn ask(server: &Server, words: &[&str]) {
    let client = redis::Client::open(server.url("")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async::<()>(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_server_that_comes_back_with_less_than_it_had_is_taken_for_an_empty_one() {
    let Some(mut server) = Server::start(Kind::Redis).await else {
        return;
    };
    let mut tasks = JoinSet::new();
    let (table, others) = (at_work(&server, &mut tasks).await, at_work(&server, &mut tasks).await);
    let (bob, bobs) = peer(2);
    others.log_in(bob, bobs).await.unwrap();
    let room = RoomName::new("lobby").unwrap();
    let join = |lease| Command::JoinRoom {
        lease,
        room: room.clone(),
    };
    others.call(join(bobs)).await.unwrap();
    let (alice, lease) = peer(1);
    table.log_in(alice, lease).await.unwrap();
    let (mut outbox, _closed) = table.open_stream(lease, Vec::new()).await.unwrap();
    ask(&server, &["SAVE"]).await;
    // Her own registry is told nothing of it, so no number of its own goes back.
    table.call(join(lease)).await.unwrap();
    server.kill();
    server.resume().await;
    // She is in no room any more, and would never hear of it, however often she renews her lease.
    let renews = async {
        let users = Vec::new;
        while table.call(Command::Renew { lease, users: users() }).await.is_ok() {
            sleep(Duration::from_millis(500)).await;
        }
    };
    timeout(SOON, renews).await.expect("she has to log in again");
    while let Some(Ok(_)) = timeout(SOON, outbox.next()).await.unwrap() {}
}

#[tokio::test]
async fn no_lease_is_given_that_would_be_told_nothing() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    // Nothing lets time pass here, so this registry never comes to know the new table.
    let table = open(&server).await;
    ask(&server, &["FLUSHALL"]).await;
    let (alice, lease) = peer(1);
    let refused = table.log_in(alice, lease).await;
    assert!(matches!(refused, Err(EngineError::Away)), "{refused:?}");
    let state = table.lock();
    assert!(
        state.local.is_empty() && !state.streams.is_known(lease),
        "and nothing waits for it"
    );
}

#[tokio::test]
async fn many_users_are_named_in_parts_and_each_once() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let mut tasks = JoinSet::new();
    let table = at_work(&server, &mut tasks).await;
    let (alice, lease) = peer(1);
    table.log_in(alice, lease).await.unwrap();
    let user = |n: usize| UserName::new(&format!("other{n}")).unwrap();
    let many: Vec<_> = (0..=limits::WATCHED_PER_LEASE_MAX).map(user).collect();
    let refused = table.open_stream(lease, many.clone()).await.err();
    assert!(
        matches!(refused, Some(EngineError::Refused(Refusal::WatchedFull))),
        "{refused:?}"
    );
    // More words than a script takes.
    let often = many[1..]
        .iter()
        .chain(&many[1..])
        .chain(&many[1..])
        .chain(&many[1..])
        .chain(&many[1..]);
    let (mut outbox, _closed) = table.open_stream(lease, often.cloned().collect()).await.unwrap();
    for user in &many[1..] {
        let told = timeout(SOON, outbox.next()).await.unwrap().unwrap().unwrap();
        assert!(format!("{told:?}").contains(user.key()), "{told:?}");
    }
}

#[tokio::test]
async fn news_that_may_not_be_read_is_said_in_the_log() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    ask(&server, &["ACL", "SETUSER", "default", "-xread"]).await;
    let mut tasks = JoinSet::new();
    let table = at_work(&server, &mut tasks).await;
    let said = timeout(SOON, async {
        while table.reading.ask().is_some() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    said.await.expect("whoever runs it has to know");
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_given_up_for_another_one() {
    let Some(server) = Server::start(Kind::Redis).await else {
        return;
    };
    let mut tasks = JoinSet::new();
    let table = at_work(&server, &mut tasks).await;
    for (n, meta) in [(1, false), (2, true)] {
        let (peer, lease) = peer(n);
        table.log_in(peer.clone(), lease).await.unwrap();
        let prefix = format!("{}{}:", Script::PREFIX, table.place.borrow().epoch);
        let device = words::hex(&peer.device.0);
        let damage: &[&[&str]] = match meta {
            false => &[
                &["HSET", &format!("{prefix}d:{device}"), "e", "never"],
                &["ZADD", &format!("{prefix}due"), "0", &device],
            ],
            true => &[&["SET", &format!("{}meta", Script::PREFIX), "nothing"]],
        };
        for words in damage {
            ask(&server, words).await;
        }
        assert!(table.log_in(peer.clone(), LeaseToken([9; 16])).await.is_err());
        let healed = timeout(SOON, async {
            while table.log_in(peer.clone(), LeaseToken([8; 16])).await.is_err() {
                sleep(Duration::from_millis(100)).await;
            }
        });
        healed.await.expect("whoever is there fills it again");
    }
}
