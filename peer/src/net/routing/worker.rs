//! The questions that the registry is asked one by one.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    Question, States, account,
    between::Queued,
    calls::{Clients, call, fail, failed, is_away, is_unwilling, list_rooms},
    login::Session,
};
use crate::{
    net::{CALL_DEADLINE, Net},
    node::{
        Ask, Input,
        event::{self, Notice},
        registries::works_elsewhere,
        types::RoomName,
    },
};

/// How often what a registry could not do is asked of it again.
const AGAIN: Duration = Duration::from_secs(2);

/// How a worker has ended.
#[derive(Default)]
pub(super) struct Left {
    /// What was not answered.
    pub(super) questions: Vec<Queued>,
    /// What the registry said with which this peer leaves it; none where it is not there.
    pub(super) why: Option<String>,
}

/// What came of a question.
enum Outcome {
    /// It is answered, whatever the answer is.
    Answered,
    /// The registry is not there.
    Away(Question, Status),
    /// It is there, and cannot do it at the moment.
    Unwilling(Question, Status),
}

/// Asks the questions of a session.
pub(super) struct Worker {
    net: Net,
    clients: Clients,
    lease: Vec<u8>,
    /// HOST:PORT of the registry.
    address: String,
    /// How all registries stand.
    states: watch::Receiver<States>,
    stop: CancellationToken,
    /// Rooms to join or to leave, which the registry could not do: the last that was asked of each.
    owed: BTreeMap<RoomName, Ask>,
    /// The user knows why.
    is_told: bool,
}

impl Worker {
    /// The one of a session, to which `states` shows how all registries stand. It ends with `stop`.
    pub(super) fn new(net: Net, session: &Session, states: watch::Receiver<States>, stop: CancellationToken) -> Self {
        Self {
            net,
            clients: session.clients(),
            lease: session.lease.clone(),
            address: session.address.clone(),
            states,
            stop,
            owed: BTreeMap::new(),
            is_told: false,
        }
    }

    /// Asks one question after the other, so that joining and leaving a room keep their order. Ends where the registry is away, where it
    /// cannot do what it is asked and another one may, or where it is stopped.
    ///
    /// Where no other one is known to work it stays, since going round would help nobody: what was asked is answered with what the registry
    /// says, and rooms are joined and left as soon as that can be done.
    pub(super) async fn run(mut self, mut questions: mpsc::Receiver<Queued>) -> Left {
        let stop = self.stop.clone();
        let mut left = Left::default();
        let mut again = interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let queued = tokio::select! {
                () = stop.cancelled() => break,
                queued = questions.recv() => match queued {
                    Some(queued) => queued,
                    None => break,
                },
                _ = again.tick(), if !self.owed.is_empty() => {
                    if self.ask_again().await {
                        continue;
                    }
                    break;
                }
            };
            let is_first = queued.failed.is_none();
            if let Question::Ask(Ask::Join(room) | Ask::Leave(room)) = &queued.question {
                self.owed.remove(room);
            }
            match self.ask(queued.question).await {
                Outcome::Answered => {}
                Outcome::Unwilling(question, status) if is_first && self.may_leave() => {
                    left.why = Some(status.message().to_owned());
                    left.questions.push(Queued::failed(question, status));
                    break;
                }
                Outcome::Unwilling(question, status) => self.put_off(question, status).await,
                Outcome::Away(question, status) => {
                    let queued = Queued::failed(question, status);
                    if is_first {
                        left.questions.push(queued);
                    } else {
                        queued.answer(&self.net).await;
                    }
                    break;
                }
            }
        }
        // Nothing more is taken, and what is queued is for the next registry.
        questions.close();
        while let Ok(queued) = questions.try_recv() {
            left.questions.push(queued);
        }
        left
    }

    /// Whether another registry is known to work, or not known not to.
    fn may_leave(&self) -> bool {
        let states = self.states.borrow();
        works_elsewhere(&states.reports, states.now())
    }

    /// Answers what the registry cannot do, and keeps in mind what is to be done as soon as it can.
    async fn put_off(&mut self, question: Question, status: Status) {
        if let Question::Ask(ask @ (Ask::Join(room) | Ask::Leave(room))) = &question {
            self.owed.insert(room.clone(), ask.clone());
            if !std::mem::replace(&mut self.is_told, true) {
                let message = format!("the registry at {} says: {}", self.address, status.message());
                let code = event::Code::RegistryUnavailable;
                self.net.tell(Input::Notice(Notice { code, message })).await;
            }
        }
        fail(&self.net, question, &status).await;
    }

    /// Asks for what is owed, until one of it cannot be done yet. False where the registry is away.
    async fn ask_again(&mut self) -> bool {
        while let Some((room, ask)) = self.owed.pop_first() {
            match self.ask(Question::Ask(ask.clone())).await {
                Outcome::Answered => {}
                Outcome::Unwilling(..) => {
                    self.owed.insert(room, ask);
                    return true;
                }
                // Whatever the next session is, it says anew in which rooms this peer is.
                Outcome::Away(..) => return false,
            }
        }
        self.is_told = false;
        true
    }

    /// Asks, and passes the answer on. Where there is none it gives the question back, with what happened.
    async fn ask(&mut self, question: Question) -> Outcome {
        let stop = &self.stop;
        match question {
            Question::Ask(ask) => {
                let input = match answer(stop, call(&mut self.clients.routing, self.lease.clone(), &ask)).await {
                    Ok(input) => input,
                    Err(status) if is_unwilling(&status) => return Outcome::Unwilling(Question::Ask(ask), status),
                    Err(status) if is_away(&status) => return Outcome::Away(Question::Ask(ask), status),
                    Err(status) => failed(ask, &status),
                };
                if let Some(input) = input {
                    self.net.tell(input).await;
                }
            }
            Question::Account(ask, reply) => {
                match answer(stop, account::ask(&mut self.clients.accounts, &self.lease, &ask)).await {
                    Err(status) if is_unwilling(&status) => {
                        return Outcome::Unwilling(Question::Account(ask, reply), status);
                    }
                    // Nobody waits where the peer ends.
                    answer => drop(reply.send(answer.map_err(|status| status.message().to_owned()))),
                }
            }
            Question::ListRooms(reply) => {
                let rooms = match answer(stop, list_rooms(&mut self.clients.routing, &self.lease)).await {
                    Err(status) if is_unwilling(&status) => {
                        return Outcome::Unwilling(Question::ListRooms(reply), status);
                    }
                    // A list that is long in coming says nothing about the registry.
                    Err(status) if matches!(status.code(), Code::Unavailable | Code::Cancelled) => {
                        return Outcome::Away(Question::ListRooms(reply), status);
                    }
                    rooms => rooms.ok(),
                };
                drop(reply.send(rooms));
            }
        }
        Outcome::Answered
    }
}

/// What is answered in time, and before `stop`.
async fn answer<T>(stop: &CancellationToken, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    match stop.run_until_cancelled(timeout(CALL_DEADLINE, call)).await {
        Some(Ok(answer)) => answer,
        Some(Err(_)) => Err(Status::deadline_exceeded(format!("no answer within {CALL_DEADLINE:?}"))),
        None => Err(Status::cancelled("the connection broke")),
    }
}
