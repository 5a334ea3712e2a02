//! What was read of the accounts lately, for the time in which their database does not answer: what a name is and which devices are its
//! own. Nobody new is let in by it, and a device that is revoked is forgotten as soon as this registry hears of it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use peerchat_proto::names::UserName;

use super::store::RevokedDevice;
use crate::routes::{DeviceId, limits};

/// How long something that was read counts.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);

/// Names and devices that are remembered at most: as many as can be here, each some 200 bytes. Over it all of them are forgotten and
/// learnt anew.
const KNOWN_MAX: usize = limits::LEASES_MAX;

#[derive(Debug, Default)]
pub(super) struct Recall {
    names: BTreeMap<Arc<str>, (UserName, Instant)>,
    /// Whose they are.
    devices: BTreeMap<DeviceId, (Arc<str>, Instant)>,
    revoked: Option<(Vec<RevokedDevice>, Instant)>,
}

impl Recall {
    /// There is an account of this name.
    pub(super) fn name(&mut self, name: &UserName) {
        if self.names.len() >= KNOWN_MAX {
            self.names.clear();
        }
        self.names.insert(name.key().into(), (name.clone(), Instant::now()));
    }

    /// A device is one of the name's.
    pub(super) fn device(&mut self, device: DeviceId, name: &UserName) {
        if self.devices.len() >= KNOWN_MAX {
            self.devices.clear();
        }
        self.devices.insert(device, (name.key().into(), Instant::now()));
    }

    /// These are revoked.
    pub(super) fn revoked(&mut self, revoked: &[RevokedDevice]) {
        self.revoked = Some((revoked.to_vec(), Instant::now()));
    }

    /// A device is perhaps nobody's any more.
    pub(super) fn forget(&mut self, device: DeviceId) {
        self.devices.remove(&device);
    }

    /// What is remembered may not be true any more.
    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }

    /// The name as its owner writes it.
    pub(super) fn shown(&self, name: &UserName) -> Option<UserName> {
        let (shown, read) = self.names.get(name.key())?;
        is_fresh(*read).then(|| shown.clone())
    }

    /// Whether a device was one of the name's.
    pub(super) fn is_live(&self, device: DeviceId, name: &UserName) -> bool {
        let known = self.devices.get(&device);
        known.is_some_and(|(of, read)| is_fresh(*read) && **of == *name.key())
    }

    /// Who was revoked when it was last read.
    pub(super) fn last_revoked(&self) -> Option<Vec<RevokedDevice>> {
        let (revoked, read) = self.revoked.as_ref()?;
        is_fresh(*read).then(|| revoked.clone())
    }
}

fn is_fresh(read: Instant) -> bool {
    read.elapsed() < KNOWN_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_its_users_until_it_is_forgotten() {
        let (alice, bob) = (UserName::new("Alice").unwrap(), UserName::new("bob").unwrap());
        let mut recall = Recall::default();
        recall.name(&alice);
        recall.device(DeviceId([1; 32]), &alice);
        let asked = UserName::new("ALICE").unwrap();
        assert_eq!(recall.shown(&asked).unwrap().shown(), "Alice");
        assert!(recall.shown(&bob).is_none());
        assert!(recall.is_live(DeviceId([1; 32]), &asked));
        assert!(!recall.is_live(DeviceId([1; 32]), &bob) && !recall.is_live(DeviceId([2; 32]), &alice));
        recall.forget(DeviceId([1; 32]));
        assert!(!recall.is_live(DeviceId([1; 32]), &alice));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recall = Recall::default();
        for n in 0..=KNOWN_MAX {
            recall.name(&UserName::new(&format!("user{n}")).unwrap());
        }
        assert_eq!(recall.names.len(), 1);
    }
}
