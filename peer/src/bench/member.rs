//! A peer under the bench's command: a third front beside prompt and JSON. It asks and is told as those are, and takes the time where
//! they would show something, so no pipe and no JSON is measured.

use std::{
    collections::VecDeque,
    io, thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::wire::{Load, Order, Report, read_orders, report, text};
use crate::{
    chat::{self, ChatError},
    config::ChatConfig,
    driver::request::Request,
    node::{
        event::{Code, Event},
        types::{Conversation, RoomName, UserName},
    },
    ui::Ending,
};

/// How often a long order tells how far it is. Rarely, since telling takes time from what is measured.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How many events are taken at a time.
const EVENTS_MAX: usize = 256;

/// Runs a peer until the bench ends it.
///
/// # Errors
/// The peer cannot start, or its disk refuses.
pub async fn run(config: ChatConfig) -> Result<Ending, ChatError> {
    chat::run_behind(config, |requests, events, _, _| async move {
        let mut orders = read_orders()?;
        let mut member = Member {
            requests,
            events,
            told: VecDeque::new(),
            conversation: None,
        };
        member.serve(&mut orders).await
    })
    .await
}

struct Member {
    requests: mpsc::Sender<Request>,
    events: mpsc::Receiver<Event>,
    /// Taken out of `events`, not looked at yet.
    told: VecDeque<Event>,
    conversation: Option<Conversation>,
}

impl Member {
    async fn serve(&mut self, orders: &mut mpsc::Receiver<Result<Order, String>>) -> io::Result<Ending> {
        match self.event().await {
            Ok(Event::Ready(ready)) => report(&Report::Ready { listen: ready.listen })?,
            Ok(other) => return self.fail(format!("{other:?} comes before all else")).await,
            Err(why) => return self.fail(why).await,
        }
        loop {
            let order = tokio::select! {
                order = orders.recv() => order,
                event = self.event() => match event {
                    Ok(_) => continue,
                    Err(why) => return self.fail(why).await,
                },
            };
            let order = match order {
                Some(Ok(Order::Quit)) | None => return self.quit().await,
                Some(Ok(order)) => order,
                Some(Err(why)) => return self.fail(why).await,
            };
            let carried_out = tokio::select! {
                carried_out = self.carry_out(order) => carried_out,
                // The bench has ended, however far this is.
                _ = orders.recv() => return self.quit().await,
            };
            match carried_out {
                Ok(done) => report(&done)?,
                Err(why) => return self.fail(why).await,
            }
        }
    }

    async fn fail(&mut self, why: String) -> io::Result<Ending> {
        report(&Report::Failed { why })?;
        self.quit().await?;
        Ok(Ending::Failed)
    }

    async fn quit(&mut self) -> io::Result<Ending> {
        // Where the peer has ended already, it says so by itself.
        let _ended = self.requests.send(Request::Quit).await;
        if self.told.contains(&Event::Bye) {
            return Ok(Ending::Clean);
        }
        while let Some(event) = self.events.recv().await {
            if event == Event::Bye {
                return Ok(Ending::Clean);
            }
        }
        Ok(Ending::Failed)
    }

    /// The next event that is no reason to stop.
    async fn event(&mut self) -> Result<Event, String> {
        if self.told.is_empty() {
            // All that have come, so that the runtime is asked once for many.
            let mut told = Vec::new();
            self.events.recv_many(&mut told, EVENTS_MAX).await;
            self.told = told.into();
        }
        match self.told.pop_front() {
            None | Some(Event::Bye) => Err("the peer has ended".to_owned()),
            Some(Event::NotEntered { notice, .. }) => Err(notice.message),
            Some(Event::Notice(notice)) if notice.code.is_refusal() || is_grave(notice.code) => Err(notice.message),
            Some(event) => Ok(event),
        }
    }

    async fn ask(&mut self, request: Request) -> Result<(), String> {
        let asked = self.requests.send(request).await;
        asked.map_err(|_| "the peer has ended".to_owned())
    }

    fn conversation(&self) -> Result<Conversation, String> {
        self.conversation
            .clone()
            .ok_or("there is no conversation yet".to_owned())
    }

    async fn carry_out(&mut self, order: Order) -> Result<Report, String> {
        match order {
            Order::Join { room } => {
                let room = RoomName::new(&room).map_err(|error| error.to_string())?;
                self.enter(Request::Join(room)).await?;
                Ok(Report::Done)
            }
            Order::Open { user } => {
                let user = UserName::new(&user).map_err(|error| error.to_string())?;
                self.enter(Request::Open(user)).await?;
                Ok(Report::Done)
            }
            Order::Enter { room } => {
                let room = RoomName::new(&room).map_err(|error| error.to_string())?;
                self.enter(Request::Join(room)).await
            }
            Order::Online => {
                let conversation = self.conversation()?;
                self.ask(Request::Who(conversation)).await?;
                loop {
                    if let Event::Who { members, .. } = self.event().await? {
                        let others = members.iter().filter(|member| member.online && !member.me);
                        return Ok(Report::Count {
                            n: others.count() as u64,
                        });
                    }
                }
            }
            Order::Version => {
                let conversation = self.conversation()?;
                self.ask(Request::Version(conversation)).await?;
                loop {
                    if let Event::Version { heights, .. } = self.event().await? {
                        return Ok(Report::Count { n: heights.version() });
                    }
                }
            }
            Order::Talk(load) => self.talk(load).await,
            Order::Stream { load, per_second } => self.stream(load, per_second).await,
            Order::Fill(load) => self.fill(load).await,
            Order::Quit => Err("there is nothing left to be done".to_owned()),
        }
    }

    async fn enter(&mut self, request: Request) -> Result<Report, String> {
        let begun = Instant::now();
        self.ask(request).await?;
        let mut joined_ns = 0;
        loop {
            match self.event().await? {
                Event::Joined(joined) => {
                    joined_ns = nanos(begun.elapsed());
                    self.conversation = Some(joined.conversation);
                }
                Event::Synced { pulled, .. } => {
                    return Ok(Report::Entered {
                        joined_ns,
                        synced_ns: nanos(begun.elapsed()),
                        pulled,
                    });
                }
                _ => {}
            }
        }
    }

    /// A closed loop: each message is sent when the one before is acked by all.
    async fn talk(&mut self, load: Load) -> Result<Report, String> {
        let conversation = self.conversation()?;
        let mut told = Progress::default();
        let mut ns = Vec::with_capacity(usize::try_from(load.count).unwrap_or_default());
        for number in 0..load.count {
            let text = text(number, load.payload);
            let write = Request::Write {
                conversation: conversation.clone(),
                text,
            };
            let begun = Instant::now();
            self.ask(write).await?;
            let seq = loop {
                if let Event::Sent(line) = self.event().await? {
                    break line.seq;
                }
            };
            loop {
                match self.event().await? {
                    Event::Delivered(news) if news.seq == seq && is_last(&news, &load) => break,
                    _ => {}
                }
            }
            ns.push(nanos(begun.elapsed()));
            told.tell(number + 1)?;
        }
        Ok(Report::Samples { ns })
    }

    /// An open loop: messages are sent as fast as the peer takes them, or when their time has come, whatever became of those before.
    async fn stream(&mut self, load: Load, per_second: Option<f64>) -> Result<Report, String> {
        let conversation = self.conversation()?;
        let mut told = Progress::default();
        let begun = Instant::now();
        let due = move |number: u64| match per_second {
            Some(rate) => begun + Duration::from_secs_f64(number as f64 / rate),
            None => begun,
        };
        self.write_all(conversation, load, per_second.map(|_| due))?;
        let count = usize::try_from(load.count).unwrap_or_default();
        let mut ns = vec![0; if per_second.is_some() { count } else { 0 }];
        let (mut first, mut done) = (None, 0);
        while done < load.count {
            match self.event().await? {
                Event::Sent(line) if first.is_none() => first = Some(line.seq.0),
                Event::Delivered(news) if is_last(&news, &load) => {
                    // What an earlier order sent is not this one's.
                    let Some(number) = first.and_then(|first| news.seq.0.checked_sub(first)) else {
                        continue;
                    };
                    if let Some(slot) = usize::try_from(number).ok().and_then(|number| ns.get_mut(number)) {
                        *slot = nanos(due(number).elapsed());
                    }
                    done += 1;
                    told.tell(done)?;
                }
                _ => {}
            }
        }
        Ok(Report::Streamed {
            elapsed_ns: nanos(begun.elapsed()),
            ns,
        })
    }

    async fn fill(&mut self, load: Load) -> Result<Report, String> {
        let conversation = self.conversation()?;
        let mut told = Progress::default();
        self.write_all(conversation, load, None::<fn(u64) -> Instant>)?;
        let mut done = 0;
        while done < load.count {
            if let Event::Sent(_) = self.event().await? {
                done += 1;
                told.tell(done)?;
            }
        }
        Ok(Report::Done)
    }

    /// Asks for all messages beside what is done with the events: who waited for room for a request would keep the peer waiting for
    /// room for an event. Where each has its time, that is kept by a thread: the runtime's clock counts milliseconds.
    fn write_all(
        &self,
        conversation: Conversation,
        load: Load,
        due: Option<impl Fn(u64) -> Instant + Send + 'static>,
    ) -> Result<(), String> {
        let requests = self.requests.clone();
        let write = move |number| Request::Write {
            conversation: conversation.clone(),
            text: text(number, load.payload),
        };
        let Some(due) = due else {
            tokio::spawn(async move {
                for number in 0..load.count {
                    if requests.send(write(number)).await.is_err() {
                        break;
                    }
                }
            });
            return Ok(());
        };
        let pace = move || {
            for number in 0..load.count {
                while let Some(wait) = due(number)
                    .checked_duration_since(Instant::now())
                    .filter(|wait| !wait.is_zero())
                {
                    thread::park_timeout(wait);
                }
                if requests.blocking_send(write(number)).is_err() {
                    break;
                }
            }
        };
        let started = thread::Builder::new().name("pace".into()).spawn(pace);
        started.map(drop).map_err(|error| error.to_string())
    }
}

/// Whether this was the ack for which a message waited.
fn is_last(news: &crate::node::event::Delivered, load: &Load) -> bool {
    news.durable == load.durable && news.have >= load.others
}

/// What makes every figure worthless.
fn is_grave(code: Code) -> bool {
    matches!(
        code,
        Code::DiskFailed | Code::LogDamaged | Code::PeerMisbehaved | Code::Flooding | Code::RegistryUnavailable
    )
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// When it was last told how far an order is.
struct Progress(Instant);

impl Default for Progress {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Progress {
    fn tell(&mut self, done: u64) -> Result<(), String> {
        if self.0.elapsed() < PROGRESS_EVERY {
            return Ok(());
        }
        self.0 = Instant::now();
        report(&Report::Progress { done }).map_err(|error| error.to_string())
    }
}
