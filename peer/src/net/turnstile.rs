//! How many histories are given at the same time: each keeps what its reader said that he holds, and parts that he has not taken.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tonic::Status;

use crate::node::types::UserName;

/// The most at once.
const HISTORIES_MAX: usize = 64;
/// The most at once to the devices of one other user, so that it takes several who mean harm to be in everybody's way: a device pulls two at
/// a time, and one that it gave up may not have ended here.
const HISTORIES_OF_USER_MAX: usize = 8;

/// Counts the histories that are being given.
#[derive(Debug, Clone, Default)]
pub(super) struct Turnstile(Arc<Mutex<BTreeMap<UserName, usize>>>);

/// A history that is being given, for as long as this lives.
#[derive(Debug)]
pub(super) struct Passed {
    turnstile: Turnstile,
    user: UserName,
}

impl Turnstile {
    /// Lets a reader in, and the own user's devices always, who are few. The one who is refused pulls later, or from another member.
    pub(super) fn pass(&self, user: &UserName, is_own: bool) -> Result<Passed, Status> {
        let mut inside = self.lock();
        let all: usize = inside.values().sum();
        let his = inside.get(user).copied().unwrap_or_default();
        if !is_own && (his >= HISTORIES_OF_USER_MAX || all >= HISTORIES_MAX) {
            return Err(Status::resource_exhausted(format!(
                "{all} histories are being given, {his} of them to your devices; pull again when one has ended"
            )));
        }
        inside.insert(user.clone(), his + 1);
        drop(inside);
        let (turnstile, user) = (self.clone(), user.clone());
        Ok(Passed { turnstile, user })
    }

    /// Nothing that is done under the lock can fail half-way.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<UserName, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        let mut inside = self.turnstile.lock();
        if let Some(his) = inside.get_mut(&self.user) {
            *his -= 1;
            if *his == 0 {
                inside.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: usize) -> UserName {
        UserName::new(&format!("user{n}")).unwrap()
    }

    #[test]
    fn so_many_are_let_in_and_whoever_goes_makes_room() {
        let turnstile = Turnstile::default();
        let pass = |n| turnstile.pass(&user(n), false);
        let mut inside: Vec<_> = (0..HISTORIES_OF_USER_MAX).map(|_| pass(0).unwrap()).collect();
        assert!(pass(0).is_err());
        inside.extend((HISTORIES_OF_USER_MAX..HISTORIES_MAX).map(|n| pass(n).unwrap()));
        assert!(pass(200).is_err());
        inside.push(turnstile.pass(&user(300), true).unwrap());
        inside.truncate(HISTORIES_MAX - 1);
        inside.push(pass(200).unwrap());
        assert!(pass(201).is_err());
        drop(inside);
        assert!(turnstile.lock().is_empty());
    }
}
