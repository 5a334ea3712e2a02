//! The connection to the server of the table, made again where it broke or leads to one that takes nothing any more.

use std::time::Duration;

use redis::{AsyncConnectionConfig, RedisError, Value, aio::MultiplexedConnection};
use tokio::sync::Mutex;
use tracing::error;

use super::{script::Script, url::RoutesUrl};
use crate::{engine::EngineError, outage::Outage};

/// How long it may take to connect, and for an answer. Both together are less than a call may take.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(2);

pub(super) fn config() -> AsyncConnectionConfig {
    let config = AsyncConnectionConfig::new();
    config
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER))
}

/// The connection that is used now, and how many there were.
#[derive(Debug, Default)]
struct Held {
    made: u64,
    connection: Option<MultiplexedConnection>,
}

/// A connection that carries many calls at once.
#[derive(Debug)]
pub(super) struct Link {
    url: RoutesUrl,
    script: Script,
    connection: Mutex<Held>,
    outage: Outage,
}

impl Link {
    pub(super) fn new(url: RoutesUrl) -> Self {
        Self {
            url,
            script: Script::new(),
            connection: Mutex::new(Held::default()),
            outage: Outage::of("the table of leases"),
        }
    }

    /// Runs the script.
    pub(super) async fn run(&self, arguments: &[Vec<u8>]) -> Result<Value, EngineError> {
        if self.outage.is_left_alone() {
            return Err(EngineError::Away);
        }
        let (made, mut connection) = self.connected().await?;
        let answer = match self.script.by_name(arguments).query_async(&mut connection).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                self.script.whole(arguments).query_async(&mut connection).await
            }
            answer => answer,
        };
        match answer {
            Ok(value) => {
                self.outage.answered();
                Ok(value)
            }
            // What the script itself does wrong is wrong on any server.
            Err(error) if error.code() == Some("ERR") => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the script of the table fails"
                );
                Err(EngineError::Muddled)
            }
            Err(error) => {
                self.outage.failed(Some(&error));
                self.drop_connection(made).await;
                Err(EngineError::Away)
            }
        }
    }

    /// A connection of its own, for whoever waits for news.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let client = self.url.locate(Script::PREFIX).await?;
        client.get_multiplexed_async_connection_with_config(&config()).await
    }

    async fn connected(&self) -> Result<(u64, MultiplexedConnection), EngineError> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &held.connection {
            return Ok((held.made, connection.clone()));
        }
        // Those who waited here while another one tried in vain need not try too.
        if self.outage.is_left_alone() {
            return Err(EngineError::Away);
        }
        match self.connect().await {
            Ok(connection) => {
                held.made += 1;
                held.connection = Some(connection.clone());
                Ok((held.made, connection))
            }
            Err(error) => {
                self.outage.failed(Some(&error));
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
