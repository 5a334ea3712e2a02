//! How registries and links stand, for scripts.

use super::object::{Link, Object, Registry};
use crate::node::{
    event::RegistryState,
    status::{LinkStatus, RegistryStatus},
};

/// The way to the registry changed.
pub(super) fn registry(state: &RegistryState) -> Object<'_> {
    let (state, reason, address) = match state {
        RegistryState::Hosting { address } => ("hosting", None, Some(address.as_str())),
        RegistryState::Connected { address } => ("connected", None, Some(address.as_str())),
        RegistryState::Lost { reason } | RegistryState::Barred { reason } => ("lost", Some(reason.as_str()), None),
    };
    Object::Registry { state, reason, address }
}

/// The answer to `/status`.
pub(super) fn object<'e>(registries: &'e [RegistryStatus], links: &'e [LinkStatus]) -> Object<'e> {
    let registry = |one: &'e RegistryStatus| Registry {
        address: &one.address,
        state: one.state.as_str(),
        in_use: one.is_used,
        error: one.error.as_deref(),
        next_try_ms: one.next_try_ms,
        clock_ahead_ms: one.clock_ahead_ms,
    };
    let link = |one: &'e LinkStatus| Link {
        user: one.user.shown(),
        device: one.device.to_string(),
        address: one.address.as_deref(),
        link: one.standing.as_str(),
        state: one.state.as_str(),
        next_try_ms: one.next_try_ms,
        undialable: one.is_undialable,
    };
    Object::Status {
        registries: registries.iter().map(registry).collect(),
        links: links.iter().map(link).collect(),
    }
}
