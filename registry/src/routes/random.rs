//! Random calls for tests: few devices, users and rooms, so that most calls meet something.

use peerchat_proto::names::{RoomName, UserName};
use proptest::prelude::*;

use super::{Command, DeviceId, LeaseToken, Millis, Peer};
use crate::address::Address;

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const ROOMS: [&str; 3] = ["lobby", "tea", "work"];

/// A call, with leases named by how many were given since.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    LogIn { device: u8, port: u16 },
    LogOut(u8),
    Join(u8, usize),
    Leave(u8, usize),
    Renew(u8, Vec<usize>),
    StreamLost(u8),
    Revoke(u8),
    Wait(u64),
}

pub(crate) fn calls(most: usize) -> impl Strategy<Value = Vec<Call>> {
    let lease = 0..5_u8;
    let call = prop_oneof![
        3 => (0..6_u8, 1..3_u16).prop_map(|(device, port)| Call::LogIn { device, port }),
        1 => lease.clone().prop_map(Call::LogOut),
        5 => (lease.clone(), 0..ROOMS.len()).prop_map(|(lease, room)| Call::Join(lease, room)),
        1 => (lease.clone(), 0..ROOMS.len()).prop_map(|(lease, room)| Call::Leave(lease, room)),
        3 => (lease.clone(), prop::collection::vec(0..USERS.len(), 0..3)).prop_map(|(lease, users)| Call::Renew(lease, users)),
        1 => lease.prop_map(Call::StreamLost),
        1 => (0..6_u8).prop_map(Call::Revoke),
        3 => (0..6_000_u64).prop_map(Call::Wait),
    ];
    prop::collection::vec(call, 0..most)
}

/// Makes commands of calls.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// The tokens that were given, and of which part of a test they are.
    given: Vec<LeaseToken>,
    part: u8,
    pub(crate) now: Millis,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            given: Vec::new(),
            part: 0,
            now: Millis(0),
        }
    }

    /// One that goes on from here with tokens of its own.
    pub(crate) fn fork(&self, part: u8) -> Self {
        Self { part, ..self.clone() }
    }

    fn token(&self, back: u8) -> LeaseToken {
        let at = self.given.len().checked_sub(1 + usize::from(back));
        at.map_or(LeaseToken([255; 16]), |at| self.given[at])
    }

    /// The command of a call; none where only time passes.
    pub(crate) fn command(&mut self, call: &Call) -> Option<Command> {
        let room = |room: usize| RoomName::new(ROOMS[room]).unwrap();
        let user = |user: usize| UserName::new(USERS[user]).unwrap();
        Some(match call {
            Call::LogIn { device, port } => {
                let mut token = LeaseToken([self.part; 16]);
                token.0[0] = u8::try_from(self.given.len()).unwrap();
                self.given.push(token);
                let peer = Peer {
                    user: user(usize::from(*device) % USERS.len()),
                    device: DeviceId([*device; 32]),
                    address: Address::new(&format!("127.0.0.1:{port}"), None).unwrap(),
                };
                Command::LogIn { peer, token }
            }
            Call::LogOut(lease) => Command::LogOut {
                lease: self.token(*lease),
            },
            Call::Join(lease, at) => Command::JoinRoom {
                lease: self.token(*lease),
                room: room(*at),
            },
            Call::Leave(lease, at) => Command::LeaveRoom {
                lease: self.token(*lease),
                room: room(*at),
            },
            Call::Renew(lease, users) => Command::Renew {
                lease: self.token(*lease),
                users: users.iter().map(|at| user(*at)).collect(),
            },
            Call::StreamLost(lease) => Command::StreamLost {
                lease: self.token(*lease),
            },
            Call::Revoke(device) => Command::Revoke {
                device: DeviceId([*device; 32]),
            },
            Call::Wait(span) => {
                self.now = self.now + Millis(*span);
                return None;
            }
        })
    }
}
