//! Ticks, and what the table tells this registry.

use std::{sync::Arc, time::Duration};

use redis::{RedisError, Value, aio::MultiplexedConnection};
use tokio::{
    select,
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tracing::{error, warn};

use super::{Place, RedisTable, Script, State, is_refused, random_name, words, words::News};
use crate::{
    engine::{EngineError, TICK},
    mailbox::StreamEnd,
    routes::{Change, Command, Effect, LeaseToken},
};

/// How long the server waits for news before it answers that there is none: less than an answer may take.
const WAIT: Duration = Duration::from_secs(1);

/// News that is read at once.
const READ_MAX: usize = 512;

/// How long the script fails at every tick before the table is given up. What is in it cannot be read then, so nobody is served, and
/// nothing that is lost could be used.
const DAMAGED: Duration = Duration::from_secs(5);

/// How long after a connection for news broke, or could not be made, another one is made.
const AGAIN: Duration = Duration::from_millis(250);

impl RedisTable {
    /// Lets time pass and passes on what is told, for ever.
    pub(crate) async fn work(&self) {
        select! {
            () = self.tick_for_ever() => {}
            () = self.read_for_ever() => {}
        }
    }

    async fn tick_for_ever(&self) {
        let mut ticks = interval(TICK);
        let mut fails_since = None;
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            select! {
                _ = ticks.tick() => {}
                () = self.hurry.notified() => {}
            }
            match self.tick().await {
                Ok(()) => {
                    fails_since = None;
                    self.pay().await;
                }
                Err(EngineError::Muddled) if fails_since.get_or_insert_with(Instant::now).elapsed() > DAMAGED => {
                    fails_since = None;
                    warn!("the table of leases seems to be damaged; another one begins, and all log in again");
                    if let Err(error) = self.link.give_up().await {
                        warn!(%error, "the damaged table of leases cannot be given up");
                    }
                }
                Err(EngineError::Muddled) => {}
                // The log says so elsewhere, once.
                Err(_) => fails_since = None,
            }
        }
    }

    /// Lets time pass, until nothing is left whose time is up, and looks which table it is.
    pub(super) async fn tick(&self) -> Result<(), EngineError> {
        loop {
            let place = self.place.borrow().clone();
            let reply = self
                .run_at(&place.node, words::words(["tick", &place.read.to_string()]))
                .await?;
            if *reply.epoch != *place.epoch {
                // In this order: a log-in that was of the former table either finds the new one here, or is found there.
                self.place.send_modify(|place| {
                    place.epoch = reply.epoch.as_str().into();
                    place.read = 0;
                });
                self.end_all_but(Some(&reply.epoch));
            } else if reply.told < place.read {
                // It was taken for gone, and its queue with it.
                self.start_anew()?;
            } else if reply.all {
                return Ok(());
            }
        }
    }

    /// Does what could not be done while the table did not answer. Nobody waits for an answer, so none of it waits for news: this is the
    /// task that would notice that the table is another one.
    async fn pay(&self) {
        loop {
            let next = self.lock().owed.next_revocation();
            let Some(device) = next else { break };
            if self.do_now(&Command::Revoke { device }).await.is_err() {
                self.lock().owed.revocation(device);
                return;
            }
        }
        loop {
            let next = self.lock().owed.next_lost();
            let Some(lease) = next else { break };
            // Where it fails the lease ends a little later.
            let _ = self.do_now(&Command::StreamLost { lease }).await;
        }
        loop {
            let next = self.lock().owed.next_renewal();
            let Some((lease, users)) = next else { break };
            match self.renew_now(lease, &users).await {
                Ok(()) => {}
                Err(refused) if is_refused(&refused) => self.end(lease, Some(StreamEnd::Failed(refused))),
                Err(_) => {
                    let mut state = self.lock();
                    // It may have ended meanwhile.
                    if state.local.contains_key(&lease) {
                        state.owed.renewal(lease, users);
                    }
                    return;
                }
            }
        }
    }

    /// Some news was lost: nobody here can know what he missed.
    fn start_anew(&self) -> Result<(), EngineError> {
        let node = random_name()?;
        self.end_all_but(None);
        self.place.send_modify(|place| {
            place.node = node;
            place.read = 0;
        });
        // Nothing is told to a registry that has not ticked.
        self.hurry.notify_one();
        Ok(())
    }

    async fn read_for_ever(&self) {
        let mut moved = self.place.subscribe();
        loop {
            match self.link.connect().await {
                Ok(connection) => {
                    if let Err(error) = self.read_from(connection, &mut moved).await {
                        self.reading.failed(Some(&error));
                    }
                }
                Err(error) => self.reading.failed(Some(&error)),
            }
            sleep(AGAIN).await;
        }
    }

    /// Reads until the connection breaks or there is nothing more to be had from it.
    async fn read_from(
        &self,
        mut connection: MultiplexedConnection,
        moved: &mut watch::Receiver<Place>,
    ) -> Result<(), RedisError> {
        loop {
            let place = moved.borrow_and_update().clone();
            let queue = format!("{}{}:q:{}", Script::PREFIX, place.epoch, place.node);
            let mut command = redis::cmd("XREAD");
            command
                .arg("COUNT")
                .arg(READ_MAX)
                .arg("BLOCK")
                .arg(WAIT.as_millis() as u64);
            command.arg("STREAMS").arg(queue).arg(format!("0-{}", place.read));
            let is_elsewhere = |now: &Place| (&now.epoch, &now.node) != (&place.epoch, &place.node);
            let answer = select! {
                answer = command.query_async::<Value>(&mut connection) => answer,
                // What it waits for will never come, and nothing can be called back: another connection reads elsewhere.
                _ = moved.wait_for(is_elsewhere) => return Ok(()),
            };
            let is_whole = match words::news(answer?) {
                Some(news) => self.pass_on(&place, news),
                None => {
                    error!("news of the table cannot be read; is it written by another version?");
                    false
                }
            };
            self.reading.answered();
            if !is_whole && self.start_anew().is_err() {
                return Ok(());
            }
        }
    }

    /// Passes news on. False where some of it is missing.
    fn pass_on(&self, place: &Place, news: Vec<(u64, News)>) -> bool {
        let mut read = place.read;
        for (number, news) in news {
            if number != read + 1 {
                return false;
            }
            if let News::TellAll(Change::Revoked { devices }) = &news {
                devices.iter().for_each(|device| (self.on_revoked)(Some(*device)));
            }
            self.lock().hear(news);
            read = number;
        }
        self.place.send_if_modified(|now| {
            let is_news = read != now.read && Arc::ptr_eq(&now.node, &place.node) && now.epoch == place.epoch;
            if is_news {
                now.read = read;
            }
            is_news
        });
        true
    }
}

impl State {
    fn hear(&mut self, news: News) {
        let effects = match news {
            News::Tell { to, change } => to.into_iter().map(|to| tell(to, &change)).collect(),
            News::TellAll(change) => self.local.keys().map(|to| tell(*to, &change)).collect(),
            News::Ended { lease, peer, end } => {
                self.forget(lease);
                vec![Effect::Ended { lease, peer, end }]
            }
            News::RoomCreated { room, by } => vec![Effect::RoomCreated { room, by }],
            News::RoomDismissed { room } => vec![Effect::RoomDismissed { room }],
            News::Said { note } => vec![Effect::Said { note }],
        };
        for lease in self.streams.carry_out(effects) {
            self.forget(lease);
            self.owed.lost(lease);
        }
    }
}

fn tell(to: LeaseToken, change: &Change) -> Effect {
    let change = change.clone();
    Effect::Tell { to, change }
}

#[cfg(test)]
mod tests {
    use peerchat_proto::names::UserName;

    use super::*;
    use crate::{engine::redis::Local, mailbox::QUEUE_MAX, routes::DeviceId};

    #[test]
    fn who_reads_too_slowly_is_not_renewed_by_what_was_owed_to_him() {
        let (lease, user) = (LeaseToken([1; 16]), UserName::new("alice").unwrap());
        let mut state = State::default();
        state.streams.begin(lease);
        let local = Local {
            epoch: None,
            device: DeviceId([1; 32]),
            user: user.clone(),
        };
        state.local.insert(lease, local);
        assert!(state.owed.renewal(lease, Vec::new()));
        let news = || News::TellAll(Change::Offline { user: user.clone() });
        (0..=QUEUE_MAX).for_each(|_| state.hear(news()));
        assert!(state.local.is_empty() && !state.streams.is_known(lease));
        assert_eq!(state.owed.next_lost(), Some(lease));
        assert_eq!(state.owed.next_renewal(), None);
    }
}
