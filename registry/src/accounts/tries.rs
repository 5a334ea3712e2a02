//! Tries that count at all registries of a site, whichever heard them. Pure.

use std::sync::Arc;

use super::throttle::Origin;

/// What was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A password of the account with this key, from there.
    Password(Arc<str>, Origin),
    /// A new name, from there.
    NewName(Origin),
    /// An approval code, by the account with this key.
    Code(Arc<str>),
}

/// A try that one registry has counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What.
    pub what: What,
    /// It was counted before, and has turned out to be right.
    pub was_right: bool,
}

impl Tried {
    /// One that is counted.
    pub fn counted(what: What) -> Self {
        Self { what, was_right: false }
    }

    /// One that was right.
    pub fn right(what: What) -> Self {
        Self { what, was_right: true }
    }
}
