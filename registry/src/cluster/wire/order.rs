//! Orders as messages.

use peerchat_proto::{
    names::UserName,
    v1::{self, table_order::Order as Wire},
};

use super::{
    change::{from_device, to_device},
    follow::{from_node, from_peer, from_room, from_token, from_users, to_peer},
};
use crate::{
    cluster::table::order::Order,
    routes::{AttemptOutcome, Command, LeaseToken, Note},
};

pub(super) fn to_order(order: &Order) -> v1::TableOrder {
    let bytes = |lease: &LeaseToken| lease.0.to_vec().into();
    let order = match order {
        Order::Call(Command::LogIn { peer, token }) => Wire::LogIn(v1::OrderLogIn {
            peer: Some(to_peer(peer)),
            lease: bytes(token),
        }),
        Order::Call(Command::LogOut { lease }) => Wire::LogOut(v1::OrderLease { lease: bytes(lease) }),
        Order::Call(Command::Renew { lease, users }) => Wire::Renew(v1::OrderRenew {
            lease: bytes(lease),
            users: users.iter().map(|user| user.shown().to_owned()).collect(),
        }),
        Order::Call(Command::JoinRoom { lease, room }) => Wire::JoinRoom(v1::OrderRoom {
            lease: bytes(lease),
            room: room.as_str().to_owned(),
        }),
        Order::Call(Command::LeaveRoom { lease, room }) => Wire::LeaveRoom(v1::OrderRoom {
            lease: bytes(lease),
            room: room.as_str().to_owned(),
        }),
        Order::Call(Command::StreamLost { lease }) => Wire::StreamLost(v1::OrderLease { lease: bytes(lease) }),
        Order::Call(Command::Revoke { device }) => Wire::Revoke(v1::OrderRevoke {
            device: to_device(*device),
        }),
        Order::Call(Command::TellAttempt {
            user,
            device,
            from,
            outcome,
        }) => Wire::Attempt(v1::OrderAttempt {
            user: user.shown().to_owned(),
            device: to_device(*device),
            host: from.to_string(),
            outcome: to_outcome(*outcome).into(),
        }),
        Order::Call(Command::Say { note }) => Wire::Say(v1::OrderSay {
            note: note.bytes().to_vec().into(),
        }),
        Order::Call(Command::Expire) => Wire::Expire(v1::OrderExpire {}),
        Order::RenewMany(leases) => Wire::RenewMany(v1::OrderRenewMany {
            leases: leases.iter().map(bytes).collect(),
        }),
        Order::StreamsLost(node) => Wire::StreamsLost(v1::OrderStreamsLost {
            node: node.number().into(),
        }),
    };
    v1::TableOrder { order: Some(order) }
}

/// An order that came; none where it makes no sense.
pub(super) fn from_order(order: v1::TableOrder) -> Option<Order> {
    Some(Order::Call(match order.order? {
        Wire::LogIn(log_in) => Command::LogIn {
            peer: from_peer(log_in.peer?)?,
            token: from_token(&log_in.lease)?,
        },
        Wire::LogOut(of) => Command::LogOut {
            lease: from_token(&of.lease)?,
        },
        Wire::Renew(renew) => Command::Renew {
            lease: from_token(&renew.lease)?,
            users: from_users(&renew.users)?,
        },
        Wire::JoinRoom(join) => Command::JoinRoom {
            lease: from_token(&join.lease)?,
            room: from_room(&join.room)?,
        },
        Wire::LeaveRoom(leave) => Command::LeaveRoom {
            lease: from_token(&leave.lease)?,
            room: from_room(&leave.room)?,
        },
        Wire::StreamLost(of) => Command::StreamLost {
            lease: from_token(&of.lease)?,
        },
        Wire::Revoke(revoke) => Command::Revoke {
            device: from_device(&revoke.device)?,
        },
        Wire::Attempt(attempt) => Command::TellAttempt {
            outcome: from_outcome(attempt.outcome())?,
            user: UserName::new(&attempt.user).ok()?,
            device: from_device(&attempt.device)?,
            from: attempt.host.parse().ok()?,
        },
        Wire::Say(say) => Command::Say {
            note: Note::new(say.note.to_vec())?,
        },
        Wire::Expire(_) => Command::Expire,
        Wire::RenewMany(renew) => {
            let leases = renew.leases.iter().map(|lease| from_token(lease));
            return Some(Order::RenewMany(leases.collect::<Option<_>>()?));
        }
        Wire::StreamsLost(lost) => return Some(Order::StreamsLost(from_node(lost.node)?)),
    }))
}

fn to_outcome(outcome: AttemptOutcome) -> v1::AttemptOutcome {
    match outcome {
        AttemptOutcome::Refused => v1::AttemptOutcome::Refused,
        AttemptOutcome::WrongPassword => v1::AttemptOutcome::WrongPassword,
        AttemptOutcome::Waits => v1::AttemptOutcome::Waits,
        AttemptOutcome::Added => v1::AttemptOutcome::Added,
    }
}

fn from_outcome(outcome: v1::AttemptOutcome) -> Option<AttemptOutcome> {
    match outcome {
        v1::AttemptOutcome::Unspecified => None,
        v1::AttemptOutcome::Refused => Some(AttemptOutcome::Refused),
        v1::AttemptOutcome::WrongPassword => Some(AttemptOutcome::WrongPassword),
        v1::AttemptOutcome::Waits => Some(AttemptOutcome::Waits),
        v1::AttemptOutcome::Added => Some(AttemptOutcome::Added),
    }
}
