//! Calls of whom it is not known yet that he may read what he asks for.
//!
//! The registry tells a newcomer who is in a room, and those that he is there, at the same time. He asks at once, and his call may
//! overtake the news. So it waits for that, for a while: to refuse him would leave him without the history until a link is there.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{Driver, ports::ServeError};
use crate::{
    log::Disk,
    node::{
        Input,
        types::{Conversation, Heights, Reader},
    },
};

/// How long a call waits for the news that its caller has joined.
const NEWS_WAIT: Duration = Duration::from_secs(1);

/// How many calls wait so. A further one is refused at once, and what that caller lacks he finds out over a link.
const WAITING_MAX: usize = 256;

/// Somebody asks how much is held of a conversation.
#[derive(Debug)]
pub(super) struct VersionCall {
    pub(super) conversation: Conversation,
    pub(super) reader: Reader,
    pub(super) reply: oneshot::Sender<Result<Heights, ServeError>>,
}

/// Calls that wait, each until a time. All wait equally long, so the first came first.
#[derive(Debug, Default)]
pub(super) struct WaitingCalls {
    calls: VecDeque<(Instant, VersionCall)>,
    /// Something has come in that may be what they wait for.
    news: bool,
}

impl WaitingCalls {
    /// When the next one has waited long enough.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.calls.front().map(|(until, _)| *until)
    }

    /// Takes note of what comes in, before the node is told.
    pub(super) fn hear(&mut self, input: &Input) {
        self.news |= match input {
            Input::RoomJoined { .. } | Input::RoomChanged(..) => true,
            Input::Frame(_, frame) => {
                !frame.knocks.is_empty() || !frame.heights.is_empty() || !frame.entries.is_empty()
            }
            _ => false,
        };
    }
}

impl<D: Disk> Driver<D> {
    /// Answers a call, or lets it wait for the news that its caller may read what he asks for.
    pub(super) fn version_asked(&mut self, call: VersionCall) {
        let node = self.core.node();
        let waits = !node.may_read(&call.reader, &call.conversation) && node.may_read_soon(&call.conversation);
        if waits && self.waiting.calls.len() < WAITING_MAX {
            self.waiting.calls.push_back((Instant::now() + NEWS_WAIT, call));
        } else {
            self.answer_version(call);
        }
    }

    /// Answers those calls that need not wait any longer.
    pub(super) fn answer_waiting(&mut self) {
        let news = std::mem::take(&mut self.waiting.news);
        let Some(end) = self.waiting.next_end() else { return };
        let now = Instant::now();
        if !news && now < end {
            return;
        }
        for (until, call) in std::mem::take(&mut self.waiting.calls) {
            let node = self.core.node();
            let waits = !node.may_read(&call.reader, &call.conversation) && node.may_read_soon(&call.conversation);
            if waits && until > now && !call.reply.is_closed() {
                self.waiting.calls.push_back((until, call));
            } else {
                self.answer_version(call);
            }
        }
    }

    fn answer_version(&self, call: VersionCall) {
        let VersionCall {
            conversation,
            reader,
            reply,
        } = call;
        // Where the caller has gone, nobody needs the answer.
        let _gone = reply.send(self.core.serve_version(&reader, &conversation));
    }
}
