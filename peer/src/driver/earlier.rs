//! What was said in a conversation before, under other authorities: shown where the user has taken it along.
//!
//! Such logs are read from beginning to end on a thread of their own, so an answer with them comes when it is there.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tokio::sync::Semaphore;

use super::{Driver, core::unreadable};
use crate::{
    log::{Disk, Earlier},
    node::{
        event::{Code, Event, Notice, Replay, ReplayReason},
        limits::REPLAY_LAST,
        types::{Conversation, Decode},
    },
};

/// How many answers are put together at the same time. Each holds at most as many entries as the user may ask for.
const READS_MAX: usize = 4;

/// The earlier logs of each conversation that has any.
#[derive(Debug)]
pub struct EarlierLogs {
    folders: BTreeMap<Conversation, Vec<PathBuf>>,
    decode: Decode,
    places: Arc<Semaphore>,
    at_start: Option<Conversation>,
}

impl EarlierLogs {
    /// These folders, the oldest first; `decode` makes entries of what is in them.
    pub fn new(folders: BTreeMap<Conversation, Vec<PathBuf>>, decode: Decode) -> Self {
        let places = Arc::new(Semaphore::new(READS_MAX));
        Self {
            folders,
            decode,
            places,
            at_start: None,
        }
    }

    /// Whether a conversation has any.
    pub fn has(&self, conversation: &Conversation) -> bool {
        self.folders.contains_key(conversation)
    }

    /// Those of a conversation, if it has any.
    pub fn of<D: Disk>(&self, disk: &D, conversation: &Conversation) -> Option<Earlier<D>> {
        Some(Earlier {
            disk: disk.clone(),
            folders: self.folders.get(conversation)?.clone(),
            decode: self.decode,
        })
    }

    /// What is to be shown of earlier logs after the user was told this: nothing, where there is enough of the conversation's own.
    pub(super) fn after(&self, event: &Event) -> Option<Replay> {
        let Event::Joined(joined) = event else { return None };
        let lacks = joined.replay.len() < REPLAY_LAST && self.has(&joined.conversation);
        lacks.then(|| Replay {
            conversation: joined.conversation.clone(),
            why: ReplayReason::Earlier,
            lines: Vec::new(),
            more: false,
        })
    }
}

impl<D: Disk> Driver<D> {
    /// Gives the driver the earlier logs of conversations, and the one of them that is told at the start. Before it runs only.
    #[must_use]
    pub fn with_earlier(mut self, earlier: EarlierLogs, at_start: Option<Conversation>) -> Self {
        self.earlier = EarlierLogs { at_start, ..earlier };
        self
    }

    /// Tells what was said last in the conversation in which the user is at the start.
    pub(super) async fn tell_start(&mut self) {
        let Some(current) = self.earlier.at_start.take() else {
            return;
        };
        match self.core.replay(&current, REPLAY_LAST, ReplayReason::Start) {
            Ok(replay) => self.tell_replay(replay, REPLAY_LAST).await,
            Err(error) => self.tell(Event::Notice(unreadable(&error))).await,
        }
    }

    /// Tells an answer of at most `count` lines, with what is in earlier logs before what is in the conversation's own.
    pub(super) async fn tell_replay(&mut self, mut replay: Replay, count: usize) {
        let Some(earlier) = self.earlier.of(&self.disk, &replay.conversation) else {
            return self.tell(Event::Replay(replay)).await;
        };
        let room = count.saturating_sub(replay.lines.len());
        if room == 0 {
            replay.more = true;
            return self.tell(Event::Replay(replay)).await;
        }
        let Ok(place) = self.earlier.places.clone().try_acquire_owned() else {
            return self
                .notice(Code::Refused, "this peer is too busy; try again".to_owned())
                .await;
        };
        let events = self.channels.events.clone();
        tokio::task::spawn_blocking(move || {
            let text = match &replay.why {
                ReplayReason::Search(text) => Some(text.as_str()),
                _ => None,
            };
            let told = earlier.last(room, text);
            replay.lines.splice(0..0, told.lines);
            replay.more |= told.more;
            // Where the user's side has ended, nobody wants to know.
            let _ended = events.blocking_send(Event::Replay(replay));
            for damage in &told.damage {
                let _ended = events.blocking_send(Event::Notice(earlier_damaged(damage)));
            }
            drop(place);
        });
    }
}

fn earlier_damaged(damage: &crate::log::LogError) -> Notice {
    let Notice { code, message } = unreadable(damage);
    Notice {
        code,
        message: format!("of what was taken along: {message} under its own authority"),
    }
}
