//! How many histories are given at the same time: each keeps what its reader said that he holds, and parts that he has not taken.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tonic::Status;

use crate::node::types::DeviceId;

/// The most at once.
const HISTORIES_MAX: usize = 64;
/// The most at once to one device: it pulls two at a time, and one that it gave up may not have ended here.
const HISTORIES_OF_DEVICE_MAX: usize = 4;

/// Counts the histories that are being given.
#[derive(Debug, Clone, Default)]
pub(super) struct Turnstile(Arc<Mutex<BTreeMap<DeviceId, usize>>>);

/// A history that is being given, for as long as this lives.
#[derive(Debug)]
pub(super) struct Passed {
    turnstile: Turnstile,
    device: DeviceId,
}

impl Turnstile {
    /// Lets a reader in. The one who is refused pulls later, or from another member.
    pub(super) fn pass(&self, device: DeviceId) -> Result<Passed, Status> {
        let mut inside = self.lock();
        let all: usize = inside.values().sum();
        let his = inside.get(&device).copied().unwrap_or_default();
        if his >= HISTORIES_OF_DEVICE_MAX || all >= HISTORIES_MAX {
            return Err(Status::resource_exhausted(format!(
                "{all} histories are being given, {his} of them to you; pull again when one has ended"
            )));
        }
        inside.insert(device, his + 1);
        drop(inside);
        let turnstile = self.clone();
        Ok(Passed { turnstile, device })
    }

    /// Nothing that is done under the lock can fail half-way.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<DeviceId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        let mut inside = self.turnstile.lock();
        if let Some(his) = inside.get_mut(&self.device) {
            *his -= 1;
            if *his == 0 {
                inside.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: usize) -> DeviceId {
        DeviceId([n as u8; 32])
    }

    #[test]
    fn so_many_are_let_in_and_whoever_goes_makes_room() {
        let turnstile = Turnstile::default();
        let mut inside: Vec<_> = (0..HISTORIES_OF_DEVICE_MAX)
            .map(|_| turnstile.pass(device(0)).unwrap())
            .collect();
        assert!(turnstile.pass(device(0)).is_err());
        inside.extend((HISTORIES_OF_DEVICE_MAX..HISTORIES_MAX).map(|n| turnstile.pass(device(n)).unwrap()));
        assert!(turnstile.pass(device(200)).is_err());
        inside.truncate(HISTORIES_MAX - 1);
        inside.push(turnstile.pass(device(200)).unwrap());
        assert!(turnstile.pass(device(201)).is_err());
        drop(inside);
        assert!(turnstile.lock().is_empty());
    }
}
