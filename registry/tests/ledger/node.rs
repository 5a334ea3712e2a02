//! A node: its disk, and its process, which does what a driver does: outputs in their order, and nothing before the disk has kept what it
//! was given.

use std::collections::VecDeque;

use peerchat_registry::{
    cluster::{
        election::{self, Election},
        ledger::{self, Kept, Ledger, Limits, Place, Record, Refusal, Standing, Ticket},
        term::{NodeId, Term},
    },
    routes::Millis,
};

use crate::{
    faults::Fault,
    world::{Happening, Said, Who, World},
};

/// So small that all of them are reached.
const LIMITS: Limits = Limits {
    pending: 8,
    uncommitted: 12,
    batch: 4,
    batch_bytes: 30,
    window: 8,
    kept: 6,
    kept_max: 24,
    part: 200,
};

#[derive(Debug, Default, Clone)]
pub struct Disk {
    /// The election's.
    pub seen: Term,
    /// The ledger's.
    pub kept: Kept,
    /// The state: all changes in their order, 0 for the beginning of a leadership; and up to where it goes. Both are kept at once.
    pub applied: Place,
    pub state: Vec<u64>,
}

#[derive(Debug)]
pub struct SimNode {
    pub id: NodeId,
    pub disk: Disk,
    pub life: u64,
    pub process: Option<Process>,
}

/// What comes into a process.
#[derive(Debug)]
pub enum In {
    Election(election::Input),
    Ledger(ledger::Input),
}

/// What comes out of it.
#[derive(Debug)]
enum Out {
    Election(election::Output),
    Ledger(ledger::Output),
}

/// What is to be on disk.
#[derive(Debug, Clone)]
pub enum Write {
    Seen(Term),
    Record(Record),
    Apply {
        at: Place,
        change: u64,
        ticket: Option<Ticket>,
    },
    Install {
        at: Place,
        state: Vec<u64>,
    },
}

#[derive(Debug)]
pub struct Process {
    pub election: Election,
    pub ledger: Ledger,
    pub is_stalled: bool,
    pub was_stalled: bool,
    /// What the disk is keeping.
    pub keeping: Option<Write>,
    held: VecDeque<Out>,
    /// What one part of the process says to the other, before anything that comes from others.
    own: VecDeque<In>,
    inbox: VecDeque<In>,
}

impl SimNode {
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            disk: Disk::default(),
            life: 0,
            process: None,
        }
    }

    pub fn process_of(&mut self, life: u64) -> Option<&mut Process> {
        self.process.as_mut().filter(|_| self.life == life)
    }
}

impl Disk {
    pub fn write(&mut self, write: Write) {
        match write {
            Write::Seen(term) => self.seen = term,
            Write::Record(record) => self.kept.take(&record),
            Write::Apply { at, change, .. } => {
                self.applied = at;
                self.state.push(change);
            }
            Write::Install { at, state } => {
                self.applied = at;
                self.state = state;
            }
        }
    }
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    let chunks = bytes.chunks_exact(8);
    chunks
        .map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap()))
        .collect()
}

fn change_of(bytes: &[u8]) -> u64 {
    numbers(bytes)[0]
}

impl World {
    /// Starts a node's process, if it is not running.
    pub fn start(&mut self, who: Who) {
        let ids: Vec<_> = self.nodes.iter().map(|node| node.id).collect();
        let node = &mut self.nodes[who];
        if node.process.is_some() {
            return;
        }
        node.life += 1;
        let disk = node.disk.clone();
        // Lives of nodes differ, also where the disk was lost.
        let life = node.life;
        node.process = Some(Process {
            election: Election::new(node.id, ids.clone(), disk.seen, Millis(self.schedule.now())),
            ledger: Ledger::new(node.id, ids, disk.kept, disk.applied, life, LIMITS),
            is_stalled: false,
            was_stalled: false,
            keeping: None,
            held: VecDeque::new(),
            own: VecDeque::new(),
            inbox: VecDeque::new(),
        });
        self.input(who, In::Ledger(ledger::Input::Tick));
        self.input(who, In::Election(election::Input::Tick));
    }

    pub fn tick(&mut self, who: Who, life: u64) {
        let now = self.now();
        let Some(process) = self.nodes[who].process_of(life) else {
            return;
        };
        let is_election_due = process.election.wake_at().0 <= now;
        let is_ledger_due = process.ledger.wake_at().0 <= now;
        if is_election_due {
            self.input(who, In::Election(election::Input::Tick));
        }
        if is_ledger_due {
            self.input(who, In::Ledger(ledger::Input::Tick));
        }
    }

    pub fn input(&mut self, who: Who, input: In) {
        if let Some(process) = &mut self.nodes[who].process {
            process.inbox.push_back(input);
            self.go_on(who);
        }
    }

    /// Does what a process can do before its disk or somebody else stops it.
    pub fn go_on(&mut self, who: Who) {
        loop {
            let chance = self.rng.u64(..);
            let now = Millis(self.now());
            let Some(process) = &mut self.nodes[who].process else {
                return;
            };
            if process.is_stalled || process.keeping.is_some() {
                return;
            }
            if let Some(output) = process.held.pop_front() {
                match output {
                    Out::Election(output) => self.carry_out_election(who, output),
                    Out::Ledger(output) => self.carry_out(who, output),
                }
                continue;
            }
            match process.own.pop_front().or_else(|| process.inbox.pop_front()) {
                Some(In::Election(input)) => {
                    let outputs = process.election.handle(input, now, chance);
                    process.held.extend(outputs.into_iter().map(Out::Election));
                }
                Some(In::Ledger(input)) => {
                    let outputs = process.ledger.handle(input, now);
                    let standing = process.ledger.standing();
                    assert!(!matches!(standing, Standing::Contradicted(_)), "{standing}");
                    process.held.extend(outputs.into_iter().map(Out::Ledger));
                }
                None => break,
            }
        }
        let node = &self.nodes[who];
        let process = node.process.as_ref().unwrap();
        let wake_at = process.election.wake_at().min(process.ledger.wake_at()).0;
        let life = node.life;
        if wake_at < u64::MAX {
            self.at(wake_at.max(self.now() + 1), Happening::Tick { who, life });
        }
    }

    fn carry_out_election(&mut self, who: Who, output: election::Output) {
        match output {
            election::Output::Persist(term) => self.keep(who, Write::Seen(term)),
            election::Output::Send { to, message } => self.send(who, to, &Said::Election(message)),
            election::Output::Became(role) => self.push(who, In::Ledger(ledger::Input::Role(role))),
        }
    }

    fn carry_out(&mut self, who: Who, output: ledger::Output) {
        match output {
            ledger::Output::Persist(record) => self.keep(who, Write::Record(record)),
            ledger::Output::Send { to, message } => {
                self.check_message(who, &message);
                self.send(who, to, &Said::Ledger(message));
            }
            ledger::Output::Apply { at, change, ticket } => {
                let change = change.map_or(0, |bytes| change_of(&bytes));
                self.check_apply(who, at, change);
                self.keep(who, Write::Apply { at, change, ticket });
            }
            ledger::Output::Install { at, state } => {
                let state = numbers(&state);
                self.check_install(at, &state);
                self.totals.installs += 1;
                self.keep(who, Write::Install { at, state });
            }
            ledger::Output::Refused { ticket, why } => {
                self.totals.refused += 1;
                self.totals.superseded += u64::from(why == Refusal::Superseded);
                self.check_refused(who, ticket.0, why);
            }
            ledger::Output::TakeSnapshot => {
                let disk = &self.nodes[who].disk;
                let state: Vec<u8> = disk.state.iter().flat_map(|change| change.to_le_bytes()).collect();
                let (at, life) = (disk.applied, self.nodes[who].life);
                // Reading it takes a while, in which more may be applied.
                let delay = self.rng.u64(..400);
                self.after(delay, Happening::Read { who, life, at, state });
            }
            ledger::Output::Seen(term) => self.push(who, In::Election(election::Input::Seen(term))),
        }
    }

    fn push(&mut self, who: Who, input: In) {
        self.nodes[who].process.as_mut().unwrap().own.push_back(input);
    }

    fn keep(&mut self, who: Who, write: Write) {
        let takes = match self.rng.u8(..40) {
            0 if !self.peace => self.rng.u64(..700),
            1..10 => self.rng.u64(1..10),
            _ => 0,
        };
        if takes == 0 {
            return self.kept(who, write);
        }
        let life = self.nodes[who].life;
        self.nodes[who].process.as_mut().unwrap().keeping = Some(write.clone());
        self.after(takes, Happening::Kept { who, life, write });
        // The moment in which a crash could do most harm.
        if !self.peace && self.rng.u8(..200) == 0 {
            self.after(takes / 2, Happening::Fault(Fault::Crash(who)));
            let later = self.rng.u64(1..3_000);
            self.after(later, Happening::Fault(Fault::Start(who)));
        }
    }

    pub fn kept(&mut self, who: Who, write: Write) {
        self.nodes[who].disk.write(write.clone());
        if let Write::Apply {
            at,
            ticket: Some(ticket),
            change,
        } = write
        {
            self.check_applied(who, at, ticket.0, change);
        }
    }

    /// Proposes a change that no other one is like.
    pub fn propose(&mut self, who: Who, must_be_applied: bool) {
        if self.nodes[who].process.is_none() {
            return;
        }
        self.totals.proposed += 1;
        let ticket = self.checks.new_change(who);
        let life = self.nodes[who].life;
        let change = ticket.to_le_bytes().to_vec().into();
        self.answer_expected(who, life, ticket, must_be_applied);
        let ticket = Ticket(ticket);
        self.input(who, In::Ledger(ledger::Input::Propose { ticket, change }));
    }
}
