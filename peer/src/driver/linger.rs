//! What keeps a peer awake for a moment after something has come.
//!
//! Who talks is mostly answered at once: what was sent is acked, and what was acked is followed by the next message. To go to sleep, to be
//! woken and to find the caches of the core taken by others costs about as much as the message itself. So where things follow each other
//! closely the loop goes on looking for the next one, for a moment, before it sleeps. Whoever else wants the core has it at once; where
//! that happens, or nothing came in time, it is tried the more rarely the more often it was in vain: a peer in which somebody types takes
//! no more of the processor than before, nor do more peers than there are cores.

use std::time::{Duration, Instant};

/// How long the loop looks for what comes next, if what came last was handled within this as well. By then a peer on the same machine or in
/// the same rack has answered.
const LOOK: Duration = Duration::from_micros(200);
/// A turn that took so long had more to do than a message or two.
const MUCH: Duration = Duration::from_micros(25);
/// Where giving way to others took so long, they had more to do than to answer: there are more of them than cores.
const TAKEN: Duration = Duration::from_micros(50);
/// The most turns for which it is not tried.
const SKIPPED_MAX: u32 = 256;

/// When to look rather than to sleep.
#[derive(Debug)]
pub(super) struct Linger {
    /// When the last turn ended that handled what somebody sent.
    handled: Instant,
    /// Until when to look; none where it is to sleep.
    until: Option<Instant>,
    /// For so many turns it was not tried the last time: twice as many for each time in vain, half as many for each other one.
    back_off: u32,
    /// For so many turns it is not tried now.
    skipped: u32,
}

impl Linger {
    /// Nothing has come yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            handled: now,
            until: None,
            back_off: 0,
            skipped: 0,
        }
    }

    /// A turn has ended that handled what the user asked or others sent, and began at that time.
    pub(super) fn handled(&mut self, begun: Instant, now: Instant) {
        let apart = now.saturating_duration_since(self.handled);
        self.handled = now;
        let came_in_time = self.until.take().is_some();
        // It came long after the last one, or there was much of it: who sends as much waits for nobody.
        if apart >= LOOK || now.saturating_duration_since(begun) >= MUCH {
            return;
        }
        if came_in_time {
            self.back_off /= 2;
        } else if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        self.until = Some(now + LOOK);
    }

    /// Whether to look once more before sleeping.
    pub(super) fn looks(&mut self, now: Instant) -> bool {
        if self.until.is_some_and(|until| until <= now) {
            self.missed();
        }
        self.until.is_some()
    }

    /// Others were let in between two looks, and it took so long until they were done.
    pub(super) fn gave_way(&mut self, took: Duration) {
        if took >= TAKEN {
            self.missed();
        }
    }

    fn missed(&mut self) {
        self.until = None;
        self.back_off = (2 * self.back_off).clamp(2, SKIPPED_MAX);
        self.skipped = self.back_off;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::{
        driver::{request::Request, testing::run, turn::Turn},
        seal::testing::room,
    };

    /// A driver's turns at times of the test's own.
    struct Turns {
        linger: Linger,
        now: Instant,
    }

    impl Turns {
        fn new() -> Self {
            let now = Instant::now();
            let linger = Linger::new(now);
            Self { linger, now }
        }

        /// Something comes after a while and is handled at once. Answers whether more is looked for.
        fn comes_after(&mut self, wait: Duration) -> bool {
            self.now += wait;
            self.linger.handled(self.now, self.now);
            self.linger.looks(self.now)
        }

        /// How many turns that follow each other closely it takes until one of them looks.
        fn until_it_looks(&mut self) -> u32 {
            let mut turns = 1;
            while !self.comes_after(SOON) {
                turns += 1;
            }
            turns
        }

        fn nothing_comes(&mut self) {
            self.now += LOOK;
            assert!(!self.linger.looks(self.now));
        }
    }

    const SOON: Duration = Duration::from_micros(30);

    #[test]
    fn where_turns_follow_each_other_closely_it_looks_for_the_next_one() {
        let mut turns = Turns::new();
        assert!(!turns.linger.looks(turns.now), "nothing came yet");
        assert!(!turns.comes_after(10 * LOOK), "who writes this is no machine");
        for _ in 0..10 {
            assert!(turns.comes_after(SOON));
            assert!(turns.linger.looks(turns.now + SOON));
        }
        turns.nothing_comes();
    }

    #[test]
    fn a_stream_is_not_waited_for() {
        let mut turns = Turns::new();
        assert!(turns.comes_after(SOON));
        let begun = turns.now;
        turns.now += MUCH;
        turns.linger.handled(begun, turns.now);
        assert!(!turns.linger.looks(turns.now));
        assert!(turns.comes_after(SOON), "and that was not in vain");
    }

    #[test]
    fn what_is_in_vain_is_tried_ever_more_rarely_until_it_is_not() {
        let mut turns = Turns::new();
        let mut tries = Vec::new();
        for _ in 0..11 {
            tries.push(turns.until_it_looks());
            turns.nothing_comes();
        }
        // The first one after a pause, those that are passed over, and the one that looks.
        assert_eq!(tries[..4], [1, 1 + 2 + 1, 1 + 4 + 1, 1 + 8 + 1]);
        assert_eq!(tries[9..], [1 + SKIPPED_MAX + 1; 2]);
        turns.until_it_looks();
        for _ in 0..9 {
            assert!(turns.comes_after(SOON), "something came");
        }
        turns.nothing_comes();
        assert_eq!(turns.until_it_looks(), 1 + 2 + 1);
    }

    #[test]
    fn a_core_that_others_want_is_left_to_them() {
        let mut turns = Turns::new();
        let mut tries = Vec::new();
        for _ in 0..4 {
            tries.push(turns.until_it_looks());
            turns.linger.gave_way(TAKEN / 2);
            assert!(turns.linger.looks(turns.now), "nobody wanted it");
            turns.linger.gave_way(TAKEN);
            assert!(!turns.linger.looks(turns.now));
        }
        assert_eq!(tries, [1, 2 + 1, 4 + 1, 8 + 1]);
    }

    #[test]
    fn the_loop_looks_as_long_as_it_is_told_to_and_then_sleeps() {
        run(async |mut driver, mut ends| {
            let before = driver.linger.handled;
            ends.requests.send(Request::Who(room())).await.unwrap();
            driver.turns_until(|turn| matches!(turn, Turn::Requests(_))).await;
            assert!(driver.linger.handled > before);
            assert!(ends.events.try_recv().is_ok());
            driver.linger.until = Some(Instant::now() + Duration::from_secs(60));
            driver.turns_until(|turn| matches!(turn, Turn::Nothing)).await;
            driver.linger.until = None;
            while let Ok(turn) = timeout(Duration::from_millis(20), driver.next_turn()).await {
                assert!(!matches!(turn, Turn::Nothing));
                driver.carry_out(turn).await.unwrap();
            }
        });
    }
}
