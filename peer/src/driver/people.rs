//! What is to be done about people: words to compute, and what is known of devices to keep.

use std::time::{Duration, Instant};

use super::{Driver, keeping::Kept};
use crate::{
    log::Disk,
    node::{
        event::Event,
        people::{Comparison, Deed, News},
    },
    state,
};

/// How long a device that was met waits at most to be remembered with others: in a room many are met at once. Who is killed before
/// that is told of it again.
const KEEP_AFTER: Duration = Duration::from_secs(1);

/// What is kept of people, and when.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// When what is known must be kept.
    pub(super) keep_at: Option<Instant>,
    /// What the number of changes was when it was kept.
    kept: u64,
}

impl<D: Disk> Driver<D> {
    pub(super) async fn people_deed(&mut self, deed: Deed) {
        match deed {
            Deed::Compare(comparison) => self.compare(comparison).await,
            Deed::Remember { at_once: true } => self.keep_people(),
            Deed::Remember { at_once: false } => {
                self.people.keep_at.get_or_insert_with(|| Instant::now() + KEEP_AFTER);
            }
        }
    }

    /// Tells what to compare. The loop waits for the words, a tenth of a second, so that the answers keep the order of the questions and
    /// a script that asks without end has one of them computed at a time; the wire's tasks go on meanwhile.
    async fn compare(&mut self, comparison: Comparison) {
        let compute = move || {
            let words = comparison.words();
            News::Compared(comparison, words)
        };
        // Nothing comes back only where the process ends.
        if let Ok(news) = tokio::task::spawn_blocking(compute).await {
            self.tell(Event::People(news)).await;
        }
    }

    /// Keeps what is known of people, if anything has changed.
    pub(super) fn keep_people(&mut self) {
        self.people.keep_at = None;
        let people = self.core.node().people();
        if people.changes() == self.people.kept {
            return;
        }
        self.people.kept = people.changes();
        let (path, bytes) = (self.folder.join(state::people::FILE), state::people::bytes(people));
        self.keep(Kept::People, path, bytes);
    }
}
