//! How often somebody may guess: wrong passwords, wrong codes, new names. Pure: the time is an argument.
//!
//! Each try is counted before its outcome is known, so that many at the same time do not slip through; a right one is taken
//! back. Who is told to wait is not counted: hammering makes nobody's wait longer.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use crate::routes::Millis;

/// Keys that one throttle remembers. An entry takes about 100 bytes.
const ENTRIES_MAX: usize = 10_000;

/// How many tries are free, and how the waits grow after them.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Tries without a wait.
    pub free: u32,
    /// The first wait; each further one is twice as long.
    pub first: Millis,
    /// The longest wait.
    pub longest: Millis,
    /// After so long without a try all is forgotten. Not less than `longest`.
    pub forget: Millis,
}

/// Guesses at one account: a person mistypes five times, a program that guesses gets four an hour.
pub const PER_ACCOUNT: Rule = Rule {
    free: 5,
    first: Millis(1_000),
    longest: Millis(15 * 60_000),
    forget: Millis(60 * 60_000),
};

/// Guesses from one address, at whichever accounts. Several people may be behind it.
pub const PER_ADDRESS: Rule = Rule {
    free: 20,
    ..PER_ACCOUNT
};

/// New names from one address. A household or a class may come at once.
pub const NEW_NAMES: Rule = Rule {
    free: 40,
    ..PER_ACCOUNT
};

/// Attempts at one account that brought nothing, of which its devices are told and the log tells. Anybody can make them, so their
/// number must fill neither a screen nor a disk.
pub const TOLD: Rule = Rule {
    free: 20,
    first: Millis(1_000),
    longest: Millis(60_000),
    forget: Millis(10 * 60_000),
};

/// Too many tries: the next one is heard after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; wait {} before the next one", spoken(*.0))]
pub struct Wait(pub Millis);

fn spoken(span: Millis) -> String {
    match span.0.div_ceil(1_000) {
        1 => "1 second".into(),
        seconds @ 2..=119 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// Where a caller comes from, as far as it matters: an IPv6 caller has a whole /64 of addresses and may take another one
/// for every try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(IpAddr);

impl Origin {
    /// The origin of an address.
    pub fn new(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) if !v6.is_loopback() => {
                let network = u128::from(v6) >> 64 << 64;
                IpAddr::V6(network.into())
            }
            other => other,
        })
    }

    /// The address, or the first one of its network.
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// It is this machine.
    pub fn is_loopback(self) -> bool {
        self.0.is_loopback()
    }
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    count: u32,
    last: Millis,
}

/// The tries of many keys under one rule.
#[derive(Debug)]
pub struct Throttle<K> {
    rule: Rule,
    entries: BTreeMap<K, Tries>,
}

impl<K: Ord + Clone> Throttle<K> {
    /// Nobody has tried anything.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            entries: BTreeMap::new(),
        }
    }

    /// Whether a try would be heard now. Counts nothing.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&self, key: &K, now: Millis) -> Result<(), Wait> {
        let Some(tries) = self.entries.get(key).filter(|tries| !self.is_forgotten(tries, now)) else {
            return Ok(());
        };
        let heard = tries.last + self.rule.wait_after(tries.count);
        match heard.0.saturating_sub(now.0) {
            0 => Ok(()),
            left => Err(Wait(Millis(left))),
        }
    }

    /// Counts a try.
    ///
    /// # Errors
    /// How long to wait. The try must not be heard, and is not counted.
    pub fn attempt(&mut self, key: &K, now: Millis) -> Result<(), Wait> {
        self.check(key, now)?;
        let forgotten = self.entries.get(key).is_none_or(|tries| self.is_forgotten(tries, now));
        if !self.entries.contains_key(key) && self.entries.len() >= ENTRIES_MAX {
            self.make_room(now);
        }
        let tries = self.entries.entry(key.clone()).or_insert(Tries { count: 0, last: now });
        tries.count = if forgotten { 1 } else { tries.count.saturating_add(1) };
        tries.last = now;
        Ok(())
    }

    /// A try was right: this one does not count. The earlier ones do, so that one who guesses at the accounts of others does
    /// not wash himself clean with his own.
    pub fn take_back(&mut self, key: &K) {
        if let Some(tries) = self.entries.get_mut(key) {
            tries.count -= 1;
            if tries.count == 0 {
                self.entries.remove(key);
            }
        }
    }

    /// Whoever it is has shown that he may: nothing counts any more.
    pub fn clear(&mut self, key: &K) {
        self.entries.remove(key);
    }

    fn is_forgotten(&self, tries: &Tries, now: Millis) -> bool {
        tries.last + self.rule.forget <= now
    }

    /// Drops what is forgotten, or else the one that loses least by it: the fewest tries, the longest ago.
    fn make_room(&mut self, now: Millis) {
        let (rule, before) = (self.rule, self.entries.len());
        self.entries.retain(|_, tries| now < tries.last + rule.forget);
        if self.entries.len() < before {
            return;
        }
        let least = self.entries.iter().min_by_key(|(_, tries)| (tries.count, tries.last));
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.entries.remove(&key);
        }
    }
}

impl Rule {
    /// The wait after so many tries.
    fn wait_after(self, count: u32) -> Millis {
        let Some(over) = count.checked_sub(self.free) else {
            return Millis(0);
        };
        let factor = 1_u64.checked_shl(over).unwrap_or(u64::MAX);
        Millis(self.first.0.saturating_mul(factor).min(self.longest.0))
    }
}

/// Guesses at secrets: each counts for the account and for the address.
#[derive(Debug)]
pub struct Guesses {
    accounts: Throttle<Arc<str>>,
    origins: Throttle<Origin>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            accounts: Throttle::new(PER_ACCOUNT),
            origins: Throttle::new(PER_ADDRESS),
        }
    }
}

impl Guesses {
    /// Counts a guess at the account with this key.
    ///
    /// # Errors
    /// How long to wait. The guess must not be heard.
    pub fn attempt(&mut self, account: &str, from: Origin, now: Millis) -> Result<(), Wait> {
        let account = account.into();
        self.accounts.check(&account, now)?;
        self.origins.attempt(&from, now)?;
        self.accounts.attempt(&account, now)
    }

    /// The guess was right.
    pub fn was_right(&mut self, account: &str, from: Origin) {
        self.accounts.clear(&account.into());
        self.origins.take_back(&from);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_tries_are_free_and_then_the_waits_double() {
        let mut throttle = Throttle::new(PER_ACCOUNT);
        let mut now = Millis(0);
        for _ in 0..5 {
            throttle.attempt(&"alice", now).unwrap();
        }
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            let wait = Millis(seconds * 1_000);
            assert_eq!(throttle.attempt(&"alice", now), Err(Wait(wait)));
            assert_eq!(
                throttle.attempt(&"alice", now),
                Err(Wait(wait)),
                "hammering adds nothing"
            );
            assert_eq!(throttle.attempt(&"bob", now), Ok(()), "others do not wait");
            throttle.clear(&"bob");
            now = now + wait;
            throttle.attempt(&"alice", now).unwrap();
        }
        now = now + PER_ACCOUNT.forget;
        for _ in 0..5 {
            throttle.attempt(&"alice", now).unwrap();
        }
        throttle.attempt(&"alice", now).unwrap_err();
        throttle.clear(&"alice");
        throttle.attempt(&"alice", now).unwrap();
    }

    #[test]
    fn guesses_at_many_accounts_count_for_the_address() {
        let mut guesses = Guesses::default();
        let here = Origin::new("192.0.2.7".parse().unwrap());
        let there = Origin::new("192.0.2.8".parse().unwrap());
        for n in 0..20 {
            // His own account does not wash him clean.
            guesses.attempt("mallory", here, Millis(0)).unwrap();
            guesses.was_right("mallory", here);
            guesses.attempt(&format!("user{n}"), here, Millis(0)).unwrap();
        }
        guesses.attempt("alice", here, Millis(0)).unwrap_err();
        for _ in 0..5 {
            guesses.attempt("alice", there, Millis(0)).unwrap();
        }
        guesses.attempt("alice", there, Millis(0)).unwrap_err();
        guesses.was_right("alice", there);
        guesses.attempt("alice", there, Millis(0)).unwrap();
    }

    #[test]
    fn an_address_is_one_caller() {
        let origin = |text: &str| Origin::new(text.parse().unwrap());
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1"));
        assert_ne!(origin("2001:db8:0:1::1"), origin("2001:db8:0:2::1"));
        assert_eq!(origin("::ffff:192.0.2.7"), origin("192.0.2.7"));
        assert_ne!(origin("192.0.2.7"), origin("192.0.2.8"));
        assert!(origin("::1").is_loopback() && origin("127.0.0.1").is_loopback());
        assert!(!origin("::2").is_loopback());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_worst_is_kept() {
        let mut throttle = Throttle::new(PER_ACCOUNT);
        for _ in 0..5 {
            throttle.attempt(&usize::MAX, Millis(0)).unwrap();
        }
        for key in 0..ENTRIES_MAX + 100 {
            throttle.attempt(&key, Millis(1)).unwrap();
        }
        assert_eq!(throttle.entries.len(), ENTRIES_MAX);
        throttle.attempt(&usize::MAX, Millis(1)).unwrap_err();
    }

    #[test]
    fn a_wait_is_told_in_words() {
        for (millis, words) in [
            (1, "1 second"),
            (1_001, "2 seconds"),
            (119_000, "119 seconds"),
            (900_000, "15 minutes"),
        ] {
            assert_eq!(
                Wait(Millis(millis)).to_string(),
                format!("too many tries; wait {words} before the next one")
            );
        }
    }

    proptest! {
        /// However the tries are spread, no more get through in a time than the rule allows.
        #[test]
        fn no_pattern_gets_more_guesses(pauses in prop::collection::vec(0_u64..20_000, 1..400)) {
            let mut throttle = Throttle::new(PER_ACCOUNT);
            let (mut now, mut heard) = (Millis(0), 0);
            for pause in pauses {
                now = now + Millis(pause);
                heard += u32::from(throttle.attempt(&(), now).is_ok());
            }
            // The waits after the free tries add up to 2^n - 1 seconds for n more tries, until they reach the longest.
            let doubling = (now.0 / 1_000 + 1).ilog2().min(10);
            let longest = u32::try_from(now.0 / PER_ACCOUNT.longest.0).unwrap();
            prop_assert!(heard <= 5 + 1 + doubling + longest, "{heard} heard in {now:?}");
        }
    }
}
