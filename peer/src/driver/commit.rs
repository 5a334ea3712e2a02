//! When what is stored is made durable.
//!
//! What is stored after a pause is synced at once: who waits for that waits for one sync and nothing else. Under load a sync is for all
//! that came meanwhile, and between two of them there is a pause, or syncing would take the disk and the processor from what others
//! wait for more: being stored. Where one thing comes at a time, and the next one only when that is durable, there is no load: a script
//! that must not lose anything waits for a sync with each of its messages, and for no pause.

use std::time::{Duration, Instant};

use super::Driver;
use crate::log::Disk;

/// How long after a sync the next one begins at the earliest under load, at least and at most. Between them it is this many times as long
/// as a sync takes, so that syncing takes no more than a quarter of the time.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(50);
const PAUSE_SYNCS: u32 = 3;
/// After so many syncs in a row that were for one entry each, entries come one at a time.
const SINGLES: u32 = 4;

/// When to sync.
#[derive(Debug)]
pub(super) struct Commit {
    at: Option<Instant>,
    /// Not before this.
    from: Instant,
    pause: Duration,
    /// How many syncs in a row were for one entry each, and nothing came meanwhile.
    singles: u32,
}

impl Commit {
    /// Nothing is to be synced yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: None,
            from: now,
            pause: PAUSE_MIN,
            singles: 0,
        }
    }

    /// When to begin; none where nothing is to be synced.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Something is stored that is not durable.
    pub(super) fn plan(&mut self, now: Instant) {
        self.at.get_or_insert(self.from.max(now));
    }

    /// A sync of so many entries begins. None is to be synced where one is under way still.
    pub(super) fn began(&mut self, entries: u32, now: Instant) {
        (self.at, self.from) = (None, now + self.pause);
        self.singles = if entries == 1 { self.singles + 1 } else { 0 };
    }

    /// A sync has ended that took so long.
    pub(super) fn ended(&mut self, took: Duration, now: Instant) {
        if self.at.is_some() {
            self.singles = 0;
        }
        self.pause = match self.singles < SINGLES {
            true => (took * PAUSE_SYNCS).clamp(PAUSE_MIN, PAUSE_MAX),
            false => Duration::ZERO,
        };
        self.from = now + self.pause;
        self.at = self.at.map(|at| at.max(self.from));
    }
}

impl<D: Disk> Driver<D> {
    /// Begins to make durable what is stored, each log on another thread.
    pub(super) fn sync(&mut self) {
        let tasks = self.core.begin_syncs();
        let entries = tasks.iter().map(|(_, task)| task.entries()).sum();
        self.commit.began(entries, Instant::now());
        for (conversation, task) in tasks {
            let done = self.synced.0.clone();
            tokio::task::spawn_blocking(move || {
                let begun = Instant::now();
                let outcome = task.run();
                // The driver has ended where this fails, and closing syncs again.
                let _ended = done.blocking_send((conversation, outcome, begun.elapsed()));
            });
        }
        self.plan_sync();
    }

    /// Sees to it that what is stored becomes durable.
    pub(super) fn plan_sync(&mut self) {
        if self.commit.at().is_none() && self.core.needs_sync() {
            self.commit.plan(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_after_a_pause_is_synced_at_once_and_what_follows_after_another_one() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut commit = Commit::new(begun);
        assert_eq!(commit.at(), None);
        commit.plan(at(100));
        assert_eq!(commit.at(), Some(at(100)));
        commit.began(1, at(100));
        commit.plan(at(101));
        assert_eq!(
            commit.at(),
            Some(at(105)),
            "while a sync is under way, or just after it"
        );
        commit.ended(Duration::from_millis(4), at(104));
        assert_eq!(commit.at(), Some(at(116)), "three times as long as the sync took");
        commit.plan(at(110));
        assert_eq!(
            commit.at(),
            Some(at(116)),
            "all that comes meanwhile waits for the same sync"
        );
        commit.began(2, at(116));
        commit.ended(Duration::from_secs(1), at(1_116));
        commit.plan(at(1_117));
        assert_eq!(commit.at(), Some(at(1_166)), "not longer, however slow the disk is");
    }

    #[test]
    fn who_waits_for_each_sync_before_he_goes_on_waits_for_no_pause() {
        let mut now = Instant::now();
        let (sync, ms) = (Duration::from_micros(100), Duration::from_millis(1));
        let mut commit = Commit::new(now);
        // How long it is until a sync begins for what is stored now; it is of so many entries, and more may come while it is under way.
        let mut waits = |entries: u32, more: bool| {
            commit.plan(now);
            let wait = commit.at().unwrap() - now;
            now += wait;
            commit.began(entries, now);
            now += sync;
            if more {
                commit.plan(now);
            }
            commit.ended(sync, now);
            wait
        };
        assert_eq!(waits(1, false), Duration::ZERO);
        for _ in 1..SINGLES {
            assert_eq!(waits(1, false), 5 * ms);
        }
        assert_eq!([(); 3].map(|()| waits(1, false)), [Duration::ZERO; 3]);
        waits(2, false);
        assert_eq!(waits(1, false), 5 * ms, "two came at a time");
        for _ in 1..SINGLES {
            waits(1, false);
        }
        assert_eq!(waits(1, true), Duration::ZERO);
        assert_eq!(waits(1, false), 5 * ms, "one came while another one was synced");
    }
}
