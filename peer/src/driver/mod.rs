//! The only loop and the only clock of a peer.
//!
//! It feeds the node with whatever has come since the last turn, appends what the node wants kept, and only then sends, tells and
//! asks. It never waits for another peer: a link's full queue is an input to the node. It does wait for its own user's screen: a
//! peer whose user does not read takes nothing more from the others, who then leave it to pull later.

mod alarm;
mod answer;
mod commit;
pub mod core;
mod crowding;
mod damage;
pub mod earlier;
#[cfg(test)]
mod fork_tests;
mod incoming;
mod invitations;
mod keeping;
mod linger;
mod pace;
mod people;
pub mod ports;
mod proof;
mod recent_ids;
pub mod refusals;
mod replay;
pub mod request;
#[cfg(test)]
mod seal_tests;
pub mod serve;
mod signer;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod turn;
mod unjudged;
pub mod vouching;
mod waiting;

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    thread,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::mpsc::{self, error::TrySendError};

use self::{
    alarm::Alarm,
    commit::Commit,
    core::{Act, Core},
    earlier::EarlierLogs,
    linger::Linger,
    pace::Pace,
    ports::{Incoming, LinkQueue, Order},
    refusals::Refusals,
    request::Request,
    turn::{Due, Turn},
    waiting::WaitingCalls,
};
use crate::{
    log::{Disk, LogError, Scan, SyncOutcome},
    node::{
        Input, Millis, Now,
        event::{Code, Event, Notice},
        limits::REPLAY_LAST,
        link::LinkId,
        types::{Conversation, WallTime},
    },
    state::State,
};

/// How long quitting waits for those who can be reached to store what was said last.
const QUIT_WAIT: Duration = Duration::from_secs(3);
/// How many things that came in are handled in one turn, and appended in one write.
const TURN_MAX: usize = 256;
/// A turn that took so long has kept what came meanwhile waiting, so that nobody else is to blame for being late.
const STALL: Duration = Duration::from_secs(1);
/// How much of a log is searched in one turn.
const SEARCH_BYTES: u64 = 1024 * 1024;

/// The channels of a driver.
#[derive(Debug)]
pub struct Channels {
    /// What the user asks.
    pub requests: mpsc::Receiver<Request>,
    /// What the user is told.
    pub events: mpsc::Sender<Event>,
    /// What the wire brings.
    pub incoming: mpsc::Receiver<Incoming>,
    /// What the wire is ordered.
    pub orders: mpsc::Sender<Order>,
    /// What is refused, here and on the wire.
    pub refusals: Refusals,
}

/// The loop.
#[derive(Debug)]
pub struct Driver<D: Disk> {
    core: Core<D>,
    channels: Channels,
    links: BTreeMap<LinkId, LinkQueue>,
    /// Those that had little room when something was sent last, and until when the user waits for them, if he does.
    crowded: BTreeMap<LinkId, Option<Instant>>,
    earlier: EarlierLogs,
    started: Instant,
    commit: Commit,
    synced: (mpsc::Sender<Synced>, mpsc::Receiver<Synced>),
    pace: Pace,
    alarm: Alarm,
    linger: Linger,
    searches: VecDeque<Search>,
    waiting: WaitingCalls,
    state: State,
    people: people::Keeping,
    keeping: keeping::Keeping,
    disk: D,
    /// The user's data folder.
    folder: PathBuf,
    /// The user wants to end: at this time at the latest.
    quit_at: Option<Instant>,
}

/// What came of a sync.
type Synced = (Conversation, SyncOutcome);

#[derive(Debug)]
struct Search {
    conversation: Conversation,
    text: String,
    last: usize,
    scan: Scan,
}

impl<D: Disk> Driver<D> {
    /// A driver around a node with its logs. `state` is what the last run left.
    pub fn new(core: Core<D>, channels: Channels, state: State, disk: D, folder: PathBuf) -> Self {
        Self {
            earlier: EarlierLogs::new(BTreeMap::new(), core.decode()),
            core,
            channels,
            links: BTreeMap::new(),
            crowded: BTreeMap::new(),
            started: Instant::now(),
            commit: Commit::new(Instant::now()),
            synced: mpsc::channel(TURN_MAX),
            pace: Pace::new(),
            alarm: Alarm::default(),
            linger: Linger::new(Instant::now()),
            searches: VecDeque::new(),
            waiting: WaitingCalls::default(),
            state,
            people: people::Keeping::default(),
            keeping: keeping::Keeping::new(),
            disk,
            folder,
            quit_at: None,
        }
    }

    /// Runs until the user quits, and returns what must be closed then.
    ///
    /// # Errors
    /// The disk refuses: nothing that is not in the log was said or acked.
    pub async fn run(mut self) -> Result<Core<D>, LogError> {
        self.start_signer();
        match self.turns().await {
            Ok(()) => Ok(self.core),
            Err(error) => {
                self.seal_last();
                Err(error)
            }
        }
    }

    async fn turns(&mut self) -> Result<(), LogError> {
        let memberships = self.state.memberships();
        self.feed([Input::Start(memberships)]).await?;
        self.tell_start().await;
        while !self.may_end() {
            let turn = self.next_turn().await;
            self.carry_out(turn).await?;
        }
        self.feed([Input::LastWords]).await?;
        // What was said last must not wait for the next start to be proved.
        while self.core.must_seal() {
            self.seal_here().await?;
        }
        self.feed([Input::Quit]).await?;
        self.keep_people();
        self.keep_all().await;
        Ok(())
    }

    async fn carry_out(&mut self, turn: Turn) -> Result<(), LogError> {
        let begun = Instant::now();
        let is_from_others = matches!(turn, Turn::Requests(_) | Turn::Incoming(_));
        match turn {
            Turn::Requests(batch) => self.requests(batch).await?,
            Turn::Incoming(batch) => self.incoming(batch).await?,
            Turn::Synced((conversation, outcome)) => {
                self.commit.ended(begun);
                let input = self.core.finish_sync(conversation, outcome)?;
                self.feed([input]).await?;
            }
            Turn::Due(Due::Sync) => self.sync(),
            Turn::Due(Due::Seal) => self.seal().await?,
            Turn::Due(Due::Judge) => self.judge(),
            Turn::Due(Due::KeepPeople) => self.keep_people(),
            Turn::Kept(done) => self.kept(done).await,
            Turn::Due(Due::Tick) => self.feed([Input::Tick]).await?,
            Turn::Room | Turn::Due(Due::Room) => {}
            Turn::Judged(inputs) => self.judged(inputs).await?,
            Turn::Signed(input) => self.feed([input]).await?,
            Turn::Search => self.search().await?,
            Turn::Nothing => {
                thread::yield_now();
                self.linger.gave_way(begun.elapsed());
                return Ok(());
            }
        }
        self.answer_waiting();
        let ended = Instant::now();
        if is_from_others {
            self.linger.handled(begun, ended);
        }
        if ended - begun >= STALL {
            self.feed([Input::Stalled]).await?;
        }
        Ok(())
    }

    /// Whether the user wants to end, and everybody who can be reached has what he said.
    fn may_end(&self) -> bool {
        self.quit_at
            .is_some_and(|at| Instant::now() >= at || self.core.node().owes_nothing())
    }

    fn now(&self) -> Now {
        let mono = Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono,
            wall: WallTime(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// Feeds the node, and does what it wants; what fails at once is fed again.
    async fn feed(&mut self, inputs: impl IntoIterator<Item = Input>) -> Result<(), LogError> {
        let acts = self.core.handle(inputs, self.now())?;
        self.act_on(acts).await
    }

    async fn act_on(&mut self, mut acts: Vec<Act>) -> Result<(), LogError> {
        let now = self.now();
        loop {
            // Others wait for what is sent; what the user is told can follow a moment later.
            let mut again = Vec::new();
            for act in acts.extract_if(.., |act| matches!(act, Act::Send(..))) {
                if let Act::Send(link, what) = act {
                    again.extend((!self.send(link, what)).then_some(Input::LinkFull(link)));
                }
            }
            for act in acts {
                match act {
                    Act::Tell(event) => self.tell(event).await,
                    act => again.extend(self.act(act).await),
                }
            }
            if again.is_empty() {
                break;
            }
            acts = self.core.handle(again, now)?;
        }
        self.plan_sync();
        self.plan_seals();
        Ok(())
    }

    async fn act(&mut self, act: Act) -> Option<Input> {
        match act {
            Act::Order(order) => match self.channels.orders.try_send(order) {
                Ok(()) => None,
                Err(refused) => refused.into_inner().failed(),
            },
            Act::Send(link, what) => (!self.send(link, what)).then_some(Input::LinkFull(link)),
            Act::Close(link, reason, message) => {
                if let Some(queue) = self.links.get_mut(&link) {
                    queue.close(reason, message);
                }
                None
            }
            Act::Tell(event) => {
                self.tell(event).await;
                None
            }
            Act::Refused(member, why) => {
                match member {
                    Some((user, device)) => self.channels.refusals.of_member(&user, &device, &why),
                    None => self.channels.refusals.unknown(&why),
                }
                None
            }
            Act::People(deed) => {
                self.people_deed(deed).await;
                None
            }
            Act::RememberRooms(memberships) => {
                self.state.set_memberships(&memberships);
                self.save_state();
                None
            }
            Act::KeepInvitation(invitation) => {
                self.keep_invitation(&invitation).await;
                None
            }
            Act::Again(input) => Some(input),
        }
    }

    async fn tell(&mut self, event: Event) {
        let Some(event) = self.keeping.hold(event) else { return };
        let before = self.earlier.after(&event);
        // Mostly there is room. An event that is waited with is moved into the wait first, and there is one for every entry.
        if let Err(TrySendError::Full(event)) = self.channels.events.try_send(event) {
            // Nobody listens where the user's side has ended; that ends the loop too.
            let _ended = self.channels.events.send(event).await;
        }
        if let Some(before) = before {
            Box::pin(self.tell_replay(before, REPLAY_LAST)).await;
        }
    }

    async fn notice(&mut self, code: Code, message: String) {
        self.tell(Event::Notice(Notice { code, message })).await;
    }

    fn save_state(&mut self) {
        let (path, bytes) = (self.folder.join(crate::state::FILE), self.state.bytes());
        self.keep(keeping::Kept::State, path, bytes);
    }
}
