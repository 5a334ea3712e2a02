//! Registries as processes, with accounts that were put into their databases in bulk.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use peerchat_registry::{
    accounts::store::{DatabaseUrl, Place, Store},
    cluster::ask_status,
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::{
    load::{Load, user},
    servers::{Kind, Server, free_port, secret},
};

/// Rows in one statement, and statements in one transaction.
const ROWS: usize = 500;
const STATEMENTS: usize = 100;

/// How long a cluster may take to have a leader.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How registries are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A single one, with SQLite.
    Alone,
    /// Three that elect a leader, each with SQLite.
    Cluster,
    /// Three that share Redis and this database.
    Shared(Kind),
}

/// A registry, or three. All that it has ends with it.
pub struct Site {
    form: Form,
    folder: tempfile::TempDir,
    /// Redis, and the database with its URL.
    shared: Option<(Server, Server, String)>,
    filled: usize,
    running: Vec<Child>,
    /// Where registries listen, while they run.
    pub addresses: Vec<String>,
}

impl Site {
    /// One of which nothing runs yet but what registries share. None where that is not installed.
    pub async fn new(form: Form) -> Option<Self> {
        let shared = match form {
            Form::Alone | Form::Cluster => None,
            Form::Shared(kind) => {
                let (redis, database) = (Server::start(Kind::Redis).await?, Server::start(kind).await?);
                let url = database.create("peerchat_bench").await;
                Some((redis, database, url))
            }
        };
        let site = Self {
            form,
            folder: tempfile::tempdir().unwrap(),
            shared,
            filled: 0,
            running: Vec::new(),
            addresses: Vec::new(),
        };
        let ca = site.path("ca");
        assert!(
            program()
                .args(["init", "--ca"])
                .arg(ca)
                .stdout(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        Some(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn registries(&self) -> usize {
        if self.form == Form::Alone { 1 } else { 3 }
    }

    /// Registers users until there are so many. Nothing may run.
    pub async fn fill(&mut self, registered: usize, load: &Load) {
        if self.form == Form::Cluster && self.filled == 0 {
            self.begin(load).await;
        }
        let databases: Vec<(Place, String)> = match &self.shared {
            Some((_, _, url)) => vec![(Place::Url(url.parse::<DatabaseUrl>().unwrap()), url.clone())],
            None => (0..self.registries())
                .map(|n| {
                    let folder = self.path(&format!("node-{n}")).join("registry");
                    let url = format!("sqlite:{}", folder.join("accounts.sqlite").display());
                    (Place::Folder(folder), url)
                })
                .collect(),
        };
        for (place, url) in databases {
            // Makes the tables where there are none.
            Store::open(&place).await.unwrap().close().await;
            let mut connection = AnyConnection::connect(&url).await.unwrap();
            let missing: Vec<usize> = (self.filled..registered).collect();
            for part in missing.chunks(ROWS * STATEMENTS) {
                let mut work = connection.begin().await.unwrap();
                for rows in part.chunks(ROWS) {
                    for sql in statements(rows, load, self.form == Form::Shared(Kind::Postgres)) {
                        sqlx::query(AssertSqlSafe(sql)).execute(&mut *work).await.unwrap();
                    }
                }
                work.commit().await.unwrap();
            }
            connection.close().await.unwrap();
        }
        self.filled = registered;
    }

    /// Registers the first user as a user does. The nodes of a cluster decide on that together, and only then have accounts to which others
    /// can be added: all nodes are given the same.
    async fn begin(&mut self, load: &Load) {
        self.start().await;
        let begun = Instant::now();
        for address in &self.addresses {
            while let Err(status) = load.try_log_in(address, 0).await {
                assert!(begun.elapsed() < READY_WITHIN, "nobody can register: {status}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        self.stop();
        self.filled = 1;
    }

    /// Starts all registries, and waits until they are as they should be.
    pub async fn start(&mut self) {
        let ports: Vec<u16> = (0..self.registries()).map(|_| free_port()).collect();
        let members: Vec<String> = ports
            .iter()
            .zip(1..)
            .map(|(port, id)| format!("{id}=127.0.0.1:{port}"))
            .collect();
        if let Some((redis, _, url)) = &self.shared {
            secret(&self.path("accounts"), url);
            secret(&self.path("routes"), &redis.url(""));
        }
        for (n, port) in ports.iter().enumerate() {
            let mut command = program();
            command
                .args(["--listen", &format!("127.0.0.1:{port}"), "--ca"])
                .arg(self.path("ca"));
            match self.form {
                Form::Alone => {}
                Form::Cluster => {
                    command.args(["--id", &(n + 1).to_string(), "--cluster", &members.join(",")]);
                }
                Form::Shared(_) => {
                    command.arg("--accounts-file").arg(self.path("accounts"));
                    command.arg("--routes-file").arg(self.path("routes"));
                }
            }
            command.arg("--data").arg(self.path(&format!("node-{n}")));
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap())
                .read_line(&mut line)
                .unwrap();
            self.running.push(child);
            let address = line.trim().strip_prefix("listening on ").expect("it has started");
            self.addresses.push(address.to_owned());
        }
        if self.form == Form::Cluster {
            self.is_led().await;
        }
    }

    async fn is_led(&self) {
        let begun = Instant::now();
        loop {
            let mut tables = Vec::new();
            for address in &self.addresses {
                tables.push(ask_status(address).await.ok().and_then(|(_, status)| status?.table));
            }
            if tables[0].is_some() && tables.iter().all(|table| *table == tables[0]) {
                return;
            }
            assert!(begun.elapsed() < READY_WITHIN, "the cluster has no leader: {tables:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends all registries.
    pub fn stop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.running.clear();
        self.addresses.clear();
    }

    /// What the processes of the registries hold, and Redis.
    pub async fn resident_bytes(&self) -> u64 {
        let mut bytes = 0;
        for child in &self.running {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            bytes += number(&status, "VmRSS:") * 1_024;
        }
        if let Some((redis, ..)) = &self.shared {
            let client = redis::Client::open(redis.url("")).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let info: String = redis::cmd("INFO")
                .arg("memory")
                .query_async(&mut connection)
                .await
                .unwrap();
            bytes += number(&info, "used_memory:");
        }
        bytes
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerchat-registry"));
    command
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The first number after a word.
fn number(text: &str, word: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(word));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap()
}

/// What registers these users, each with one device. Names and bytes are this bench's own, so none can be taken for SQL.
fn statements(users: &[usize], load: &Load, is_postgres: bool) -> [String; 2] {
    let accounts = users.iter().map(|n| format!("('{0}','{0}',0,0)", user(*n)));
    let devices = users.iter().map(|n| {
        let hex: String = load.device(*n).iter().map(|byte| format!("{byte:02x}")).collect();
        let device = if is_postgres {
            format!("'\\x{hex}'")
        } else {
            format!("X'{hex}'")
        };
        format!("({device},'{}','bench','registration',0,0)", user(*n))
    });
    let list = |rows: &mut dyn Iterator<Item = String>| rows.collect::<Vec<_>>().join(",");
    [
        format!(
            "INSERT INTO accounts (name, shown, created, changed) VALUES {}",
            list(&mut accounts.into_iter())
        ),
        format!(
            "INSERT INTO devices (device, account, label, added_by, added, seen) VALUES {}",
            list(&mut devices.into_iter())
        ),
    ]
}
