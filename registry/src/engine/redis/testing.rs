//! The script alone against a real server, with the times of a test, and what it has stored.

use std::collections::BTreeMap;

use peerchat_proto::names::{RoomName, UserName};
use proptest::{prelude::*, test_runner::TestRunner};
use redis::Value;
use tokio::runtime::Runtime;

use super::{
    arguments,
    link::Link,
    script::Script,
    words::{self, News, Reply},
};
use crate::{
    routes::{
        Answer, Command, Effect, LeaseToken, Millis, Step,
        model_tests::{
            World, call,
            view::{LeaseView, Table, View},
        },
    },
    servers::{Kind, Server},
};

const NODE: &str = "0123456789abcdef";

/// A table in Redis with one registry.
struct Shared<'a> {
    runtime: &'a Runtime,
    link: &'a Link,
    epoch: String,
    read: u64,
}

impl<'a> Shared<'a> {
    fn new(runtime: &'a Runtime, link: &'a Link) -> Self {
        let mut shared = Self {
            runtime,
            link,
            epoch: String::new(),
            read: 0,
        };
        let _: Value = shared.ask(redis::cmd("FLUSHALL"));
        shared.epoch = shared.run(words::words(["tick", "0"]), Millis(0)).epoch;
        shared
    }

    fn run(&self, words: Vec<Vec<u8>>, now: Millis) -> Reply {
        let arguments = arguments(words, NODE, &now.0.to_string(), "e");
        Reply::read(self.runtime.block_on(self.link.run(&arguments)).unwrap()).unwrap()
    }

    fn ask<T: redis::FromRedisValue>(&self, command: redis::Cmd) -> T {
        let ask = async { command.query_async(&mut self.link.connect().await.unwrap()).await };
        self.runtime.block_on(ask).unwrap()
    }

    /// The keys of a kind without what they begin with.
    fn keys(&self, kind: &str) -> Vec<String> {
        let prefix = format!("{}{}:{kind}:", Script::PREFIX, self.epoch);
        let mut command = redis::cmd("KEYS");
        command.arg(format!("{prefix}*"));
        let keys: Vec<String> = self.ask(command);
        keys.into_iter().map(|key| key[prefix.len()..].to_owned()).collect()
    }

    fn all<T: redis::FromRedisValue>(&self, verb: &str, key: &str, rest: &[&str]) -> T {
        let mut command = redis::cmd(verb);
        command.arg(format!("{}{}:{key}", Script::PREFIX, self.epoch)).arg(rest);
        self.ask(command)
    }

    /// What was told since.
    fn news(&mut self) -> Vec<Effect> {
        let queue = format!("q:{NODE}");
        let entries: Value = self.all("XRANGE", &queue, &[&format!("(0-{}", self.read), "+"]);
        let as_read = Value::Array(vec![Value::Array(vec![Value::Nil, entries])]);
        let mut effects = Vec::new();
        let mut tokens = None;
        for (number, news) in words::news(as_read).unwrap() {
            self.read += 1;
            assert_eq!(number, self.read, "numbers have no gap");
            match news {
                News::Tell { to, change } => effects.extend(to.into_iter().map(|to| Effect::Tell {
                    to,
                    change: change.clone(),
                })),
                News::TellAll(change) => {
                    let tokens = tokens.get_or_insert_with(|| self.view().leases.into_keys().collect::<Vec<_>>());
                    effects.extend(tokens.iter().map(|to| Effect::Tell {
                        to: *to,
                        change: change.clone(),
                    }));
                }
                News::Ended { lease, peer, end } => effects.push(Effect::Ended { lease, peer, end }),
                News::RoomCreated { room, by } => effects.push(Effect::RoomCreated { room, by }),
                News::RoomDismissed { room } => effects.push(Effect::RoomDismissed { room }),
                News::Said { note } => effects.push(Effect::Said { note }),
            }
        }
        effects
    }
}

impl Table for Shared<'_> {
    fn apply(&mut self, command: Command, now: Millis) -> Step<Answer> {
        let reply = self.run(words::command(&command), now);
        assert!(reply.all);
        let told = reply.told;
        let answer = reply.answer(&command).expect("an answer to what was asked");
        let effects = self.news();
        assert_eq!(told, self.read);
        Step { answer, effects }
    }

    fn view(&mut self) -> View {
        let mut view = View {
            due: self.all("ZCARD", "due", &[]),
            ..View::default()
        };
        for device in self.keys("d") {
            let lease: BTreeMap<String, String> = self.all("HGETALL", &format!("d:{device}"), &[]);
            let peer = words::read_peer(&lease["u"], &device, &lease["a"]).unwrap();
            let token: LeaseToken = words::token(&lease["t"]).unwrap();
            let (of, rooms): (String, BTreeMap<String, String>) = (
                self.all("GET", &format!("t:{}", lease["t"]), &[]),
                self.all("HGETALL", &format!("r:{device}"), &[]),
            );
            assert_eq!(of, device);
            let with = |flag: &str| {
                let rooms = rooms.iter().filter(|(_, joined)| *joined == flag);
                rooms.map(|(room, _)| RoomName::at_registry(room).unwrap()).collect()
            };
            let watched: Vec<String> = self.all("SMEMBERS", &format!("w:{device}"), &[]);
            for user in &watched {
                let watcher: String = self.all("HGET", &format!("v:{user}"), &[&device]);
                assert_eq!(watcher, format!("{}{NODE}", lease["t"]));
            }
            let lease = LeaseView {
                peer,
                ends: Millis(lease["e"].parse().unwrap()),
                joined: with("1"),
                kept: with("0"),
                watched: watched.iter().map(|user| UserName::new(user).unwrap()).collect(),
            };
            view.leases.insert(token, lease);
        }
        assert_eq!(self.keys("t").len(), view.leases.len());
        for user in self.keys("u") {
            let devices: Vec<String> = self.all("SMEMBERS", &format!("u:{user}"), &[]);
            let devices = devices.iter().map(|device| words::device(device).unwrap());
            view.users.insert(UserName::new(&user).unwrap(), devices.collect());
        }
        let listed: Vec<String> = self.all("ZRANGE", "rooms", &["0", "-1"]);
        let hidden: Vec<String> = self.all("ZRANGE", "hidden", &["0", "-1"]);
        for room in listed.into_iter().chain(hidden) {
            let members: Vec<String> = self.all("HKEYS", &format!("m:{room}"), &[]);
            let devices = members
                .iter()
                .map(|member| words::device(&member[member.len() - 64..]).unwrap());
            view.rooms
                .insert(RoomName::at_registry(&room).unwrap(), devices.collect());
        }
        let watched = view.leases.values().map(|lease| lease.watched.len()).sum::<usize>();
        let watchers = self
            .keys("v")
            .iter()
            .map(|user| self.all::<usize>("HLEN", &format!("v:{user}"), &[]))
            .sum();
        assert_eq!(watched, watchers, "who watches is listed once, and nobody else is");
        view
    }
}

/// The same model as that of the table in memory, with the same calls.
#[test]
fn beliefs_built_from_news_equal_the_table() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let Some(server) = runtime.block_on(Server::start(Kind::Redis)) else {
        return;
    };
    let link = Link::new(server.url("").parse().unwrap());
    let config = ProptestConfig::with_cases(24);
    let mut runner = TestRunner::new(config);
    let calls = prop::collection::vec(call(), 1..100);
    let tried = runner.run(&calls, |calls| {
        let mut world = World::new(Shared::new(&runtime, &link));
        for call in calls {
            world.call(call);
            world.check();
        }
        Ok(())
    });
    tried.unwrap();
}

/// No limit, but a figure: `cargo test -p peerchat-registry --lib what_a_call_costs -- --nocapture`.
#[test]
fn what_a_call_costs_the_server() {
    const DEVICES: usize = 2_000;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let Some(server) = runtime.block_on(Server::start(Kind::Redis)) else {
        return;
    };
    let link = Link::new(server.url("").parse().unwrap());
    let shared = Shared::new(&runtime, &link);
    let hex = |n: usize, bytes: usize| format!("{n:0width$x}", width = 2 * bytes);
    let user = |n: usize| format!("user{n}");
    let call = |what: &str, n: usize| match what {
        "log in" => words::words(["log_in", &hex(n, 16), &hex(n, 32), &user(n), &user(n), "192.0.2.1:1"]),
        "join a room of 20" => words::words(["join_room", &hex(n, 16), &format!("room{}", n / 20)]),
        "find" => words::words(["find", &hex(n, 16), &user(DEVICES + 1 - n)]),
        what => words::words([what, &hex(n, 16)]),
    };
    for what in ["log in", "join a room of 20", "find", "renew"] {
        let _: Value = shared.ask(redis::cmd("CONFIG").arg("RESETSTAT").clone());
        for n in 1..=DEVICES {
            assert!(
                shared
                    .run(call(what, n), Millis(0))
                    .answer(&Command::Expire)
                    .is_none_or(|answer| answer.is_ok())
            );
        }
        let stats: String = shared.ask(redis::cmd("INFO").arg("commandstats").clone());
        let line = stats.lines().find(|line| line.starts_with("cmdstat_evalsha")).unwrap();
        let each = line
            .split(',')
            .find_map(|part| part.strip_prefix("usec_per_call="))
            .unwrap();
        println!("{what}: {each} µs of the server");
    }
    let memory: String = shared.ask(redis::cmd("INFO").arg("memory").clone());
    println!(
        "{} for {DEVICES} devices",
        memory
            .lines()
            .find(|line| line.starts_with("used_memory_human"))
            .unwrap()
    );
}
