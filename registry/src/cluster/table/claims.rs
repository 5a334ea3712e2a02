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
    let rooms = known.map(|known| known.rooms).unwrap_or_default();
    for room in claim.rooms.iter().filter(|room| !rooms.contains(room)) {
        let room = room.clone();
        orders.push(Order::Call(Command::JoinRoom { lease, room }));
    }
    // Of a lease that is not there yet, all.
    let users = routes.unwatched(lease, &claim.watched);
    let users = users.unwrap_or_else(|_| claim.watched.clone());
    if !users.is_empty() {
        orders.push(Order::Call(Command::Renew { lease, users }));
    }
    orders
}

#[cfg(test)]
mod tests {
    use peerchat_proto::names::{RoomName, UserName};

    use super::*;
    use crate::{
        address::Address,
        routes::{DeviceId, Millis, Peer},
    };

    const CLAIMED: LeaseToken = LeaseToken([1; 16]);

    fn table(token: LeaseToken, rooms: &[&str], watched: &[&str]) -> Routes {
        let mut routes = Routes::new();
        let peer = Peer {
            user: UserName::new("alice").unwrap(),
            device: DeviceId([1; 32]),
            address: Address::new("127.0.0.1:1", None).unwrap(),
        };
        let users: Vec<_> = watched.iter().map(|user| UserName::new(user).unwrap()).collect();
        routes.log_in(peer, token, Millis(0)).answer.unwrap();
        for room in rooms {
            let room = RoomName::new(room).unwrap();
            routes.join_room(token, &room, Millis(0)).answer.unwrap();
        }
        routes.renew(token, &users, Millis(0)).answer.unwrap();
        routes
    }

    fn put_in(mut routes: Routes, claim: &LeaseRecord) -> String {
        for order in missing(&routes, claim) {
            let Order::Call(command) = order else {
                panic!("a claim is put in by calls: {order:?}");
            };
            routes.apply(command, Millis(0)).answer.unwrap();
        }
        format!("{:?}", routes.records().collect::<Vec<_>>())
    }

    #[test]
    fn what_is_missing_is_put_in_and_nothing_is_taken_out() {
        let there = table(CLAIMED, &["tea", "work"], &["bob", "carol"]);
        let claim = claims(&there, [CLAIMED, LeaseToken([9; 16])]).remove(0);
        let all = format!("{:?}", [&claim]);
        assert_eq!(put_in(Routes::new(), &claim), all);
        assert_eq!(put_in(table(CLAIMED, &["tea"], &["carol"]), &claim), all);
        assert!(missing(&there, &claim).is_empty());
        let more = put_in(table(CLAIMED, &["cake"], &[]), &claim);
        assert!(
            more.contains("cake") && more.contains("tea") && more.contains("work"),
            "{more}"
        );
    }

    #[test]
    fn a_device_that_has_logged_in_elsewhere_keeps_that_lease() {
        let claim = table(CLAIMED, &["tea"], &[]).record(CLAIMED).unwrap();
        let newer = table(LeaseToken([2; 16]), &["work"], &[]);
        assert!(missing(&newer, &claim).is_empty());
    }
}
