//! In place of `redis` in a program that is built without it, as a peer is: types that have no values. So there can be no such table, no
//! driver is needed, and the engine is written once.

use std::str::FromStr;

use peerchat_proto::names::UserName;
use tokio::sync::mpsc;

use super::{EngineError, OnRevoked};
use crate::{
    mailbox::{Closed, Outbox, StreamEnd},
    routes::{Answer, Command, LeaseToken, Note, Peer, Query, Told},
};

/// What there is none of. It is behind private fields: the compiler would warn of what follows in the engine as of code that is never run.
#[derive(Debug, Clone)]
enum Nothing {}

/// The URL of a shared table, of which there is none.
#[derive(Debug, Clone)]
pub struct RoutesUrl(Nothing);

/// Whatever the URL is, it cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this program was built without Redis; start `peerchat-registry`, or build this one with the feature `shared` of the package \
    peerchat-registry"
)]
pub struct UnknownTable;

impl FromStr for RoutesUrl {
    type Err = UnknownTable;

    fn from_str(_: &str) -> Result<Self, UnknownTable> {
        Err(UnknownTable)
    }
}

impl RoutesUrl {
    /// Whether whoever reads the URL learns a password.
    pub fn has_password(&self) -> bool {
        match self.0 {}
    }
}

/// The table, of which there is none.
#[derive(Debug)]
pub(crate) struct RedisTable(Nothing);

/// What the engine asks of a table; see the methods of the same names in `redis`.
impl RedisTable {
    pub(crate) async fn open(url: RoutesUrl, _: OnRevoked) -> Result<Self, EngineError> {
        match url.0 {}
    }

    pub(crate) async fn log_in(&self, _: Peer, _: LeaseToken) -> Result<(), EngineError> {
        match self.0 {}
    }

    pub(crate) async fn open_stream(&self, _: LeaseToken, _: Vec<UserName>) -> Result<(Outbox, Closed), EngineError> {
        match self.0 {}
    }

    pub(crate) async fn stream_lost(&self, _: LeaseToken, _: Option<StreamEnd>) {
        match self.0 {}
    }

    pub(crate) async fn call(&self, _: Command) -> Result<Answer, EngineError> {
        match self.0 {}
    }

    pub(crate) async fn look(&self, _: Query) -> Result<Told, EngineError> {
        match self.0 {}
    }

    pub(crate) fn listen(&self) -> mpsc::Receiver<Note> {
        match self.0 {}
    }

    pub(crate) fn close(&self) {
        match self.0 {}
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self.0 {}
    }

    pub(crate) async fn work(&self) {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_not_built_in_is_refused_by_its_url() {
        let told = "redis://host".parse::<RoutesUrl>().unwrap_err().to_string();
        assert!(told.contains("peerchat-registry"), "{told}");
    }
}
