//! What a follower and its leader say, as messages. What comes in is checked and becomes types that are valid by construction.

use std::sync::Arc;

use peerchat_proto::{
    names::{RoomName, UserName},
    v1::{self, follow_request as up, follow_response as down, table_part as part},
};

use super::{
    change::{from_device, to_device},
    order::{from_order, to_order},
};
use crate::{
    address::Address,
    cluster::{
        table::{
            message::{Down, Hello, Part, Up},
            order::{Entry, Position},
            replica::Head,
        },
        term::{NodeId, Term},
    },
    routes::{LeaseRecord, LeaseToken, Millis, Peer},
};

/// A message as it is sent.
pub(super) fn to_up(said: Up) -> v1::FollowRequest {
    let step = match said {
        Up::Hello(hello) => up::Step::Hello(v1::FollowHello {
            nodes: hello.nodes,
            term: hello.term.number(),
            position: Some(to_position(hello.position)),
        }),
        Up::Claim(claim) => up::Step::Claim(to_lease(&claim, 0)),
        Up::ClaimsEnd => up::Step::ClaimsEnd(v1::ClaimsEnd {}),
        Up::Submit { ticket, order } => {
            let order = Some(to_order(&order));
            up::Step::Submit(v1::SubmittedOrder { ticket, order })
        }
        Up::Part(part) => up::Step::Part(to_part(part)),
    };
    v1::FollowRequest { step: Some(step) }
}

/// A message that came; none where it makes no sense.
pub(super) fn from_up(said: v1::FollowRequest) -> Option<Up> {
    Some(match said.step? {
        up::Step::Hello(hello) => Up::Hello(Hello {
            nodes: hello.nodes,
            term: Term::new(hello.term)?,
            position: from_position(hello.position)?,
        }),
        up::Step::Claim(claim) => Up::Claim(from_lease(claim)?),
        up::Step::ClaimsEnd(_) => Up::ClaimsEnd,
        up::Step::Submit(submit) => Up::Submit {
            ticket: submit.ticket,
            order: from_order(submit.order?)?,
        },
        up::Step::Part(part) => Up::Part(from_part(part)?),
    })
}

/// A message as it is sent; none where it goes over the wire in parts only.
pub(super) fn to_down(said: Down) -> Option<v1::FollowResponse> {
    let step = match said {
        Down::TableWanted => down::Step::TableWanted(v1::TableWanted {}),
        Down::Table(_) => return None,
        Down::Part(part) => down::Step::Part(to_part(part)),
        Down::GoOn(term) => down::Step::GoOn(v1::GoOn { term: term.number() }),
        Down::Entry(entry) => down::Step::Entry(v1::TableEntry {
            position: Some(to_position(entry.position)),
            now_ms: entry.now.0,
            origin: entry.origin.number().into(),
            ticket: entry.ticket,
            order: Some(to_order(&entry.order)),
        }),
        Down::Ready => down::Step::Ready(v1::FollowReady {}),
    };
    Some(v1::FollowResponse { step: Some(step) })
}

/// A message that came; none where it makes no sense.
pub(super) fn from_down(said: v1::FollowResponse) -> Option<Down> {
    Some(match said.step? {
        down::Step::TableWanted(_) => Down::TableWanted,
        down::Step::Part(part) => Down::Part(from_part(part)?),
        down::Step::GoOn(go_on) => Down::GoOn(Term::new(go_on.term)?),
        down::Step::Entry(entry) => Down::Entry(Arc::new(Entry {
            position: from_position(entry.position)?,
            now: Millis(entry.now_ms),
            origin: from_node(entry.origin)?,
            ticket: entry.ticket,
            order: from_order(entry.order?)?,
        })),
        down::Step::Ready(_) => Down::Ready,
    })
}

fn to_part(said: Part) -> v1::TablePart {
    let part = match said {
        Part::Head(head) => part::Part::Head(v1::TableHead {
            position: Some(to_position(head.position)),
            now_ms: head.now.0,
            history: head.history.iter().map(to_position).collect(),
        }),
        Part::Lease(lease, home) => part::Part::Lease(to_lease(&lease, home.number().into())),
        Part::Offline((user, since)) => part::Part::Offline(v1::OfflineUser {
            user: user.shown().to_owned(),
            since_ms: since.0,
        }),
        Part::End => part::Part::End(v1::TableEnd {}),
    };
    v1::TablePart { part: Some(part) }
}

fn from_part(said: v1::TablePart) -> Option<Part> {
    Some(match said.part? {
        part::Part::Head(head) => {
            let history = head.history.into_iter().map(|end| from_position(Some(end)));
            Part::Head(Head {
                position: from_position(head.position)?,
                now: Millis(head.now_ms),
                history: history.collect::<Option<_>>()?,
            })
        }
        part::Part::Lease(lease) => {
            let home = from_node(lease.home)?;
            Part::Lease(from_lease(lease)?, home)
        }
        part::Part::Offline(offline) => Part::Offline((UserName::new(&offline.user).ok()?, Millis(offline.since_ms))),
        part::Part::End(_) => Part::End,
    })
}

pub(super) fn to_position(position: Position) -> v1::TablePosition {
    v1::TablePosition {
        term: position.term.number(),
        revision: position.revision,
    }
}

pub(super) fn from_position(position: Option<v1::TablePosition>) -> Option<Position> {
    let position = position?;
    Some(Position {
        term: Term::new(position.term)?,
        revision: position.revision,
    })
}

fn to_lease(lease: &LeaseRecord, home: u32) -> v1::TableLease {
    let rooms = |rooms: &[RoomName]| rooms.iter().map(|room| room.as_str().to_owned()).collect();
    v1::TableLease {
        lease: lease.token.0.to_vec().into(),
        peer: Some(to_peer(&lease.peer)),
        ends_ms: lease.ends.0,
        rooms: rooms(&lease.rooms),
        kept: rooms(&lease.kept),
        kept_until_ms: lease.kept_until.0,
        watched: lease.watched.iter().map(|user| user.shown().to_owned()).collect(),
        home,
    }
}

fn from_lease(lease: v1::TableLease) -> Option<LeaseRecord> {
    let rooms = |rooms: &[String]| rooms.iter().map(|room| from_room(room)).collect::<Option<Vec<_>>>();
    Some(LeaseRecord {
        token: from_token(&lease.lease)?,
        peer: from_peer(lease.peer?)?,
        ends: Millis(lease.ends_ms),
        rooms: rooms(&lease.rooms)?,
        kept: rooms(&lease.kept)?,
        kept_until: Millis(lease.kept_until_ms),
        watched: from_users(&lease.watched)?,
    })
}

pub(super) fn to_peer(peer: &Peer) -> v1::Peer {
    v1::Peer {
        user: peer.user.shown().to_owned(),
        device: to_device(peer.device),
        address: peer.address.to_string(),
    }
}

pub(super) fn from_peer(peer: v1::Peer) -> Option<Peer> {
    Some(Peer {
        user: UserName::new(&peer.user).ok()?,
        device: from_device(&peer.device)?,
        address: Address::new(&peer.address, None).ok()?,
    })
}

pub(super) fn from_token(bytes: &[u8]) -> Option<LeaseToken> {
    bytes.try_into().ok().map(LeaseToken)
}

pub(super) fn from_node(number: u32) -> Option<NodeId> {
    NodeId::new(number.into()).ok()
}

pub(super) fn from_room(room: &str) -> Option<RoomName> {
    RoomName::at_registry(room).ok()
}

pub(super) fn from_users(users: &[String]) -> Option<Vec<UserName>> {
    users.iter().map(|user| UserName::new(user).ok()).collect()
}
