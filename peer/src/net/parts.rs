//! The parts of a history on their way to the one who pulls it.

use std::time::Duration;

use peerchat_proto::v1::HistoryResponse;
use tokio::{
    sync::mpsc::{self, OwnedPermit, Sender, error::TrySendError},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// How many parts are ready before the reader has taken them.
const PARTS_AHEAD: usize = 2;

/// How long a reader may leave the parts that are ready. Then the history ends with an error: he pulls again when he reads again, and
/// no task waits for him meanwhile.
pub(super) const READER_WAIT: Duration = Duration::from_secs(30);

pub(super) type Part = Result<HistoryResponse, Status>;

/// Where the parts go in. A history that is dropped ends as a whole one does, so one that is not must be ended by [`Parts::fail`].
pub(super) struct Parts {
    parts: Sender<Part>,
    /// The place for the last word is kept from the start, or a reader who takes nothing would leave none for it.
    last_word: OwnedPermit<Part>,
    wait: Duration,
}

impl Parts {
    /// Parts of which none is left for longer than `wait`, and the stream in which they come out.
    pub(super) fn new(wait: Duration) -> Result<(Self, ReceiverStream<Part>), Status> {
        let (parts, stream) = mpsc::channel(PARTS_AHEAD + 1);
        let last_word = match parts.clone().try_reserve_owned() {
            Ok(last_word) => last_word,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                return Err(Status::internal("no room for a history"));
            }
        };
        let parts = Self { parts, last_word, wait };
        Ok((parts, ReceiverStream::new(stream)))
    }

    /// Sends a part. None where no further one is wanted: the reader has gone, or has waited for too long and is told so.
    pub(super) async fn send(self, part: HistoryResponse) -> Option<Self> {
        match timeout(self.wait, self.parts.send(Ok(part))).await {
            Ok(Ok(())) => Some(self),
            Ok(Err(_gone)) => None,
            Err(_late) => {
                let wait = self.wait;
                self.fail(Status::aborted(format!(
                    "no part of the history was taken for {wait:?}"
                )));
                None
            }
        }
    }

    /// Ends the history with an error.
    pub(super) fn fail(self, status: Status) {
        self.last_word.send(Err(status));
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_reader_who_takes_nothing_is_left_and_told() {
        let (mut parts, mut stream) = Parts::new(Duration::from_millis(20)).unwrap();
        for _ in 0..PARTS_AHEAD {
            parts = parts.send(HistoryResponse::default()).await.unwrap();
        }
        assert!(
            parts.send(HistoryResponse::default()).await.is_none(),
            "one more is not taken"
        );
        for _ in 0..PARTS_AHEAD {
            assert!(stream.next().await.unwrap().is_ok());
        }
        let end = stream.next().await.unwrap().unwrap_err();
        assert_eq!(end.code(), Code::Aborted, "what is not whole does not look so");
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_reader_who_has_gone_is_left() {
        let (parts, stream) = Parts::new(READER_WAIT).unwrap();
        drop(stream);
        assert!(parts.send(HistoryResponse::default()).await.is_none());
    }
}
