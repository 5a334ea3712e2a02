//! What waits for one watcher. Changes are queued from the moment of log-in, so that none is missed before the stream opens.
//! A lease has one stream in its life: what was on its way when a stream broke is gone, so going on would leave the watcher
//! with a wrong view. It logs in again and gets a fresh one.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;

use crate::{
    engine::EngineError,
    routes::{Change, LeaseEnd},
};

/// Changes that wait for one watcher. Enough for a full room that comes back at once; who lags further behind starts anew.
pub(crate) const QUEUE_MAX: usize = 2_048;

/// Why a stream ends.
#[derive(Debug)]
pub(crate) enum StreamEnd {
    /// The lease ended.
    Lease(LeaseEnd),
    /// The watcher reads too slowly: [`QUEUE_MAX`] changes wait.
    TooSlow,
    /// The watcher's request was refused or could not be carried out.
    Failed(EngineError),
    /// The watcher's request breaks a rule of the contract.
    Invalid(String),
    /// The registry shuts down.
    ShuttingDown,
}

/// The writing end, with the table.
#[derive(Debug)]
pub(crate) struct Mailbox {
    queue: mpsc::Sender<Change>,
    end: oneshot::Sender<StreamEnd>,
    reader: Option<Outbox>,
}

/// The reading end: the changes, and the reason for the end as the last item.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: mpsc::Receiver<Change>,
    /// None once the end was told.
    end: Option<oneshot::Receiver<StreamEnd>>,
}

/// Tells when the reading end is gone.
#[derive(Debug)]
pub(crate) struct Closed(mpsc::Sender<Change>);

impl Mailbox {
    pub(crate) fn new() -> Self {
        let (queue, changes) = mpsc::channel(QUEUE_MAX);
        let (end, ended) = oneshot::channel();
        let reader = Outbox {
            queue: changes,
            end: Some(ended),
        };
        Self {
            queue,
            end,
            reader: Some(reader),
        }
    }

    /// Whether the reading end is still there.
    pub(crate) fn is_unopened(&self) -> bool {
        self.reader.is_some()
    }

    /// The reading end, which is there once.
    pub(crate) fn open(&mut self) -> Option<(Outbox, Closed)> {
        Some((self.reader.take()?, Closed(self.queue.clone())))
    }

    /// Queues a change. False where there is no room for it: the stream must end then. A reader that is gone is no reason:
    /// its lease ends soon.
    pub(crate) fn push(&self, change: Change) -> bool {
        !matches!(self.queue.try_send(change), Err(mpsc::error::TrySendError::Full(_)))
    }

    /// Ends the stream; what is still queued is dropped.
    pub(crate) fn end(self, why: StreamEnd) {
        // Nobody is told where nobody reads any more.
        let _ = self.end.send(why);
    }
}

impl Closed {
    /// Waits until the reading end is gone.
    pub(crate) async fn wait(&self) {
        self.0.closed().await;
    }
}

impl Stream for Outbox {
    type Item = Result<Change, StreamEnd>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(end) = &mut self.end else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(why) = Pin::new(end).poll(cx) {
            self.end = None;
            self.queue.close();
            return Poll::Ready(why.ok().map(Err));
        }
        self.queue.poll_recv(cx).map(|change| change.map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use peerchat_proto::names::UserName;
    use tokio_stream::StreamExt as _;

    use super::*;

    fn change() -> Change {
        Change::Offline {
            user: UserName::new("alice").unwrap(),
        }
    }

    #[tokio::test]
    async fn a_full_queue_is_told_and_the_end_comes_before_what_waits() {
        let mut mailbox = Mailbox::new();
        let (mut outbox, closed) = mailbox.open().unwrap();
        assert!(mailbox.open().is_none(), "one stream for a lease");
        assert!((0..QUEUE_MAX).all(|_| mailbox.push(change())));
        assert!(!mailbox.push(change()));
        assert!(matches!(outbox.next().await, Some(Ok(_))));
        assert!(mailbox.push(change()));
        mailbox.end(StreamEnd::TooSlow);
        assert!(matches!(outbox.next().await, Some(Err(StreamEnd::TooSlow))));
        assert!(outbox.next().await.is_none());
        drop(outbox);
        closed.wait().await;
    }
}
