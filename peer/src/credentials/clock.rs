//! The time by which certificates are judged: that of the registry.
//!
//! A certificate begins and ends by the clock of the registry that issued it. This machine's clock may be hours or days away from
//! that, or be set while the peer runs, and whoever judged by it would cut off everybody who is known. So a registry tells its time
//! with each certificate, and from then on that time goes on by a clock that nobody sets and that does not stop while the machine
//! sleeps. Before any registry has told it, the time is this machine's, but never one before the kept certificate was issued.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};
use rustls::{pki_types::UnixTime, time_provider::TimeProvider};

/// The clock that nobody sets, and that goes on while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
const STEADY: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STEADY: ClockId = ClockId::Monotonic;

/// The time, for all who judge certificates.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<RwLock<Known>>);

/// What is known of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    /// What a registry has told last, and what the steady clock showed then.
    told: Option<(SystemTime, Duration)>,
    /// It is not earlier than this.
    at_least: SystemTime,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            told: None,
            at_least: SystemTime::UNIX_EPOCH,
        }
    }
}

impl Known {
    /// The time, where the two clocks of this machine show these.
    fn now(&self, steady: Duration, system: SystemTime) -> SystemTime {
        let told = self
            .told
            .and_then(|(time, then)| time.checked_add(steady.saturating_sub(then)));
        told.unwrap_or_else(|| system.max(self.at_least))
    }
}

/// How this machine's clock stands to that of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// What this machine's shows.
    pub here: SystemTime,
    /// What the registry's shows.
    pub registry: SystemTime,
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> SystemTime {
        self.known().now(steady(), SystemTime::now())
    }

    /// Takes the time from a registry, which has just told it.
    pub fn tell(&self, registry: SystemTime) {
        self.write(|known| known.told = Some((registry, steady())));
    }

    /// It is not earlier than this.
    pub fn is_at_least(&self, time: SystemTime) {
        self.write(|known| known.at_least = known.at_least.max(time));
    }

    /// Both clocks now, once a registry has told its time.
    pub fn compared(&self) -> Option<Compared> {
        let (known, here) = (self.known(), SystemTime::now());
        known.told.map(|_| Compared {
            here,
            registry: known.now(steady(), here),
        })
    }

    fn known(&self) -> Known {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH);
        since.ok().map(UnixTime::since_unix_epoch)
    }
}

impl Compared {
    /// By how many milliseconds this machine's clock is ahead of the registry's; less than nothing where it is behind.
    pub fn ahead_ms(&self) -> i64 {
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        match self.here.duration_since(self.registry) {
            Ok(ahead) => ms(ahead),
            Err(behind) => -ms(behind.duration()),
        }
    }
}

fn steady() -> Duration {
    let now = clock_gettime(STEADY);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_a_registry_has_told_goes_on_whatever_is_done_to_this_machines_clock() {
        let known = Known {
            told: Some((at(50_000), Duration::from_secs(7))),
            at_least: at(90_000),
        };
        for system in [at(0), at(50_000), at(10_000_000)] {
            assert_eq!(known.now(Duration::from_secs(7), system), at(50_000));
            assert_eq!(known.now(Duration::from_secs(67), system), at(50_060));
        }
        // It is never set back.
        assert_eq!(known.now(Duration::from_secs(1), at(0)), at(50_000));
    }

    #[test]
    fn before_a_registry_has_told_it_the_time_is_this_machines_but_no_earlier_than_is_known() {
        let mut known = Known::default();
        assert_eq!(known.now(Duration::ZERO, at(3)), at(3));
        known.at_least = at(100);
        assert_eq!(known.now(Duration::ZERO, at(3)), at(100));
        assert_eq!(known.now(Duration::ZERO, at(200)), at(200));
    }

    #[test]
    fn both_clocks_are_compared() {
        let compared = |here, registry| Compared {
            here: at(here),
            registry: at(registry),
        };
        assert_eq!(compared(10, 7).ahead_ms(), 3_000);
        assert_eq!(compared(7, 10).ahead_ms(), -3_000);
        let clock = Clock::default();
        assert_eq!(clock.compared(), None);
        clock.tell(at(1_000));
        assert!(clock.compared().unwrap().ahead_ms() > 0);
        assert!(clock.now() >= at(1_000) && clock.now() < at(1_060));
    }
}
