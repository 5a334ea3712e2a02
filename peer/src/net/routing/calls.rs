//! What the registry is asked and answers, and what it tells by itself.

use peerchat_proto::v1::{
    self as wire, account_service_client::AccountServiceClient, routing_service_client::RoutingServiceClient,
    watch_response::Change,
};
use tonic::{Code, Status, transport::Channel};

use super::Question;
use crate::{
    net::{Net, convert},
    node::{
        Ask, Input, Liveness, PeerAddress,
        event::{self, Notice},
        limits::ROOMS_LISTED_MAX,
        types::{EntryError, RoomName, UserName},
    },
};

/// The services of a registry.
pub(super) struct Clients {
    pub(super) routing: RoutingServiceClient<Channel>,
    pub(super) accounts: AccountServiceClient<Channel>,
}

/// Whether a call failed since the registry, or this lease at it, is not there: to be asked again after the next log-in.
pub(super) fn is_away(status: &Status) -> bool {
    use Code::{Aborted, Cancelled, DeadlineExceeded, Internal, Unauthenticated, Unavailable, Unknown};
    matches!(
        status.code(),
        Unavailable | Unknown | Internal | DeadlineExceeded | Cancelled | Unauthenticated | Aborted
    )
}

pub(super) async fn call(
    client: &mut RoutingServiceClient<Channel>,
    lease: Vec<u8>,
    ask: &Ask,
) -> Result<Option<Input>, Status> {
    let lease = lease.into();
    match ask {
        Ask::Join(room) => {
            let request = wire::JoinRoomRequest {
                lease,
                room: room.as_str().to_owned(),
            };
            let answer = client.join_room(request).await?.into_inner();
            let members = peers_from_wire(answer.members);
            Ok(Some(Input::RoomJoined {
                room: room.clone(),
                created: answer.created,
                members,
            }))
        }
        Ask::Leave(room) => {
            let request = wire::LeaveRoomRequest {
                lease,
                room: room.as_str().to_owned(),
            };
            client.leave_room(request).await?;
            Ok(None)
        }
        Ask::Find(user) => {
            let request = wire::FindRequest {
                lease,
                user: user.key().to_owned(),
            };
            let answer = client.find(request).await?.into_inner();
            let shown = UserName::new(&answer.user).ok().filter(|shown| shown == user);
            Ok(Some(Input::Found(
                shown.unwrap_or_else(|| user.clone()),
                peers_from_wire(answer.peers),
            )))
        }
        Ask::Watch(_) => Ok(None),
    }
}

pub(super) fn failed(ask: Ask, status: &Status) -> Option<Input> {
    let reason = status.message().to_owned();
    let away = is_away(status);
    match ask {
        Ask::Join(room) => Some(Input::RoomRefused {
            room,
            refused: (!away).then_some(reason),
        }),
        Ask::Find(user) if status.code() == Code::NotFound => Some(Input::NotFound(user)),
        Ask::Find(user) => Some(Input::FindFailed(user, reason)),
        Ask::Leave(_) | Ask::Watch(_) => None,
    }
}

pub(super) async fn list_rooms(
    client: &mut RoutingServiceClient<Channel>,
    lease: &[u8],
) -> Result<Vec<(RoomName, u32)>, Status> {
    let mut rooms = Vec::new();
    let mut after = String::new();
    loop {
        let request = wire::ListRoomsRequest {
            lease: lease.to_vec().into(),
            page_size: 0,
            after,
        };
        let page = client.list_rooms(request).await?.into_inner();
        let last = page.rooms.last().map(|room| room.name.clone());
        let named = page
            .rooms
            .into_iter()
            .filter_map(|room| Some((RoomName::new(&room.name).ok()?, room.members)));
        rooms.extend(named);
        match last {
            Some(last) if page.more && rooms.len() < ROOMS_LISTED_MAX => after = last,
            _ => return Ok(rooms),
        }
    }
}

/// Whether the registry is there, and says by itself that it cannot do this at the moment: what it is made of is away. Where nobody
/// was reached, it is the connection that says so.
pub(super) fn is_unwilling(status: &Status) -> bool {
    status.code() == Code::Unavailable && std::error::Error::source(status).is_none()
}

/// Answers that nobody answers.
pub(super) async fn unanswered(net: &Net, question: Question) {
    let text = match question {
        Question::Account(..) => "the registry does not answer; try again when it is back",
        _ => "the registry does not answer",
    };
    fail(net, question, &Status::unavailable(text)).await;
}

/// Answers a question with what went wrong.
pub(super) async fn fail(net: &Net, question: Question, status: &Status) {
    match question {
        Question::Ask(ask) => {
            if let Some(input) = failed(ask, status) {
                net.tell(input).await;
            }
        }
        // Nobody waits where the peer ends.
        Question::Account(_, reply) => drop(reply.send(Err(status.message().to_owned()))),
        Question::ListRooms(reply) => {
            let _gone = reply.send(None);
        }
    }
}

/// What the registry tells by itself, as far as it is the node's business. A change that breaks a rule is left out: the registry is
/// trusted with who is where and who is who, and no more.
pub(super) fn told(net: &Net, change: wire::WatchResponse) -> Option<Input> {
    match change.change? {
        Change::Ready(_) => None,
        Change::Revoked(revoked) => {
            let devices = revoked.devices.iter();
            let devices = devices.filter_map(|device| convert::device_from_wire("devices", device).ok());
            net.credentials.revoke(devices);
            None
        }
        Change::Attempt(attempt) => Some(Input::Notice(Notice {
            code: event::Code::AccountAttempt,
            message: attempted(&attempt)?,
        })),
        Change::Presence(presence) => {
            let liveness = liveness(presence.liveness());
            let peer = presence.peer?;
            let user = UserName::new(&peer.user).ok()?;
            Some(Input::UserChanged(user, peer_from_wire(peer).ok(), liveness?))
        }
        Change::Room(room) => {
            let liveness = liveness(room.liveness())?;
            Some(Input::RoomChanged(
                RoomName::at_registry(&room.room).ok()?,
                peer_from_wire(room.peer?).ok()?,
                liveness,
            ))
        }
    }
}

/// How much of a device's id is told.
const DEVICE_CHARS: usize = 12;

/// What the user is told of a device that tried to become one of his.
fn attempted(attempt: &wire::AccountAttempt) -> Option<String> {
    let device = convert::device_from_wire("device", &attempt.device).ok()?.to_string();
    // As much of it as tells one from another, and as /devices shows.
    let device: String = device.chars().take(DEVICE_CHARS).collect();
    let host: String = attempt.host.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    let what = match attempt.outcome() {
        wire::AttemptOutcome::Unspecified => return None,
        wire::AttemptOutcome::Refused => {
            "tried to log in as you and was refused; if that was you, /link there shows a code to /approve here"
        }
        wire::AttemptOutcome::WrongPassword => "tried to log in as you with a wrong password",
        wire::AttemptOutcome::Waits => {
            "asks to become one of yours; if that is you, type /approve with the code that it shows"
        }
        wire::AttemptOutcome::Added => {
            "logged in as you with your password; if that was not you, /revoke it and change the password with /passwd"
        }
    };
    Some(format!("device {device} at {host} {what}"))
}

fn liveness(liveness: wire::Liveness) -> Option<Liveness> {
    match liveness {
        wire::Liveness::Here => Some(Liveness::Here),
        wire::Liveness::Left => Some(Liveness::Left),
        wire::Liveness::Lost => Some(Liveness::Lost),
        wire::Liveness::Unspecified => None,
    }
}

fn peers_from_wire(peers: Vec<wire::Peer>) -> Vec<PeerAddress> {
    peers.into_iter().filter_map(|peer| peer_from_wire(peer).ok()).collect()
}

fn peer_from_wire(peer: wire::Peer) -> Result<PeerAddress, EntryError> {
    Ok(PeerAddress {
        user: convert::user_name("user", &peer.user)?,
        device: convert::device_from_wire("device", &peer.device)?,
        address: convert::address("address", peer.address)?,
    })
}
