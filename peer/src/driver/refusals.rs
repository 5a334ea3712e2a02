//! What others sent that was refused: all of it is told in the program's log, and what no member can be named for is counted here.
//! What members sent is counted by the node.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::node::types::{DeviceId, UserName};

/// The most refusals that are told one by one in the program's log within [`LOG_WINDOW`]. Of more only the number is told, so that
/// nobody can fill a disk with what he is refused.
const LOGGED_MAX: u64 = 20;

/// See [`LOGGED_MAX`].
const LOG_WINDOW: Duration = Duration::from_secs(10);

/// What was refused since the start. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    unknown: AtomicU64,
    window: Mutex<Window>,
}

/// How much of the log's window is used up.
#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    seen: u64,
}

impl Refusals {
    /// Counts and tells what came from nobody who can be named: before a hello, from a stranger, or no call at all.
    pub fn unknown(&self, why: &str) {
        // It stays at the greatest number rather than to begin again.
        let _full = self
            .0
            .unknown
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_add(1));
        if self.is_logged() {
            tracing::warn!(why, "refused what somebody unknown sent");
        }
    }

    /// Tells what came from a member.
    pub fn of_member(&self, user: &UserName, device: &DeviceId, why: &str) {
        if self.is_logged() {
            tracing::warn!(%user, %device, why, "refused what a member sent");
        }
    }

    /// How often something was refused for which no member can be named.
    pub fn count_unknown(&self) -> u64 {
        self.0.unknown.load(Ordering::Relaxed)
    }

    fn is_logged(&self) -> bool {
        let mut window = self.0.window.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = window.left_out(Instant::now());
        if left_out > 0 {
            tracing::warn!(left_out, "more was refused than is told one by one");
        }
        window.seen += 1;
        window.seen <= LOGGED_MAX
    }
}

impl Window {
    /// Begins a new window where the old one is over, and returns how many were left out of that.
    fn left_out(&mut self, now: Instant) -> u64 {
        let over = self.began.is_none_or(|began| now.duration_since(began) >= LOG_WINDOW);
        if !over {
            return 0;
        }
        let left_out = self.seen.saturating_sub(LOGGED_MAX);
        (self.began, self.seen) = (Some(now), 0);
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_unknown_is_counted_and_a_part_of_it_logged() {
        let refusals = Refusals::default();
        for _ in 0..3 * LOGGED_MAX {
            refusals.clone().unknown("noise");
        }
        assert_eq!(refusals.count_unknown(), 3 * LOGGED_MAX);
        let mut window = refusals.0.window.lock().unwrap();
        let began = window.began.unwrap();
        assert_eq!(window.left_out(began + LOG_WINDOW / 2), 0, "the window lasts");
        assert_eq!(window.left_out(began + LOG_WINDOW), 2 * LOGGED_MAX);
        assert_eq!(window.left_out(began + 2 * LOG_WINDOW), 0);
    }

    #[test]
    fn the_count_stays_at_the_greatest_number() {
        let refusals = Refusals::default();
        refusals.0.unknown.store(u64::MAX, Ordering::Relaxed);
        refusals.unknown("noise");
        assert_eq!(refusals.count_unknown(), u64::MAX);
    }
}
