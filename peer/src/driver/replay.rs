//! Entries of the log as the user is shown them.

use super::core::Core;
use crate::{
    log::{Disk, Log, LogError},
    node::{
        event::{Event, Line, Replay, ReplayReason},
        types::{Author, Conversation, Entry, Heights, Stretches, UserName},
    },
};

impl<D: Disk> Core<D> {
    /// The last entries of a conversation in canonical order.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn replay(&self, conversation: &Conversation, count: usize, why: ReplayReason) -> Result<Replay, LogError> {
        let held = self.log(conversation).map(Log::heights).unwrap_or_default();
        let lines = self.last(conversation, count, &held)?;
        let more = (lines.len() as u64) < held.version();
        let conversation = conversation.clone();
        Ok(Replay {
            conversation,
            why,
            lines,
            more,
        })
    }

    /// The last ones of what was not shown as it came.
    pub(super) fn tell_last(
        &self,
        conversation: &Conversation,
        count: usize,
        stretches: &Stretches,
    ) -> Result<Event, LogError> {
        let entries = self.log(conversation).map(|log| log.last_of(stretches, count));
        let lines = self.lines(conversation, &entries.transpose()?.unwrap_or_default());
        let of = stretches.values().map(|seqs| seqs.end().0 + 1 - seqs.start().0);
        let more = (lines.len() as u64) < of.sum();
        let conversation = conversation.clone();
        Ok(Event::Replay(Replay {
            conversation,
            why: ReplayReason::Synced,
            lines,
            more,
        }))
    }

    /// The last of the entries that `held` stands for. There may be later ones, appended in the same turn.
    pub(super) fn last(
        &self,
        conversation: &Conversation,
        count: usize,
        held: &Heights,
    ) -> Result<Vec<Line>, LogError> {
        let Some(log) = self.log(conversation) else {
            return Ok(Vec::new());
        };
        let later = usize::try_from(log.version().saturating_sub(held.version())).unwrap_or(usize::MAX);
        let mut entries = log.last(count.saturating_add(later))?;
        entries.retain(|entry| entry.seq <= held.of(&entry.author));
        entries.drain(..entries.len().saturating_sub(count));
        Ok(self.lines(conversation, &entries))
    }

    /// How the screen shows entries of the log.
    pub fn lines(&self, conversation: &Conversation, entries: &[Entry]) -> Vec<Line> {
        let talk = self.node().talks().get(conversation);
        let version = self.version(conversation);
        let user = |author: &Author| -> UserName {
            let held = talk.and_then(|talk| talk.replica.authors().get(author));
            held.map_or_else(|| self.node().me().user.clone(), |held| held.user.clone())
        };
        let line = |entry: &Entry| Line::of(entry, user(&entry.author), version);
        entries.iter().map(line).collect()
    }

    fn version(&self, conversation: &Conversation) -> u64 {
        self.node()
            .talks()
            .get(conversation)
            .map_or(0, |talk| talk.replica.version())
    }
}
