//! What the fuzz targets reach of the wire: bytes become a peer's own types as they do when they come in, and these become bytes again.

use bytes::Bytes;
use peerchat_proto::v1 as wire;
use prost::Message as _;

use super::convert;
use crate::{
    driver::serve::ServedPart,
    node::{link::Frame, types::Heights},
    seal::Part,
};

/// A frame of a link; none where it breaks a rule.
pub fn frame(bytes: Bytes) -> Option<Frame> {
    convert::frame_from_wire(wire::Frame::decode(bytes).ok()?).ok()
}

/// The bytes of a frame, but for its seals, which only their signer sends.
pub fn frame_bytes(frame: &Frame) -> Bytes {
    let bye = frame.bye.map(|reason| convert::bye_to_wire(reason, String::new()));
    let frame = wire::Frame {
        knocks: frame.knocks.iter().map(convert::knock_to_wire).collect(),
        entries: frame.entries.iter().map(|entry| entry.bytes.clone()).collect(),
        acks: frame.acks.iter().map(convert::ack_to_wire).collect(),
        heights: frame.heights.iter().map(convert::heights_news_to_wire).collect(),
        memberships: frame.memberships.iter().map(convert::membership_to_wire).collect(),
        ..bye.unwrap_or_default()
    };
    frame.encode_to_vec().into()
}

/// A part of a history; none where it breaks a rule.
pub fn part(bytes: Bytes) -> Option<Part> {
    convert::part_from_wire(wire::HistoryResponse::decode(bytes).ok()?).ok()
}

/// The bytes of a part.
pub fn part_bytes(part: ServedPart) -> Bytes {
    convert::part_to_wire(part).encode_to_vec().into()
}

/// What somebody holds, as an answer says it; none where it breaks a rule.
pub fn heights(bytes: Bytes) -> Option<Heights> {
    convert::heights_from_wire(&wire::VersionResponse::decode(bytes).ok()?.heights).ok()
}

/// The bytes of such an answer.
pub fn heights_bytes(heights: &Heights) -> Bytes {
    let heights = convert::heights_to_wire(heights);
    wire::VersionResponse { version: 0, heights }.encode_to_vec().into()
}

/// HOST:PORT as another device says it; none where it breaks a rule.
pub fn address(text: &str) -> Option<String> {
    convert::address("address", text.to_owned()).ok()
}
