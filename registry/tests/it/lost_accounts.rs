//! An authority without the accounts that belong to it: nobody is given a name that is somebody's.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use peerchat_registry::{Settings, accounts::rules::Registration};
use tonic::Code;

use crate::{
    caller::*,
    harness::*,
    servers::{Kind, Server, secret},
};

const FILES: [&str; 3] = ["accounts.sqlite", "accounts.sqlite-wal", "accounts.sqlite-shm"];

/// A data folder, with the registry's own in it.
struct Data(tempfile::TempDir);

impl Data {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("registry").join(name)
    }

    /// A registry that has run here, and has taken in these.
    async fn with(&self, users: &[(&str, u8)]) {
        let registry = Registry::start_in(self.0.path());
        for (user, key) in users {
            Caller::log_in(&registry, user, *key).await;
        }
        registry.stop().await;
    }

    /// Puts the accounts of another folder in place of these, of which some may be missing.
    fn take(&self, other: &Path, files: &[&str]) {
        for name in FILES {
            drop(fs::remove_file(self.file(name)));
        }
        for name in files {
            drop(fs::copy(other.join(name), self.file(name)));
        }
    }

    /// What a start says that does not come about.
    async fn refused(&self) -> String {
        let (code, text) = run(&["--listen", "127.0.0.1:0", "--data", self.path()]).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("restore all of them from one backup"), "{text}");
        text
    }
}

#[tokio::test]
async fn a_registry_without_its_accounts_does_not_start_until_they_are_given_up() {
    let data = Data::new();
    data.with(&[("alice", 1), ("bob", 2)]).await;
    data.take(Path::new("nowhere"), &[]);
    for _ in 0..2 {
        let text = data.refused().await;
        assert!(
            text.contains("had 2 accounts and 2 devices") && text.contains("has none"),
            "{text}"
        );
    }
    let (code, text) = run(&["invite", "--data", data.path()]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("has none"), "{text}");

    let registry = Registry::start_with(&["--data", data.path(), "--accept-lost-accounts"]);
    registry.logged("what is lost is given up").await;
    Caller::log_in(&registry, "alice", 9).await;
    registry.stop().await;
    data.with(&[("alice", 9)]).await;
}

#[tokio::test]
async fn accounts_that_are_older_than_they_were_or_anothers_are_named() {
    let (data, other) = (Data::new(), Data::new());
    data.with(&[("alice", 1)]).await;
    let backup = tempfile::tempdir().unwrap();
    fs::copy(data.file(FILES[0]), backup.path().join(FILES[0])).unwrap();
    data.with(&[("bob", 2)]).await;
    data.take(backup.path(), &FILES);
    let text = data.refused().await;
    assert!(
        text.contains("had 2 accounts") && text.contains("older or incomplete copy, with 1 account"),
        "{text}"
    );
    other.with(&[("alice", 3), ("bob", 4), ("carol", 5)]).await;
    data.take(&other.file(""), &FILES);
    let text = data.refused().await;
    assert!(text.contains("has those of another registry"), "{text}");
    // The same of one that a peer hosts, which is told otherwise how to go on.
    let hosted = Settings::hosted(data.file(""));
    let told = peerchat_registry::Registry::open(hosted).await.unwrap_err().to_string();
    assert!(told.contains("accounts.begun away"), "{told}");
    // With its own accounts it goes on, and so does the other one.
    fs::remove_file(data.file("accounts.begun")).unwrap();
    data.with(&[("carol", 5)]).await;
}

#[tokio::test]
async fn a_copy_without_the_file_beside_it_is_soon_whole() {
    let data = Data::new();
    let registry = Registry::start_in(data.0.path());
    let deadline = Instant::now() + SOON;
    for (user, key) in [("alice", 1), ("bob", 2)] {
        Caller::log_in(&registry, user, key).await;
        loop {
            // As a registry's folder has to be: its owner's alone.
            let owners = fs::Permissions::from_mode(0o700);
            let copy = tempfile::Builder::new().permissions(owners).tempdir().unwrap();
            for name in ["ca.key", "ca.der", "accounts.begun", FILES[0]] {
                fs::copy(data.file(name), copy.path().join(name)).unwrap();
            }
            let settings = Settings {
                registration: Registration::Closed,
                ..Settings::hosted(copy.path().to_owned())
            };
            let opened = peerchat_registry::Registry::open(settings).await;
            if opened.is_ok() {
                let begun = fs::read_to_string(copy.path().join("accounts.begun")).unwrap();
                if begun.contains(&format!("\naccounts {key}\n")) {
                    break;
                }
            }
            assert!(
                Instant::now() < deadline,
                "what {user} was given is still only beside the database: {:?}",
                opened.err()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // Killed, it has all that it has answered.
    drop(registry);
    data.with(&[("alice", 1), ("bob", 2)]).await;
}

#[tokio::test]
async fn a_database_of_its_own_that_was_emptied_is_missed() {
    let data = Data::new();
    let database = data.0.path().join("elsewhere.sqlite");
    let url = format!("sqlite:{}", database.display());
    let arguments = ["--data", data.path(), "--accounts", &url];
    let registry = Registry::start_with(&arguments);
    Caller::log_in(&registry, "alice", 1).await;
    registry.stop().await;
    fs::remove_file(&database).unwrap();
    let (code, text) = run(&[&arguments[..], &["--listen", "127.0.0.1:0"]].concat()).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("had 1 account") && text.contains("has none"), "{text}");
}

async fn a_database_at_a_server_that_was_emptied_is_missed(kind: Kind) {
    let Some(server) = Server::start(kind).await else {
        return;
    };
    let data = Data::new();
    let file = data.0.path().join("url");
    let arguments = ["--data", data.path(), "--accounts-file", file.to_str().unwrap()];
    secret(&file, &server.create("one").await);
    let registry = Registry::start_with(&arguments);
    Caller::log_in(&registry, "alice", 1).await;
    // Nobody is given a name that cannot be told from hers.
    let refused = refused(Caller::try_log_in(&registry, 2, login("аlice", "127.0.0.1:1")).await);
    assert_eq!(refused.0, Code::InvalidArgument);
    assert!(refused.1.contains("looks like alice"), "{}", refused.1);
    registry.stop().await;
    secret(&file, &server.create("two").await);
    let (code, text) = run(&[&arguments[..], &["--listen", "127.0.0.1:0"]].concat()).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("had 1 account") && text.contains("has none"), "{text}");
}

#[tokio::test]
async fn a_database_of_mariadb_that_was_emptied_is_missed() {
    a_database_at_a_server_that_was_emptied_is_missed(Kind::MariaDb).await;
}

#[tokio::test]
async fn a_database_of_postgres_that_was_emptied_is_missed() {
    a_database_at_a_server_that_was_emptied_is_missed(Kind::Postgres).await;
}
