//! Who owns which name: accounts, their devices, passwords and invites. This is what a registry must not forget.
//!
//! From the inside out: [`rules`] decides who gets in; [`throttle`] how often somebody may guess; [`linking`] keeps the new
//! devices that wait for the approval of an old one; [`tries`] is what all registries of a site count; [`importing`] is about accounts that another registry had; [`looks`]
//! tells which names look alike; all six are pure. [`password`] and [`invite`] are secrets and how they
//! are stored; [`begun`] is the mark that says which accounts there must be; [`store`] is the database, to which [`change`]s are made. [`Accounts`] puts them together.

pub mod begun;
pub mod change;
#[cfg(test)]
mod decided_tests;
pub mod decider;
mod desk;
pub mod importing;
pub mod invite;
pub mod linking;
pub mod looks;
#[cfg(test)]
mod outage_tests;
pub mod password;
mod recall;
pub mod rules;
pub mod store;
pub mod throttle;
pub mod tries;

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use desk::{AccountError, Accounts, Admission, Arrival, Asked, Policy};

use crate::routes::Millis;

/// The most characters of a device's label.
pub const LABEL_CHARS_MAX: usize = 64;

/// A point in time in whole seconds since 1970, which is the same after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(pub u64);

impl WallTime {
    /// By the system's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(since.unwrap_or_default().as_secs())
    }

    /// So much later.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()))
    }

    /// So much earlier.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_secs()))
    }
}

/// Now, by both clocks: waits must not depend on somebody who sets the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// What is stored.
    pub wall: WallTime,
    /// How long the registry has been running.
    pub running: Millis,
}

/// What a device calls itself, for its user to tell his devices apart. Anything a caller says becomes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLabel(String);

impl DeviceLabel {
    /// The part of a text that can be shown on one line.
    pub fn new(text: &str) -> Self {
        let shown = |c: &char| !c.is_control() && (!c.is_whitespace() || *c == ' ') && !turns_the_line(*c);
        let label: String = text.trim().chars().filter(shown).take(LABEL_CHARS_MAX).collect();
        Self(label.trim().to_owned())
    }

    /// The label as text; it may be empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters that change the direction of what follows, or cannot be seen.
fn turns_the_line(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_label_is_one_short_line(text in any::<String>()) {
            let label = DeviceLabel::new(&text);
            prop_assert!(label.as_str().chars().count() <= LABEL_CHARS_MAX);
            prop_assert!(!label.as_str().chars().any(char::is_control));
            prop_assert_eq!(DeviceLabel::new(label.as_str()), label);
        }
    }

    #[test]
    fn a_label_keeps_what_can_be_read() {
        let cases = [
            ("  my laptop\n", "my laptop"),
            ("\u{1b}[31mred\u{202e}", "[31mred"),
            ("Büro 2", "Büro 2"),
            ("", ""),
        ];
        for (text, label) in cases {
            assert_eq!(DeviceLabel::new(text).as_str(), label);
        }
    }
}
