//! Who leads: the Bully algorithm (Hector Garcia-Molina, *Elections in a Distributed Computing System*, IEEE Transactions on Computers
//! C-31(1), 1982), with terms. Pure: the time, chance and what others say come in as arguments; what is to be sent, kept and known
//! comes out as [`Output`]s, to be carried out in their order.
//!
//! **The algorithm.** The highest node that is there leads, and says so with a heartbeat. A node that starts, or that hears none
//! for [`LEADER_DEAD`], holds an election: it asks all others. Who is asked answers, and where he is higher he holds an election
//! himself. Where a higher one has answered, the asker waits to be told of the new leader, and asks anew if he is not. Where none
//! has, and all lower ones have answered or [`ANSWER_WAIT`] is over, it leads, and tells all.
//!
//! **Terms.** Messages may be late, and both sides of a parted network elect a leader. So every leadership has a [`Term`], which no
//! other one has, and each node keeps the highest that it has seen. It takes no leadership below that; whoever claims one is told,
//! steps down, and holds an election. That is why lower nodes are asked as well, as in the paper: their answers say which terms have
//! been. The highest is kept on disk *before* it is in any message, so a node that was restarted repeats no leadership of its own.
//! An election alone takes no new term: who asked for nothing is told of the leader that there is, and nothing has changed.
//!
//! A node whose disk was lost has forgotten its terms, and learns them from whoever answers. Cut off from everybody it may repeat
//! one of its own; what a majority must agree to is safe all the same, since a majority knows every term under which another one agreed.
//!
//! **Where only some can reach one another**, a node that does not hear the leader would depose it again and again, by the help of those
//! whom both reach. So an answer also says which leader its sender hears. Who is told of one that is higher than himself waits, as if that
//! one had answered.
//!
//! Members are believed: whoever has a certificate of the cluster's authority could as well have its key.

mod message;

use std::collections::BTreeSet;

pub use message::{Input, Message, Output, Role};

use super::term::{NodeId, Term};
use crate::routes::Millis;

/// How often a leader says that it is there.
pub const HEARTBEAT: Millis = Millis(250);

/// After how long without a heartbeat a leader counts as dead: three may be lost. Up to [`LEADER_DEAD_JITTER`] is added, so that not
/// all ask at once.
pub const LEADER_DEAD: Millis = Millis(1_000);

/// See [`LEADER_DEAD`].
pub const LEADER_DEAD_JITTER: Millis = Millis(200);

/// Within which time somebody must have heard the leader for his word that it is there to count. Less than [`LEADER_DEAD`], so that
/// nobody vouches for a leader that is dead when the first one asks.
pub const LEADER_RECENT: Millis = Millis(600);

/// How long answers to an election are awaited. One that comes later does no harm: it is from a node that then takes the lead itself.
pub const ANSWER_WAIT: Millis = Millis(300);

/// How long a higher node that has answered may take to lead: as long as it waits for answers itself, and as much again. Up to
/// [`COORDINATOR_JITTER`] is added.
pub const COORDINATOR_WAIT: Millis = Millis(600);

/// See [`COORDINATOR_WAIT`].
pub const COORDINATOR_JITTER: Millis = Millis(200);

/// How often a node that does not lead says that it is there, and which terms it has seen.
pub const GREETING: Millis = Millis(1_000);

/// One node's part in the election.
#[derive(Debug)]
pub struct Election {
    me: NodeId,
    others: BTreeSet<NodeId>,
    /// The highest term that was seen. On disk, or about to be: [`Output::Persist`].
    seen: Term,
    state: State,
    greet_at: Millis,
    /// Nodes that have resigned and said nothing since. No answer of theirs is awaited.
    absent: BTreeSet<NodeId>,
    outputs: Vec<Output>,
}

#[derive(Debug)]
enum State {
    /// Somebody higher leads.
    Follower { term: Term, heard: Millis, dead_at: Millis },
    /// All were asked, and nobody who is higher has answered yet.
    Asking { awaited: BTreeSet<NodeId>, until: Millis },
    /// Somebody higher is there, and will say that he leads.
    Waiting { until: Millis },
    /// This node leads.
    Leader { term: Term, heartbeat_at: Millis },
    /// It has handed over, and takes no part any more.
    Resigned,
}

impl Election {
    /// A node that has just started. `seen` is the last term that [`Output::Persist`] has named, in this run or an earlier one. Its first
    /// [`Input::Tick`] is due at once.
    pub fn new(me: NodeId, nodes: impl IntoIterator<Item = NodeId>, seen: Term, now: Millis) -> Self {
        Self {
            me,
            others: nodes.into_iter().filter(|node| *node != me).collect(),
            seen,
            state: State::Waiting { until: now },
            greet_at: now + GREETING,
            absent: BTreeSet::new(),
            outputs: Vec::new(),
        }
    }

    /// What this node is.
    pub fn role(&self) -> Role {
        match self.state {
            State::Follower { term, .. } => Role::Follower(term),
            State::Leader { term, .. } => Role::Leader(term),
            State::Asking { .. } | State::Waiting { .. } | State::Resigned => Role::Election,
        }
    }

    /// When the next [`Input::Tick`] is due, if nothing else comes in before.
    pub fn wake_at(&self) -> Millis {
        match self.state {
            State::Follower { dead_at, .. } => dead_at.min(self.greet_at),
            State::Asking { until, .. } | State::Waiting { until } => until.min(self.greet_at),
            State::Leader { heartbeat_at, .. } => heartbeat_at,
            State::Resigned => Millis(u64::MAX),
        }
    }

    /// Takes one step. `chance` is any random number.
    pub fn handle(&mut self, input: Input, now: Millis, chance: u64) -> Vec<Output> {
        match input {
            _ if matches!(self.state, State::Resigned) => {}
            Input::Tick => self.tick(now, chance),
            Input::Resign => self.resign(),
            Input::Seen(term) => self.learn(term, now),
            Input::Message { from, message } if self.others.contains(&from) => {
                self.message(from, message, now, chance);
            }
            Input::Message { .. } => {}
        }
        std::mem::take(&mut self.outputs)
    }

    fn tick(&mut self, now: Millis, chance: u64) {
        match self.state {
            State::Follower { dead_at: until, .. } | State::Waiting { until } if now >= until => self.ask_all(now),
            State::Asking { until, .. } if now >= until => self.lead(now),
            State::Leader { term, heartbeat_at } if now >= heartbeat_at => {
                self.enter(State::Leader {
                    term,
                    heartbeat_at: now + HEARTBEAT,
                });
                self.send_all(Message::Heartbeat { term });
            }
            _ => {}
        }
        if now >= self.greet_at {
            self.greet_at = now + GREETING + jitter(chance, HEARTBEAT);
            // A leader's heartbeats say as much.
            if !matches!(self.state, State::Leader { .. }) {
                let greeting = self.answer(now);
                self.send_all(greeting);
            }
        }
    }

    fn message(&mut self, from: NodeId, message: Message, now: Millis, chance: u64) {
        if !matches!(message, Message::Resign { .. }) {
            self.absent.remove(&from);
        }
        match message {
            Message::Election { seen } => self.asked(from, seen, now, chance),
            Message::Answer { seen, leader } => self.answered(from, seen, leader, now, chance),
            Message::Coordinator { term } | Message::Heartbeat { term } if term.leader() == Some(from) => {
                self.told_of_leader(from, term, now, chance);
            }
            Message::Resign { term } if term.leader() == Some(from) => self.resigned(from, term, now),
            // Nobody speaks for another.
            Message::Coordinator { .. } | Message::Heartbeat { .. } | Message::Resign { .. } => {}
        }
    }

    fn asked(&mut self, from: NodeId, seen: Term, now: Millis, chance: u64) {
        self.learn(seen, now);
        let answer = self.answer(now);
        self.send(from, answer);
        let is_higher = from > self.me;
        match self.state {
            State::Leader { term, .. } if !is_higher => self.send(from, Message::Coordinator { term }),
            State::Follower { .. } if !is_higher && !self.hears_leader(now) => self.ask_all(now),
            State::Asking { .. } if is_higher => self.wait(now, chance),
            _ => {}
        }
    }

    fn answered(&mut self, from: NodeId, seen: Term, leader: Term, now: Millis, chance: u64) {
        self.learn(seen.max(leader), now);
        let is_higher = from > self.me || leader.leader().is_some_and(|leader| leader > self.me);
        let State::Asking { awaited, .. } = &mut self.state else {
            return;
        };
        awaited.remove(&from);
        let is_last = awaited.is_empty();
        if is_higher {
            self.wait(now, chance);
        } else if is_last {
            self.lead(now);
        }
    }

    fn told_of_leader(&mut self, from: NodeId, term: Term, now: Millis, chance: u64) {
        if term < self.seen {
            // Of an older leadership. Its leader steps down when it learns of the later one.
            let answer = self.answer(now);
            return self.send(from, answer);
        }
        if from > self.me {
            if !matches!(self.state, State::Follower { term: known, .. } if known == term) {
                self.step_down();
                self.learn(term, now);
            }
            return self.enter(State::Follower {
                term,
                heard: now,
                dead_at: now + LEADER_DEAD + jitter(chance, LEADER_DEAD_JITTER),
            });
        }
        // A lower one leads, and does not know that this one is there.
        self.learn(term, now);
        if matches!(self.state, State::Follower { .. }) && !self.hears_leader(now) {
            self.ask_all(now);
        }
    }

    fn resigned(&mut self, from: NodeId, term: Term, now: Millis) {
        self.absent.insert(from);
        match &mut self.state {
            State::Follower { term: followed, .. } if *followed == term => self.ask_all(now),
            State::Asking { awaited, .. } => {
                awaited.remove(&from);
                if awaited.is_empty() {
                    self.lead(now);
                }
            }
            _ => {}
        }
    }

    fn resign(&mut self) {
        let led = match self.state {
            State::Leader { term, .. } => Some(term),
            _ => None,
        };
        self.enter(State::Resigned);
        if let Some(term) = led {
            self.send_all(Message::Resign { term });
        }
    }

    /// Takes note of a term. A leader of an earlier one leads no longer, and asks who does.
    fn learn(&mut self, term: Term, now: Millis) {
        if term <= self.seen {
            return;
        }
        let was_leader = self.step_down();
        self.seen = term;
        self.outputs.push(Output::Persist(term));
        if was_leader {
            self.ask_all(now);
        }
    }

    /// Before anything is kept: that may take its time where the disk is full.
    fn step_down(&mut self) -> bool {
        let is_leader = matches!(self.state, State::Leader { .. });
        if is_leader {
            self.enter(State::Waiting { until: Millis(0) });
        }
        is_leader
    }

    /// Holds an election.
    fn ask_all(&mut self, now: Millis) {
        let awaited: BTreeSet<_> = self.others.difference(&self.absent).copied().collect();
        let until = now + ANSWER_WAIT;
        let is_alone = awaited.is_empty();
        self.enter(State::Asking { awaited, until });
        if is_alone {
            return self.lead(now);
        }
        self.send_all(Message::Election { seen: self.seen });
    }

    /// Leaves it to somebody higher.
    fn wait(&mut self, now: Millis, chance: u64) {
        let until = now + COORDINATOR_WAIT + jitter(chance, COORDINATOR_JITTER);
        self.enter(State::Waiting { until });
    }

    fn lead(&mut self, now: Millis) {
        let Some(term) = self.seen.next_of(self.me) else {
            // No term is left, so nobody leads any more.
            let until = now + GREETING;
            return self.enter(State::Waiting { until });
        };
        self.seen = term;
        self.outputs.push(Output::Persist(term));
        let heartbeat_at = now + HEARTBEAT;
        self.enter(State::Leader { term, heartbeat_at });
        self.send_all(Message::Coordinator { term });
    }

    fn enter(&mut self, state: State) {
        let before = self.role();
        self.state = state;
        let role = self.role();
        if role != before {
            self.outputs.push(Output::Became(role));
        }
    }

    /// That this node is there, and what it knows.
    fn answer(&self, now: Millis) -> Message {
        let leader = match self.state {
            State::Leader { term, .. } => term,
            State::Follower { term, .. } if self.hears_leader(now) => term,
            _ => Term::NONE,
        };
        Message::Answer {
            seen: self.seen,
            leader,
        }
    }

    fn hears_leader(&self, now: Millis) -> bool {
        matches!(self.state, State::Follower { heard, .. } if now < heard + LEADER_RECENT)
    }

    fn send(&mut self, to: NodeId, message: Message) {
        self.outputs.push(Output::Send { to, message });
    }

    fn send_all(&mut self, message: Message) {
        let all = self.others.iter().map(|to| Output::Send { to: *to, message });
        self.outputs.extend(all);
    }
}

fn jitter(chance: u64, span: Millis) -> Millis {
    Millis(chance % (span.0 + 1))
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
