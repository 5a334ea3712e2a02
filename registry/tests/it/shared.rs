//! Registries that share their leases in Redis and their accounts in MariaDB or PostgreSQL.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tonic::Code;

use crate::{
    caller::*,
    harness::*,
    servers::{Kind, Server, secret},
};

/// The servers that registries share, and what each of them is told.
pub(crate) struct Site {
    pub(crate) redis: Server,
    pub(crate) database: Server,
    folder: tempfile::TempDir,
}

impl Site {
    /// None where something is not installed.
    pub(crate) async fn start(database: Kind) -> Option<Self> {
        let (redis, database) = (Server::start(Kind::Redis).await?, Server::start(database).await?);
        let folder = tempfile::tempdir().unwrap();
        let site = Self {
            redis,
            database,
            folder,
        };
        secret(&site.file("accounts"), &site.database.create("peerchat_it").await);
        secret(&site.file("routes"), &site.redis.url(""));
        let (code, text) = run(&["init", "--ca", site.file("ca").to_str().unwrap()]).await;
        assert_eq!(code, Some(0), "{text}");
        Some(site)
    }

    /// One more registry. All have the same authority, and nothing of their own.
    pub(crate) fn registry(&self) -> Registry {
        self.registry_with(&[])
    }

    /// One more, which is told something beside that.
    pub(crate) fn registry_with(&self, more: &[&str]) -> Registry {
        let (ca, accounts, routes) = (self.file("ca"), self.file("accounts"), self.file("routes"));
        let arguments = [
            "--ca",
            ca.to_str().unwrap(),
            "--accounts-file",
            accounts.to_str().unwrap(),
            "--routes-file",
            routes.to_str().unwrap(),
        ];
        Registry::start_with(&[&arguments[..], more].concat())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Tries until it succeeds, for as long as things may take that heal by themselves.
pub(crate) async fn in_the_end<T, E: std::fmt::Debug>(mut what: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        match what().await {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn watchers_hear_of_those_at_other_registries(database: Kind) {
    let Some(site) = Site::start(database).await else {
        return;
    };
    let (a, b, c) = (site.registry(), site.registry(), site.registry());
    assert_eq!(a.fingerprint().await, c.fingerprint().await, "peers take them for one");
    let mut alice = Caller::log_in_with(&a, "alice", 1, "correct horse").await.unwrap();
    let mut stream = alice.watch(&["bob", "carol"]).await;
    assert_eq!(stream.heard().await, "offline bob Left");
    assert_eq!(stream.heard().await, "offline carol Left");
    alice.join("lobby").await.unwrap();

    let mut bob = Caller::log_in(&b, "Bob", 2).await;
    assert_eq!(stream.heard().await, "Bob Here");
    let joined = bob.join("lobby").await.unwrap();
    assert!(!joined.created);
    let users: Vec<_> = joined.members.iter().map(|member| member.user.as_str()).collect();
    assert_eq!(users, ["alice", "Bob"]);
    assert_eq!(stream.heard().await, "#lobby Bob Here");
    let mut carol = Caller::log_in(&c, "carol", 3).await;
    assert_eq!(stream.heard().await, "carol Here");
    assert_eq!(carol.find("alice").await.unwrap()[0].device.to_vec(), device(1));
    assert_eq!(carol.list_rooms().await.unwrap()[0].members, 2);
    bob.leave("lobby").await.unwrap();
    assert_eq!(stream.heard().await, "#lobby Bob Left");
    carol.log_out().await.unwrap();
    assert_eq!(stream.heard().await, "carol Left");
    assert_eq!(refused(carol.find("alice").await).0, Code::Unauthenticated);

    // Accounts are the same, too, and their devices are told wherever they are.
    let taken = refused(Caller::try_log_in(&c, 9, login("ALICE", "127.0.0.1:1")).await);
    assert_eq!(taken.0, Code::AlreadyExists);
    assert_eq!(stream.heard().await, "attempt 9 127.0.0.1 Refused");
    let mut second = Caller::log_in_with(&b, "alice", 4, "correct horse").await.unwrap();
    assert_eq!(stream.heard().await, "attempt 4 127.0.0.1 Added");
    let mut seconds = second.watch(&[]).await;
    alice.revoke(4).await.unwrap();
    assert_eq!(stream.heard().await, "revoked 4");
    assert_eq!(refused(seconds.next().await).0, Code::PermissionDenied);
    let refusal = refused(Caller::log_in_with(&c, "alice", 4, "correct horse").await);
    assert_eq!(refusal.0, Code::PermissionDenied);

    // A lease is good everywhere, but its stream is where it was given; logging in elsewhere replaces it.
    let lease = alice.lease.clone();
    alice.client = b.client(1).await;
    assert_eq!(alice.find("bob").await.unwrap().len(), 1);
    assert_eq!(refused(alice.try_watch(&[]).await).0, Code::FailedPrecondition);
    let mut elsewhere = Caller::log_in(&b, "alice", 1).await;
    assert_eq!(refused(stream.next().await).0, Code::Aborted);
    alice.lease = lease;
    assert_eq!(refused(alice.find("bob").await).0, Code::Unauthenticated);
    assert!(!elsewhere.join("lobby").await.unwrap().created, "it was kept");
    for registry in [&a, &b, &c] {
        assert!(
            !registry.log().contains("correct"),
            "no password is logged:\n{}",
            registry.log()
        );
    }
}

#[tokio::test]
async fn watchers_hear_of_those_at_other_registries_with_mariadb() {
    watchers_hear_of_those_at_other_registries(Kind::MariaDb).await;
}

#[tokio::test]
async fn watchers_hear_of_those_at_other_registries_with_postgres() {
    watchers_hear_of_those_at_other_registries(Kind::Postgres).await;
}

#[tokio::test]
async fn a_killed_registry_is_replaced_by_any_other_and_nobody_is_seen_to_leave() {
    let Some(site) = Site::start(Kind::Postgres).await else {
        return;
    };
    let (a, b) = (site.registry(), site.registry());
    let mut alice = Caller::log_in(&a, "alice", 1).await;
    alice.join("lobby").await.unwrap();
    let mut stream = alice.watch(&[]).await;
    let (mut bob, mut carol) = (Caller::log_in(&b, "bob", 2).await, Caller::log_in(&b, "carol", 3).await);
    for (caller, name) in [(&mut bob, "bob"), (&mut carol, "carol")] {
        caller.join("lobby").await.unwrap();
        assert_eq!(stream.heard().await, format!("#lobby {name} Here"));
    }
    drop(b);
    // Bob is back at another one, one that was just added; carol is not.
    let c = site.registry();
    let mut bob = Caller::log_in(&c, "bob", 2).await;
    bob.join("lobby").await.unwrap();
    let _bobs = bob.watch(&[]).await;
    let since = Instant::now();
    let renewals = async {
        loop {
            stream.renew(&alice.lease, &[]).await;
            if let Ok(Ok(change)) = tokio::time::timeout(Duration::from_secs(4), stream.changes.message()).await {
                return change.unwrap();
            }
        }
    };
    let change = tokio::time::timeout(Duration::from_secs(25), renewals)
        .await
        .expect("carol's lease ends");
    let text = format!("{change:?}");
    assert!(text.contains("carol") && text.contains("Room"), "{text}");
    assert!(
        since.elapsed() > Duration::from_secs(5),
        "not before her lease has ended"
    );
}

#[tokio::test]
async fn an_emptied_table_is_filled_again_by_those_who_are_there() {
    let Some(mut site) = Site::start(Kind::MariaDb).await else {
        return;
    };
    let (a, b) = (site.registry(), site.registry());
    let (mut alice, mut bob) = (Caller::log_in(&a, "alice", 1).await, Caller::log_in(&b, "bob", 2).await);
    let (mut alices, mut bobs) = (alice.watch(&[]).await, bob.watch(&[]).await);
    alice.join("lobby").await.unwrap();
    assert_eq!(alice.find("bob").await.unwrap().len(), 1);

    site.redis.kill();
    let (code, text) = refused(alice.join("tea").await);
    assert_eq!(code, Code::Unavailable);
    assert!(text.contains("table of leases does not answer"), "{text}");
    assert_eq!(
        alice.find("bob").await.unwrap().len(),
        1,
        "what was read is still known"
    );
    assert_eq!(refused(alice.find("carol").await).0, Code::Unavailable);
    assert_eq!(
        refused(Caller::try_log_in(&a, 3, login("carol", "127.0.0.1:1")).await).0,
        Code::Unavailable
    );
    alices.renew(&alice.lease, &["bob"]).await;
    a.logged("the table of leases does not answer").await;

    site.redis.resume().await;
    for (stream, registry) in [(&mut alices, &a), (&mut bobs, &b)] {
        assert_eq!(refused(stream.next().await).0, Code::Unauthenticated);
        registry.logged("the table of leases answers again").await;
    }
    let mut alice = Caller::log_in(&b, "alice", 1).await;
    assert!(alice.join("lobby").await.unwrap().created, "it was empty");
    let mut stream = alice.watch(&[]).await;
    let mut bob = Caller::log_in(&a, "bob", 2).await;
    bob.join("lobby").await.unwrap();
    assert_eq!(stream.heard().await, "#lobby bob Here");
}

#[tokio::test]
async fn no_lease_ends_because_redis_could_not_be_reached() {
    let Some(site) = Site::start(Kind::Postgres).await else {
        return;
    };
    let (a, b) = (site.registry(), site.registry());
    let (mut alice, mut bob) = (Caller::log_in(&a, "alice", 1).await, Caller::log_in(&b, "bob", 2).await);
    let (mut stream, bobs) = (alice.watch(&[]).await, bob.watch(&[]).await);
    alice.join("lobby").await.unwrap();
    site.redis.freeze(true);
    // Longer than a lease.
    let end = Instant::now() + Duration::from_secs(18);
    while Instant::now() < end {
        stream.renew(&alice.lease, &["bob"]).await;
        bobs.renew(&bob.lease, &[]).await;
        let (code, text) = refused(alice.join("tea").await);
        assert_eq!(code, Code::Unavailable, "{text}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    site.redis.freeze(false);
    assert_eq!(stream.heard().await, "bob Here", "asked for while it was away");
    in_the_end(async || bob.join("lobby").await).await;
    // What was asked for several times may be told several times.
    while let heard = stream.heard().await
        && heard != "#lobby bob Here"
    {
        assert_eq!(heard, "bob Here");
    }
}

#[tokio::test]
async fn who_is_known_does_not_need_the_database() {
    let Some(mut site) = Site::start(Kind::MariaDb).await else {
        return;
    };
    let (a, b) = (site.registry(), site.registry());
    let mut alice = Caller::log_in(&a, "alice", 1).await;
    let mut stream = alice.watch(&[]).await;
    let mut bob = Caller::log_in(&b, "bob", 2).await;
    bob.log_out().await.unwrap();
    site.database.kill();
    alice.join("lobby").await.unwrap();
    let mut bob = Caller::log_in(&b, "bob", 2).await;
    bob.join("lobby").await.unwrap();
    assert_eq!(stream.heard().await, "#lobby bob Here");
    let (code, text) = refused(Caller::try_log_in(&a, 3, login("carol", "127.0.0.1:1")).await);
    assert_eq!(code, Code::Unavailable);
    assert!(text.contains("database of the accounts does not answer"), "{text}");
    assert_eq!(refused(alice.set_password("correct horse").await).0, Code::Unavailable);
    site.database.resume().await;
    in_the_end(async || Caller::try_log_in(&a, 3, login("carol", "127.0.0.1:1")).await).await;
    a.logged("the database of the accounts answers again").await;
}

#[tokio::test]
async fn urls_that_cannot_be_used_are_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--accounts", "--routes"] {
        let scheme = if flag == "--routes" { "redis" } else { "postgres" };
        let (code, text) = run(&[flag, &format!("{scheme}://me:hunter2@127.0.0.1:1/0")]).await;
        assert_eq!(code, Some(2), "{text}");
        assert!(
            text.contains(&format!("{flag}-file")) && !text.contains("hunter2"),
            "{text}"
        );
        let (code, text) = run(&[flag, "oracle://hunter2@host"]).await;
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("expected") && !text.contains("hunter2"), "{text}");

        let file = folder.path().join("url");
        secret(&file, &format!("{scheme}://me:hunter2@127.0.0.1:1/0"));
        let data = folder.path().join("data");
        let file_flag = format!("{flag}-file");
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--data",
            data.to_str().unwrap(),
            &file_flag,
            file.to_str().unwrap(),
        ];
        let (code, text) = run(&arguments).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("127.0.0.1") || text.contains("postgres:"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
