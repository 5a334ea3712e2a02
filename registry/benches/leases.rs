//! What leases take: memory for each, how many log-ins, joins and look-ups the table does in a second, and how long it takes to be copied.
//!
//! ```sh
//! cargo bench -p peerchat-registry --bench leases
//! ```
//!
//! What a registry takes and does with its connections and its database measures `engines`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is a bench")]

use std::{fs, time::Instant};

use peerchat_proto::names::{RoomName, UserName};
use peerchat_registry::{
    address::Address,
    cluster::{
        table::{
            order::{Entry, Order},
            replica::Replica,
        },
        term::{NodeId, Term},
    },
    routes::{Command, DeviceId, LeaseToken, Millis, Peer, Routes, Step},
};

const LEASES: usize = 100_000;
/// Each is in one room of its own team, and watches whom it talks to.
const ROOM_MEMBERS: usize = 20;
const WATCHED: usize = 5;

fn main() {
    let now = Millis(0);
    let peers: Vec<(Peer, LeaseToken)> = (0..LEASES).map(peer).collect();
    let rooms = LEASES / ROOM_MEMBERS;
    let rooms: Vec<RoomName> = (0..rooms)
        .map(|n| RoomName::new(&format!("team-{n}")).unwrap())
        .collect();
    let before = resident_bytes();
    let mut routes = Routes::new();
    time("log-ins", || {
        for (peer, token) in &peers {
            done(routes.log_in(peer.clone(), *token, now));
        }
    });
    time("joins", || {
        for (n, (_, token)) in peers.iter().enumerate() {
            done(routes.join_room(*token, &rooms[n / ROOM_MEMBERS], now));
        }
    });
    time("renewals", || {
        for (n, (_, token)) in peers.iter().enumerate() {
            let watched: Vec<UserName> = (1..=WATCHED)
                .map(|further| peers[(n + further) % LEASES].0.user.clone())
                .collect();
            done(routes.renew(*token, &watched, now));
        }
    });
    let bytes = resident_bytes().saturating_sub(before) / LEASES as u64;
    time("look-ups", || {
        for (n, (_, token)) in peers.iter().enumerate() {
            assert!(routes.find(*token, &peers[n * 7_919 % LEASES].0.user).is_ok());
        }
    });
    copy(&mut routes, &peers);
    println!("{LEASES} leases, each in a room of {ROOM_MEMBERS} and watching {WATCHED} users: {bytes} bytes each");
    as_a_node_of_a_cluster(&peers, &rooms, now);
    // Kept until now, so that what follows it is not given its memory.
    drop(routes);
}

/// The copy that each node of a cluster has, which is made of orders.
fn as_a_node_of_a_cluster(peers: &[(Peer, LeaseToken)], rooms: &[RoomName], now: Millis) {
    let node = NodeId::new(1).unwrap();
    let before = resident_bytes();
    let mut replica = Replica::default();
    replica.begin(Term::NONE.next_of(node).unwrap());
    let mut order = |command: Command| {
        let entry = Entry {
            position: replica.position().next(),
            now,
            origin: node,
            ticket: 0,
            order: Order::Call(command),
        };
        done(replica.apply(&entry).unwrap());
    };
    time("orders of log-ins", || {
        for (peer, token) in peers {
            order(Command::LogIn {
                peer: peer.clone(),
                token: *token,
            });
        }
    });
    time("orders of joins", || {
        for (n, (_, lease)) in peers.iter().enumerate() {
            order(Command::JoinRoom {
                lease: *lease,
                room: rooms[n / ROOM_MEMBERS].clone(),
            });
        }
    });
    for (n, (_, lease)) in peers.iter().enumerate() {
        let users = (1..=WATCHED).map(|further| peers[(n + further) % LEASES].0.user.clone());
        order(Command::Renew {
            lease: *lease,
            users: users.collect(),
        });
    }
    let bytes = resident_bytes().saturating_sub(before) / LEASES as u64;
    println!("the same as a copy at each node of a cluster: {bytes} bytes each");
}

/// What a node of a cluster does that has another history than its leader.
fn copy(routes: &mut Routes, peers: &[(Peer, LeaseToken)]) {
    let lasts = |what: &str, begun: Instant| println!("{what}: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    let records: Vec<_> = routes.records().collect();
    lasts("a copy of all records", begun);
    let begun = Instant::now();
    let older = Routes::restore(records, routes.offline_records()).unwrap();
    lasts("a table of these", begun);
    // One of a hundred has gone meanwhile.
    for (_, token) in peers.iter().step_by(100) {
        done(routes.log_out(*token, Millis(1)));
    }
    for (part, what) in [(1, "all"), (3, "a third"), (10, "a tenth")] {
        let mut told = 0;
        let begun = Instant::now();
        older.differences(routes, peers.iter().step_by(part).map(|(_, token)| *token), |_| {
            told += 1
        });
        lasts(&format!("{told} differences for the holders of {what}"), begun);
    }
}

fn peer(n: usize) -> (Peer, LeaseToken) {
    let mut device = [0; 32];
    device[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let mut token = [0; 16];
    token[..8].copy_from_slice(&device[..8]);
    let peer = Peer {
        user: UserName::new(&format!("user-{n}")).unwrap(),
        device: DeviceId(device),
        address: Address::new(
            &format!("10.0.{}.{}:{}", n / 256 % 256, n % 256, 1_024 + n % 60_000),
            None,
        )
        .unwrap(),
    };
    (peer, LeaseToken(token))
}

fn done<T>(step: Step<T>) {
    assert!(step.answer.is_ok(), "the table refuses");
}

fn time(what: &str, work: impl FnOnce()) {
    let begun = Instant::now();
    work();
    println!("{what}: {:.0}/s", LEASES as f64 / begun.elapsed().as_secs_f64());
}

/// The memory of this process, as the system counts it.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() * 1_024
}
