//! Making durable what is stored.

use super::Core;
use crate::{
    log::{Disk, LogError, SyncOutcome, SyncTask},
    node::{Input, types::Conversation},
};

impl<D: Disk> Core<D> {
    /// Whether anything is stored that is not durable.
    pub fn needs_sync(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Begins to make durable what is stored. Each task is to be run, on any thread, and its outcome to be handed to
    /// [`Core::finish_sync`].
    pub fn begin_syncs(&mut self) -> Vec<(Conversation, SyncTask<D::File>)> {
        let mut tasks = Vec::new();
        let logs = &mut self.logs;
        self.unsynced.retain(|conversation| {
            let Some(log) = logs.get_mut(conversation) else {
                return false;
            };
            match log.begin_sync() {
                Some(task) => {
                    tasks.push((conversation.clone(), task));
                    false
                }
                // One is under way already, and this must follow it.
                None => true,
            }
        });
        tasks
    }

    /// Takes note of a sync.
    ///
    /// # Errors
    /// The disk refuses: nothing more may be acked, and the peer must end.
    pub fn finish_sync(&mut self, conversation: Conversation, outcome: SyncOutcome) -> Result<Input, LogError> {
        let log = self.logs.get_mut(&conversation);
        let grown = log.map(|log| log.finish_sync(outcome)).transpose()?.unwrap_or_default();
        Ok(Input::Durable(conversation, grown))
    }
}
