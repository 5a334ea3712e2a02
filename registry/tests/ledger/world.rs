//! The world: some nodes, a network, and what happens when.

use std::collections::BTreeSet;

use peerchat_registry::cluster::{
    election::{self, HEARTBEAT},
    ledger::{self, Place},
    term::NodeId,
};

use crate::{
    checks::{Checks, Totals},
    faults::Fault,
    node::{In, SimNode, Write},
    simulating::{
        network::{DELAY_MAX, Network, Odds},
        schedule::Schedule,
    },
};

pub use crate::simulating::network::Who;

/// For so long everything goes wrong.
pub const TROUBLE: u64 = 16_000;
/// So long after that whoever can decide does.
pub const SETTLED: u64 = TROUBLE + 24 * HEARTBEAT.0;
/// How long a proposal takes then, at most.
pub const APPLIED_WITHIN: u64 = 1_000;
/// So long after that all who can talk are equal.
const EQUAL: u64 = SETTLED + 3_000;
const ODDS: Odds = Odds {
    lost_of: 12,
    late_of: 10,
    late_ms: 1_500,
};

/// What a node says to another one.
#[derive(Debug, Clone)]
pub enum Said {
    Election(election::Message),
    Ledger(ledger::Message),
}

/// Something that happens at a time.
#[derive(Debug, Clone)]
pub enum Happening {
    Deliver {
        from: Who,
        to: Who,
        said: Said,
    },
    Tick {
        who: Who,
        life: u64,
    },
    /// A disk has kept something.
    Kept {
        who: Who,
        life: u64,
        write: Write,
    },
    /// A process has read its state, as it was.
    Read {
        who: Who,
        life: u64,
        at: Place,
        state: Vec<u8>,
    },
    /// A process that stood still goes on.
    Resume {
        who: Who,
        life: u64,
    },
    /// Somebody wants a change at a node.
    Propose {
        who: Who,
    },
    /// By now a proposal must have been answered.
    Answered {
        who: Who,
        life: u64,
        ticket: u64,
        applied: bool,
    },
    Fault(Fault),
}

/// A simulated world.
pub struct World {
    pub schedule: Schedule<Happening>,
    pub rng: fastrand::Rng,
    pub nodes: Vec<SimNode>,
    pub network: Network,
    pub peace: bool,
    pub totals: Totals,
    pub checks: Checks,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let count = rng.usize(2..=5);
        let mut world = Self::quiet(count, rng);
        for who in 0..count {
            let at = world.rng.u64(..2_000);
            world.at(at, Happening::Fault(Fault::Start(who)));
        }
        world.plan_faults();
        let mut at = 0;
        while at < TROUBLE {
            at += world.rng.u64(1..250);
            let who = world.rng.usize(..count);
            world.at(at, Happening::Propose { who });
        }
        world
    }

    /// Nodes that have not started, and nothing planned for them.
    pub fn quiet(count: usize, mut rng: fastrand::Rng) -> Self {
        let mut ids = BTreeSet::new();
        while ids.len() < count {
            ids.insert(NodeId::new(rng.u64(1..=99)).unwrap());
        }
        Self {
            schedule: Schedule::default(),
            rng,
            nodes: ids.into_iter().map(SimNode::new).collect(),
            network: Network::new(count, ODDS),
            peace: false,
            totals: Totals::default(),
            checks: Checks::default(),
        }
    }

    pub fn run(mut self) -> Totals {
        self.run_until(TROUBLE);
        self.make_peace(DELAY_MAX);
        self.run_until(SETTLED);
        self.propose_at_all();
        self.run_until(EQUAL);
        self.check_the_end();
        self.totals.runs += 1;
        self.totals.entries = self.checks.entries();
        (self.totals.lost, self.totals.doubled) = (self.network.lost, self.network.doubled);
        self.totals
    }

    /// Lets something happen some milliseconds from now.
    pub fn after(&mut self, ms: u64, happening: Happening) {
        self.at(self.now() + ms, happening);
    }

    pub fn at(&mut self, at: u64, happening: Happening) {
        self.schedule.at(at, happening);
    }

    pub fn now(&self) -> u64 {
        self.schedule.now()
    }

    /// Messages that are still under way then are lost.
    pub fn lose_messages_after(&mut self, end: u64) {
        let is_message = |happening: &Happening| matches!(happening, Happening::Deliver { .. });
        self.schedule.forget_after(end, is_message);
    }

    pub fn run_until(&mut self, end: u64) {
        while let Some(happening) = self.schedule.next_until(end) {
            self.happen(happening);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver { from, to, said } => {
                let from = self.nodes[from].id;
                self.input(
                    to,
                    match said {
                        Said::Election(message) => In::Election(election::Input::Message { from, message }),
                        Said::Ledger(message) => In::Ledger(ledger::Input::Message { from, message }),
                    },
                );
            }
            Happening::Tick { who, life } => self.tick(who, life),
            Happening::Kept { who, life, write } => {
                if let Some(process) = self.nodes[who].process_of(life) {
                    process.keeping = None;
                    self.kept(who, write);
                    self.go_on(who);
                }
            }
            Happening::Read { who, life, at, state } => {
                if self.nodes[who].process_of(life).is_some() {
                    let state = state.into();
                    self.input(who, In::Ledger(ledger::Input::Snapshot { at, state }));
                }
            }
            Happening::Resume { who, life } => {
                if let Some(process) = self.nodes[who].process_of(life) {
                    process.is_stalled = false;
                    self.go_on(who);
                }
            }
            Happening::Propose { who } if !self.peace => self.propose(who, false),
            Happening::Propose { .. } => {}
            Happening::Answered {
                who,
                life,
                ticket,
                applied,
            } => self.check_answered(who, life, ticket, applied),
            Happening::Fault(fault) => self.fault(fault),
        }
    }

    /// Proposes at each node that is up: where a majority is together it must be applied, and elsewhere it must be refused.
    fn propose_at_all(&mut self) {
        for who in 0..self.nodes.len() {
            if self.nodes[who].process.is_some() {
                let applied = self.can_decide(who);
                self.totals.decided_in_peace += u64::from(applied);
                self.totals.undecided_in_peace += u64::from(!applied);
                self.propose(who, applied);
            }
        }
    }

    pub fn send(&mut self, from: Who, to: NodeId, said: &Said) {
        let to = self.nodes.iter().position(|node| node.id == to).unwrap();
        for delay in self.network.carry(from, to, self.peace, &mut self.rng) {
            let said = said.clone();
            self.after(delay, Happening::Deliver { from, to, said });
        }
    }
}
