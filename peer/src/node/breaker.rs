//! A circuit breaker: whether and when another end is tried, from how the tries before have ended.
//!
//! *Closed* is where nothing has failed since it last worked: whoever wants it tries it at once. With the first failure it *opens*,
//! and nobody tries for a while, which doubles with each further failure up to a limit. Of that while a random part between the half
//! and the whole is taken, so that many peers do not try in step. When it is over one try is made, and meanwhile the breaker is
//! *half open*: the try closes it, or opens it for longer. There is no last try.

use super::Millis;

/// How long a breaker stays open, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Half of what it stays open for after the first failure, and how long a broken connection is left alone.
    pub first_ms: u64,
    /// The longest time.
    pub longest_ms: u64,
}

/// The state of a breaker, as users see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Nothing has failed since it last worked.
    Closed,
    /// It is left alone for a while.
    Open,
    /// The while is over, and one try is under way.
    HalfOpen,
}

impl BreakerState {
    /// The state as scripts see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The breaker of one other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    waits: Waits,
    /// How many tries in a row have failed.
    failures: u32,
    is_trying: bool,
    /// There is a connection.
    is_up: bool,
    /// When the next try is due. None while one is under way, where the last one worked, and where none is wanted.
    next: Option<Millis>,
}

impl Breaker {
    /// A closed one. No try is due.
    pub fn new(waits: Waits) -> Self {
        Self {
            waits,
            failures: 0,
            is_trying: false,
            is_up: false,
            next: None,
        }
    }

    /// Its state.
    pub fn state(&self) -> BreakerState {
        match (self.failures, self.is_trying) {
            _ if self.is_up => BreakerState::Closed,
            (0, _) => BreakerState::Closed,
            (_, false) => BreakerState::Open,
            (_, true) => BreakerState::HalfOpen,
        }
    }

    /// When the next try is due, if one is.
    pub fn next_try(&self) -> Option<Millis> {
        self.next
    }

    /// Whether a try would be let through: none is under way, and nothing has failed so lately.
    pub fn admits(&self, now: Millis) -> bool {
        !self.is_trying && self.next.is_none_or(|at| at <= now)
    }

    /// There is news of the other end, so that a try is due at a time, however long it was to be left alone.
    pub fn wants(&mut self, at: Millis) {
        if !self.is_trying {
            self.next = Some(at);
        }
    }

    /// No try is wanted until there is news.
    pub fn rests(&mut self) {
        self.next = None;
    }

    /// The other end is another one than it was, or is there again: what failed before means nothing.
    pub fn forgets(&mut self) {
        self.failures = 0;
    }

    /// A try begins.
    pub fn tries(&mut self) {
        (self.is_trying, self.next) = (true, None);
    }

    /// The try has ended without an answer.
    pub fn gives_up(&mut self, now: Millis) {
        if self.is_trying {
            (self.is_trying, self.next) = (false, Some(now));
        }
    }

    /// It works, whoever has tried.
    pub fn works(&mut self) {
        *self = Self::new(self.waits);
    }

    /// It works, but only time will show whether that lasts: until then what failed before still counts.
    pub fn answers(&mut self) {
        (self.is_up, self.is_trying, self.next) = (true, false, None);
    }

    /// The try has failed.
    pub fn fails(&mut self, now: Millis, rng: &mut fastrand::Rng) {
        self.failures = self.failures.saturating_add(1);
        (self.is_up, self.is_trying) = (false, false);
        self.next = Some(now.plus(self.wait_ms(rng)));
    }

    /// What worked has broken. That is no failed try, so the next one is soon.
    pub fn breaks(&mut self, now: Millis, rng: &mut fastrand::Rng) {
        self.works();
        self.next = Some(now.plus(self.wait_ms(rng)));
    }

    /// The other end was reached and wants no connection: it is left alone for the longest time.
    pub fn is_sent_away(&mut self, now: Millis) {
        self.failures = self.failures.saturating_add(1);
        (self.is_up, self.is_trying) = (false, false);
        self.next = Some(now.plus(self.waits.longest_ms));
    }

    /// How long to wait after so many failures.
    fn wait_ms(&self, rng: &mut fastrand::Rng) -> u64 {
        let doubled = self.waits.first_ms.saturating_mul(1 << self.failures.min(20));
        let longest = doubled.min(self.waits.longest_ms);
        rng.u64(longest / 2..=longest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BreakerState::*, *};

    const WAITS: Waits = Waits {
        first_ms: 100,
        longest_ms: 15_000,
    };

    fn rng() -> fastrand::Rng {
        fastrand::Rng::with_seed(1)
    }

    #[test]
    fn it_opens_with_a_failure_tries_once_and_closes_when_that_works() {
        let (mut breaker, mut rng) = (Breaker::new(WAITS), rng());
        assert!(breaker.state() == Closed && breaker.admits(Millis(0)));
        breaker.tries();
        assert_eq!(
            (breaker.state(), breaker.admits(Millis(0))),
            (Closed, false),
            "one at a time"
        );
        breaker.fails(Millis(0), &mut rng);
        let next = breaker.next_try().unwrap();
        assert_eq!((breaker.state(), breaker.admits(Millis(next.0 - 1))), (Open, false));
        assert!(breaker.admits(next));
        breaker.tries();
        assert_eq!((breaker.state(), breaker.next_try()), (HalfOpen, None));
        assert!(!breaker.admits(Millis(u64::MAX)), "one at a time");
        breaker.fails(next, &mut rng);
        assert_eq!(breaker.state(), Open);
        breaker.tries();
        breaker.works();
        assert_eq!((breaker.state(), breaker.next_try()), (Closed, None));
    }

    #[test]
    fn what_has_worked_is_tried_soon_and_who_sends_away_is_left_alone() {
        let (mut breaker, mut rng) = (Breaker::new(WAITS), rng());
        for _ in 0..9 {
            breaker.fails(Millis(0), &mut rng);
        }
        breaker.breaks(Millis(1_000), &mut rng);
        assert_eq!(breaker.state(), Closed);
        assert!(breaker.next_try().unwrap() <= Millis(1_000 + WAITS.first_ms));
        breaker.is_sent_away(Millis(2_000));
        assert_eq!(breaker.state(), Open);
        assert_eq!(breaker.next_try(), Some(Millis(2_000 + WAITS.longest_ms)));
    }

    #[test]
    fn news_of_the_other_end_ends_the_wait_and_without_any_nothing_is_due() {
        let (mut breaker, mut rng) = (Breaker::new(WAITS), rng());
        breaker.fails(Millis(0), &mut rng);
        breaker.wants(Millis(1));
        assert_eq!((breaker.state(), breaker.next_try()), (Open, Some(Millis(1))));
        breaker.forgets();
        assert_eq!((breaker.state(), breaker.next_try()), (Closed, Some(Millis(1))));
        breaker.rests();
        assert_eq!(breaker.next_try(), None);
        breaker.tries();
        breaker.wants(Millis(2));
        assert_eq!(breaker.next_try(), None, "a try is under way already");
    }

    proptest! {
        /// Whatever happens: a wait is between its limits and never shorter than half of the one before could be, at most one try is
        /// under way, half open comes only of open, and what works closes.
        #[test]
        fn its_states_follow_one_another(steps in prop::collection::vec((0_u8..3, 0_u64..20_000), 1..200), seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut breaker, mut now, mut failures) = (Breaker::new(WAITS), Millis(0), 0_u32);
            for (step, passed) in steps {
                now = now.plus(passed);
                let before = breaker.state();
                match step {
                    0 if breaker.admits(now) => {
                        breaker.tries();
                        prop_assert_eq!(breaker.state(), if before == Closed { Closed } else { HalfOpen });
                        prop_assert!(!breaker.admits(now));
                    }
                    1 => {
                        breaker.fails(now, &mut rng);
                        failures += 1;
                        prop_assert_eq!(breaker.state(), Open);
                        let wait = breaker.next_try().unwrap().since(now);
                        let longest = (WAITS.first_ms << failures.min(20)).min(WAITS.longest_ms);
                        prop_assert!((longest / 2..=longest).contains(&wait), "{} after {}", wait, failures);
                    }
                    2 => {
                        breaker.works();
                        failures = 0;
                        prop_assert_eq!(breaker.state(), Closed);
                        prop_assert!(breaker.admits(now));
                    }
                    _ => prop_assert_eq!(breaker.state(), before),
                }
            }
        }
    }
}
