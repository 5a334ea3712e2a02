//! What the script does with much at once, with time, and at another server.

use std::collections::BTreeMap;

use redis::{Value, aio::MultiplexedConnection};

use super::{
    arguments,
    link::connect,
    script::Script,
    words::{self, Reply},
};
use crate::servers::{Kind, Server};

const NODE: &str = "0123456789abcdef";

/// The script at a server, as one registry calls it.
struct Table {
    _server: Server,
    connection: MultiplexedConnection,
    script: Script,
    now: u64,
    /// By which the script knows the server.
    at: &'static str,
    /// What a table is called that it begins.
    epoch: &'static str,
}

impl Table {
    async fn start() -> Option<Self> {
        let server = Server::start(Kind::Redis).await?;
        let client = redis::Client::open(server.url("")).unwrap();
        let mut table = Self {
            _server: server,
            connection: connect(&client).await.unwrap(),
            script: Script::new(),
            now: 0,
            at: "one",
            epoch: "e",
        };
        table.run(&["tick", "0"]).await;
        Some(table)
    }

    async fn run(&mut self, words: &[&str]) -> Reply {
        let words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let arguments = arguments(words, NODE, &self.now.to_string(), self.epoch);
        let whole = self.script.whole(self.at, &arguments);
        Reply::read(whole.query_async(&mut self.connection).await.unwrap()).unwrap()
    }

    /// Asks the server for something about a key of the table.
    async fn ask<T: redis::FromRedisValue>(&mut self, verb: &str, key: &str, rest: &[String]) -> T {
        let mut command = redis::cmd(verb);
        command.arg(format!("{}e:{key}", Script::PREFIX)).arg(rest);
        command.query_async(&mut self.connection).await.unwrap()
    }

    async fn log_in(&mut self, n: usize) {
        let (token, device, user) = (token(n), device(n), format!("user{n}"));
        let log_in = ["log_in", &token, &device, &user, &user, "192.0.2.1:1"];
        assert_eq!(self.run(&log_in).await.word(), "done");
    }

    /// Puts as many into a room as would have joined it.
    async fn fill(&mut self, room: &str, members: usize) {
        let members = (1..=members).map(|n| 9_000 + n);
        let pairs = members.flat_map(|n| [format!("user{n}\0{}", device(n)), token(n) + NODE]);
        let _: Value = self.ask("HSET", &format!("m:{room}"), &pairs.collect::<Vec<_>>()).await;
    }

    /// How many were told each thing, by news of how many at most.
    async fn told(&mut self) -> (BTreeMap<String, usize>, usize) {
        let entries: Value = self
            .ask("XRANGE", &format!("q:{NODE}"), &["-".into(), "+".into()])
            .await;
        let (mut told, mut most) = (BTreeMap::new(), 0);
        let as_read = Value::Array(vec![Value::Array(vec![Value::Nil, entries])]);
        for (_, news) in words::news(as_read).unwrap() {
            let (what, watchers) = match news {
                words::News::Tell { to, change } => (format!("{change:?}"), to.len()),
                words::News::Ended { peer, end, .. } => (format!("{} {end:?}", peer.user), 1),
                other => (format!("{other:?}"), 1),
            };
            *told.entry(what).or_default() += watchers;
            most = most.max(watchers);
        }
        (told, most)
    }
}

fn token(n: usize) -> String {
    format!("{n:032x}")
}

fn device(n: usize) -> String {
    format!("{n:064x}")
}

#[tokio::test]
async fn what_is_over_is_ended_in_steps_that_hold_nobody_up() {
    const ROOMS: usize = 150;
    const MEMBERS: usize = 200;
    for end in ["log_out", "revoke", "live"] {
        let Some(mut table) = Table::start().await else { return };
        table.log_in(1).await;
        for room in 0..ROOMS {
            table.fill(&format!("room{room}"), MEMBERS).await;
            table.run(&["join_room", &token(1), &format!("room{room}")]).await;
        }
        let _: Value = table.ask("DEL", &format!("q:{NODE}"), &[]).await;
        let ended = match end {
            "log_out" => table.run(&["log_out", &token(1)]).await,
            "revoke" => table.run(&["revoke", &device(1)]).await,
            _ => {
                table.now += 60_000;
                table.run(&["live"]).await
            }
        };
        assert!(
            !ended.all || end != "live",
            "{end}: {ROOMS} rooms of {MEMBERS} are not left at once"
        );
        // Whatever is still to be done, the lease is none any more.
        assert_eq!(table.run(&["who", &token(1)]).await.word(), "unknown_lease", "{end}");
        assert_eq!(
            table.ask::<usize>("EXISTS", &format!("d:{}", device(1)), &[]).await,
            1,
            "{end}: not all is done"
        );
        let mut calls = 1;
        while !table.run(&["live"]).await.all {
            calls += 1;
        }
        assert!(calls > 1, "{end}: {calls}");
        let (told, most) = table.told().await;
        let rooms = told.iter().filter(|(what, _)| what.contains("Room {"));
        let rooms: Vec<_> = rooms.map(|(_, watchers)| *watchers).collect();
        assert_eq!(rooms, [MEMBERS; ROOMS], "{end}: each hears of it once");
        assert!(most <= 100, "{end}: {most}");
        let ends = told.keys().filter(|what| what.starts_with("user1 ")).count();
        assert_eq!(ends, 1, "{end}: {:?}", told.keys());
        for kind in ["d", "r"] {
            assert_eq!(
                table
                    .ask::<usize>("EXISTS", &format!("{kind}:{}", device(1)), &[])
                    .await,
                0,
                "{end}"
            );
        }
        assert_eq!(table.ask::<usize>("ZCARD", "due", &[]).await, 0, "{end}");
        // And it can come back as if nothing had been.
        table.log_in(1).await;
        table.run(&["log_out", &token(1)]).await;
        let ends = table
            .told()
            .await
            .0
            .iter()
            .filter(|(what, _)| what.starts_with("user1 "))
            .map(|(_, n)| *n)
            .sum::<usize>();
        assert_eq!(ends, 2, "{end}");
    }
}

#[tokio::test]
async fn what_is_kept_for_a_device_that_is_back_is_given_up_in_steps() {
    let Some(mut table) = Table::start().await else { return };
    table.log_in(1).await;
    for room in 0..60 {
        table.fill(&format!("room{room}"), 200).await;
        table.run(&["join_room", &token(1), &format!("room{room}")]).await;
    }
    let user = ["log_in", &token(2), &device(1), "user1", "user1", "192.0.2.1:1"];
    assert_eq!(table.run(&user).await.word(), "done");
    table.run(&["join_room", &token(2), "room59"]).await;
    table.now += 6_000;
    assert!(!table.run(&["live"]).await.all);
    while !table.run(&["live"]).await.all {}
    assert_eq!(table.run(&["who", &token(2)]).await.word(), "holder", "it is there");
    assert_eq!(
        table
            .ask::<Vec<String>>("HKEYS", &format!("r:{}", device(1)), &[])
            .await,
        ["room59"]
    );
}

#[tokio::test]
async fn keys_of_one_who_logs_in_again_and_again_outlive_it() {
    let Some(mut table) = Table::start().await else { return };
    table.log_in(1).await;
    table.run(&["join_room", &token(1), "lobby"]).await;
    // All of it was made almost three hours ago.
    let (rooms, user) = (format!("r:{}", device(1)), "u:user1");
    for key in [&rooms, user, "m:lobby"] {
        assert!(table.ask::<bool>("PEXPIRE", key, &["60000".into()]).await);
    }
    let _: Value = table
        .ask("HSET", &format!("d:{}", device(1)), &["f".into(), "0".into()])
        .await;
    table.log_in(1).await;
    table.run(&["join_room", &token(1), "lobby"]).await;
    table.run(&["renew", &token(1)]).await;
    for key in [&rooms, user, "m:lobby"] {
        let left = table.ask::<u64>("PTTL", key, &[]).await;
        assert!(left > 3_600_000, "{key}: {left} ms");
    }
}

#[tokio::test]
async fn a_copy_at_another_server_is_not_taken_for_the_table() {
    let Some(mut table) = Table::start().await else { return };
    table.log_in(1).await;
    table.epoch = "f";
    let same = table.run(&["who", &token(1)]).await;
    assert_eq!((same.epoch.as_str(), same.word()), ("e", "holder"));
    // Its last writes may be missing here: they cannot be told from those that never were.
    table.at = "two";
    let other = table.run(&["who", &token(1)]).await;
    assert_eq!((other.epoch.as_str(), other.word()), ("f", "unknown_lease"));
}
