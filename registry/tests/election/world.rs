//! The world: some nodes with their disks, a network, and what happens when.

use std::collections::{BTreeSet, VecDeque};

use peerchat_registry::{
    cluster::{
        election::{Election, HEARTBEAT, Input, Message, Output},
        term::{NodeId, Term},
    },
    routes::Millis,
};

use crate::{
    checks::Checks,
    faults::Fault,
    simulating::{
        network::{DELAY_MAX, Network, Odds},
        schedule::Schedule,
        seeds::totals,
    },
};

pub use crate::simulating::network::Who;

/// For so long everything goes wrong.
pub const TROUBLE: u64 = 30_000;
/// Within so many heartbeats after that all who can talk must agree.
pub const BOUND: u64 = 8;
/// For so long after that nothing may change any more.
const PEACE: u64 = 20_000;
const ODDS: Odds = Odds {
    lost_of: 10,
    late_of: 8,
    late_ms: 900,
};

/// Something that happens at a time.
#[derive(Debug, Clone)]
pub enum Happening {
    Deliver {
        from: Who,
        to: Who,
        message: Message,
    },
    Tick {
        who: Who,
        life: u32,
    },
    /// A disk has kept a term.
    Kept {
        who: Who,
        life: u32,
        term: Term,
    },
    /// A process that stood still goes on.
    Resume {
        who: Who,
        life: u32,
    },
    Fault(Fault),
}

totals!(
    leaderships,
    lost,
    doubled,
    crashes,
    crashes_while_keeping,
    partitions,
    one_way_cuts,
    resignations,
    stalls;
    most:
    /// Of all runs the longest time until all agreed.
    slowest_ms
);

/// A node: what is on its disk, and its process.
#[derive(Debug)]
pub struct SimNode {
    pub id: NodeId,
    pub disk: Term,
    pub life: u32,
    pub process: Option<Process>,
}

/// A process. It does what the shipped driver does: outputs in their order, and nothing before its disk has kept what it was given.
#[derive(Debug)]
pub struct Process {
    pub election: Election,
    pub is_stalled: bool,
    /// What the disk is keeping, and what is to be done when it has.
    pub keeping: Option<Term>,
    held: VecDeque<Output>,
    inbox: VecDeque<Input>,
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
        let mut ids = BTreeSet::new();
        while ids.len() < count {
            ids.insert(NodeId::new(rng.u64(1..=99)).unwrap());
        }
        let sim_node = |id| SimNode {
            id,
            disk: Term::NONE,
            life: 0,
            process: None,
        };
        let mut world = Self {
            schedule: Schedule::default(),
            rng,
            nodes: ids.into_iter().map(sim_node).collect(),
            network: Network::new(count, ODDS),
            peace: false,
            totals: Totals::default(),
            checks: Checks::default(),
        };
        for who in 0..count {
            let at = world.rng.u64(..2_000);
            world.at(at, Happening::Fault(Fault::Start(who)));
        }
        world.plan_faults();
        world
    }

    pub fn run(mut self) -> Totals {
        self.run_until(TROUBLE);
        self.make_peace(DELAY_MAX);
        let bound = TROUBLE + BOUND * HEARTBEAT.0;
        self.run_until(bound);
        self.check_agreement();
        self.run_until(bound + PEACE);
        self.check_agreement();
        assert!(self.checks.last_change <= bound, "who leads changed in peace");
        self.totals.slowest_ms = self.checks.last_change.saturating_sub(TROUBLE);
        self.totals.leaderships = self.checks.leaderships();
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

    fn run_until(&mut self, end: u64) {
        while let Some(happening) = self.schedule.next_until(end) {
            self.happen(happening);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver { from, to, message } => {
                let from = self.nodes[from].id;
                self.input(to, Input::Message { from, message });
            }
            Happening::Tick { who, life } => {
                let due = |process: &Process| process.election.wake_at().0 <= self.now();
                if self.nodes[who].life == life && self.nodes[who].process.as_ref().is_some_and(due) {
                    self.input(who, Input::Tick);
                }
            }
            Happening::Kept { who, life, term } => {
                let node = &mut self.nodes[who];
                if let Some(process) = node.process.as_mut().filter(|_| node.life == life) {
                    process.keeping = None;
                    node.disk = term;
                    self.go_on(who);
                }
            }
            Happening::Resume { who, life } => {
                let node = &mut self.nodes[who];
                if let Some(process) = node.process.as_mut().filter(|_| node.life == life) {
                    process.is_stalled = false;
                    self.go_on(who);
                }
            }
            Happening::Fault(fault) => self.fault(fault),
        }
    }

    /// Starts a node's process, if it is not running.
    pub fn start(&mut self, who: Who) {
        let ids: Vec<_> = self.nodes.iter().map(|node| node.id).collect();
        let node = &mut self.nodes[who];
        if node.process.is_some() {
            return;
        }
        node.life += 1;
        node.process = Some(Process {
            election: Election::new(node.id, ids, node.disk, Millis(self.schedule.now())),
            is_stalled: false,
            keeping: None,
            held: VecDeque::new(),
            inbox: VecDeque::new(),
        });
        self.input(who, Input::Tick);
    }

    pub fn input(&mut self, who: Who, input: Input) {
        if let Some(process) = &mut self.nodes[who].process {
            process.inbox.push_back(input);
            self.go_on(who);
        }
    }

    /// Does what a process can do before its disk or somebody else stops it.
    fn go_on(&mut self, who: Who) {
        loop {
            let chance = self.rng.u64(..);
            let Some(process) = &mut self.nodes[who].process else {
                return;
            };
            if process.is_stalled || process.keeping.is_some() {
                return;
            }
            if let Some(output) = process.held.pop_front() {
                self.carry_out(who, output);
                continue;
            }
            let Some(input) = process.inbox.pop_front() else { break };
            process.held = process
                .election
                .handle(input, Millis(self.schedule.now()), chance)
                .into();
        }
        let node = &self.nodes[who];
        let (life, wake_at) = (node.life, node.process.as_ref().unwrap().election.wake_at().0);
        if wake_at < u64::MAX {
            self.at(wake_at.max(self.now() + 1), Happening::Tick { who, life });
        }
    }

    fn carry_out(&mut self, who: Who, output: Output) {
        match output {
            Output::Persist(term) => {
                let is_slow = !self.peace && self.rng.u8(..20) == 0;
                let takes = self.rng.u64(..if is_slow { 700 } else { 10 });
                let life = self.nodes[who].life;
                self.nodes[who].process.as_mut().unwrap().keeping = Some(term);
                self.after(takes, Happening::Kept { who, life, term });
                // The moment in which a crash could do most harm.
                if !self.peace && self.rng.u8(..20) == 0 {
                    self.after(takes / 2, Happening::Fault(Fault::Crash(who)));
                    let later = self.rng.u64(1..3_000);
                    self.after(later, Happening::Fault(Fault::Start(who)));
                }
            }
            Output::Send { to, message } => {
                self.check_message(who, message);
                let to = self.nodes.iter().position(|node| node.id == to).unwrap();
                self.send(who, to, message);
            }
            Output::Became(role) => self.check_role(who, role),
        }
    }

    fn send(&mut self, from: Who, to: Who, message: Message) {
        for delay in self.network.carry(from, to, self.peace, &mut self.rng) {
            self.after(delay, Happening::Deliver { from, to, message });
        }
    }
}
