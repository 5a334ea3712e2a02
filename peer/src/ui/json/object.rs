//! The objects of the JSON mode, field by field as scripts see them.

use std::collections::BTreeMap;

use serde::Serialize;

/// What one line of stdout says.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Object<'e> {
    Ready {
        user: &'e str,
        device: String,
        listen: &'e str,
        registry: &'e str,
        first_start: bool,
        conversations: Vec<String>,
        current: Option<String>,
        authority: Option<String>,
    },
    Joined {
        conversation: String,
        version: u64,
        members: Vec<&'e str>,
        created: bool,
        by_other_device: bool,
    },
    Message(Message<'e>),
    Sent(Message<'e>),
    Delivered {
        conversation: String,
        id: String,
        to: &'e str,
        durable: bool,
        have: usize,
        of: usize,
    },
    Presence {
        user: &'e str,
        online: bool,
        conversation: String,
        left: bool,
    },
    Version {
        conversation: String,
        version: u64,
        heights: BTreeMap<String, u64>,
        users: BTreeMap<String, &'e str>,
    },
    Left {
        conversation: String,
        by_other_device: bool,
    },
    Invitation {
        conversation: String,
        invitation: String,
    },
    Synced {
        conversation: String,
        version: u64,
        from: Vec<&'e str>,
        pulled: u64,
    },
    /// Ends a run of replayed messages.
    Replayed {
        conversation: String,
        why: &'static str,
        count: usize,
        more: bool,
    },
    Progress {
        conversation: String,
        from: &'e str,
        have: u64,
        of: u64,
    },
    Who {
        conversation: String,
        members: Vec<Person<'e>>,
        refused_unknown: u64,
    },
    List {
        own: Vec<Own>,
        rooms: Option<Vec<Room>>,
    },
    Registry {
        state: &'static str,
        reason: Option<&'e str>,
        address: Option<&'e str>,
    },
    Status {
        registries: Vec<Registry<'e>>,
        links: Vec<Link<'e>>,
    },
    Devices {
        devices: Vec<Device<'e>>,
        has_password: bool,
    },
    Approved {
        device: String,
        label: &'e str,
    },
    Revoked {
        device: String,
    },
    PasswordSet,
    Link {
        code: &'e str,
        valid_s: u64,
    },
    Switched {
        conversation: String,
    },
    Help {
        text: String,
    },
    Error {
        code: &'static str,
        message: &'e str,
    },
    Bye,
    NewDevice {
        user: &'e str,
        device: String,
        known: usize,
        trusted: bool,
    },
    Verify {
        user: &'e str,
        words: &'e [&'static str],
        devices: Vec<Compared<'e>>,
        trusted: bool,
    },
    Trusted {
        user: &'e str,
        devices: Vec<String>,
    },
    ForgotDevice {
        user: &'e str,
        device: String,
        known: usize,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct Message<'e> {
    pub(super) conversation: String,
    pub(super) id: String,
    pub(super) author: &'e str,
    pub(super) device: String,
    pub(super) seq: u64,
    pub(super) lamport: u64,
    pub(super) version: u64,
    pub(super) sent_at: String,
    pub(super) text: Option<&'e str>,
    pub(super) replayed: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Person<'e> {
    pub(super) user: &'e str,
    pub(super) online: bool,
    pub(super) version: Option<u64>,
    pub(super) refused: u64,
    pub(super) devices: usize,
    pub(super) trust: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Compared<'e> {
    pub(super) user: &'e str,
    pub(super) device: String,
    pub(super) first_met: Option<String>,
    pub(super) counts: bool,
    pub(super) trusted: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Device<'e> {
    pub(super) device: String,
    pub(super) label: &'e str,
    pub(super) added_at: String,
    pub(super) seen_at: String,
    pub(super) online: bool,
    pub(super) here: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Own {
    pub(super) conversation: String,
    pub(super) version: u64,
    pub(super) private: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Room {
    pub(super) conversation: String,
    pub(super) members: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct Registry<'e> {
    pub(super) address: &'e str,
    pub(super) state: &'static str,
    pub(super) in_use: bool,
    pub(super) error: Option<&'e str>,
    pub(super) next_try_ms: Option<u64>,
    pub(super) clock_ahead_ms: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Link<'e> {
    pub(super) user: &'e str,
    pub(super) device: String,
    pub(super) address: Option<&'e str>,
    pub(super) link: &'static str,
    pub(super) state: &'static str,
    pub(super) next_try_ms: Option<u64>,
    pub(super) undialable: bool,
}
