//! A server that does not answer: nobody waits for it in turn, and the log says so once.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::{info, warn};

/// How long nobody asks a server that did not answer. Whoever asks then waits for it, so this bounds how many do.
const LEFT_ALONE: Duration = Duration::from_millis(500);

/// Whether a server answers.
#[derive(Debug)]
pub(crate) struct Outage {
    /// What it is, for the log.
    what: &'static str,
    away: Mutex<Option<Away>>,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    asked: Instant,
}

impl Outage {
    pub(crate) fn of(what: &'static str) -> Self {
        Self {
            what,
            away: Mutex::default(),
        }
    }

    /// Whether it is not worth asking now.
    pub(crate) fn is_left_alone(&self) -> bool {
        let away = self.lock();
        away.as_ref().is_some_and(|away| away.asked.elapsed() < LEFT_ALONE)
    }

    /// It did not answer, and why if that is known.
    pub(crate) fn failed(&self, why: Option<&(dyn std::error::Error + 'static)>) {
        let asked = Instant::now();
        match &mut *self.lock() {
            Some(away) => away.asked = asked,
            none => {
                warn!(error = why, "{} does not answer", self.what);
                *none = Some(Away { since: asked, asked });
            }
        }
    }

    /// It answered.
    pub(crate) fn answered(&self) {
        if let Some(away) = self.lock().take() {
            info!(after = ?away.since.elapsed(), "{} answers again", self.what);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_right_after_a_failure_does_not_wait() {
        let outage = Outage::of("a server");
        assert!(!outage.is_left_alone());
        outage.failed(None);
        assert!(outage.is_left_alone());
        outage.answered();
        assert!(!outage.is_left_alone());
    }
}
