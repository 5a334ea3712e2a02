//! Connections that were refused before anything was asked, calls to the cluster by others than its nodes, and new users who may not take a
//! name, in the log: a part of them, so that nobody fills a disk by dialling.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::warn;

/// The most that are told one by one within [`WINDOW`]. Of more only the number is told.
const TOLD_MAX: u64 = 20;

/// See [`TOLD_MAX`].
const WINDOW: Duration = Duration::from_secs(10);

/// How much of the log is used up.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    seen: u64,
}

impl Refusals {
    /// Tells of one.
    pub(crate) fn tell(&self, refused: &impl fmt::Display) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = window.left_out(Instant::now());
        window.seen += 1;
        let is_told = window.seen <= TOLD_MAX;
        drop(window);
        if left_out > 0 {
            warn!(left_out, "more was refused than is told one by one");
        }
        if is_told {
            warn!("{refused}");
        }
    }
}

impl Window {
    /// Begins a new window where the old one is over; answers how many were left out of that.
    fn left_out(&mut self, now: Instant) -> u64 {
        if self.began.is_some_and(|began| now.duration_since(began) < WINDOW) {
            return 0;
        }
        let left_out = self.seen.saturating_sub(TOLD_MAX);
        (self.began, self.seen) = (Some(now), 0);
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_only_a_part_is_told_and_then_the_number_of_the_others() {
        let refusals = Refusals::default();
        for _ in 0..3 * TOLD_MAX {
            refusals.tell(&"noise");
        }
        let mut window = refusals.0.lock().unwrap();
        let began = window.began.unwrap();
        assert_eq!(window.left_out(began + WINDOW / 2), 0, "the window lasts");
        assert_eq!(window.left_out(began + WINDOW), 2 * TOLD_MAX);
        assert_eq!(window.left_out(began + 2 * WINDOW), 0);
    }
}
