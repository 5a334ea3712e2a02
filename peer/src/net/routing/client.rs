//! Being logged in at one of the registries, whichever lets this peer in, from the start of the process to its end.

use std::collections::BTreeSet;

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tonic::Status;
use zeroize::Zeroizing;

use super::{
    LoginError, Question, RegistryConfig, States,
    between::Between,
    calls::fail,
    login::{Session, log_in},
    session::End,
};
use crate::{
    net::{Net, host},
    node::{
        Input, Millis,
        event::{Code, Notice},
        registries::{Next, Registries},
    },
};

/// This peer at its registries.
pub(super) struct Client {
    pub(super) net: Net,
    pub(super) config: RegistryConfig,
    pub(super) address: watch::Sender<String>,
    pub(super) asked: mpsc::Receiver<Question>,
    pub(super) registries: Registries,
    pub(super) between: Between,
    pub(super) rng: fastrand::Rng,
    /// Those that have not been used were looked at once, to know of all how they stand.
    pub(super) has_looked: bool,
    pub(super) hosted: Option<host::HostedRegistry>,
    started: Instant,
    states: watch::Sender<States>,
    /// How the last session ended.
    pub(super) broke: Option<(usize, LoginError)>,
    /// It was left since it could not do what it was asked, and is gone back to where no other one works: nothing is lost then.
    pub(super) was_unwilling: bool,
    /// Of these the user was told that they are not the right ones.
    told: BTreeSet<usize>,
    /// Where attempts are told until one has worked.
    first: Option<mpsc::Sender<Result<String, LoginError>>>,
    retry: mpsc::Receiver<Option<Zeroizing<String>>>,
}

impl Client {
    pub(super) fn new(
        net: Net,
        config: RegistryConfig,
        address: watch::Sender<String>,
        asked: mpsc::Receiver<Question>,
        first: mpsc::Sender<Result<String, LoginError>>,
        retry: mpsc::Receiver<Option<Zeroizing<String>>>,
    ) -> (Self, watch::Receiver<States>) {
        let registries = Registries::new(config.preferred.iter().cloned());
        let started = Instant::now();
        let (states, shown) = watch::channel(States {
            at: started,
            now: Millis::default(),
            reports: registries.report(),
        });
        let client = Self {
            between: Between::new(net.clone()),
            net,
            config,
            address,
            asked,
            registries,
            rng: fastrand::Rng::new(),
            has_looked: false,
            hosted: None,
            started,
            states,
            broke: None,
            was_unwilling: false,
            told: BTreeSet::new(),
            first: Some(first),
            retry,
        };
        (client, shown)
    }

    pub(super) async fn run(mut self) {
        let shutdown = self.net.shutdown.clone();
        let mut moved = None;
        loop {
            let session = match moved.take() {
                Some(session) => session,
                None => tokio::select! {
                    () = shutdown.cancelled() => break,
                    found = self.find() => match found {
                        Some(session) => session,
                        None => break,
                    },
                },
            };
            match self.session(session).await {
                End::Over => break,
                End::Broke => {}
                End::Moved(session) => moved = Some(*session),
            }
        }
        if let Some(hosted) = self.hosted.take() {
            hosted.stop().await;
        }
    }

    /// The time by the clock of [`Registries`].
    pub(super) fn now(&self) -> Millis {
        Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// When that is.
    pub(super) fn instant(&self, at: Millis) -> Instant {
        self.started + std::time::Duration::from_millis(at.0)
    }

    /// Whether there are several.
    pub(super) fn is_list(&self) -> bool {
        self.config.addresses.len() > 1
    }

    /// Shows how the registries stand.
    pub(super) fn publish(&self) {
        self.states.send_replace(States {
            at: Instant::now(),
            now: self.now(),
            reports: self.registries.report(),
        });
    }

    /// How the registries stand, and will.
    pub(super) fn watch_states(&self) -> watch::Receiver<States> {
        self.states.subscribe()
    }

    /// Logs in wherever this peer is let in, all the time until it is. None where the peer ends.
    async fn find(&mut self) -> Option<Session> {
        // What was last wrong with each of them.
        let mut errors: Vec<(usize, LoginError)> = self.broke.take().into_iter().collect();
        if let Some((place, error @ LoginError::Barred(_))) = errors.first().cloned() {
            return self.barred(place, error).await;
        }
        loop {
            match self.registries.next(self.now()) {
                Next::Try(place) => {
                    self.registries.tries(place);
                    self.publish();
                    let error = match self.log_in(place).await {
                        Ok(session) => {
                            self.let_in(place);
                            return Some(session);
                        }
                        Err(error) => error,
                    };
                    tracing::debug!(%error, "no registry");
                    if self.is_final(&error) {
                        return self.barred(place, error).await;
                    }
                    if self.is_for_the_user(&error) {
                        self.registries.gives_up(place, self.now());
                        self.settle(error).await;
                        continue;
                    }
                    self.refuse(place, &error).await;
                    errors.retain(|(other, _)| *other != place);
                    errors.push((place, error));
                }
                Next::Wait(until) => {
                    if let Some(patience) = self.between.patience().filter(|_| self.was_unwilling) {
                        self.pause(self.instant(until).min(patience)).await;
                        continue;
                    }
                    // One that failed some time ago may be back: as long as one was not tried, it is too early to say that there is none.
                    let all_tried = errors.len() >= self.registries.count();
                    if let Some(error) = summed(&errors).filter(|_| all_tried) {
                        if !error.is_away() && self.may_ask() {
                            self.settle(error).await;
                            errors.clear();
                            continue;
                        }
                        self.tell_attempt(Err(error.clone()));
                        self.between.give_up(error.to_string()).await;
                    }
                    self.pause(self.instant(until)).await;
                }
            }
        }
    }

    /// Whether only the user can do something about what a first attempt has met. Another registry of the list would say the same,
    /// except about itself.
    fn is_for_the_user(&self, error: &LoginError) -> bool {
        let is_everywhere = !self.is_list() || !error.is_not_the_one();
        self.may_ask() && !error.is_away() && is_everywhere
    }

    /// Whether the chat has not begun, so that the user can be asked what is to be done.
    fn may_ask(&self) -> bool {
        self.first.as_ref().is_some_and(|first| !first.is_closed())
    }

    /// Whether nothing is gained by trying again while this peer runs, and the user cannot be asked. Who was let in before goes on: a
    /// registry that refuses him now may only have the wrong accounts, or none yet. When he is revoked his session ends with it.
    fn is_final(&self, error: &LoginError) -> bool {
        let is_refused = matches!(error, LoginError::Barred(_) | LoginError::NameInUse(_));
        is_refused && self.first.is_some() && !self.may_ask()
    }

    /// No registry is tried any more: each try would be told to the devices of the account. The user is told, and whoever asks anything. None
    /// when the peer ends.
    async fn barred(&mut self, place: usize, error: LoginError) -> Option<Session> {
        self.registries
            .fails(place, error.to_string(), self.now(), &mut self.rng);
        self.publish();
        let then = match (&self.first, &error) {
            (Some(_), LoginError::NameInUse(_)) => {
                "end Peerchat with /quit and start it again: it asks for the password then, or shows a code to approve on a device of \
                 yours"
            }
            (Some(_), _) => "end Peerchat with /quit, and start it again with what is asked for",
            (None, _) => "what you write now reaches nobody; /quit ends Peerchat",
        };
        let why = format!("{error}. No other try is made: {then}");
        self.between.bar(&why).await;
        let status = Status::permission_denied(why);
        loop {
            let question = self.asked.recv().await?;
            fail(&self.net, question, &status).await;
        }
    }

    /// Tells what was refused and waits for what the user does about it: trying again without anything new would only be another
    /// attempt to be told of.
    async fn settle(&mut self, error: LoginError) {
        self.tell_attempt(Err(error));
        // Where the chat has begun meanwhile nobody answers, and the next try settles it without him.
        if let Some(password) = self.retry.recv().await {
            self.config.password = password.or(self.config.password.take());
        }
    }

    /// A registry has let this peer in.
    pub(super) fn let_in(&mut self, place: usize) {
        let now = self.now();
        self.registries.lets_in(place, now, &mut self.rng);
        self.publish();
        self.tell_attempt(Ok(self.registries.address(place).to_owned()));
        (self.first, self.was_unwilling) = (None, false);
        // From now on the device is known by its key.
        (self.config.password, self.config.invitation) = (None, None);
    }

    /// A registry cannot be used. Of one that is not the right one the user is told, once, where nothing else tells him.
    pub(super) async fn refuse(&mut self, place: usize, error: &LoginError) {
        let now = self.now();
        self.registries.fails(place, error.reason(), now, &mut self.rng);
        self.publish();
        let is_unsettled = self.first.is_some() && matches!(error, LoginError::Unknown { .. });
        let is_untold = self.is_list() || self.first.is_some();
        if (is_unsettled || error.is_not_the_one()) && is_untold && self.told.insert(place) {
            let notice = Notice {
                code: Code::RegistryUntrusted,
                message: error.to_string(),
            };
            self.net.tell(Input::Notice(notice)).await;
        }
    }

    fn tell_attempt(&self, outcome: Result<String, LoginError>) {
        if let Some(first) = &self.first {
            // Nobody looks any more where the chat began without the registry.
            let _passed = first.try_send(outcome);
        }
    }

    /// Waits; meanwhile questions wait, or are answered that nothing can be asked.
    async fn pause(&mut self, until: Instant) {
        let pause = sleep_until(until);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return,
                Some(question) = self.asked.recv() => self.between.hold(question).await,
            }
        }
    }

    /// Connects and logs in at one; meanwhile questions wait, or are answered that nothing can be asked.
    async fn log_in(&mut self, place: usize) -> Result<Session, LoginError> {
        let at = self.registries.address(place).to_owned();
        let Self {
            net,
            config,
            address,
            asked,
            hosted,
            between,
            ..
        } = self;
        let log_in = log_in(net, config, &at, address, hosted);
        tokio::pin!(log_in);
        loop {
            tokio::select! {
                session = &mut log_in => return session,
                Some(question) = asked.recv() => between.hold(question).await,
                why = between.too_long() => between.give_up(why).await,
            }
        }
    }
}

/// What to say of all of them; none where none has failed.
fn summed(errors: &[(usize, LoginError)]) -> Option<LoginError> {
    if let [(_, only)] = errors {
        return Some(only.clone());
    }
    if !errors.iter().any(|(_, error)| error.is_away()) {
        return errors.first().map(|(_, error)| error.clone());
    }
    let reasons = errors.iter().map(|(_, error)| match error {
        LoginError::Unavailable { address, reason } => format!("{address}: {reason}"),
        error => error.to_string(),
    });
    Some(LoginError::NoneAnswers(reasons.collect::<Vec<_>>().join("; ")))
}
