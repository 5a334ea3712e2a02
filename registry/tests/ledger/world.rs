//! The world: a clock, a queue of what happens when, some nodes, and a network.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use peerchat_registry::cluster::{
    election::{self, HEARTBEAT},
    ledger,
    term::NodeId,
};

use crate::{
    checks::{Checks, Totals},
    faults::Fault,
    node::{In, SimNode, Write},
};

/// For so long everything goes wrong.
pub const TROUBLE: u64 = 16_000;
/// So long after that whoever can decide does.
pub const SETTLED: u64 = TROUBLE + 24 * HEARTBEAT.0;
/// How long a proposal takes then, at most.
pub const APPLIED_WITHIN: u64 = 1_000;
/// So long after that all who can talk are equal.
const EQUAL: u64 = SETTLED + 3_000;
/// How long a message takes at most where nothing is wrong.
const DELAY_MAX: u64 = 30;

/// Which node, by its place in the list.
pub type Who = usize;

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
    pub now: u64,
    pub rng: fastrand::Rng,
    pub nodes: Vec<SimNode>,
    /// Who cannot say anything to whom.
    pub cut: BTreeSet<(Who, Who)>,
    pub peace: bool,
    pub totals: Totals,
    pub checks: Checks,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next: u64,
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
            now: 0,
            rng,
            nodes: ids.into_iter().map(SimNode::new).collect(),
            cut: BTreeSet::new(),
            peace: false,
            totals: Totals::default(),
            checks: Checks::default(),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next: 0,
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
        self.totals
    }

    /// Lets something happen some milliseconds from now.
    pub fn after(&mut self, ms: u64, happening: Happening) {
        self.at(self.now + ms, happening);
    }

    pub fn at(&mut self, at: u64, happening: Happening) {
        self.queue.push(Reverse((at, self.next)));
        self.happenings.insert(self.next, happening);
        self.next += 1;
    }

    /// Messages that are still under way then are lost.
    pub fn lose_messages_after(&mut self, end: u64) {
        for Reverse((at, number)) in &self.queue {
            if *at > end && matches!(self.happenings.get(number), Some(Happening::Deliver { .. })) {
                self.happenings.remove(number);
            }
        }
    }

    pub fn run_until(&mut self, end: u64) {
        while let Some(&Reverse((at, number))) = self.queue.peek() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = at;
            if let Some(happening) = self.happenings.remove(&number) {
                self.happen(happening);
            }
        }
        self.now = end;
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
        if self.cut.contains(&(from, to)) {
            self.totals.lost += 1;
            return;
        }
        let copies = match self.rng.u8(..12) {
            _ if self.peace => 1,
            0 => 0,
            1 => 2,
            _ => 1,
        };
        match copies {
            0 => self.totals.lost += 1,
            2 => self.totals.doubled += 1,
            _ => {}
        }
        for _ in 0..copies {
            let is_late = !self.peace && self.rng.u8(..10) == 0;
            let delay = self.rng.u64(1..=if is_late { 1_500 } else { DELAY_MAX });
            let said = said.clone();
            self.after(delay, Happening::Deliver { from, to, said });
        }
    }
}
