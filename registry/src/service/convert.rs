//! Between the wire and the table: what comes in is checked here, and what goes out gets its message or status.

use peerchat_proto::{
    names::{NameError, RoomName, UserName},
    v1::{self, watch_response::Change as WireChange},
};
use tonic::{Code, Status};

use super::accounts::account_status;
use crate::{
    accounts::rules,
    engine::EngineError,
    mailbox::StreamEnd,
    routes::{AttemptOutcome, Change, DeviceId, LeaseEnd, LeaseToken, Liveness, Peer, Refusal},
};

pub(super) fn lease_token(bytes: &[u8]) -> Result<LeaseToken, Status> {
    let found = bytes.len();
    let token = <[u8; 16]>::try_from(bytes).map_err(|_| {
        Status::invalid_argument(format!(
            "`lease` has the 16 bytes that LogIn answered; this one has {found}"
        ))
    })?;
    Ok(LeaseToken(token))
}

pub(super) fn device_id(bytes: &[u8]) -> Result<DeviceId, Status> {
    let device = <[u8; 32]>::try_from(bytes);
    device.map(DeviceId).map_err(|_| {
        let found = bytes.len();
        Status::invalid_argument(format!(
            "`device` is an Ed25519 public key of 32 bytes; this one has {found}"
        ))
    })
}

pub(super) fn user_name(name: &str) -> Result<UserName, Status> {
    UserName::new(name).map_err(|error| name_status("user", &error))
}

pub(super) fn user_names(names: &[String]) -> Result<Vec<UserName>, Status> {
    names.iter().map(|name| user_name(name)).collect()
}

pub(super) fn room_name(name: &str) -> Result<RoomName, Status> {
    RoomName::at_registry(name).map_err(|error| name_status("room", &error))
}

pub(super) fn name_status(what: &str, error: &NameError) -> Status {
    Status::invalid_argument(format!("name of a {what}: {error}"))
}

pub(super) fn wire_peer(peer: &Peer) -> v1::Peer {
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

fn wire_outcome(outcome: AttemptOutcome) -> i32 {
    let wire = match outcome {
        AttemptOutcome::Refused => v1::AttemptOutcome::Refused,
        AttemptOutcome::WrongPassword => v1::AttemptOutcome::WrongPassword,
        AttemptOutcome::Waits => v1::AttemptOutcome::Waits,
        AttemptOutcome::Added => v1::AttemptOutcome::Added,
    };
    wire.into()
}

pub(super) fn wire_ready() -> v1::WatchResponse {
    v1::WatchResponse {
        change: Some(WireChange::Ready(v1::WatchReady {})),
    }
}

pub(super) fn wire_change(change: Change) -> v1::WatchResponse {
    let change = match change {
        Change::Presence { peer, liveness } => WireChange::Presence(v1::PresenceChange {
            peer: Some(wire_peer(&peer)),
            liveness: wire_liveness(liveness),
        }),
        Change::Revoked { devices } => WireChange::Revoked(v1::RevokedDevices {
            devices: devices.iter().map(|device| device.0.to_vec().into()).collect(),
        }),
        Change::Attempt { device, from, outcome } => WireChange::Attempt(v1::AccountAttempt {
            device: device.0.to_vec().into(),
            host: from.to_string(),
            outcome: wire_outcome(outcome),
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
pub(super) fn end_status(end: StreamEnd) -> Option<Status> {
    match end {
        StreamEnd::Lease(LeaseEnd::LoggedOut) => None,
        StreamEnd::Lease(LeaseEnd::Replaced) => Some(Status::aborted(
            "this device logged in again; its newer stream tells the changes",
        )),
        StreamEnd::Lease(LeaseEnd::Lost) => Some(Refusal::UnknownLease.into()),
        StreamEnd::Lease(LeaseEnd::Revoked) => Some(account_status(rules::Refusal::DeviceRevoked.into())),
        StreamEnd::TooSlow => Some(Status::resource_exhausted(
            "too many changes wait to be read; log in again",
        )),
        StreamEnd::Failed(error) => Some(error.into()),
        StreamEnd::Invalid(text) => Some(Status::invalid_argument(text)),
        StreamEnd::ShuttingDown => Some(EngineError::ShuttingDown.into()),
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::UnknownLease => Code::Unauthenticated,
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

impl From<EngineError> for Status {
    fn from(error: EngineError) -> Self {
        let code = match error {
            EngineError::Refused(refusal) => return refusal.into(),
            EngineError::StreamUsed => Code::FailedPrecondition,
            EngineError::NoRandomness | EngineError::Muddled => Code::Internal,
            EngineError::ShuttingDown | EngineError::Away | EngineError::NoLeader | EngineError::Busy => {
                Code::Unavailable
            }
        };
        Self::new(code, error.to_string())
    }
}
