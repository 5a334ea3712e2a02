//! What a registry holds at most, and how long. Each limit bounds memory; over it the caller gets a [`Refusal`], and what is
//! there stays as it is.
//!
//! [`Refusal`]: super::Refusal

use super::Millis;

/// How long a lease lasts without renewal. A crashed peer's socket breaks and is noticed sooner; this is for the one that
/// vanishes with its network.
pub const LEASE: Millis = Millis(15_000);

/// When a renewal is due: a third of the lease, so that one that is lost ends nothing.
pub const RENEWAL: Millis = Millis(LEASE.0 / 3);

/// How long a lease lasts at most once its stream broke: time to dial and log in again before the others are told.
pub const STREAM_LOST: Millis = Millis(3_000);

/// How long a device that logged in again stays in the rooms of its former lease without joining them anew. A peer that
/// merely reconnects joins them at once; one that was started anew is soon gone from those that it does not join.
pub const REJOIN: Millis = Millis(5_000);

/// Live devices in one table, each with a lease of about 1 KiB. A registry alone is bound by its connections before that; this bounds the
/// table that many registries share, or all nodes of a cluster.
pub const LEASES_MAX: usize = 200_000;

/// Rooms that exist at the same time.
pub const ROOMS_MAX: usize = 65_536;

/// Rooms that one device is in.
pub const ROOMS_PER_LEASE_MAX: usize = 256;

/// Devices in one room. All links of a room's members are direct, so far smaller ones are what works well.
pub const MEMBERS_PER_ROOM_MAX: usize = 1_024;

/// Users that one device watches: as many as a peer has live links.
pub const WATCHED_PER_LEASE_MAX: usize = 1_024;

/// Names of users who are offline. Over it the name that has been offline longest is forgotten: to `find` it is then one
/// that was never heard of, until its user logs in again.
pub const OFFLINE_NAMES_MAX: usize = 100_000;

/// Bytes of what one registry says to the others that share its table: some hundred are needed.
pub const NOTE_BYTES_MAX: usize = 2_048;

/// Rooms in one page of the list.
pub const PAGE_MAX: usize = 1_000;
