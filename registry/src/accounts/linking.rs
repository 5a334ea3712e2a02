//! New devices that wait for the approval of a device of the same user. Pure: time and chance are arguments.
//!
//! The new device shows a code, and an old one approves it. Whoever approves is of the account already, so the code is no
//! secret that opens it: it tells this new device from another that asks at the same time. A code counts within its account only.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use super::{
    DeviceLabel,
    throttle::{Origin, PER_ACCOUNT, Throttle, Wait},
};
use crate::routes::{DeviceId, Millis};

/// How long a code can be approved.
pub const CODE_LIFETIME: Millis = Millis(10 * 60_000);

/// Devices that wait at the same time for one account, from one address, and at all.
const PER_ACCOUNT_MAX: usize = 8;
const PER_ORIGIN_MAX: usize = 16;
const WAITING_MAX: usize = 4_096;

/// Capital letters and digits without 0, 1, I and O.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const CODE_CHARS: usize = 8;
const CODES: u64 = 1 << (5 * CODE_CHARS);

/// A short code, shown as `ABCD-EFGH`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(u64);

/// A text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has {CODE_CHARS} letters and digits, such as ABCD-EFGH")]
pub struct NoCode;

impl Code {
    /// The code of these random bytes.
    pub fn new(random: [u8; 5]) -> Self {
        Self(random.iter().fold(0, |code, byte| code << 8 | u64::from(*byte)))
    }

    fn next(self) -> Self {
        Self((self.0 + 1) % CODES)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in (0..CODE_CHARS).rev() {
            let symbol = usize::try_from(self.0 >> (5 * place) & 31).unwrap_or_default();
            write!(f, "{}", char::from(ALPHABET[symbol]))?;
            if place == CODE_CHARS / 2 {
                f.write_str("-")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    /// A code that waits is nothing for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("code …")
    }
}

impl FromStr for Code {
    type Err = NoCode;

    /// Hyphens, spaces and case do not count.
    fn from_str(text: &str) -> Result<Self, NoCode> {
        let (mut code, mut chars) = (0, 0);
        for c in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            let symbol = ALPHABET
                .iter()
                .position(|symbol| char::from(*symbol) == c.to_ascii_uppercase());
            chars += 1;
            if chars > CODE_CHARS {
                return Err(NoCode);
            }
            code = code << 5 | symbol.ok_or(NoCode)? as u64;
        }
        if chars == CODE_CHARS {
            Ok(Self(code))
        } else {
            Err(NoCode)
        }
    }
}

/// A device that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub device: DeviceId,
    /// What it calls itself.
    pub label: DeviceLabel,
    /// Where it comes from.
    pub from: Origin,
    /// Until when.
    pub ends: Millis,
}

/// Why a device gets no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// As many wait for this user as may.
    #[error("{PER_ACCOUNT_MAX} new devices of this user wait for an approval already; try again in ten minutes")]
    Account,
    /// As many wait at this address as may.
    #[error("{PER_ORIGIN_MAX} new devices at your address wait for an approval already; try again in ten minutes")]
    Origin,
    /// As many wait as may.
    #[error("too many new devices wait for an approval; try again in ten minutes")]
    Registry,
}

/// Why a code is not approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// No device of this user waits with it.
    #[error("no new device of yours waits with this code: it is mistyped, or older than ten minutes")]
    Unknown,
    /// Too many wrong ones.
    #[error(transparent)]
    TooManyTries(#[from] Wait),
}

/// All devices that wait, by the key of the account's name and by code.
#[derive(Debug)]
pub struct Links {
    waiting: BTreeMap<(Arc<str>, Code), Waiting>,
    wrong: Throttle<Arc<str>>,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            wrong: Throttle::new(PER_ACCOUNT),
        }
    }
}

impl Links {
    /// The code of a device that wants to be one of the account's. One that asks again has the same code, and not longer;
    /// one that asks for another account waits there and no longer here.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn ask(
        &mut self,
        account: &str,
        device: DeviceId,
        label: DeviceLabel,
        from: Origin,
        random: [u8; 5],
        now: Millis,
    ) -> Result<(Code, Millis), NoRoom> {
        self.waiting.retain(|_, waiting| now < waiting.ends);
        let known = self.waiting.iter().find(|(_, waiting)| waiting.device == device);
        if let Some(((of, code), waiting)) = known {
            let key = (Arc::clone(of), *code);
            if **of == *account {
                return Ok((*code, waiting.ends));
            }
            self.waiting.remove(&key);
        }
        let of_account = self.waiting.keys().filter(|(of, _)| **of == *account).count();
        let of_origin = self.waiting.values().filter(|waiting| waiting.from == from).count();
        if of_account >= PER_ACCOUNT_MAX {
            return Err(NoRoom::Account);
        }
        if of_origin >= PER_ORIGIN_MAX {
            return Err(NoRoom::Origin);
        }
        if self.waiting.len() >= WAITING_MAX {
            return Err(NoRoom::Registry);
        }
        let account: Arc<str> = account.into();
        let mut key = (account, Code::new(random));
        // Ends soon: the account has fewer codes than PER_ACCOUNT_MAX.
        while self.waiting.contains_key(&key) {
            key.1 = key.1.next();
        }
        let (code, ends) = (key.1, now + CODE_LIFETIME);
        let waiting = Waiting {
            device,
            label,
            from,
            ends,
        };
        self.waiting.insert(key, waiting);
        Ok((code, ends))
    }

    /// Takes out the device with this code, which somebody of the account approves.
    ///
    /// # Errors
    /// [`NotApproved`].
    pub fn approve(&mut self, account: &str, code: Code, now: Millis) -> Result<Waiting, NotApproved> {
        let key = (Arc::from(account), code);
        self.wrong.attempt(&key.0, now)?;
        let waiting = self.waiting.remove(&key).filter(|waiting| now < waiting.ends);
        let waiting = waiting.ok_or(NotApproved::Unknown)?;
        self.wrong.clear(&key.0);
        Ok(waiting)
    }

    /// The device needs no approval any more.
    pub fn forget(&mut self, device: DeviceId) {
        self.waiting.retain(|_, waiting| waiting.device != device);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origin(last: u8) -> Origin {
        Origin::new([192, 0, 2, last].into())
    }

    fn ask(links: &mut Links, account: &str, device: u8, from: u8, now: u64) -> Result<Code, NoRoom> {
        let (device, label) = (DeviceId([device; 32]), DeviceLabel::new("laptop"));
        let asked = links.ask(account, device, label, origin(from), [7; 5], Millis(now));
        asked.map(|(code, _)| code)
    }

    #[test]
    fn a_code_is_approved_once_within_its_account_and_time() {
        let mut links = Links::default();
        let code = ask(&mut links, "alice", 1, 1, 0).unwrap();
        assert_eq!(ask(&mut links, "alice", 1, 1, 5), Ok(code), "one code per device");
        assert_eq!(links.approve("bob", code, Millis(0)), Err(NotApproved::Unknown));
        assert_eq!(
            links.approve("alice", code, Millis(9)).unwrap().device,
            DeviceId([1; 32])
        );
        assert_eq!(links.approve("alice", code, Millis(9)), Err(NotApproved::Unknown));

        let code = ask(&mut links, "alice", 2, 1, 0).unwrap();
        assert_eq!(links.approve("alice", code, CODE_LIFETIME), Err(NotApproved::Unknown));
    }

    #[test]
    fn the_same_random_bytes_make_different_codes_in_one_account() {
        let mut links = Links::default();
        let first = ask(&mut links, "alice", 1, 1, 0).unwrap();
        let second = ask(&mut links, "alice", 2, 1, 0).unwrap();
        assert_ne!(first, second);
        assert_eq!(
            links.approve("alice", second, Millis(0)).unwrap().device,
            DeviceId([2; 32])
        );
        assert_eq!(Code(CODES - 1).next(), Code(0));
    }

    #[test]
    fn a_device_that_asks_elsewhere_waits_only_there() {
        let mut links = Links::default();
        let code = ask(&mut links, "alice", 1, 1, 0).unwrap();
        let other = ask(&mut links, "bob", 1, 1, 0).unwrap();
        assert_eq!(links.approve("alice", code, Millis(0)), Err(NotApproved::Unknown));
        assert!(links.approve("bob", other, Millis(0)).is_ok());
    }

    #[test]
    fn those_who_wait_are_bounded_until_their_codes_end() {
        let mut links = Links::default();
        for device in 0..8 {
            ask(&mut links, "alice", device, 1, 0).unwrap();
            ask(&mut links, "bob", 100 + device, 1, 0).unwrap();
        }
        assert_eq!(ask(&mut links, "alice", 9, 2, 0), Err(NoRoom::Account));
        assert_eq!(ask(&mut links, "carol", 9, 1, 0), Err(NoRoom::Origin));
        assert!(ask(&mut links, "carol", 9, 2, 0).is_ok());
        assert!(ask(&mut links, "alice", 10, 1, CODE_LIFETIME.0).is_ok());
    }

    #[test]
    fn wrong_codes_are_heard_ever_more_rarely() {
        let mut links = Links::default();
        let right = ask(&mut links, "alice", 1, 1, 0).unwrap();
        for _ in 0..5 {
            assert_eq!(
                links.approve("alice", right.next(), Millis(0)),
                Err(NotApproved::Unknown)
            );
        }
        let refused = links.approve("alice", right, Millis(0));
        assert!(matches!(refused, Err(NotApproved::TooManyTries(_))), "{refused:?}");
        assert!(links.approve("alice", right, Millis(1_000)).is_ok());
    }

    proptest! {
        #[test]
        fn every_code_is_read_as_it_is_shown(random: [u8; 5]) {
            let code = Code::new(random);
            let shown = code.to_string();
            prop_assert_eq!(shown.len(), 9);
            prop_assert!(!shown.contains(['0', '1', 'I', 'O']));
            prop_assert_eq!(shown.parse(), Ok(code));
            prop_assert_eq!(shown.to_lowercase().replace('-', " ").parse(), Ok(code));
        }

        #[test]
        fn no_text_makes_the_reader_fall(text in "\\PC{0,20}") {
            if let Ok(code) = text.parse::<Code>() {
                prop_assert!(code.0 < CODES);
            }
        }
    }
}
