//! What the fuzz targets reach of what nodes read from one another and from their disks: each takes bytes, and answers the bytes that
//! what was read is written as; none where nothing can be read.

use peerchat_proto::v1;
use prost::Message as _;

use super::{change, decide, follow, order};
use crate::cluster::{ledger_store::record, term_file};

/// A change of accounts.
pub fn change(bytes: &[u8]) -> Option<Vec<u8>> {
    let change = change::change_from_bytes(bytes).ok()??;
    Some(change::change_to_bytes(&change))
}

/// All accounts.
pub fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let whole = change::whole_from_bytes(bytes).ok()?;
    Some(change::whole_to_bytes(&whole))
}

/// What a follower says to its leader.
pub fn up(bytes: &[u8]) -> Option<Vec<u8>> {
    let said = follow::from_up(v1::FollowRequest::decode(bytes).ok()?)?;
    Some(follow::to_up(said).encode_to_vec())
}

/// What a leader says to a follower.
pub fn down(bytes: &[u8]) -> Option<Vec<u8>> {
    let said = follow::from_down(v1::FollowResponse::decode(bytes).ok()?)?;
    Some(follow::to_down(said)?.encode_to_vec())
}

/// An order to the table.
pub fn order(bytes: &[u8]) -> Option<Vec<u8>> {
    let order = order::from_order(v1::TableOrder::decode(bytes).ok()?)?;
    Some(order::to_order(&order).encode_to_vec())
}

/// What nodes say of the ledger.
pub fn decide(bytes: &[u8]) -> Option<Vec<u8>> {
    let v1::DecideRequest { nodes, message } = v1::DecideRequest::decode(bytes).ok()?;
    let said = decide::from_said(message?)?;
    Some(decide::to_request(nodes, &said).encode_to_vec())
}

/// Records of the ledger's file.
pub fn records(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut written = Vec::new();
    for record in record::decode(bytes)? {
        record::encode(&record, &mut written);
    }
    Some(written)
}

/// The line of the term's file.
pub fn term(bytes: &[u8]) -> Option<Vec<u8>> {
    let (node, term) = term_file::parse(bytes)?;
    Some(format!("node {node} term {term}\n").into_bytes())
}
