//! The registry of Peerchat: it knows who is where and who is in which room, and never sees a message.
//!
//! The program `peerchat-registry` runs it alone; a peer may host it in its own process with [`bind`] and [`serve`]:
//!
//! ```no_run
//! # async fn host() -> Result<(), Box<dyn std::error::Error>> {
//! use peerchat_registry::{Registry, Settings};
//! use tokio_util::sync::CancellationToken;
//!
//! let shutdown = CancellationToken::new();
//! let listener = peerchat_registry::bind("127.0.0.1:10001".parse()?).await?;
//! let registry = Registry::open(Settings::in_memory()).await?;
//! tokio::spawn(peerchat_registry::serve(listener, registry, shutdown.clone()));
//! // … and at the end:
//! shutdown.cancel();
//! # Ok(())
//! # }
//! ```
//!
//! From the inside out: [`routes`] is the pure lease table with [`address`] among its types; `mailbox` queues what a watcher is
//! told; `engine` is whatever keeps the table of a running registry, and `hub` the one that keeps it in this process; `notes` seals what registries
//! of one site say to each other; `service` turns
//! calls into calls of the engine and is the only part that knows generated types; `registry` is all of it before it serves, and `server` puts it on a listener.
//! [`accounts`] and [`authority`] are what outlives the process: who owns which name, and the key that certifies it.
//! [`config`], [`command`] and [`telemetry`] are for the program.

pub mod accounts;
pub mod address;
pub mod authority;
pub mod cluster;
pub mod command;
pub mod config;
mod engine;
mod hub;
mod mailbox;
mod notes;
mod outage;
mod refusals;
mod registry;
pub mod routes;
mod server;
#[cfg(test)]
#[path = "../tests/servers/mod.rs"]
#[allow(dead_code, reason = "the tests of the program use the rest")]
mod servers;
mod service;
pub mod telemetry;

pub use engine::RoutesUrl;
pub use registry::{Registry, RegistryError, Settings};
pub use server::{BindError, ServeError, bind, bind_to, serve};
