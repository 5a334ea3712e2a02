//! Which registry of a list a peer uses.
//!
//! Any of them will do. The one that works is used for as long as it does. When it fails the others are tried at once, first those that
//! have not failed, and only when all have failed is there a pause. The first of the list is where the user wants to be: whoever uses
//! another one looks from time to time whether the first is back, and moves there when it has been back for a while. That while is
//! another one for each peer, so that a registry that was restarted is not asked by all at once. Which one is first may be the user's choice,
//! or [another one for each device](spread).

mod spread;

pub use self::spread::spread;
use super::{
    Millis,
    breaker::{Breaker, BreakerState, Waits},
    limits::{
        HOME_AFTER_MS, HOME_LOOK_MS, REGISTRY_LASTING_MS, REGISTRY_RETRY_MS_MAX, REGISTRY_RETRY_MS_MIN, UNWILLING_MS,
    },
};

/// How long a registry is left alone that has failed.
const RETRY: Waits = Waits {
    // The first wait is twice this.
    first_ms: REGISTRY_RETRY_MS_MIN / 2,
    longest_ms: REGISTRY_RETRY_MS_MAX,
};

/// Place of the registry that the user wants to be at.
const FIRST: usize = 0;

/// The registries of a list.
#[derive(Debug)]
pub struct Registries {
    list: Vec<One>,
    used: Option<Used>,
}

#[derive(Debug)]
struct One {
    address: String,
    breaker: Breaker,
    /// Why it was not used when it was last tried, and when that was.
    error: Option<(String, Millis)>,
    /// It was there and could not do what it was asked: until then it is not taken for one that can.
    unwilling_until: Option<Millis>,
}

#[derive(Debug)]
struct Used {
    place: usize,
    since: Millis,
    /// Where it is not the first one.
    away: Option<Away>,
}

#[derive(Debug)]
struct Away {
    /// When to look at the first one again; none while somebody looks.
    look_at: Option<Millis>,
    /// When to move there, if it is still there then.
    move_at: Option<Millis>,
}

/// What to do without a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try the one at this place.
    Try(usize),
    /// All have failed: none is tried before this time.
    Wait(Millis),
}

/// What to do about the first registry while another one is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// See whether it is there.
    See,
    /// Move there.
    Move,
}

/// A registry as it is to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryReport {
    /// HOST:PORT.
    pub address: String,
    /// Whether it is left alone.
    pub state: BreakerState,
    /// This peer is logged in there.
    pub is_used: bool,
    /// Why it was not used when it was last tried.
    pub error: Option<String>,
    /// When that was.
    pub failed_at: Option<Millis>,
    /// When it is tried next, if that is known: while another one is used, only the first of the list is looked at.
    pub next_try: Option<Millis>,
    /// It was there and could not do what it was asked: until then it is not taken for one that can.
    pub unwilling_until: Option<Millis>,
}

/// Whether one that is not used is known to work, or at least to nobody not to: whoever uses one that is there and cannot do what it is
/// asked goes there, and stays where he is if there is none.
pub fn works_elsewhere(all: &[RegistryReport], now: Millis) -> bool {
    let works = |one: &RegistryReport| {
        one.state == BreakerState::Closed && one.error.is_none() && one.unwilling_until.is_none_or(|until| until <= now)
    };
    all.iter().any(|one| !one.is_used && works(one))
}

impl Registries {
    /// None of them was tried yet. There must be one.
    pub fn new(addresses: impl IntoIterator<Item = String>) -> Self {
        let one = |address| One {
            address,
            breaker: Breaker::new(RETRY),
            error: None,
            unwilling_until: None,
        };
        Self {
            list: addresses.into_iter().map(one).collect(),
            used: None,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Where the one at a place is.
    pub fn address(&self, place: usize) -> &str {
        &self.list[place].address
    }

    /// The place of the one that is used.
    pub fn used(&self) -> Option<usize> {
        self.used.as_ref().map(|used| used.place)
    }

    /// The places of those that are not used.
    pub fn others(&self) -> impl Iterator<Item = usize> {
        let used = self.used();
        (0..self.list.len()).filter(move |place| Some(*place) != used)
    }

    /// What to do where none is used.
    pub fn next(&self, now: Millis) -> Next {
        let mut admitted = (0..self.list.len()).filter(|place| self.list[*place].breaker.admits(now));
        let is_closed = |place: &usize| self.list[*place].breaker.state() == BreakerState::Closed;
        match admitted.clone().find(is_closed).or_else(|| admitted.next()) {
            Some(place) => Next::Try(place),
            None => {
                let due = self.list.iter().filter_map(|one| one.breaker.next_try()).min();
                Next::Wait(due.unwrap_or(now))
            }
        }
    }

    /// Somebody tries to log in at one, or looks whether it is there.
    pub fn tries(&mut self, place: usize) {
        self.list[place].breaker.tries();
        if let Some(away) = self.away().filter(|_| place == FIRST) {
            away.look_at = None;
        }
    }

    /// The try has ended without an answer, for reasons that are not the registry's.
    pub fn gives_up(&mut self, place: usize, now: Millis) {
        self.list[place].breaker.gives_up(now);
    }

    /// It let this peer in: it is used from now on.
    pub fn lets_in(&mut self, place: usize, now: Millis, rng: &mut fastrand::Rng) {
        let one = &mut self.list[place];
        one.breaker.answers();
        one.error = None;
        self.used = Some(Used {
            place,
            since: now,
            away: (place != FIRST).then(|| Away {
                look_at: Some(look_at(now, rng)),
                move_at: None,
            }),
        });
    }

    /// It could not be used, for this reason.
    pub fn fails(&mut self, place: usize, error: String, now: Millis, rng: &mut fastrand::Rng) {
        let one = &mut self.list[place];
        one.breaker.fails(now, rng);
        one.error = Some((error, now));
        if let Some(away) = self.away().filter(|_| place == FIRST) {
            (away.look_at, away.move_at) = (Some(look_at(now, rng)), None);
        }
    }

    /// The one that was used is away, for this reason.
    pub fn breaks(&mut self, error: String, now: Millis, rng: &mut fastrand::Rng) {
        let Some(used) = self.used.take() else { return };
        // What others have begun meanwhile ends with the session.
        for one in &mut self.list {
            one.breaker.gives_up(now);
        }
        let one = &mut self.list[used.place];
        if now.since(used.since) > REGISTRY_LASTING_MS {
            one.breaker.works();
        }
        one.breaker.fails(now, rng);
        one.error = Some((error, now));
    }

    /// The one that is used is there, and cannot do what it is asked.
    pub fn is_unwilling(&mut self, now: Millis, rng: &mut fastrand::Rng) {
        if let Some(place) = self.used() {
            let half = UNWILLING_MS / 2;
            self.list[place].unwilling_until = Some(now.plus(half + rng.u64(..=half)));
        }
    }

    /// Somebody has looked at one that is not used, and it is there.
    pub fn is_there(&mut self, place: usize, now: Millis, rng: &mut fastrand::Rng) {
        let one = &mut self.list[place];
        one.breaker.works();
        one.error = None;
        let until = one.unwilling_until;
        if let Some(away) = self.away().filter(|_| place == FIRST) {
            let half = HOME_AFTER_MS / 2;
            let move_at = *away
                .move_at
                .get_or_insert_with(|| now.plus(half + rng.u64(..=half)).max(until.unwrap_or_default()));
            away.look_at = Some(look_at(now, rng).min(move_at.max(now)));
        }
    }

    /// When to look at the first one again.
    pub fn look_at(&self) -> Option<Millis> {
        self.used.as_ref()?.away.as_ref()?.look_at
    }

    /// What to do with the first one now, if it is time for anything.
    pub fn look(&self, now: Millis) -> Option<Look> {
        let away = self.used.as_ref()?.away.as_ref()?;
        away.look_at.filter(|at| *at <= now)?;
        let is_time = away.move_at.is_some_and(|at| at <= now);
        Some(if is_time { Look::Move } else { Look::See })
    }

    /// All of them, to be shown.
    pub fn report(&self) -> Vec<RegistryReport> {
        let used = self.used();
        let report = |(place, one): (usize, &One)| {
            let (error, failed_at) = one.error.clone().unzip();
            RegistryReport {
                address: one.address.clone(),
                state: one.breaker.state(),
                is_used: used == Some(place),
                error,
                failed_at,
                unwilling_until: one.unwilling_until,
                next_try: match used {
                    None => one.breaker.next_try(),
                    Some(_) if place == FIRST => self.look_at(),
                    Some(_) => None,
                },
            }
        };
        self.list.iter().enumerate().map(report).collect()
    }

    fn away(&mut self) -> Option<&mut Away> {
        self.used.as_mut()?.away.as_mut()
    }
}

fn look_at(now: Millis, rng: &mut fastrand::Rng) -> Millis {
    now.plus(HOME_LOOK_MS / 2 + rng.u64(..=HOME_LOOK_MS / 2))
}

#[cfg(test)]
mod tests;
