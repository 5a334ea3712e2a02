//! A database that does not answer: nobody waits for it in turn, and the log says so once.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::StoreError;

/// How long nobody asks a database that did not answer. Whoever asks then waits for it, so this bounds how many do.
const LEFT_ALONE: Duration = Duration::from_millis(500);

/// Whether the database answers.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Away>>);

#[derive(Debug)]
struct Away {
    since: Instant,
    asked: Instant,
}

impl Outage {
    /// Whether it is worth asking.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &*self.lock() {
            Some(away) if away.asked.elapsed() < LEFT_ALONE => Err(StoreError::Away),
            _ => Ok(()),
        }
    }

    /// Takes note of what came of asking.
    pub(super) fn note<T>(&self, asked: Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = self.lock();
        match &asked {
            Err(StoreError::Away) => {
                let asked = Instant::now();
                match &mut *state {
                    Some(away) => away.asked = asked,
                    none => {
                        warn!("the database of the accounts does not answer");
                        *none = Some(Away { since: asked, asked });
                    }
                }
            }
            Err(_) => {}
            Ok(_) => {
                if let Some(away) = state.take() {
                    info!(after = ?away.since.elapsed(), "the database of the accounts answers again");
                }
            }
        }
        asked
    }

    fn lock(&self) -> MutexGuard<'_, Option<Away>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_right_after_a_failure_does_not_wait() {
        let outage = Outage::default();
        outage.check().unwrap();
        outage.note::<()>(Err(StoreError::Busy)).unwrap_err();
        outage.check().unwrap();
        outage.note::<()>(Err(StoreError::Away)).unwrap_err();
        assert!(matches!(outage.check(), Err(StoreError::Away)));
        outage.note(Ok(())).unwrap();
        outage.check().unwrap();
    }
}
