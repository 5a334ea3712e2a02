//! The one table of a running registry: the lock, the clock, the tokens and the mailboxes around the pure [`Routes`].

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use peerchat_proto::names::UserName;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::{
    mailbox::{Closed, Mailbox, Outbox, StreamEnd},
    routes::{AttemptOutcome, DeviceId, Effect, LeaseEnd, LeaseToken, Millis, Peer, Refusal, Routes, Step},
};

/// How often time passes in the table when nobody calls: how much later than due the others hear of a lost lease.
const TICK: Duration = Duration::from_millis(250);

/// The shared state of all calls.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    started: Instant,
    random: SystemRandom,
}

#[derive(Debug, Default)]
struct State {
    routes: Routes,
    /// One for every lease whose stream has not ended.
    mailboxes: BTreeMap<LeaseToken, Mailbox>,
    is_closed: bool,
}

/// Why a call could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    /// The table refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The lease's stream is open elsewhere or has ended.
    #[error("a lease has one stream, and this one's is open already or has ended; log in again")]
    StreamUsed,
    /// The system gave no random numbers for a token.
    #[error("the registry's system gives no random numbers; its operator must look into it")]
    NoRandomness,
    /// The registry shuts down.
    #[error("the registry is shutting down; log in again when it is back")]
    ShuttingDown,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            started: Instant::now(),
            random: SystemRandom::new(),
        }
    }

    /// Starts a lease and answers its token.
    pub(crate) fn log_in(&self, peer: Peer) -> Result<LeaseToken, HubError> {
        let mut token = LeaseToken([0; 16]);
        self.random.fill(&mut token.0).map_err(|_| HubError::NoRandomness)?;
        let mut state = self.lock();
        if state.is_closed {
            return Err(HubError::ShuttingDown);
        }
        let now = self.now();
        let step = state.routes.log_in(peer.clone(), token, now);
        let answer = state.carry_out(step, now);
        if answer.is_ok() {
            state.mailboxes.insert(token, Mailbox::new());
            info!(user = %peer.user, device = %peer.device, address = %peer.address, "logged in");
        }
        Ok(answer.map(|()| token)?)
    }

    /// Opens the stream of a lease: renews it, and watches these users.
    pub(crate) fn open_stream(&self, lease: LeaseToken, users: &[UserName]) -> Result<(Outbox, Closed), HubError> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(HubError::ShuttingDown);
        }
        // Before the renewal: a second stream is refused, so it must not keep the lease of a peer whose first one broke.
        let is_used = !state.mailboxes.get(&lease).is_some_and(Mailbox::is_unopened);
        if is_used && state.routes.is_lease(lease) {
            return Err(HubError::StreamUsed);
        }
        let now = self.now();
        let step = state.routes.renew(lease, users, now);
        state.carry_out(step, now)?;
        let mailbox = state.mailboxes.get_mut(&lease);
        mailbox.and_then(Mailbox::open).ok_or(HubError::StreamUsed)
    }

    /// Calls the table, and carries out what follows from it.
    pub(crate) fn call<T>(&self, act: impl FnOnce(&mut Routes, Millis) -> Step<T>) -> Result<T, Refusal> {
        let mut state = self.lock();
        let now = self.now();
        let step = act(&mut state.routes, now);
        state.carry_out(step, now)
    }

    /// The user whose lease a device holds by this token. Another device's lease is none.
    pub(crate) fn user_of(&self, lease: LeaseToken, device: DeviceId) -> Result<UserName, Refusal> {
        match self.lock().routes.who(lease)? {
            (holder, user) if holder == device => Ok(user),
            _ => Err(Refusal::UnknownLease),
        }
    }

    /// Which of these devices are live.
    pub(crate) fn live(&self, devices: impl Iterator<Item = DeviceId>) -> BTreeSet<DeviceId> {
        let state = self.lock();
        devices.filter(|device| state.routes.is_live(*device)).collect()
    }

    /// Whether a device has a lease.
    pub(crate) fn is_live(&self, device: DeviceId) -> bool {
        self.lock().routes.is_live(device)
    }

    /// Ends a device that was revoked, and tells everybody.
    pub(crate) fn revoke(&self, device: DeviceId) {
        let mut state = self.lock();
        let now = self.now();
        let effects = state.routes.revoke(device, now);
        state.apply(effects, now);
    }

    /// Tells a user's live devices that another one wanted to be one of them.
    pub(crate) fn tell_attempt(&self, user: &UserName, device: DeviceId, from: IpAddr, outcome: AttemptOutcome) {
        let mut state = self.lock();
        let now = self.now();
        let effects = state.routes.tell_attempt(user, device, from, outcome);
        state.apply(effects, now);
    }

    /// Takes note that a stream is over, for its watcher's part, and why if it is to be told.
    pub(crate) fn stream_lost(&self, lease: LeaseToken, why: Option<StreamEnd>) {
        let mut state = self.lock();
        let now = self.now();
        state.end_stream(lease, why, now);
    }

    /// Ends all streams and takes no more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        for (_, mailbox) in std::mem::take(&mut state.mailboxes) {
            mailbox.end(StreamEnd::ShuttingDown);
        }
    }

    /// Whether it takes nobody any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Lets time pass, for ever.
    pub(crate) async fn tick(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut state = self.lock();
            let now = self.now();
            let effects = state.routes.expire(now);
            state.apply(effects, now);
        }
    }

    /// How long the registry has been running.
    pub(crate) fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no call panics while it holds the table")
    }
}

impl State {
    fn carry_out<T>(&mut self, step: Step<T>, now: Millis) -> Result<T, Refusal> {
        self.apply(step.effects, now);
        step.answer
    }

    fn apply(&mut self, effects: Vec<Effect>, now: Millis) {
        for effect in effects {
            match effect {
                Effect::Tell { to, change } => {
                    if self.mailboxes.get(&to).is_some_and(|mailbox| !mailbox.push(change)) {
                        warn!(lease = ?to, "ended the stream of a peer that reads too slowly");
                        self.end_stream(to, Some(StreamEnd::TooSlow), now);
                    }
                }
                Effect::Ended { lease, peer, end } => self.lease_ended(lease, &peer, end),
                Effect::RoomCreated { room, by } => info!(room = %room, user = %by, "room created"),
                Effect::RoomDismissed { room } => info!(room = %room, "room dismissed"),
            }
        }
    }

    fn lease_ended(&mut self, lease: LeaseToken, peer: &Peer, end: LeaseEnd) {
        let what = match end {
            LeaseEnd::LoggedOut => "logged out",
            LeaseEnd::Lost => "lease lost",
            LeaseEnd::Replaced => "lease replaced",
            LeaseEnd::Revoked => "device revoked",
        };
        info!(user = %peer.user, device = %peer.device, "{what}");
        if let Some(mailbox) = self.mailboxes.remove(&lease) {
            mailbox.end(StreamEnd::Lease(end));
        }
    }

    fn end_stream(&mut self, lease: LeaseToken, why: Option<StreamEnd>, now: Millis) {
        self.routes.stream_lost(lease, now);
        if let Some(mailbox) = self.mailboxes.remove(&lease)
            && let Some(why) = why
        {
            mailbox.end(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::Address,
        routes::{DeviceId, limits},
    };

    fn alice() -> Peer {
        Peer {
            user: UserName::new("alice").unwrap(),
            device: DeviceId([1; 32]),
            address: Address::new("127.0.0.1:1", None).unwrap(),
        }
    }

    #[tokio::test]
    async fn a_refused_second_stream_renews_nothing() {
        let hub = Hub::new();
        let lease = hub.log_in(alice()).unwrap();
        let opened = hub.open_stream(lease, &[]).unwrap();
        drop(opened);
        hub.stream_lost(lease, None);
        assert!(matches!(hub.open_stream(lease, &[]), Err(HubError::StreamUsed)));

        let over = hub.now() + limits::STREAM_LOST;
        let effects = hub.lock().routes.expire(over);
        assert!(
            matches!(
                effects[..],
                [Effect::Ended {
                    end: LeaseEnd::Lost,
                    ..
                }]
            ),
            "{effects:?}"
        );
        let unknown = hub.open_stream(lease, &[]);
        assert!(matches!(unknown, Err(HubError::Refused(Refusal::UnknownLease))));
    }

    #[tokio::test]
    async fn nobody_comes_in_once_it_is_closed() {
        let hub = Hub::new();
        let lease = hub.log_in(alice()).unwrap();
        hub.close();
        assert!(matches!(hub.log_in(alice()), Err(HubError::ShuttingDown)));
        assert!(matches!(hub.open_stream(lease, &[]), Err(HubError::ShuttingDown)));
    }
}
