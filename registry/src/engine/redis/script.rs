//! The script that is the table, and the numbers by which it is bound.

use data_encoding::HEXLOWER;
use redis::Cmd;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::routes::limits;

/// How much time passes at most between two calls, in milliseconds: when nobody could call, time stood still.
const STEP_MAX: u64 = 2_000;

/// How long a table is kept without a call, in milliseconds: longer, and all would have logged in again anyway.
const STILL: u64 = 60_000;

/// How long the keys of a lease are kept after its end, and other keys, which are renewed three times as often, in milliseconds.
const LEASE_KEY: u64 = limits::LEASE.0 + 2 * STILL;
const LONG: u64 = 3 * 3_600_000;

/// After how long a registry that does not call is gone, in milliseconds: its leases have ended long before.
const NODE_GONE: u64 = 60_000;

/// How many one call looks at and tells at most, of what it need not do at once: some milliseconds, in which nobody else is served.
/// A room of many is one step, so it may be as many more. And how many of them a lease that ends counts for beside its rooms.
const WORK_MAX: usize = 4_000;
const LEASE_WORK: usize = 20;

/// Watchers that are told by one news, so that none is large.
const TOLD_MAX: usize = 100;

/// What waits for one registry at most. One that lags further behind has lost something and starts anew.
const QUEUE_MAX: usize = 100_000;

#[derive(Debug)]
pub(super) struct Script {
    text: String,
    /// Its SHA-1, by which the server has it.
    name: String,
}

impl Script {
    /// What all keys begin with. The braces make one slot of a cluster of them, since a script cannot reach into two.
    pub(super) const PREFIX: &str = "{peerchat}:";

    pub(super) fn new() -> Self {
        let numbers = [
            ("LEASE", limits::LEASE.0),
            ("STREAM_LOST", limits::STREAM_LOST.0),
            ("REJOIN", limits::REJOIN.0),
            ("LEASES_MAX", limits::LEASES_MAX as u64),
            ("ROOMS_MAX", limits::ROOMS_MAX as u64),
            ("ROOMS_PER_LEASE_MAX", limits::ROOMS_PER_LEASE_MAX as u64),
            ("MEMBERS_MAX", limits::MEMBERS_PER_ROOM_MAX as u64),
            ("WATCHED_MAX", limits::WATCHED_PER_LEASE_MAX as u64),
            ("OFFLINE_NAMES_MAX", limits::OFFLINE_NAMES_MAX as u64),
            ("STEP_MAX", STEP_MAX),
            ("STILL", STILL),
            ("LEASE_KEY", LEASE_KEY),
            ("LONG", LONG),
            ("NODE_GONE", NODE_GONE),
            ("WORK_MAX", WORK_MAX as u64),
            ("LEASE_WORK", LEASE_WORK as u64),
            ("TOLD_MAX", TOLD_MAX as u64),
            ("QUEUE_MAX", QUEUE_MAX as u64),
        ];
        let head: String = numbers
            .iter()
            .map(|(name, n)| format!("local {name} = {n}\n"))
            .collect();
        let text = head + include_str!("table.lua");
        let name = HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref());
        Self { text, name }
    }

    /// A call of the script, which this server has.
    pub(super) fn by_name(&self, server: &str, arguments: &[Vec<u8>]) -> Cmd {
        call("EVALSHA", &self.name, server, arguments)
    }

    /// A call that brings the script along.
    pub(super) fn whole(&self, server: &str, arguments: &[Vec<u8>]) -> Cmd {
        call("EVAL", &self.text, server, arguments)
    }
}

fn call(how: &str, script: &str, server: &str, arguments: &[Vec<u8>]) -> Cmd {
    let mut command = redis::cmd(how);
    command
        .arg(script)
        .arg(1)
        .arg(Script::PREFIX)
        .arg(server)
        .arg(arguments);
    command
}
