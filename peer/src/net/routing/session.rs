//! One log-in: its lease is renewed, what the registry tells is passed on, and it is asked questions. Where it is not at the first
//! registry of the list, that one is looked at from time to time, and moved to.

use std::{collections::BTreeSet, time::Duration};

use peerchat_identity::Fingerprint;
use peerchat_proto::v1 as wire;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::{
    LoginError, Question,
    between::Queued,
    calls::{told, unanswered},
    client::Client,
    login::{self, Session},
    recognise::recognise,
    survey,
    worker::{Left, Worker},
};
use crate::{
    driver::ports::ORDERS_MAX,
    node::{
        Ask, Input,
        limits::{FAILOVER_MS_MAX, FAILOVER_QUESTIONS_MAX, WATCHED_MAX},
        registries::Look,
        types::UserName,
    },
};

/// How often it is looked whether the certificate is to be renewed.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(1);

/// How long what a registry is asked may take that is being left for the first one of the list.
const MOVE_PATIENCE: Duration = Duration::from_secs(1);

/// How a session has ended.
pub(super) enum End {
    /// The peer ends, and has logged out.
    Over,
    /// The registry is away.
    Broke,
    /// This peer is logged in at the first registry of the list.
    Moved(Box<Session>),
}

/// What has come of looking at a registry that is not used.
pub(super) enum Looked {
    /// At this place: which one it is.
    Seen(usize, Result<Option<Fingerprint>, LoginError>),
    /// At the first one: the way in.
    Moved(Result<Box<Session>, LoginError>),
}

/// What goes on beside the session.
struct Beside {
    looks: JoinSet<Looked>,
    is_moving: bool,
    /// Why the session is over, though there may soon be another one.
    broken: Option<(String, Instant)>,
    /// Questions that nobody takes any more.
    late: Vec<Queued>,
    watched: BTreeSet<UserName>,
}

impl Client {
    /// Renews and listens until the registry is away, the peer ends, or it has moved.
    pub(super) async fn session(&mut self, mut session: Session) -> End {
        let every = Duration::from_millis(u64::from(session.lease_ms / 3).max(1));
        let mut renew = interval_at(Instant::now() + every, every);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut certificate = interval_at(Instant::now() + CERTIFICATE_LOOK, CERTIFICATE_LOOK);
        certificate.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (calls, queue) = mpsc::channel(ORDERS_MAX);
        // Before what the node asks when it hears of the registry, which is later news.
        for queued in self.between.end() {
            // There is room for more than may wait.
            let _room = calls.try_send(queued);
        }
        let stop = CancellationToken::new();
        let worker = Worker::new(self.net.clone(), &session, self.watch_states(), stop.clone());
        let mut worker: JoinHandle<Left> = self.net.tasks.spawn(worker.run(queue));
        let mut left: Option<Vec<Queued>> = None;
        let up = Input::RegistryUp {
            hosting: self.hosted.is_some(),
            address: session.address.clone(),
            authority: session.authority,
        };
        self.net.tell(up).await;
        let mut beside = Beside {
            looks: JoinSet::new(),
            is_moving: false,
            broken: None,
            late: Vec::new(),
            watched: BTreeSet::new(),
        };
        self.look_around(&mut beside);
        let end = loop {
            let look_at = self.registries.look_at().map(|at| self.instant(at));
            let reason = tokio::select! {
                ended = &mut worker, if left.is_none() => {
                    let Left { questions, why } = ended.unwrap_or_default();
                    left = Some(questions);
                    if why.is_some() {
                        let now = self.now();
                        self.registries.is_unwilling(now, &mut self.rng);
                        self.was_unwilling = true;
                    }
                    Some(why.unwrap_or_else(|| "a call was not answered".to_owned()))
                }
                () = self.net.shutdown.cancelled() => {
                    let request = wire::LogOutRequest { lease: session.lease.into() };
                    // The lease ends by itself where this is not heard.
                    let _heard = timeout(Duration::from_secs(1), session.client.log_out(request)).await;
                    return End::Over;
                }
                _ = renew.tick() => {
                    let request = wire::WatchRequest { lease: session.lease.clone().into(), users: Vec::new() };
                    session.renewals.try_send(request).is_err().then(|| "it does not take renewals".to_owned())
                }
                _ = certificate.tick() => {
                    if self.net.credentials.is_renewal_due()
                        && let Err(error) = login::renew_certificate(&self.net, &mut session).await
                    {
                        tracing::warn!(%error, "the certificate was not renewed");
                    }
                    None
                }
                Some(question) = self.asked.recv() => self.pass_on(question, &session, &calls, &mut beside).await,
                change = session.changes.message(), if beside.broken.is_none() => match change {
                    Ok(Some(change)) => {
                        if let Some(input) = told(&self.net, change) {
                            self.net.tell(input).await;
                        }
                        None
                    }
                    Ok(None) => Some("it has ended".to_owned()),
                    Err(status) if status.code() == Code::Unavailable => Some(status.message().to_owned()),
                    Err(status) if status.code() == Code::PermissionDenied => {
                        break Err(LoginError::Barred(status.message().to_owned()));
                    }
                    // What broke inside the connection means nothing to a user.
                    Err(status) => {
                        tracing::debug!(%status, "the registry's stream broke");
                        Some("the connection broke".to_owned())
                    }
                },
                () = until(look_at) => {
                    self.look_home(&mut beside);
                    None
                }
                Some(looked) = beside.looks.join_next() => match self.looked(looked, &mut beside).await {
                    Some(next) => break Ok(next),
                    None => None,
                },
                () = until(beside.broken.as_ref().map(|(_, until)| *until)) => {
                    beside.is_moving = false;
                    None
                }
            };
            // The way into another registry may be what has ended this lease.
            let patience = Instant::now() + Duration::from_millis(FAILOVER_MS_MAX);
            beside.broken = beside.broken.or(reason.map(|reason| (reason, patience)));
            if !beside.is_moving
                && let Some((reason, _)) = beside.broken.take()
            {
                let address = session.address.clone();
                break Err(LoginError::Unavailable { address, reason });
            }
        };
        drop(calls);
        let mut left = match left {
            Some(left) => left,
            None => {
                // What is under way may still be answered, unless nobody is there to do it.
                let patience = if end.is_ok() { MOVE_PATIENCE } else { Duration::ZERO };
                let ended = timeout(patience, &mut worker).await;
                stop.cancel();
                let ended = match ended {
                    Ok(ended) => ended,
                    Err(_) => worker.await,
                };
                ended.unwrap_or_default().questions
            }
        };
        left.append(&mut beside.late);
        self.ended(end, left).await
    }

    /// Another session follows, or must be found.
    async fn ended(&mut self, end: Result<Box<Session>, LoginError>, left: Vec<Queued>) -> End {
        match end {
            Ok(next) => {
                self.between.begin(String::new(), left).await;
                self.let_in(0);
                End::Moved(next)
            }
            Err(error) => {
                let (now, used) = (self.now(), self.registries.used());
                self.registries.breaks(error.reason(), now, &mut self.rng);
                self.publish();
                self.between.begin(error.to_string(), left).await;
                self.broke = used.map(|place| (place, error));
                End::Broke
            }
        }
    }

    /// Has a question asked. Says why, if that shows that the registry is away.
    async fn pass_on(
        &self,
        question: Question,
        session: &Session,
        calls: &mpsc::Sender<Queued>,
        beside: &mut Beside,
    ) -> Option<String> {
        match question {
            // Of users beyond the limit it is only heard when they are found or met.
            Question::Ask(Ask::Watch(user)) if beside.watched.len() < WATCHED_MAX => {
                if !beside.watched.insert(user.clone()) {
                    return None;
                }
                let users = vec![user.key().to_owned()];
                let lease = session.lease.clone().into();
                let sent = session.renewals.send(wire::WatchRequest { lease, users }).await;
                return sent.is_err().then(|| "it does not take renewals".to_owned());
            }
            Question::Ask(Ask::Watch(_)) => {}
            question => match calls.try_send(Queued::new(question)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(queued)) if beside.late.len() < FAILOVER_QUESTIONS_MAX => {
                    beside.late.push(queued);
                }
                Err(refused) => unanswered(&self.net, refused.into_inner().question).await,
            },
        }
        None
    }

    /// Looks once in a run at those that are not used, to know how all of them stand and whether all are the right ones.
    fn look_around(&mut self, beside: &mut Beside) {
        if std::mem::replace(&mut self.has_looked, true) {
            return;
        }
        let others: Vec<usize> = self.registries.others().collect();
        for place in others {
            self.look_at(place, beside);
        }
    }

    /// Looks at the first registry, or moves there, as it is time for.
    fn look_home(&mut self, beside: &mut Beside) {
        match self.registries.look(self.now()) {
            Some(Look::See) => self.look_at(0, beside),
            Some(Look::Move) => {
                self.registries.tries(0);
                self.publish();
                beside.is_moving = true;
                let (net, config, address) = (self.net.clone(), self.config.clone(), self.address.clone());
                let home = self.registries.address(0).to_owned();
                beside.looks.spawn(async move {
                    Looked::Moved(
                        login::log_in(&net, &config, &home, &address, &mut None)
                            .await
                            .map(Box::new),
                    )
                });
            }
            None => {}
        }
    }

    fn look_at(&mut self, place: usize, beside: &mut Beside) {
        self.registries.tries(place);
        self.publish();
        let (net, address) = (self.net.clone(), self.registries.address(place).to_owned());
        beside
            .looks
            .spawn(async move { Looked::Seen(place, survey::look(&net, &address).await) });
    }

    /// Takes in what was seen. Answers the session to which this peer has moved.
    async fn looked(&mut self, looked: Result<Looked, JoinError>, beside: &mut Beside) -> Option<Box<Session>> {
        match looked {
            Ok(Looked::Seen(place, seen)) => {
                let address = self.registries.address(place);
                match seen.and_then(|found| recognise(&self.config, address, found, false)) {
                    Ok(_) => {
                        let now = self.now();
                        self.registries.is_there(place, now, &mut self.rng);
                        self.publish();
                    }
                    Err(error) => self.refuse(place, &error).await,
                }
                None
            }
            Ok(Looked::Moved(Ok(session))) => beside.is_moving.then_some(session),
            Ok(Looked::Moved(Err(error))) => {
                beside.is_moving = false;
                self.refuse(0, &error).await;
                None
            }
            Err(error) => {
                tracing::error!(%error, "looking at a registry failed");
                None
            }
        }
    }
}

/// Waits until a time, or for ever where there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
