//! The table of a registry that is one process: the lock, the clock and the mailboxes around the pure [`Routes`].

use std::sync::{Mutex, MutexGuard};

use peerchat_proto::names::UserName;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::info;

use crate::{
    engine::{EngineError, TICK, clock::TableClock, streams::Streams},
    mailbox::{Closed, Outbox, StreamEnd},
    routes::{Answer, Command, Effect, LeaseToken, Millis, Peer, Query, Refusal, Routes, Step, Told},
};

/// The shared state of all calls.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    routes: Routes,
    streams: Streams,
    clock: TableClock,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                routes: Routes::default(),
                streams: Streams::default(),
                clock: TableClock::new(Millis(0), Instant::now()),
            }),
        }
    }
}

impl Hub {
    /// Starts a lease of this name.
    pub(crate) fn log_in(&self, peer: Peer, token: LeaseToken) -> Result<(), EngineError> {
        let mut state = self.lock();
        if state.streams.is_closed() {
            return Err(EngineError::ShuttingDown);
        }
        let now = state.now();
        let command = Command::LogIn {
            peer: peer.clone(),
            token,
        };
        let step = state.routes.apply(command, now);
        state.carry_out(step, now)?;
        state.streams.begin(token);
        info!(user = %peer.user, device = %peer.device, address = %peer.address, "logged in");
        Ok(())
    }

    /// Opens the stream of a lease: renews it, and watches these users.
    pub(crate) fn open_stream(&self, lease: LeaseToken, users: Vec<UserName>) -> Result<(Outbox, Closed), EngineError> {
        let mut state = self.lock();
        if state.streams.is_closed() {
            return Err(EngineError::ShuttingDown);
        }
        // Before the renewal: a second stream is refused, so it must not keep the lease of a peer whose first one broke.
        if !state.streams.is_unopened(lease) && state.routes.is_lease(lease) {
            return Err(EngineError::StreamUsed);
        }
        let now = state.now();
        let step = state.routes.apply(Command::Renew { lease, users }, now);
        state.carry_out(step, now)?;
        state.streams.open(lease).ok_or(EngineError::StreamUsed)
    }

    /// Calls the table, and carries out what follows from it.
    pub(crate) fn call(&self, command: Command) -> Result<Answer, Refusal> {
        let mut state = self.lock();
        let now = state.now();
        let step = state.routes.apply(command, now);
        state.carry_out(step, now)
    }

    /// What the table has now.
    pub(crate) fn look(&self, query: &Query) -> Result<Told, Refusal> {
        let mut state = self.lock();
        let now = state.now();
        let effects = state.routes.expire(now);
        state.apply(effects, now);
        state.routes.look(query)
    }

    /// Takes note that a stream is over, for its watcher's part, and why if it is to be told.
    pub(crate) fn stream_lost(&self, lease: LeaseToken, why: Option<StreamEnd>) {
        let mut state = self.lock();
        let now = state.now();
        state.routes.stream_lost(lease, now);
        state.streams.end(lease, why);
    }

    /// Ends all streams and takes no more.
    pub(crate) fn close(&self) {
        self.lock().streams.close();
    }

    /// Whether it takes nobody any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().streams.is_closed()
    }

    /// Lets time pass, for ever.
    pub(crate) async fn tick(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut state = self.lock();
            let now = state.now();
            let effects = state.routes.expire(now);
            state.apply(effects, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no call panics while it holds the table")
    }
}

impl State {
    fn now(&mut self) -> Millis {
        self.clock.now(Instant::now())
    }

    fn carry_out<T>(&mut self, step: Step<T>, now: Millis) -> Result<T, Refusal> {
        self.apply(step.effects, now);
        step.answer
    }

    fn apply(&mut self, effects: Vec<Effect>, now: Millis) {
        for lease in self.streams.carry_out(effects) {
            self.routes.stream_lost(lease, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::Address,
        routes::{DeviceId, LeaseEnd, limits},
    };

    const LEASE: LeaseToken = LeaseToken([7; 16]);

    fn alice() -> Peer {
        Peer {
            user: UserName::new("alice").unwrap(),
            device: DeviceId([1; 32]),
            address: Address::new("127.0.0.1:1", None).unwrap(),
        }
    }

    #[tokio::test]
    async fn a_refused_second_stream_renews_nothing() {
        let hub = Hub::default();
        hub.log_in(alice(), LEASE).unwrap();
        let opened = hub.open_stream(LEASE, Vec::new()).unwrap();
        drop(opened);
        hub.stream_lost(LEASE, None);
        assert!(matches!(
            hub.open_stream(LEASE, Vec::new()),
            Err(EngineError::StreamUsed)
        ));

        let mut state = hub.lock();
        let over = state.now() + limits::STREAM_LOST;
        let effects = state.routes.expire(over);
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
        drop(state);
        let unknown = hub.open_stream(LEASE, Vec::new());
        assert!(matches!(unknown, Err(EngineError::Refused(Refusal::UnknownLease))));
    }

    #[tokio::test]
    async fn nobody_comes_in_once_it_is_closed() {
        let hub = Hub::default();
        hub.log_in(alice(), LEASE).unwrap();
        hub.close();
        assert!(matches!(hub.log_in(alice(), LEASE), Err(EngineError::ShuttingDown)));
        assert!(matches!(
            hub.open_stream(LEASE, Vec::new()),
            Err(EngineError::ShuttingDown)
        ));
    }
}
