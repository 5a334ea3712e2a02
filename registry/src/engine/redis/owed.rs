//! What is done as soon as the table answers again.

use std::collections::{BTreeMap, BTreeSet};

use peerchat_proto::names::UserName;

use crate::routes::{DeviceId, LeaseToken, limits};

/// Revoked devices that others are still to be told of, at most.
const REVOCATIONS_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Leases to renew, with users to watch.
    renewals: BTreeMap<LeaseToken, BTreeSet<UserName>>,
    revocations: BTreeSet<DeviceId>,
    /// Leases whose streams ended because they were read too slowly.
    lost: BTreeSet<LeaseToken>,
}

impl Owed {
    /// Answers whether it could be noted.
    pub(super) fn renewal(&mut self, lease: LeaseToken, users: Vec<UserName>) -> bool {
        let watched = self.renewals.entry(lease).or_default();
        if watched.len() + users.len() > limits::WATCHED_PER_LEASE_MAX {
            return false;
        }
        watched.extend(users);
        true
    }

    /// Answers whether it could be noted.
    pub(super) fn revocation(&mut self, device: DeviceId) -> bool {
        let has_room = self.revocations.len() < REVOCATIONS_MAX;
        if has_room {
            self.revocations.insert(device);
        }
        has_room
    }

    pub(super) fn lost(&mut self, lease: LeaseToken) {
        self.lost.insert(lease);
    }

    /// Its stream is over: nothing is owed to it.
    pub(super) fn forget(&mut self, lease: LeaseToken) {
        self.renewals.remove(&lease);
    }

    pub(super) fn next_revocation(&mut self) -> Option<DeviceId> {
        self.revocations.pop_first()
    }

    pub(super) fn next_renewal(&mut self) -> Option<(LeaseToken, Vec<UserName>)> {
        let (lease, users) = self.renewals.pop_first()?;
        Some((lease, users.into_iter().collect()))
    }

    pub(super) fn next_lost(&mut self) -> Option<LeaseToken> {
        self.lost.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_bounded_and_paid_once() {
        let mut owed = Owed::default();
        let lease = LeaseToken([1; 16]);
        let user = |n: usize| UserName::new(&format!("user{n}")).unwrap();
        assert!(owed.renewal(lease, vec![user(0)]) && owed.renewal(lease, vec![user(1)]));
        let many: Vec<_> = (0..limits::WATCHED_PER_LEASE_MAX).map(user).collect();
        assert!(!owed.renewal(lease, many));
        assert_eq!(owed.next_renewal(), Some((lease, vec![user(0), user(1)])));
        assert_eq!(owed.next_renewal(), None);
        assert!(owed.renewal(lease, Vec::new()));
        owed.forget(lease);
        assert_eq!(owed.next_renewal(), None);
        for n in 0..REVOCATIONS_MAX {
            let mut device = [0; 32];
            device[..8].copy_from_slice(&(n as u64).to_be_bytes());
            assert!(owed.revocation(DeviceId(device)));
        }
        assert!(!owed.revocation(DeviceId([255; 32])));
    }
}
