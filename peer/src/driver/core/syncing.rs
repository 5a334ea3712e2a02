//! Making durable what is stored.

use super::Core;
use crate::{
    log::{Disk, IoError, LogError, ReleaseTask, SyncOutcome, SyncTask},
    node::{Input, types::Conversation},
};

impl<D: Disk> Core<D> {
    /// Whether anything is stored that is not durable.
    pub fn needs_sync(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Begins to make durable what is stored. Each task is to be run, on any thread, and its outcome to be handed to
    /// [`Core::finish_sync`].
    pub fn begin_syncs(&mut self) -> Vec<(Conversation, SyncTask<D>)> {
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

    /// The permits of all logs to go on with their incarnations, which are in memory now and must be gone from the disk before the first own
    /// entry. To be run on any thread before the first input; [`Core::finish_release`] takes what came of each. Where that is not done, the first
    /// entry of each log waits for the disk.
    pub fn begin_releases(&self) -> Vec<(Conversation, ReleaseTask<D>)> {
        let tasks = self
            .logs
            .iter()
            .map(|(conversation, log)| (conversation.clone(), log.begin_release()));
        tasks
            .filter_map(|(conversation, task)| Some((conversation, task?)))
            .collect()
    }

    /// Takes note of a permit that is gone.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn finish_release(
        &mut self,
        conversation: &Conversation,
        outcome: Result<(), IoError>,
    ) -> Result<(), LogError> {
        let log = self.logs.get_mut(conversation);
        log.map_or(Ok(()), |log| log.finish_release(outcome))
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
