//! A lease that begins: what is to be told to its holder waits here from before the table has it.

use std::sync::Arc;

use tracing::info;

use super::{Local, RedisTable, words};
use crate::{
    engine::EngineError,
    routes::{Command, LeaseToken, Peer},
};

impl RedisTable {
    /// Starts a lease of this name.
    pub(crate) async fn log_in(&self, peer: Peer, token: LeaseToken) -> Result<(), EngineError> {
        let beginning = self.begin(&peer, token)?;
        info!(user = %peer.user, device = %peer.device, address = %peer.address, "logs in");
        let command = Command::LogIn { peer, token };
        let reply = self.run(words::command(&command)).await?;
        let epoch: Arc<str> = reply.epoch.as_str().into();
        reply.answer(&command).ok_or(EngineError::Muddled)??;
        beginning.succeeded(Arc::clone(&epoch));
        // In another table nobody knows this lease; and one that this registry does not know yet tells it nothing.
        if self.place.borrow().epoch != epoch {
            self.end(token, None);
            return Err(EngineError::Away);
        }
        Ok(())
    }

    /// Lets news wait for a lease before it is there, since its first news may come at once.
    fn begin(&self, peer: &Peer, token: LeaseToken) -> Result<Beginning<'_>, EngineError> {
        let mut state = self.lock();
        if state.streams.is_closed() {
            return Err(EngineError::ShuttingDown);
        }
        state.streams.begin(token);
        let local = Local {
            epoch: None,
            device: peer.device,
            user: peer.user.clone(),
        };
        state.local.insert(token, local);
        Ok(Beginning {
            table: self,
            token,
            has_succeeded: false,
        })
    }
}

/// A lease that may come to be. Where it does not, nothing waits for it any more.
struct Beginning<'a> {
    table: &'a RedisTable,
    token: LeaseToken,
    has_succeeded: bool,
}

impl Beginning<'_> {
    fn succeeded(mut self, epoch: Arc<str>) {
        self.has_succeeded = true;
        // It may have ended already.
        if let Some(local) = self.table.lock().local.get_mut(&self.token) {
            local.epoch = Some(epoch);
        }
    }
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if !self.has_succeeded {
            self.table.end(self.token, None);
        }
    }
}
