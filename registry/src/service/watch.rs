//! The stream of a watcher: what it asks, and what it is told.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use peerchat_identity::accept::Place;
use peerchat_proto::v1;
use tokio::{sync::oneshot, time::timeout};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::{
    CALL_DEADLINE,
    accounts::account_status,
    convert::{end_status, lease_token, user_names, wire_change, wire_ready},
};
use crate::{
    engine::{Engine, EngineError},
    mailbox::{Closed, Outbox, StreamEnd},
    registry::Registry,
    routes::{Change, DeviceId, LeaseToken},
};

/// A stream that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The devices that must not be believed: told before anything that they could be believed for.
    revoked: Vec<DeviceId>,
    outbox: Outbox,
}

/// Reads the requests of a watcher until its stream ends on either side.
pub(super) async fn follow(
    registry: Arc<Registry>,
    device: DeviceId,
    place: Option<Place>,
    mut requests: Streaming<v1::WatchRequest>,
    open: oneshot::Sender<Result<Opened, Status>>,
) {
    let engine = &registry.engine;
    let (lease, opened, closed) = match first_request(&registry, device, &mut requests).await {
        Ok(opened) => opened,
        Err(status) => {
            // A caller that has gone needs no answer.
            let _ = open.send(Err(status));
            return;
        }
    };
    // Who has a lease stays while strangers come.
    let _kept = place.as_ref().map(Place::keep);
    if open.send(Ok(opened)).is_err() {
        return engine.stream_lost(lease, None).await;
    }
    let why = tokio::select! {
        () = closed.wait() => None,
        why = renew(engine, &mut requests, lease) => why,
    };
    engine.stream_lost(lease, why).await;
}

async fn first_request(
    registry: &Registry,
    device: DeviceId,
    requests: &mut Streaming<v1::WatchRequest>,
) -> Result<(LeaseToken, Opened, Closed), Status> {
    let late = |_| Status::deadline_exceeded("no request came; send one with the lease first");
    let request = timeout(CALL_DEADLINE, requests.message()).await.map_err(late)??;
    let request = request.ok_or_else(|| Status::invalid_argument("the stream has no request; send the lease first"))?;
    let lease = lease_token(&request.lease)?;
    let users = user_names(&request.users)?;
    registry.engine.user_of(lease, device).await?;
    // Before the stream opens: a lease has only one. Who is revoked from here on is told through the mailbox, which is there since
    // the log-in.
    let revoked = registry.accounts.revoked(registry.now().wall).await;
    let revoked = revoked.map_err(account_status)?;
    let (outbox, closed) = registry.engine.open_stream(lease, users).await?;
    let opened = Opened {
        revoked: revoked.into_iter().map(|revoked| revoked.device).collect(),
        outbox,
    };
    Ok((lease, opened, closed))
}

/// Renews the lease with every request. Answers when there are no more, or with the fault of the last one.
async fn renew(engine: &Engine, requests: &mut Streaming<v1::WatchRequest>, lease: LeaseToken) -> Option<StreamEnd> {
    // Whether the stream broke or the watcher ended it makes no difference: nothing renews the lease any more.
    while let Ok(Some(request)) = requests.message().await {
        if !request.lease.is_empty() && request.lease[..] != lease.0 {
            let text = "a stream is for one lease; send the same as first, or none";
            return Some(StreamEnd::Invalid(text.to_owned()));
        }
        let users = match user_names(&request.users) {
            Ok(users) => users,
            Err(status) => return Some(StreamEnd::Invalid(status.message().to_owned())),
        };
        if let Err(error) = engine.renew(lease, users).await {
            return Some(StreamEnd::Failed(error));
        }
    }
    None
}

/// What a watcher reads: `ready`, who is revoked, then changes, then the status that says why no more come.
#[derive(Debug)]
pub(crate) enum WatchStream {
    /// Nothing was told yet.
    Opening(oneshot::Receiver<Result<Opened, Status>>),
    /// `ready` was told.
    Ready(Opened),
    /// Changes are told.
    Open(Outbox),
    /// All was told.
    Done,
}

impl Stream for WatchStream {
    type Item = Result<v1::WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (next, item) = match std::mem::replace(&mut *self, Self::Done) {
            Self::Opening(mut opening) => match Pin::new(&mut opening).poll(cx) {
                Poll::Pending => {
                    *self = Self::Opening(opening);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Ok(opened))) => (Self::Ready(opened), Some(Ok(wire_ready()))),
                Poll::Ready(Ok(Err(status))) => (Self::Done, Some(Err(status))),
                Poll::Ready(Err(_)) => (Self::Done, Some(Err(EngineError::ShuttingDown.into()))),
            },
            Self::Ready(Opened { revoked, outbox }) => {
                let change = Change::Revoked { devices: revoked };
                (Self::Open(outbox), Some(Ok(wire_change(change))))
            }
            Self::Open(mut outbox) => match Pin::new(&mut outbox).poll_next(cx) {
                Poll::Pending => {
                    *self = Self::Open(outbox);
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(change))) => (Self::Open(outbox), Some(Ok(wire_change(change)))),
                Poll::Ready(Some(Err(end))) => (Self::Done, end_status(end).map(Err)),
                Poll::Ready(None) => (Self::Done, None),
            },
            Self::Done => (Self::Done, None),
        };
        *self = next;
        Poll::Ready(item)
    }
}
