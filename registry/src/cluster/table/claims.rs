//! What a node's peers hold, as the node knows it: where the leader's table has another history, what is missing there is put in. Pure.

use super::order::Order;
use crate::routes::{Command, LeaseRecord, LeaseToken, Routes};

/// What these leases hold in a table.
pub fn claims(routes: &Routes, leases: impl IntoIterator<Item = LeaseToken>) -> Vec<LeaseRecord> {
    leases.into_iter().filter_map(|lease| routes.record(lease)).collect()
}

/// The calls that put into a table what a claim has and the table has not. A device that has another lease there keeps that one: it has
/// logged in since, or will.
pub fn missing(routes: &Routes, claim: &LeaseRecord) -> Vec<Order> {
    let lease = claim.token;
    let known = routes.record(lease);
    if known.is_none() && routes.is_live(claim.peer.device) {
        return Vec::new();
    }
    let mut orders = Vec::new();
    if known.is_none() {
        let (peer, token) = (claim.peer.clone(), lease);
        orders.push(Order::Call(Command::LogIn { peer, token }));
    }
    let (rooms, watched) = known.map(|known| (known.rooms, known.watched)).unwrap_or_default();
    for room in claim.rooms.iter().filter(|room| !rooms.contains(room)) {
        let room = room.clone();
        orders.push(Order::Call(Command::JoinRoom { lease, room }));
    }
    let users: Vec<_> = claim
        .watched
        .iter()
        .filter(|user| !watched.contains(user))
        .cloned()
        .collect();
    if !users.is_empty() {
        orders.push(Order::Call(Command::Renew { lease, users }));
    }
    orders
}
