//! The registry of Peerchat: it knows who is where and who is in which room, and never sees a message.
//!
//! The program `peerchat-registry` runs it alone; a peer may host it in its own process with [`bind`] and [`serve`]:
//!
//! ```no_run
//! # async fn host() -> Result<(), Box<dyn std::error::Error>> {
//! use tokio_util::sync::CancellationToken;
//!
//! let shutdown = CancellationToken::new();
//! let listener = peerchat_registry::bind("127.0.0.1:10001".parse()?).await?;
//! tokio::spawn(peerchat_registry::serve(listener, shutdown.clone()));
//! // … and at the end:
//! shutdown.cancel();
//! # Ok(())
//! # }
//! ```
//!
//! From the inside out: [`routes`] is the pure lease table with [`address`] among its types; `mailbox` queues what a watcher is
//! told; `hub` holds the table, the clock and the mailboxes of a running registry; `service` turns calls into calls of the hub
//! and is the only file that knows generated types; [`incoming`] accepts connections, a peer's as well; `server` puts them
//! together. [`accounts`] and [`authority`] are what outlives the process: who owns which name, and the key that certifies it.
//! [`config`], [`command`] and [`telemetry`] are for the program.

pub mod accounts;
pub mod address;
pub mod authority;
pub mod command;
pub mod config;
mod hub;
pub mod incoming;
mod mailbox;
pub mod routes;
mod server;
mod service;
pub mod telemetry;

pub use server::{BindError, ServeError, bind, serve};
