//! The connection to the server of the table, made again where it broke or leads to one that takes nothing any more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult, Value, aio::MultiplexedConnection};
use tokio::sync::Mutex;
use tracing::{error, warn};

use super::{script::Script, url::RoutesUrl};
use crate::{
    engine::EngineError,
    outage::{Asks, Outage},
};

/// How long it may take to connect, and for an answer. Both together are less than a call may take.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(2);

/// A connection to a server, or to whoever knows which one that is.
pub(super) async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER));
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// The connection that is used now, and how many there were.
#[derive(Debug, Default)]
struct Held {
    made: u64,
    connection: Option<Connected>,
}

/// A connection, and the name of the server's process at the other end, by which the script tells another server from this one.
#[derive(Debug, Clone)]
struct Connected {
    to: MultiplexedConnection,
    server: Arc<str>,
}

/// A connection that carries many calls at once.
#[derive(Debug)]
pub(super) struct Link {
    url: RoutesUrl,
    script: Script,
    connection: Mutex<Held>,
    outage: Outage,
    /// How often nothing came of what was asked, so that not the same one of several hosts is believed again and again.
    failures: AtomicUsize,
}

impl Link {
    pub(super) fn new(url: RoutesUrl) -> Self {
        Self {
            url,
            script: Script::new(),
            connection: Mutex::new(Held::default()),
            outage: Outage::of("the table of leases"),
            failures: AtomicUsize::default(),
        }
    }

    /// Runs the script.
    pub(super) async fn run(&self, arguments: &[Vec<u8>]) -> Result<Value, EngineError> {
        let asks = self.outage.ask().ok_or(EngineError::Away)?;
        let (made, Connected { mut to, server }) = self.connected(asks).await?;
        let answer = match self.script.by_name(&server, arguments).query_async(&mut to).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                self.script.whole(&server, arguments).query_async(&mut to).await
            }
            answer => answer,
        };
        match answer {
            Ok(value) => {
                self.outage.answered();
                Ok(value)
            }
            // What the script itself does wrong, or finds wrong, is wrong on any server.
            Err(error) if matches!(error.code(), Some("ERR" | "WRONGTYPE")) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the script of the table fails"
                );
                Err(EngineError::Muddled)
            }
            Err(error) => {
                self.failed(&error);
                self.drop_connection(made).await;
                Err(EngineError::Away)
            }
        }
    }

    /// A connection of its own, for whoever waits for news. To whichever server one of the hosts names that can be reached.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let first = self.failures.load(Ordering::Relaxed);
        let mut connection = self.connect_by(first).await;
        for host in 1..self.url.hosts() {
            if connection.is_err() {
                connection = self.connect_by(first.wrapping_add(host)).await;
            }
        }
        connection
    }

    async fn connect_by(&self, host: usize) -> Result<MultiplexedConnection, RedisError> {
        connect(&self.url.locate(Script::PREFIX, host).await?).await
    }

    fn failed(&self, error: &RedisError) {
        self.outage.failed(Some(error));
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets whoever calls next begin another table.
    pub(super) async fn give_up(&self) -> Result<(), RedisError> {
        let mut connection = self.connect().await?;
        let mut delete = redis::cmd("DEL");
        delete.arg(format!("{}meta", Script::PREFIX));
        delete.query_async(&mut connection).await
    }

    async fn connect_and_ask(&self) -> Result<Connected, RedisError> {
        let mut to = self.connect().await?;
        let mut info = redis::cmd("INFO");
        let info: String = info.arg("server").arg("memory").query_async(&mut to).await?;
        if let Some(policy) = evicts(&info) {
            warn!(
                policy,
                "the server of the table throws single keys away when its memory is full, and so leases and members of rooms; set \
                 maxmemory-policy noeviction there"
            );
        }
        let server = line(&info, "run_id").unwrap_or_default().into();
        Ok(Connected { to, server })
    }

    async fn connected(&self, asks: Asks) -> Result<(u64, Connected), EngineError> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &held.connection {
            return Ok((held.made, connection.clone()));
        }
        // Those who waited here while another one tried in vain need not try too.
        if self.outage.has_failed_since(asks) {
            return Err(EngineError::Away);
        }
        match self.connect_and_ask().await {
            Ok(connection) => {
                held.made += 1;
                held.connection = Some(connection.clone());
                Ok((held.made, connection))
            }
            Err(error) => {
                self.failed(&error);
                Err(EngineError::Away)
            }
        }
    }

    /// Drops a connection, unless it was replaced meanwhile.
    async fn drop_connection(&self, made: u64) {
        let mut held = self.connection.lock().await;
        if held.made == made {
            held.connection = None;
        }
    }
}

/// What a line of the answer to `INFO` says.
fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// By which policy a server throws keys away, if it does.
fn evicts(info: &str) -> Option<&str> {
    let has_limit = line(info, "maxmemory").is_some_and(|limit| limit != "0");
    line(info, "maxmemory_policy").filter(|policy| has_limit && *policy != "noeviction")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself() {
        let info = "# Server\r\nrun_id:abc\r\n# Memory\r\nmaxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n";
        assert_eq!((line(info, "run_id"), line(info, "run")), (Some("abc"), None));
        assert_eq!(evicts(info), Some("allkeys-lru"));
        for safe in [
            "maxmemory:0\r\nmaxmemory_policy:allkeys-lru",
            "maxmemory:1\r\nmaxmemory_policy:noeviction",
            "",
        ] {
            assert_eq!(evicts(safe), None, "{safe}");
        }
    }
}
