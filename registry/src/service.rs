//! The wire: calls of `RoutingService` become calls of the table, and its answers become messages and statuses. The only file
//! that knows generated types; everything that comes in is checked here and goes on in types that are valid by construction.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use peerchat_proto::{
    names::{NameError, RoomName, UserName},
    v1::{
        self,
        routing_service_server::{RoutingService, RoutingServiceServer, SERVICE_NAME},
        watch_response::Change as WireChange,
    },
};
use tokio::{sync::oneshot, time::timeout};
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::{
    address::Address,
    hub::{Hub, HubError},
    mailbox::{Closed, Outbox, StreamEnd},
    routes::{Change, DeviceId, LeaseEnd, LeaseToken, Liveness, Peer, Refusal, limits},
};

/// How long a call may take, and how long a `Watch` may wait for its first request.
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// The most bytes of a request: what it takes to name all users that a peer may watch at once, four bytes a character.
const REQUEST_BYTES_MAX: usize = 512 * 1024;

/// The calls of `RoutingService`.
#[derive(Debug)]
pub(crate) struct Service {
    hub: Arc<Hub>,
}

impl Service {
    /// The name of the service, as health checks use it.
    pub(crate) const NAME: &str = SERVICE_NAME;

    /// The service on this hub, ready for a server.
    pub(crate) fn on(hub: Arc<Hub>) -> RoutingServiceServer<Self> {
        RoutingServiceServer::new(Self { hub }).max_decoding_message_size(REQUEST_BYTES_MAX)
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RoutingService for Service {
    type WatchStream = WatchStream;

    async fn log_in(&self, request: Request<v1::LogInRequest>) -> Answer<v1::LogInResponse> {
        let observed = request.remote_addr().map(|socket| socket.ip());
        let peer = announced_peer(request.into_inner(), observed)?;
        let address = peer.address.to_string();
        let lease = self.hub.log_in(peer)?;
        Ok(Response::new(v1::LogInResponse {
            lease: lease.0.to_vec().into(),
            lease_ms: u32::try_from(limits::LEASE.0).unwrap_or(u32::MAX),
            address,
        }))
    }

    async fn log_out(&self, request: Request<v1::LogOutRequest>) -> Answer<v1::LogOutResponse> {
        let lease = lease_token(&request.get_ref().lease)?;
        self.hub.call(|routes, now| routes.log_out(lease, now))?;
        Ok(Response::new(v1::LogOutResponse {}))
    }

    async fn find(&self, request: Request<v1::FindRequest>) -> Answer<v1::FindResponse> {
        let request = request.get_ref();
        let (lease, user) = (lease_token(&request.lease)?, user_name(&request.user)?);
        let found = self.hub.call(|routes, now| routes.find(lease, &user, now))?;
        Ok(Response::new(v1::FindResponse {
            user: found.user.shown().to_owned(),
            peers: found.peers.iter().map(wire_peer).collect(),
        }))
    }

    async fn join_room(&self, request: Request<v1::JoinRoomRequest>) -> Answer<v1::JoinRoomResponse> {
        let request = request.get_ref();
        let (lease, room) = (lease_token(&request.lease)?, room_name(&request.room)?);
        let joined = self.hub.call(|routes, now| routes.join_room(lease, &room, now))?;
        Ok(Response::new(v1::JoinRoomResponse {
            created: joined.created,
            members: joined.members.iter().map(wire_peer).collect(),
        }))
    }

    async fn leave_room(&self, request: Request<v1::LeaveRoomRequest>) -> Answer<v1::LeaveRoomResponse> {
        let request = request.get_ref();
        let (lease, room) = (lease_token(&request.lease)?, room_name(&request.room)?);
        let dismissed = self.hub.call(|routes, now| routes.leave_room(lease, &room, now))?;
        Ok(Response::new(v1::LeaveRoomResponse { dismissed }))
    }

    async fn list_rooms(&self, request: Request<v1::ListRoomsRequest>) -> Answer<v1::ListRoomsResponse> {
        let request = request.get_ref();
        let lease = lease_token(&request.lease)?;
        let after = match request.after.as_str() {
            "" => None,
            after => Some(RoomName::new(after).map_err(|error| name_status("room", &error))?),
        };
        let page = match request.page_size {
            0 => limits::PAGE_MAX,
            size => usize::try_from(size).unwrap_or(limits::PAGE_MAX),
        };
        let page = self
            .hub
            .call(|routes, now| routes.list_rooms(lease, after.as_ref(), page, now))?;
        let wire_room = |(name, members): (RoomName, usize)| v1::Room {
            name: name.as_str().to_owned(),
            members: u32::try_from(members).unwrap_or(u32::MAX),
        };
        Ok(Response::new(v1::ListRoomsResponse {
            rooms: page.rooms.into_iter().map(wire_room).collect(),
            more: page.more,
        }))
    }

    async fn watch(&self, request: Request<Streaming<v1::WatchRequest>>) -> Answer<WatchStream> {
        // The answer's head goes out before the first request is here: some clients send nothing until they have it.
        let (open, opening) = oneshot::channel();
        tokio::spawn(follow(Arc::clone(&self.hub), request.into_inner(), open));
        Ok(Response::new(WatchStream::Opening(opening)))
    }
}

/// Reads the requests of a watcher until its stream ends on either side.
async fn follow(
    hub: Arc<Hub>,
    mut requests: Streaming<v1::WatchRequest>,
    open: oneshot::Sender<Result<Outbox, Status>>,
) {
    let (lease, outbox, closed) = match first_request(&hub, &mut requests).await {
        Ok(opened) => opened,
        Err(status) => {
            // A caller that has gone needs no answer.
            let _ = open.send(Err(status));
            return;
        }
    };
    if open.send(Ok(outbox)).is_err() {
        return hub.stream_lost(lease, None);
    }
    let why = tokio::select! {
        () = closed.wait() => None,
        why = renew(&hub, &mut requests, lease) => why,
    };
    hub.stream_lost(lease, why);
}

async fn first_request(
    hub: &Hub,
    requests: &mut Streaming<v1::WatchRequest>,
) -> Result<(LeaseToken, Outbox, Closed), Status> {
    let late = |_| Status::deadline_exceeded("no request came; send one with the lease first");
    let request = timeout(CALL_DEADLINE, requests.message()).await.map_err(late)??;
    let request = request.ok_or_else(|| Status::invalid_argument("the stream has no request; send the lease first"))?;
    let lease = lease_token(&request.lease)?;
    let (outbox, closed) = hub.open_stream(lease, &user_names(&request.users)?)?;
    Ok((lease, outbox, closed))
}

/// Renews the lease with every request. Answers when there are no more, or with the fault of the last one.
async fn renew(hub: &Hub, requests: &mut Streaming<v1::WatchRequest>, lease: LeaseToken) -> Option<StreamEnd> {
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
        if let Err(refusal) = hub.call(|routes, now| routes.renew(lease, &users, now)) {
            return Some(StreamEnd::Refused(refusal));
        }
    }
    None
}

/// What a watcher reads: `ready`, then changes, then the status that says why no more come.
#[derive(Debug)]
pub(crate) enum WatchStream {
    Opening(oneshot::Receiver<Result<Outbox, Status>>),
    Open(Outbox),
    Done,
}

impl Stream for WatchStream {
    type Item = Result<v1::WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (next, item) = match &mut *self {
            Self::Opening(opening) => match ready!(Pin::new(opening).poll(cx)) {
                Ok(Ok(outbox)) => (Self::Open(outbox), Some(Ok(wire_ready()))),
                Ok(Err(status)) => (Self::Done, Some(Err(status))),
                Err(_) => (Self::Done, Some(Err(HubError::ShuttingDown.into()))),
            },
            Self::Open(outbox) => match ready!(Pin::new(outbox).poll_next(cx)) {
                Some(Ok(change)) => return Poll::Ready(Some(Ok(wire_change(change)))),
                Some(Err(end)) => (Self::Done, end_status(end).map(Err)),
                None => (Self::Done, None),
            },
            Self::Done => (Self::Done, None),
        };
        *self = next;
        Poll::Ready(item)
    }
}

fn announced_peer(request: v1::LogInRequest, observed: Option<IpAddr>) -> Result<Peer, Status> {
    let device = <[u8; 32]>::try_from(&request.device[..]).map_err(|_| {
        let found = request.device.len();
        Status::invalid_argument(format!(
            "`device` is an Ed25519 public key of 32 bytes; this one has {found}"
        ))
    })?;
    let address = Address::new(&request.address, observed)
        .map_err(|error| Status::invalid_argument(format!("`address`: {error}")))?;
    Ok(Peer {
        user: user_name(&request.user)?,
        device: DeviceId(device),
        address,
    })
}

fn lease_token(bytes: &[u8]) -> Result<LeaseToken, Status> {
    let found = bytes.len();
    let token = <[u8; 16]>::try_from(bytes).map_err(|_| {
        Status::invalid_argument(format!(
            "`lease` has the 16 bytes that LogIn answered; this one has {found}"
        ))
    })?;
    Ok(LeaseToken(token))
}

fn user_name(name: &str) -> Result<UserName, Status> {
    UserName::new(name).map_err(|error| name_status("user", &error))
}

fn user_names(names: &[String]) -> Result<Vec<UserName>, Status> {
    names.iter().map(|name| user_name(name)).collect()
}

fn room_name(name: &str) -> Result<RoomName, Status> {
    RoomName::at_registry(name).map_err(|error| name_status("room", &error))
}

fn name_status(what: &str, error: &NameError) -> Status {
    Status::invalid_argument(format!("name of a {what}: {error}"))
}

fn wire_peer(peer: &Peer) -> v1::Peer {
    v1::Peer {
        user: peer.user.shown().to_owned(),
        device: peer.device.0.to_vec().into(),
        address: peer.address.to_string(),
    }
}

fn wire_liveness(liveness: Liveness) -> i32 {
    let wire = match liveness {
        Liveness::Here => v1::Liveness::Here,
        Liveness::Left => v1::Liveness::Left,
        Liveness::Lost => v1::Liveness::Lost,
    };
    wire.into()
}

fn wire_ready() -> v1::WatchResponse {
    v1::WatchResponse {
        change: Some(WireChange::Ready(v1::WatchReady {})),
    }
}

fn wire_change(change: Change) -> v1::WatchResponse {
    let change = match change {
        Change::Presence { peer, liveness } => WireChange::Presence(v1::PresenceChange {
            peer: Some(wire_peer(&peer)),
            liveness: wire_liveness(liveness),
        }),
        Change::Offline { user } => WireChange::Presence(v1::PresenceChange {
            peer: Some(v1::Peer {
                user: user.shown().to_owned(),
                ..v1::Peer::default()
            }),
            liveness: wire_liveness(Liveness::Left),
        }),
        Change::Room { room, peer, liveness } => WireChange::Room(v1::RoomChange {
            room: room.as_str().to_owned(),
            peer: Some(wire_peer(&peer)),
            liveness: wire_liveness(liveness),
        }),
    };
    v1::WatchResponse { change: Some(change) }
}

/// The status with which a stream ends; none where its watcher asked for it.
fn end_status(end: StreamEnd) -> Option<Status> {
    match end {
        StreamEnd::Lease(LeaseEnd::LoggedOut) => None,
        StreamEnd::Lease(LeaseEnd::Replaced) => Some(Status::aborted(
            "this device logged in again; its newer stream tells the changes",
        )),
        StreamEnd::Lease(LeaseEnd::Lost) => Some(Refusal::UnknownLease.into()),
        StreamEnd::TooSlow => Some(Status::resource_exhausted(
            "too many changes wait to be read; log in again",
        )),
        StreamEnd::Refused(refusal) => Some(refusal.into()),
        StreamEnd::Invalid(text) => Some(Status::invalid_argument(text)),
        StreamEnd::ShuttingDown => Some(HubError::ShuttingDown.into()),
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::UnknownLease => Code::Unauthenticated,
            Refusal::NameTaken(_) => Code::AlreadyExists,
            Refusal::UnknownUser(_) => Code::NotFound,
            Refusal::NotInRoom(_) => Code::FailedPrecondition,
            Refusal::LeasesFull
            | Refusal::RoomsFull
            | Refusal::RoomsPerLease
            | Refusal::RoomFull(_)
            | Refusal::WatchedFull => Code::ResourceExhausted,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<HubError> for Status {
    fn from(error: HubError) -> Self {
        let code = match error {
            HubError::Refused(refusal) => return refusal.into(),
            HubError::StreamUsed => Code::FailedPrecondition,
            HubError::NoRandomness => Code::Internal,
            HubError::ShuttingDown => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}
