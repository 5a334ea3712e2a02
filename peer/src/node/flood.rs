//! How much of a device's entries is taken: an allowance that use takes away and time gives back.
//!
//! A member may write without end, and whoever takes all of it fills his disk. So every peer keeps an account of each device and
//! counts in bytes what its entries cost here. Over the allowance nothing is refused for good: the device's live entries are passed
//! over, as if lost on the way, and are lacking from then on like anything else, so that they are pulled when a part of the
//! allowance is back. Until half of it is back they come by pulls alone: what comes live would use it up before what is lacking.

use std::collections::BTreeMap;

use super::{
    Millis,
    limits::{
        FLOOD_ACCOUNTS_MAX, FLOOD_AUTHOR_BYTES, FLOOD_BACK_BYTES, FLOOD_BURST_BYTES, FLOOD_BYTES_PER_MS,
        FLOOD_ENTRY_BYTES,
    },
    types::{DeviceId, Entry},
};

/// What has been used of one device's allowance.
#[derive(Debug, Clone, Copy)]
struct Account {
    /// So much, at `at`.
    used: u64,
    at: Millis,
    /// It was over, and half is not back yet.
    flooding: bool,
}

/// The accounts of all devices.
#[derive(Debug, Default)]
pub struct Flood {
    accounts: BTreeMap<DeviceId, Account>,
    /// Devices that went over their allowance, with the time until which nothing of them is taken.
    over: BTreeMap<DeviceId, Millis>,
}

/// Whether an entry may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may, and is charged.
    Within,
    /// Not now, and by a pull: its device is over its allowance, or too much of its author's has no seal.
    Pull,
    /// It may not.
    Over {
        /// Before this time nothing of the device is taken.
        until: Millis,
        /// It is the first one of this flood.
        news: bool,
    },
}

/// What taking an entry costs. `is_another` where it is the first one of an author whose device has another one in the conversation:
/// everybody may say hello everywhere.
pub fn cost(entry: &Entry, is_another: bool) -> u64 {
    let author = if is_another { FLOOD_AUTHOR_BYTES } else { 0 };
    entry.bytes.len() as u64 + FLOOD_ENTRY_BYTES + author
}

impl Flood {
    /// Whether anything of a device that comes live or by a pull may be taken now. For asking nothing is charged.
    pub fn check(&mut self, device: &DeviceId, live: bool, now: Millis) -> Verdict {
        if let Some(&until) = self.over.get(device) {
            if now < until {
                return Verdict::Over { until, news: false };
            }
            self.over.remove(device);
        }
        match self.accounts.get_mut(device) {
            Some(account) => {
                account.give_back(now);
                if live && account.flooding {
                    Verdict::Pull
                } else {
                    Verdict::Within
                }
            }
            None => Verdict::Within,
        }
    }

    /// Charges a device with an entry of this cost that came live or by a pull, if its allowance has room for it.
    pub fn charge(&mut self, device: DeviceId, cost: u64, live: bool, now: Millis) -> Verdict {
        let verdict = self.check(&device, live, now);
        if verdict != Verdict::Within {
            return verdict;
        }
        if self.accounts.len() >= FLOOD_ACCOUNTS_MAX && !self.accounts.contains_key(&device) {
            self.make_room(now);
        }
        let account = self.accounts.entry(device).or_insert(Account {
            used: 0,
            at: now,
            flooding: false,
        });
        let used = account.used.saturating_add(cost);
        if used <= FLOOD_BURST_BYTES {
            account.used = used;
            return Verdict::Within;
        }
        let too_much = account.used.saturating_sub(FLOOD_BURST_BYTES - FLOOD_BACK_BYTES);
        let until = now.plus(too_much.div_ceil(FLOOD_BYTES_PER_MS).max(1));
        let news = !std::mem::replace(&mut account.flooding, true);
        self.over.insert(device, until);
        Verdict::Over { until, news }
    }

    /// Whether nothing of a device is taken now.
    pub fn is_over(&self, device: &DeviceId, now: Millis) -> bool {
        self.over.get(device).is_some_and(|until| now < *until)
    }

    /// Whether a device was over its allowance and has not half of it back.
    pub fn is_flooding(&self, device: &DeviceId) -> bool {
        self.accounts.get(device).is_some_and(|account| account.flooding)
    }

    /// When the next of the devices that are over may be taken from again.
    pub fn next_end(&self, now: Millis) -> Option<Millis> {
        self.over.values().copied().filter(|until| now < *until).min()
    }

    fn make_room(&mut self, now: Millis) {
        self.accounts.retain(|_, account| {
            account.give_back(now);
            account.used > FLOOD_BURST_BYTES / 2
        });
        // So many real floods at once cannot be told from one another: better begin anew than keep account of nobody.
        if self.accounts.len() >= FLOOD_ACCOUNTS_MAX {
            self.accounts.clear();
        }
        let accounts = &self.accounts;
        self.over.retain(|device, _| accounts.contains_key(device));
    }
}

impl Account {
    fn give_back(&mut self, now: Millis) {
        let back = now.since(self.at).saturating_mul(FLOOD_BYTES_PER_MS);
        self.used = self.used.saturating_sub(back);
        self.at = now;
        self.flooding &= self.used > FLOOD_BURST_BYTES / 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEVICE: DeviceId = DeviceId([1; 32]);
    const SHORT: u64 = 150 + FLOOD_ENTRY_BYTES;

    fn device(n: u32) -> DeviceId {
        let mut device = [0; 32];
        device[..4].copy_from_slice(&n.to_be_bytes());
        DeviceId(device)
    }

    /// Uses up a device's allowance; when it has a part of it back, and whether that was news.
    fn use_up(flood: &mut Flood, cost: u64, now: Millis) -> (Millis, bool) {
        loop {
            if let Verdict::Over { until, news } = flood.charge(DEVICE, cost, false, now) {
                return (until, news);
            }
        }
    }

    #[test]
    fn four_million_short_messages_pass_at_once_and_two_thousand_a_second_for_ever() {
        let mut flood = Flood::default();
        let mut pass = |ms| assert_eq!(flood.charge(DEVICE, SHORT, true, Millis(ms)), Verdict::Within);
        (0..4_000_000).for_each(|_| pass(0));
        (0..4_000_000).for_each(|n| pass(n / 2));
    }

    #[test]
    fn a_room_cannot_be_filled_with_authors_by_one_device_in_a_week() {
        let mut flood = Flood::default();
        let (mut now, mut passed) = (Millis(0), 0);
        while now < Millis(7 * 24 * 3_600_000) {
            match flood.charge(DEVICE, FLOOD_AUTHOR_BYTES + SHORT, false, now) {
                Verdict::Over { until, .. } => now = until,
                _ => passed += 1,
            }
        }
        assert!((100..super::super::limits::AUTHORS_MAX).contains(&passed), "{passed}");
    }

    #[test]
    fn over_the_allowance_nothing_passes_until_a_part_is_back_and_others_do_not_suffer() {
        let mut flood = Flood::default();
        let (until, news) = use_up(&mut flood, FLOOD_AUTHOR_BYTES, Millis(0));
        assert!(news);
        let before = Millis(until.0 - 1);
        let over = Verdict::Over { until, news: false };
        assert_eq!(flood.charge(DEVICE, 1, false, before), over);
        assert!(flood.is_over(&DEVICE, before) && !flood.is_over(&DEVICE, until));
        assert_eq!(flood.next_end(before), Some(until));
        assert_eq!(flood.charge(device(7), SHORT, true, before), Verdict::Within);
        assert_eq!(flood.charge(DEVICE, SHORT, true, until), Verdict::Pull);
        assert_eq!(flood.charge(DEVICE, FLOOD_AUTHOR_BYTES, false, until), Verdict::Within);
        assert_eq!(flood.next_end(until), None);
        let (until, news) = use_up(&mut flood, FLOOD_AUTHOR_BYTES, until);
        assert!(!news, "the same flood goes on");
        let half = FLOOD_BURST_BYTES / 2 / FLOOD_BYTES_PER_MS;
        let (_, news) = use_up(&mut flood, FLOOD_AUTHOR_BYTES, until.plus(half));
        assert!(news, "another one");
        let later = until.plus(3 * half);
        assert_eq!(flood.charge(DEVICE, SHORT, true, later), Verdict::Within);
    }

    #[test]
    fn accounts_have_a_limit_and_a_flood_is_not_forgotten_for_it() {
        let mut flood = Flood::default();
        let (until, _) = use_up(&mut flood, FLOOD_AUTHOR_BYTES, Millis(0));
        for n in 0..3 * FLOOD_ACCOUNTS_MAX as u32 {
            assert_eq!(flood.charge(device(n), SHORT, true, Millis(0)), Verdict::Within);
            assert!(flood.accounts.len() <= FLOOD_ACCOUNTS_MAX);
        }
        let over = Verdict::Over { until, news: false };
        assert_eq!(flood.charge(DEVICE, 1, false, Millis(0)), over);
    }

    proptest! {
        #[test]
        fn never_more_passes_than_the_burst_and_what_time_gives_back(
            charges in prop::collection::vec((0..1_000_u64, 1..FLOOD_AUTHOR_BYTES + 200_000, any::<bool>()), 1..1_000),
        ) {
            let mut flood = Flood::default();
            let (mut now, mut passed) = (Millis(0), 0);
            for (wait, cost, live) in charges {
                now = now.plus(wait);
                match flood.charge(DEVICE, cost, live, now) {
                    Verdict::Within => passed += cost,
                    Verdict::Pull => prop_assert!(live),
                    Verdict::Over { until, .. } => prop_assert!(until > now),
                }
                prop_assert!(passed <= FLOOD_BURST_BYTES + FLOOD_BYTES_PER_MS * now.0);
            }
        }
    }
}
