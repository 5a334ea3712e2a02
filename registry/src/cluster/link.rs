//! The way to one other node. What is said is said soon or not at all: the election and the ledger tell everything again that still matters.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustls::ClientConfig;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tracing::{info, warn};

use super::{
    election, ledger,
    lives::Lives,
    members::Members,
    term::NodeId,
    wire::{LinkError, NodeClient},
};
use crate::address::Address;

/// How many messages of the election wait to be said. The oldest makes room for the newest.
const QUEUE_MAX: usize = 32;

/// How many of the ledger do, which may have 80 KiB each. The newest is lost where there is no room: without those before it, it would be of no use.
const LEDGER_QUEUE_MAX: usize = 64;

/// How old a message may be when it is said. An older one would say what is no longer so.
const STALE: Duration = Duration::from_secs(1);

/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_millis(500);

/// After how long a node that could not be reached is dialled again: at first, and at most. It is dialled at once when it calls.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Whether a node can be talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkState {
    Up,
    Down,
}

/// What is said to a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Election(election::Message),
    Ledger(ledger::Message),
}

/// The near end of a link.
#[derive(Debug, Clone)]
pub(super) struct Link(Arc<Shared>);

/// What both ends of a link's queue share.
#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something is in the queue, or nothing more will be.
    news: Notify,
    /// There is reason to dial at once.
    called: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// These come first: whoever waits for the end of the ledger's would take this node for dead.
    election: VecDeque<(Instant, election::Message)>,
    ledger: VecDeque<(Instant, ledger::Message)>,
    is_ended: bool,
}

impl Queue {
    fn pop(&mut self) -> Option<(Instant, Said)> {
        let first = self.election.pop_front();
        let first = first.map(|(since, message)| (since, Said::Election(message)));
        first.or_else(|| {
            let next = self.ledger.pop_front();
            next.map(|(since, message)| (since, Said::Ledger(message)))
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message that is not stale; none when the link has ended and all has been said.
    async fn next(&self) -> Option<Said> {
        loop {
            {
                let mut queue = self.lock();
                while let Some((since, said)) = queue.pop() {
                    if since.elapsed() <= STALE {
                        return Some(said);
                    }
                }
                if queue.is_ended {
                    return None;
                }
            }
            self.news.notified().await;
        }
    }
}

impl Link {
    pub(super) fn start(
        id: NodeId,
        address: Address,
        members: &Members,
        tls: Arc<ClientConfig>,
        states: mpsc::Sender<(NodeId, LinkState)>,
        lives: Arc<Lives>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let carrier = Carrier {
            id,
            address,
            nodes: members.numbers(),
            tls,
            shared: Arc::clone(&shared),
            states,
            lives,
            state: LinkState::Down,
            told: None,
            pause: RETRY_FIRST,
        };
        tasks.spawn(carrier.run());
        Self(shared)
    }

    /// Says something of the election, soon or not at all.
    pub(super) fn send(&self, message: election::Message) {
        let mut queue = self.0.lock();
        if queue.election.len() >= QUEUE_MAX {
            queue.election.pop_front();
        }
        queue.election.push_back((Instant::now(), message));
        drop(queue);
        self.0.news.notify_one();
    }

    /// Says something of the ledger, soon or not at all.
    pub(super) fn decide(&self, message: ledger::Message) {
        let mut queue = self.0.lock();
        while queue.ledger.front().is_some_and(|(since, _)| since.elapsed() > STALE) {
            queue.ledger.pop_front();
        }
        if queue.ledger.len() < LEDGER_QUEUE_MAX {
            queue.ledger.push_back((Instant::now(), message));
        }
        drop(queue);
        self.0.news.notify_one();
    }

    /// The other node has called, so it is there.
    pub(super) fn was_called(&self) {
        self.0.called.notify_one();
    }

    /// Says what is left to be said, if the other node is there, and ends.
    pub(super) fn end(self) {
        self.0.lock().is_ended = true;
        self.0.news.notify_one();
        self.0.called.notify_one();
    }
}

/// What carries messages to the other end.
struct Carrier {
    id: NodeId,
    address: Address,
    /// The list of this node, which the other one compares with its own.
    nodes: Vec<u32>,
    tls: Arc<ClientConfig>,
    shared: Arc<Shared>,
    states: mpsc::Sender<(NodeId, LinkState)>,
    /// Where it is noted which process is at the other end.
    lives: Arc<Lives>,
    state: LinkState,
    /// What the log says of it already.
    told: Option<String>,
    pause: Duration,
}

impl Carrier {
    async fn run(mut self) {
        loop {
            match NodeClient::connect(self.address.as_str(), self.id, Arc::clone(&self.tls)).await {
                Ok(client) => {
                    let Some(failure) = self.carry(client).await else {
                        return;
                    };
                    self.fail(&failure).await;
                }
                Err(failure) => self.fail(&failure).await,
            }
            if !self.rest().await {
                return;
            }
        }
    }

    /// Says what is to be said until the connection fails; none where nothing more will be.
    async fn carry(&mut self, mut client: NodeClient) -> Option<LinkError> {
        let shared = Arc::clone(&self.shared);
        while let Some(said) = shared.next().await {
            let begun = Instant::now();
            let called = timeout(CALL_TIMEOUT, client.call(&self.nodes, said)).await;
            if let (Ok(Ok(()) | Err(LinkError::Refused(_))), Some(key)) = (&called, client.key()) {
                self.lives.answered(self.id, key, begun.into_std());
            }
            match called.unwrap_or(Err(LinkError::Silent)) {
                Ok(()) => self.succeed().await,
                // The connection is good. What is wrong with this node somebody must mend.
                Err(refused @ LinkError::Refused(_)) => self.fail(&refused).await,
                Err(failure) => return Some(failure),
            }
        }
        None
    }

    async fn succeed(&mut self) {
        self.pause = RETRY_FIRST;
        if self.state == LinkState::Down {
            info!(node = %self.id, address = %self.address, "a node can be reached");
            self.told = None;
            self.become_state(LinkState::Up).await;
        }
    }

    async fn fail(&mut self, failure: &LinkError) {
        // That a node is not there is told once, however that shows. What somebody must mend is told by itself.
        let told = if failure.is_for_the_operator() {
            failure.to_string()
        } else {
            String::new()
        };
        if self.told.as_ref() != Some(&told) && !self.shared.lock().is_ended {
            warn!(node = %self.id, address = %self.address, %failure, "a node cannot be reached");
            self.told = Some(told);
        }
        if self.state == LinkState::Up {
            self.become_state(LinkState::Down).await;
        }
    }

    async fn become_state(&mut self, state: LinkState) {
        self.state = state;
        // Where nobody wants to know any more, this ends soon.
        let _ = self.states.send((self.id, state)).await;
    }

    /// Waits before the next try: longer each time, and never as long as others do. False where there will be none.
    async fn rest(&mut self) -> bool {
        let pause = self.pause.mul_f64(0.75 + fastrand::f64() / 2.0);
        self.pause = (self.pause * 2).min(RETRY_MAX);
        tokio::select! {
            () = sleep_until(Instant::now() + pause) => {}
            () = self.shared.called.notified() => {}
        }
        !self.shared.lock().is_ended
    }
}

#[cfg(test)]
mod tests {
    use super::{super::term::Term, *};

    fn heartbeat(round: u64) -> election::Message {
        let term = Term::new(round * 100 + 1).unwrap();
        election::Message::Heartbeat { term }
    }

    #[tokio::test]
    async fn the_oldest_makes_room_and_the_end_comes_after_what_was_said() {
        let shared = Arc::new(Shared::default());
        let more = 5;
        for round in 1..=QUEUE_MAX as u64 + more {
            Link(Arc::clone(&shared)).send(heartbeat(round));
        }
        Link(Arc::clone(&shared)).end();
        for round in more + 1..=QUEUE_MAX as u64 + more {
            assert_eq!(shared.next().await, Some(Said::Election(heartbeat(round))));
        }
        assert_eq!(shared.next().await, None);
    }

    #[tokio::test]
    async fn what_is_stale_is_not_said() {
        let shared = Shared::default();
        let Some(long_ago) = Instant::now().checked_sub(2 * STALE) else {
            return;
        };
        shared.lock().election.push_back((long_ago, heartbeat(1)));
        shared.lock().election.push_back((Instant::now(), heartbeat(2)));
        assert_eq!(shared.next().await, Some(Said::Election(heartbeat(2))));
    }

    #[tokio::test]
    async fn the_election_goes_first_and_the_ledger_has_no_holes() {
        let shared = Arc::new(Shared::default());
        let link = Link(Arc::clone(&shared));
        let ask = |nonce| ledger::Message::Ask { nonce };
        for nonce in 0..LEDGER_QUEUE_MAX as u64 + 5 {
            link.decide(ask(nonce));
        }
        link.send(heartbeat(1));
        assert_eq!(shared.next().await, Some(Said::Election(heartbeat(1))));
        link.end();
        for nonce in 0..LEDGER_QUEUE_MAX as u64 {
            assert_eq!(shared.next().await, Some(Said::Ledger(ask(nonce))));
        }
        assert_eq!(shared.next().await, None);
    }
}
