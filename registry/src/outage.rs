//! A server that does not answer: nobody waits for it in turn, and the log says so once.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::{info, warn};

/// How often a server that did not answer is asked whether it does again, by one of those who need it. All others are told at once
/// that it does not: so many waits for it, and no more, are under way.
const LEFT_ALONE: Duration = Duration::from_millis(500);

/// Whether a server answers.
#[derive(Debug)]
pub(crate) struct Outage {
    /// What it is, for the log.
    what: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    away: Option<Away>,
    /// How often it did not answer.
    failures: u64,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    asked: Instant,
}

/// Leave to ask, and how often the server had not answered by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asks(u64);

impl Outage {
    pub(crate) fn of(what: &'static str) -> Self {
        Self {
            what,
            state: Mutex::default(),
        }
    }

    /// Whether it is worth asking now: where it is away, for one caller now and then.
    pub(crate) fn ask(&self) -> Option<Asks> {
        let mut state = self.lock();
        if let Some(away) = &mut state.away {
            if away.asked.elapsed() < LEFT_ALONE {
                return None;
            }
            away.asked = Instant::now();
        }
        Some(Asks(state.failures))
    }

    /// Whether it has failed since then: who has waited for his turn meanwhile need not try.
    #[cfg_attr(
        not(feature = "shared"),
        allow(dead_code, reason = "only a shared table is waited for in turn")
    )]
    pub(crate) fn has_failed_since(&self, Asks(failures): Asks) -> bool {
        self.lock().failures != failures
    }

    /// It did not answer, and why if that is known.
    pub(crate) fn failed(&self, why: Option<&(dyn std::error::Error + 'static)>) {
        let asked = Instant::now();
        let mut state = self.lock();
        state.failures += 1;
        match &mut state.away {
            Some(away) => away.asked = asked,
            none => {
                warn!(error = why, "{} does not answer", self.what);
                *none = Some(Away { since: asked, asked });
            }
        }
    }

    /// It answered.
    pub(crate) fn answered(&self) {
        if let Some(away) = self.lock().away.take() {
            info!(after = ?away.since.elapsed(), "{} answers again", self.what);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_right_after_a_failure_does_not_wait() {
        let outage = Outage::of("a server");
        let asks = outage.ask().unwrap();
        assert!(!outage.has_failed_since(asks) && outage.ask().is_some());
        outage.failed(None);
        assert!(outage.has_failed_since(asks) && outage.ask().is_none());
        outage.answered();
        assert!(outage.ask().is_some());
    }

    #[test]
    fn one_at_a_time_asks_whether_it_is_back() {
        let outage = Outage::of("a server");
        outage.failed(None);
        outage.lock().away.as_mut().unwrap().asked -= LEFT_ALONE;
        let asks = outage.ask().unwrap();
        assert!(outage.ask().is_none(), "one waits for it already");
        assert!(!outage.has_failed_since(asks));
    }
}
