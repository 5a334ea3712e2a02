//! Histories that are given: to those who call for them, and over the own links to those who cannot call.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use peerchat_proto::v1::{self as wire, chat_service_client::ChatServiceClient};
use tokio::{
    sync::{Semaphore, oneshot},
    time::sleep,
};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, transport::Channel};

use super::{
    MESSAGE_BYTES_MAX, Net, convert,
    parts::{Parts, READER_WAIT},
    passport::Fault,
    refusing,
};
use crate::{
    driver::ports::{self, Incoming, Wanted},
    node::{
        limits::{CALLS_OF_LINK_MAX, PULL_MS_MAX},
        types::{Conversation, EntryError, Heights, Reader},
    },
};

/// How long a history is given, which is longer than a peer pulls before it plans anew: who takes it slowly is in others' way.
const HISTORY_TIME: Duration = Duration::from_millis(2 * PULL_MS_MAX);

/// What a reader asks for.
#[derive(Debug)]
pub(super) struct Asked {
    conversation: Conversation,
    heights: Heights,
}

impl Asked {
    /// # Errors
    /// It breaks a rule.
    pub(super) fn read(request: wire::HistoryRequest) -> Result<Self, EntryError> {
        Ok(Self {
            conversation: convert::conversation_from_wire(request.conversation)?,
            heights: convert::heights_from_wire(&request.heights)?,
        })
    }
}

/// Gives over a link that this side has dialled what the other side asks for there.
#[derive(Debug, Clone)]
pub(super) struct Giving {
    net: Net,
    channel: Channel,
    /// How many more may be given at the same time.
    more: Arc<Semaphore>,
}

impl Giving {
    pub(super) fn new(net: &Net, channel: Channel) -> Self {
        let more = Arc::new(Semaphore::new(CALLS_OF_LINK_MAX));
        let net = net.clone();
        Self { net, channel, more }
    }

    /// Gives what the other side has asked for. Where it asks for more than there may be at a time, that is passed over: it asks again.
    ///
    /// # Errors
    /// What it asks for breaks a rule.
    pub(super) fn answer(&self, reader: &Reader, call: wire::HistoryCall) -> Result<(), EntryError> {
        let wire::HistoryCall { ticket, request } = call;
        let asked = Asked::read(request.ok_or(EntryError::Missing("request"))?)?;
        let Ok(permit) = Arc::clone(&self.more).try_acquire_owned() else {
            return Ok(());
        };
        let (giving, reader) = (self.clone(), reader.clone());
        self.net.tasks.spawn(async move {
            if let Err(error) = giving.give(ticket, asked, reader).await {
                tracing::debug!(error = error.message(), "cannot give a history");
            }
            drop(permit);
        });
        Ok(())
    }

    async fn give(self, ticket: u64, asked: Asked, reader: Reader) -> Result<(), Status> {
        let (parts, stream) = Parts::new(READER_WAIT)?;
        let first = wire::GiveHistoryRequest {
            ticket,
            ..Default::default()
        };
        let next = move |part| match part {
            Ok(part) => wire::GiveHistoryRequest {
                ticket,
                part: Some(part),
                failed: String::new(),
            },
            Err(status) => wire::GiveHistoryRequest {
                ticket,
                part: None,
                failed: Status::message(&status).to_owned(),
            },
        };
        let given = tokio_stream::once(first).chain(stream.map(next));
        let mut client = ChatServiceClient::new(self.channel).max_encoding_message_size(MESSAGE_BYTES_MAX);
        let net = self.net;
        let giving = async {
            match net.histories.pass(&reader.user, reader.user == net.me.user) {
                Ok(_passed) => net.give(asked, reader, parts).await,
                Err(status) => parts.fail(status),
            }
            // The reader says when he has read it.
            std::future::pending().await
        };
        tokio::select! {
            ended = client.give_history(given) => ended.map(drop),
            ended = giving => ended,
            () = sleep(HISTORY_TIME + READER_WAIT) => Err(Status::deadline_exceeded("its reader does not say that he has it")),
        }
    }
}

impl Net {
    /// Gives a reader, whose turn it is, what he asks for, until he has all of it.
    pub(super) async fn give(&self, asked: Asked, reader: Reader, mut parts: Parts) {
        let Asked { conversation, heights } = asked;
        let mut wanted = Wanted::Beyond(heights);
        let begun = Instant::now();
        loop {
            if begun.elapsed() > HISTORY_TIME {
                return parts.fail(Status::aborted(format!(
                    "a history is given for {HISTORY_TIME:?} at most"
                )));
            }
            // It takes long, and was asked for before.
            if self.credentials.is_revoked(&reader.device) {
                return parts.fail(Status::unauthenticated(Fault::Revoked.to_string()));
            }
            let (reply, answer) = oneshot::channel();
            let (conversation, reader) = (conversation.clone(), reader.clone());
            let incoming = Incoming::History {
                conversation,
                reader,
                wanted,
                reply,
            };
            match self.ask_driver(incoming, answer).await {
                Ok((part, Some(next))) if !part.is_empty() => {
                    wanted = Wanted::Next(next);
                    let Some(on) = parts.send(convert::part_to_wire(part)).await else {
                        return;
                    };
                    parts = on;
                }
                Ok(_) => return,
                Err(status) => {
                    if status.code() == Code::PermissionDenied {
                        refusing::count(&self.refusals, &status);
                    }
                    return parts.fail(status);
                }
            }
        }
    }

    /// What the driver answers to somebody else's question.
    pub(super) async fn ask_driver<T>(
        &self,
        incoming: Incoming,
        answer: oneshot::Receiver<Result<T, ports::ServeError>>,
    ) -> Result<T, Status> {
        self.incoming.send(incoming).await.map_err(|_| ends())?;
        answer.await.map_err(|_| ends())?.map_err(|error| match error {
            ports::ServeError::NotAllowed(_) => Status::permission_denied(error.to_string()),
            ports::ServeError::Log(_) => Status::internal(error.to_string()),
        })
    }
}

/// What a caller is told where the driver has ended.
pub(super) fn ends() -> Status {
    Status::unavailable("this peer ends")
}
