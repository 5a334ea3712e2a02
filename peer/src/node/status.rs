//! How the registries and the links stand, for the user to see.

use super::{
    Millis, Node,
    breaker::BreakerState,
    limits::LINKS_MAX,
    link::{LinkState, Peer},
    registries::RegistryReport,
    types::{DeviceId, UserName},
};

/// A registry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryStatus {
    /// HOST:PORT.
    pub address: String,
    /// Whether it is left alone.
    pub state: BreakerState,
    /// This peer is logged in there.
    pub is_used: bool,
    /// Why it was not used when it was last tried.
    pub error: Option<String>,
    /// How many milliseconds ago the try was that has ended with that error.
    pub failed_ms_ago: Option<u64>,
    /// In how many milliseconds it is tried next. None where it is used, and where it is tried when another one fails.
    pub next_try_ms: Option<u64>,
    /// By how many milliseconds this machine's clock is ahead of its, where it is used; less than nothing where it is behind.
    pub clock_ahead_ms: Option<i64>,
}

impl RegistryStatus {
    /// What a report says at a time.
    pub fn of(report: &RegistryReport, now: Millis) -> Self {
        Self {
            address: report.address.clone(),
            state: report.state,
            is_used: report.is_used,
            error: report.error.clone(),
            failed_ms_ago: report.failed_at.map(|at| now.since(at)),
            next_try_ms: report.next_try.map(|at| at.since(now)),
            clock_ahead_ms: None,
        }
    }
}

/// Whether there is a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStanding {
    /// There is one.
    Up,
    /// The device is being dialled.
    Dialing,
    /// There is none, and the device is dialled again.
    Down,
}

impl LinkStanding {
    /// The standing as scripts see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Dialing => "dialing",
            Self::Down => "down",
        }
    }
}

/// The link to another device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStatus {
    /// Whose the device is.
    pub user: UserName,
    /// The device.
    pub device: DeviceId,
    /// HOST:PORT where it was last known to listen.
    pub address: Option<String>,
    /// Whether there is a link.
    pub standing: LinkStanding,
    /// Whether the device is left alone.
    pub state: BreakerState,
    /// In how many milliseconds it is dialled next, if it is.
    pub next_try_ms: Option<u64>,
    /// There is a link that the device has opened, and it could not be dialled.
    pub is_undialable: bool,
}

impl Node {
    /// The links that are open or wanted, sorted by user; of more than there may be, so many.
    pub fn link_states(&self, now: Millis) -> Vec<LinkStatus> {
        let state = |(device, peer): (&DeviceId, &Peer)| {
            let next = peer.breaker.next_try();
            let standing = match peer.link {
                LinkState::Up { .. } => LinkStanding::Up,
                LinkState::Dialing => LinkStanding::Dialing,
                LinkState::Down => next.map(|_| LinkStanding::Down)?,
            };
            Some(LinkStatus {
                user: peer.user.clone(),
                device: *device,
                address: peer.address.clone(),
                standing,
                state: peer.breaker.state(),
                next_try_ms: next.map(|at| at.since(now)),
                is_undialable: standing == LinkStanding::Up && peer.dial_failed,
            })
        };
        let mut states: Vec<LinkStatus> = self.peers.iter().filter_map(state).collect();
        states.sort_by(|a, b| (&a.user, &a.device).cmp(&(&b.user, &b.device)));
        states.truncate(LINKS_MAX);
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{
        Input, Liveness,
        event::Code,
        testing::{Alice, Other},
    };

    #[test]
    fn who_has_dialled_and_cannot_be_dialled_is_tried_once_more_and_told_of_once() {
        const BOB: Other = Other(2, "bob");
        let mut alice = Alice::joins(&[BOB]);
        alice.pass_until(1_000);
        alice.input(Input::DialFailed(BOB.device()));
        let before = alice.dialled.len();
        alice.link(BOB);
        assert_eq!(alice.dialled.len(), before + 1, "it may just have been starting");
        let undialable = |alice: &Alice| alice.node.link_states(Millis(1_000))[0].is_undialable;
        assert!(!undialable(&alice));
        alice.input(Input::DialFailed(BOB.device()));
        assert!(undialable(&alice));
        // The same with the next link.
        alice.unlink(BOB);
        alice.link(BOB);
        alice.input(Input::DialFailed(BOB.device()));
        assert!(undialable(&alice));
        assert_eq!(alice.notices(Code::CannotDial), 1);
    }

    #[test]
    fn a_revoked_device_is_dialled_no_more_and_not_shown() {
        let own = Other(1, "alice");
        let mut alice = Alice::joins(&[]);
        alice.input(Input::UserChanged(own.user(), Some(own.address()), Liveness::Here));
        alice.pass_until(1_000);
        alice.input(Input::DialRevoked(own.device()));
        alice.pass_until(80_000);
        assert_eq!(alice.dialled, [own.device()]);
        assert_eq!(alice.node.link_states(Millis(80_000)), []);
    }
}
