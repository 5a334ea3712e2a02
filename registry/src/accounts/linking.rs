//! New devices that wait for the approval of a device of the same user. Pure: time and chance are arguments.
//!
//! The new device shows a code, and an old one approves it. Whoever approves is of the account already, so the code is no
//! secret that opens it: it tells this new device from another that asks at the same time. A code counts within its account only.
//!
//! Where several registries are one site, a device waits at the one that it asked; the others pass approvals on to it.
//!
//! A device that asks again, as it does after its connection broke, has the same code; of its requests only the latest one waits,
//! so that the end of an earlier one takes nothing from it.

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

/// One request for a code, and the code that it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    account: Arc<str>,
    /// The code.
    pub code: Code,
    /// Until when it can be approved.
    pub ends: Millis,
    number: u64,
}

/// A device that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub device: DeviceId,
    /// The number of its latest request.
    number: u64,
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
    requests: u64,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            wrong: Throttle::new(PER_ACCOUNT),
            requests: 0,
        }
    }
}

impl Links {
    /// A code for a device that wants to be one of the account's. One that asks again has the same code, and not longer;
    /// one that asks for another account waits there and no longer here. In either case its earlier request waits no longer.
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
    ) -> Result<Ticket, NoRoom> {
        self.waiting.retain(|_, waiting| now < waiting.ends);
        self.requests += 1;
        let number = self.requests;
        let known = self.waiting.iter_mut().find(|(_, waiting)| waiting.device == device);
        if let Some(((of, code), waiting)) = known {
            let (account_before, code) = (Arc::clone(of), *code);
            if *account_before == *account {
                waiting.number = number;
                return Ok(Ticket {
                    account: account_before,
                    code,
                    ends: waiting.ends,
                    number,
                });
            }
            self.waiting.remove(&(account_before, code));
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
        let ends = now + CODE_LIFETIME;
        let waiting = Waiting {
            device,
            number,
            label,
            from,
            ends,
        };
        let ticket = Ticket {
            account: Arc::clone(&key.0),
            code: key.1,
            ends,
            number,
        };
        self.waiting.insert(key, waiting);
        Ok(ticket)
    }

    /// Whether a request still waits: its device was not approved, did not ask again, and did not give up.
    pub fn waits(&self, ticket: &Ticket) -> bool {
        let key = (Arc::clone(&ticket.account), ticket.code);
        let waiting = self.waiting.get(&key);
        waiting.is_some_and(|waiting| waiting.number == ticket.number)
    }

    /// The device with this code, which somebody of the account approves. It goes on waiting until it is
    /// [forgotten](Links::forget), so that a code is not lost where approving it fails.
    ///
    /// # Errors
    /// [`NotApproved`].
    pub fn approve(&mut self, account: &str, code: Code, now: Millis) -> Result<Waiting, NotApproved> {
        let key = (Arc::from(account), code);
        self.wrong.attempt(&key.0, now)?;
        let waiting = self.waiting.get(&key).filter(|waiting| now < waiting.ends);
        let waiting = waiting.ok_or(NotApproved::Unknown)?;
        self.wrong.clear(&key.0);
        Ok(waiting.clone())
    }

    /// The device of an account that waits with a code of which this is known. Counts nothing.
    pub fn find(&self, account: &str, is_it: impl Fn(Code) -> bool, now: Millis) -> Option<Waiting> {
        let of_account = (Arc::from(account), Code(0))..=(Arc::from(account), Code(CODES));
        let mut waiting = self.waiting.range(of_account).filter(|(_, waiting)| now < waiting.ends);
        waiting
            .find(|((_, code), _)| is_it(*code))
            .map(|(_, waiting)| waiting.clone())
    }

    /// Counts a code that somebody of the account has tried elsewhere.
    ///
    /// # Errors
    /// There is a wait for it already, and it is not counted.
    pub fn count_wrong(&mut self, account: &str, now: Millis) -> Result<(), Wait> {
        self.wrong.attempt(&account.into(), now)
    }

    /// A code that somebody of the account has tried was right after all.
    pub fn was_right(&mut self, account: &str) {
        self.wrong.clear(&account.into());
    }

    /// Whoever made this request waits no longer. A later one of the same device does.
    pub fn give_up(&mut self, ticket: &Ticket) {
        if self.waits(ticket) {
            self.waiting.remove(&(Arc::clone(&ticket.account), ticket.code));
        }
    }

    /// Nobody waits any more.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The device needs no approval any more.
    pub fn forget(&mut self, device: DeviceId) {
        self.waiting.retain(|_, waiting| waiting.device != device);
    }
}

#[cfg(test)]
#[path = "linking_tests.rs"]
mod tests;
