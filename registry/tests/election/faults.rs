//! What breaks, and how it is mended.

use peerchat_registry::cluster::election::Input;

use crate::world::{Happening, TROUBLE, Who, World};

/// Something that breaks or is mended.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Start(Who),
    /// The process is gone, and what its disk was keeping may be kept or not.
    Crash(Who),
    /// It hands over and ends.
    Stop(Who),
    /// It stands still for so long, in milliseconds.
    Stall(Who, u64),
    /// Two sides, neither of which hears the other.
    Part,
    /// Some hear nothing of some others, who may hear them.
    CutSome,
    Heal,
}

impl World {
    /// Spreads faults over the time of trouble.
    pub fn plan_faults(&mut self) {
        for _ in 0..self.rng.usize(3..16) {
            let at = self.rng.u64(1_000..TROUBLE);
            let who = self.rng.usize(..self.nodes.len());
            let span = self.rng.u64(1..8_000);
            let (breaks, mends) = match self.rng.u8(..10) {
                0..3 => (Fault::Crash(who), Fault::Start(who)),
                3 => (Fault::Stop(who), Fault::Start(who)),
                4 => (Fault::Stall(who, span), Fault::Heal),
                5..8 => (Fault::Part, Fault::Heal),
                _ => (Fault::CutSome, Fault::Heal),
            };
            self.at(at, Happening::Fault(breaks));
            self.at(at + span, Happening::Fault(mends));
        }
    }

    pub fn fault(&mut self, fault: Fault) {
        // What was planned for the time of trouble and comes later is for peace to mend.
        if self.peace {
            return;
        }
        match fault {
            Fault::Start(who) => self.start(who),
            Fault::Crash(who) => self.crash(who),
            Fault::Stop(who) => {
                self.totals.resignations += u64::from(self.nodes[who].process.is_some());
                self.input(who, Input::Resign);
                self.nodes[who].process = None;
            }
            Fault::Stall(who, span) => self.stall(who, span),
            Fault::Part => {
                self.totals.partitions += 1;
                self.network.part(&mut self.rng);
            }
            Fault::CutSome => {
                self.totals.one_way_cuts += 1;
                self.network.cut_some(&mut self.rng);
            }
            Fault::Heal => self.network.heal(),
        }
    }

    fn crash(&mut self, who: Who) {
        let Some(process) = self.nodes[who].process.take() else {
            return;
        };
        self.totals.crashes += 1;
        if let Some(term) = process.keeping {
            self.totals.crashes_while_keeping += 1;
            if self.rng.bool() {
                self.nodes[who].disk = term;
            }
        }
    }

    fn stall(&mut self, who: Who, span: u64) {
        let life = self.nodes[who].life;
        if let Some(process) = &mut self.nodes[who].process {
            process.is_stalled = true;
            self.totals.stalls += 1;
            self.after(span, Happening::Resume { who, life });
        }
    }

    /// From now on nothing breaks any more. Who is down stays down, in every other run, and the network may stay parted into two sides, each
    /// of which is whole.
    pub fn make_peace(&mut self, delay_max: u64) {
        self.peace = true;
        self.network.heal();
        if self.rng.bool() {
            self.network.part(&mut self.rng);
        }
        let all_start = self.rng.bool();
        for who in 0..self.nodes.len() {
            if all_start {
                self.start(who);
            }
            let life = self.nodes[who].life;
            self.after(0, Happening::Resume { who, life });
        }
        self.lose_messages_after(self.now() + delay_max);
    }
}
