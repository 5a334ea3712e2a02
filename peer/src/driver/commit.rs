//! When what is stored is made durable.
//!
//! All logs that have something new are synced in one round, and no other round begins before that has ended. What is stored after a pause
//! is synced at once: who waits for that waits for one sync and nothing else. Under load a round is for all that came meanwhile, and between
//! two of them there is a pause, or syncing would take the disk and the processor from what others wait for more: being stored. Where one
//! thing comes at a time, and the next one as soon as that is durable, somebody waits for each round before he says more, as a script does
//! that must not lose anything; then there is no pause.
//!
//! # The loop waits for no disk
//!
//! A disk whose sync takes seconds delays durable marks, and nothing else: a loop that waits is silent, and the others take its peer for gone. So no
//! sync is made on the loop's thread while others talk with it, and what has to be durable before something else is so nevertheless:
//!
//! - **An entry before its durable mark.** The mark follows the outcome of its log's sync, which other threads make. The first sync of a log that began
//!   in this run covers its name and the folders above as well (`log/birth.rs`).
//! - **The permit's removal before the next own entry**, so that no incarnation is used twice. All permits are taken from the disk at the start, before
//!   the first input, side by side. Where that was not done, `Log::append` does it itself, and waits.
//! - **What is kept of people before trust is told.** What the user is told of people waits while that file is written (`keeping.rs`).
//! - **Nothing before state.json, an invitation, a certificate, or the list of registries.** They make the next start easier: the rooms can be entered again, the
//!   registry certifies anew, and a registry of another machine is asked about again. They are written on other threads, the newest content last.
//! - **Nothing before seals and introductions.** They come again from whoever has them; they are written at once and synced at the end.
//!
//! What is left to the loop's thread is what only a device that contradicts itself brings about: the proof of that, and the note in `forked`, which must
//! be durable before entries that rely on it.

use std::time::{Duration, Instant};

use super::Driver;
use crate::log::Disk;

/// How long after a round the next one begins at the earliest under load, at least and at most. Between them it is this many times as long
/// as a round takes, so that syncing takes no more than a quarter of the time. That counts until the loop has heard of it: where more want
/// the processor than there is, waking a thread for the disk takes longer than the disk.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(50);
const PAUSE_ROUNDS: u32 = 3;
/// Who waits until something is durable at all members says more within this of the end of a round: longer than the pause that one of them
/// may be making, and sooner than somebody types.
const PROMPT: Duration = Duration::from_millis(10);
/// After so many rounds in a row that were for one prompt entry each, somebody waits for them.
const SINGLES: u32 = 4;

/// When to sync.
#[derive(Debug)]
pub(super) struct Commit {
    at: Option<Instant>,
    /// Not before this.
    from: Instant,
    /// When the last round ended.
    ended: Option<Instant>,
    /// When this round began, or the last one, and how many of its logs are being synced still.
    began: Instant,
    under_way: usize,
    /// Something was stored meanwhile.
    more: bool,
    /// What is to be synced came promptly after the last round.
    is_prompt: bool,
    singles: u32,
}

impl Commit {
    /// Nothing is to be synced yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: None,
            from: now,
            ended: None,
            began: now,
            under_way: 0,
            more: false,
            is_prompt: false,
            singles: 0,
        }
    }

    /// When to begin; none where nothing is to be synced, or a round is under way.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is known already that something is to be synced.
    fn is_planned(&self) -> bool {
        self.at.is_some() || self.more
    }

    /// Something is stored that is not durable.
    fn plan(&mut self, now: Instant) {
        if self.under_way > 0 {
            self.more = true;
        } else if self.at.is_none() {
            let since = self.ended.map(|ended| now.saturating_duration_since(ended));
            self.is_prompt = since.is_some_and(|since| since <= PROMPT);
            self.at = Some(self.from.max(now));
        }
    }

    /// A round of so many logs begins, with so many entries together that are not durable.
    fn began(&mut self, logs: usize, entries: u32, now: Instant) {
        (self.at, self.began, self.under_way) = (None, now, logs);
        self.singles = if self.is_prompt && entries == 1 {
            self.singles + 1
        } else {
            0
        };
    }

    /// The sync of a log has ended.
    pub(super) fn ended(&mut self, now: Instant) {
        self.under_way = self.under_way.saturating_sub(1);
        if self.under_way > 0 {
            return;
        }
        let (took, more) = (now - self.began, std::mem::take(&mut self.more));
        if more {
            self.singles = 0;
        }
        let pause = match self.singles < SINGLES {
            true => (took * PAUSE_ROUNDS).clamp(PAUSE_MIN, PAUSE_MAX),
            false => Duration::ZERO,
        };
        (self.ended, self.from) = (Some(now), now + pause);
        if more {
            (self.at, self.is_prompt) = (Some(self.from), false);
        }
    }
}

impl<D: Disk> Driver<D> {
    /// Begins to make durable what is stored, each log on another thread.
    pub(super) fn sync(&mut self) {
        let tasks = self.core.begin_syncs();
        let entries = tasks.iter().map(|(_, task)| task.new_entries()).sum();
        self.commit.began(tasks.len(), entries, Instant::now());
        for (conversation, task) in tasks {
            let done = self.synced.0.clone();
            tokio::task::spawn_blocking(move || {
                let outcome = task.run();
                // The driver has ended where this fails, and closing syncs again.
                let _ended = done.blocking_send((conversation, outcome));
            });
        }
    }

    /// Sees to it that what is stored becomes durable.
    pub(super) fn plan_sync(&mut self) {
        if !self.commit.is_planned() && self.core.needs_sync() {
            self.commit.plan(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        driver::{request::Request, testing::run, turn::Turn},
        seal::testing::room,
    };

    const MS: Duration = Duration::from_millis(1);
    const SYNC: Duration = Duration::from_micros(100);

    /// Rounds at times of the test's own.
    struct Rounds {
        commit: Commit,
        now: Instant,
    }

    impl Rounds {
        fn new() -> Self {
            let now = Instant::now();
            let commit = Commit::new(now);
            Self { commit, now }
        }

        /// How long it is until a round begins for what is stored after a while.
        fn wait(&mut self, after: Duration) -> Duration {
            self.now += after;
            self.commit.plan(self.now);
            let at = self.commit.at().unwrap();
            let wait = at - self.now;
            self.now = at;
            wait
        }

        /// A round of one log with so many entries takes so long.
        fn round(&mut self, entries: u32, took: Duration) {
            self.commit.began(1, entries, self.now);
            assert_eq!(self.commit.at(), None);
            self.now += took;
            self.commit.ended(self.now);
        }

        /// The same of what is stored after a while.
        fn single(&mut self, after: Duration) -> Duration {
            let wait = self.wait(after);
            self.round(1, SYNC);
            wait
        }
    }

    #[test]
    fn what_is_stored_after_a_pause_is_synced_at_once_and_what_follows_after_another_one() {
        let mut rounds = Rounds::new();
        assert_eq!(rounds.commit.at(), None);
        assert_eq!(rounds.wait(100 * MS), Duration::ZERO);
        rounds.round(1, 4 * MS);
        assert_eq!(rounds.wait(2 * MS), 10 * MS, "three times as long as the sync took");
        rounds.commit.plan(rounds.now + MS);
        assert_eq!(
            rounds.commit.at(),
            Some(rounds.now),
            "what comes meanwhile is of the same round"
        );
        rounds.round(2, Duration::from_secs(1));
        assert_eq!(rounds.wait(MS), 49 * MS, "not longer, however slow the disk is");
        rounds.round(1, SYNC);
        assert_eq!(rounds.wait(MS), 4 * MS, "and not shorter, however fast it is");
    }

    #[test]
    fn no_round_begins_while_another_one_is_under_way() {
        let mut rounds = Rounds::new();
        rounds.wait(MS);
        rounds.commit.began(2, 2, rounds.now);
        rounds.commit.plan(rounds.now + MS);
        assert_eq!(rounds.commit.at(), None);
        assert!(rounds.commit.is_planned());
        rounds.commit.ended(rounds.now + 4 * MS);
        assert_eq!(rounds.commit.at(), None, "the other log is synced still");
        rounds.commit.ended(rounds.now + 6 * MS);
        assert_eq!(
            rounds.commit.at(),
            Some(rounds.now + 24 * MS),
            "three times as long as both took"
        );
    }

    #[test]
    fn who_waits_for_each_round_before_he_says_more_waits_for_no_pause() {
        let mut rounds = Rounds::new();
        rounds.single(MS);
        for _ in 0..SINGLES {
            assert_eq!(rounds.single(SYNC), 5 * MS - SYNC);
        }
        assert_eq!([(); 3].map(|()| rounds.single(SYNC)), [Duration::ZERO; 3]);
        rounds.wait(SYNC);
        rounds.round(2, SYNC);
        assert_eq!(rounds.single(SYNC), 5 * MS - SYNC, "two came at a time");
        for _ in 0..SINGLES {
            rounds.single(SYNC);
        }
        assert_eq!(rounds.wait(SYNC), Duration::ZERO);
        rounds.commit.began(1, 1, rounds.now);
        rounds.commit.plan(rounds.now);
        rounds.commit.ended(rounds.now);
        assert_eq!(
            rounds.commit.at(),
            Some(rounds.now + 5 * MS),
            "one came while another one was synced"
        );
    }

    #[test]
    fn who_types_waits_for_nobody() {
        let mut rounds = Rounds::new();
        for _ in 0..2 * SINGLES {
            assert_eq!(rounds.single(Duration::from_secs(1)), Duration::ZERO);
        }
        assert_eq!(rounds.single(2 * MS), 3 * MS);
    }

    #[test]
    fn the_loop_counts_what_each_round_makes_durable() {
        run(async |mut driver, mut ends| {
            // On a busy machine what follows may not be prompt.
            while driver.commit.singles < SINGLES {
                let (conversation, text) = (room(), "hello".to_owned());
                ends.requests.send(Request::Write { conversation, text }).await.unwrap();
                driver.turns_until(|turn| matches!(turn, Turn::Synced(_))).await;
                while ends.events.try_recv().is_ok() {}
            }
            for text in ["one", "two"] {
                let (conversation, text) = (room(), text.to_owned());
                ends.requests.send(Request::Write { conversation, text }).await.unwrap();
            }
            driver.turns_until(|turn| matches!(turn, Turn::Synced(_))).await;
            assert_eq!(driver.commit.singles, 0);
        });
    }
}
