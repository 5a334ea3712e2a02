//! What breaks, and how it is mended.

use peerchat::node::memberships::Memberships;

use crate::{
    peer::Promises,
    world::{Happening, Who, World},
};

/// Something that breaks or is mended.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    Start(Who),
    Kill(Who),
    PowerLoss(Who),
    DiskFull(Who),
    DiskFree(Who),
    Wipe(Who),
    Partition,
    Heal,
    BreakLink(Who, Who),
    LoseRegistry,
    RestoreRegistry,
}

impl World {
    /// Spreads faults over a time.
    pub fn plan_faults(&mut self, until_ms: u64) {
        for _ in 0..self.rng.usize(2..14) {
            let at = self.rng.u64(1_000..until_ms);
            let (who, other) = (self.rng.usize(..self.peers.len()), self.rng.usize(..self.peers.len()));
            let later = at + self.rng.u64(200..20_000);
            let (breaks, mends) = match self.rng.u8(..12) {
                0..3 => (Fault::Kill(who), Fault::Start(who)),
                3..5 => (Fault::PowerLoss(who), Fault::Start(who)),
                5 => (Fault::DiskFull(who), Fault::DiskFree(who)),
                6..8 => (Fault::Partition, Fault::Heal),
                8 => (Fault::LoseRegistry, Fault::RestoreRegistry),
                9 => (Fault::Wipe(who), Fault::Start(who)),
                _ => (Fault::BreakLink(who, other), Fault::Heal),
            };
            self.after(at, Happening::Fault(breaks));
            self.after(later, Happening::Fault(mends));
        }
    }

    pub fn fault(&mut self, fault: Fault) {
        self.check_same_logs();
        // What was planned for the time of trouble and comes later is for peace to mend.
        if self.peace {
            return;
        }
        // What it tells and what it holds are two things already.
        if let Fault::Kill(who) | Fault::PowerLoss(who) | Fault::DiskFull(who) | Fault::Wipe(who) = fault
            && self.is_janus(who)
        {
            return;
        }
        match fault {
            Fault::Start(who) => self.start(who),
            Fault::Kill(who) => {
                self.totals.kills += u64::from(self.peers[who].core.is_some());
                self.end_process(who, false);
            }
            Fault::PowerLoss(who) => {
                self.totals.power_losses += u64::from(self.peers[who].core.is_some());
                self.end_process(who, true);
            }
            Fault::DiskFull(who) => {
                let room = self.rng.u64(..2_000);
                let disk = &self.peers[who].disk;
                disk.set_capacity(Some(disk.bytes() + room));
            }
            Fault::DiskFree(who) => {
                self.peers[who].disk.set_capacity(None);
                self.start(who);
            }
            Fault::Wipe(who) => self.wipe(who),
            Fault::Partition => {
                self.totals.partitions += 1;
                for who in 0..self.peers.len() {
                    let side = self.rng.u8(..2);
                    self.wire.sides.insert(who, side);
                }
                let sides = self.wire.sides.clone();
                self.break_links(|a, b| sides.get(&a) != sides.get(&b));
            }
            Fault::Heal => self.wire.sides.clear(),
            Fault::BreakLink(a, b) => self.break_links(|x, y| (x, y) == (a, b) || (x, y) == (b, a)),
            Fault::LoseRegistry => {
                self.totals.registry_losses += 1;
                self.lose_registry();
            }
            Fault::RestoreRegistry => self.restore_registry(),
        }
    }

    /// Ends a peer's process without warning; with the power, what was not synced is lost too.
    pub fn end_process(&mut self, who: Who, power: bool) {
        if self.peers[who].core.take().is_none() {
            return;
        }
        let peer = &mut self.peers[who];
        peer.disk = if power {
            peer.disk.power_loss()
        } else {
            peer.disk.kill()
        };
        if power {
            peer.lost_power = true;
            // Of what was only stored, the rest is gone; of what was durable, nothing may be.
            peer.stored = peer.durable.clone();
        }
        self.break_links(|a, b| a == who || b == who);
        self.lease_will_end(who);
    }

    /// The disk is replaced by an empty one; the device keeps its key.
    fn wipe(&mut self, who: Who) {
        // If everybody else is gone too, what only this one held is lost for good; nobody promised otherwise.
        self.end_process(who, false);
        self.totals.wiped += 1;
        let peer = &mut self.peers[who];
        let seed = self.rng.u64(..);
        peer.disk = peerchat::log::MemoryDisk::new(seed);
        peer.stored = Promises::new();
        peer.durable = Promises::new();
        peer.memberships = Memberships::default();
    }

    /// Mends everything, for good.
    pub fn make_peace(&mut self) {
        self.wire.sides.clear();
        for who in 0..self.peers.len() {
            self.peers[who].disk.set_capacity(None);
            self.start(who);
        }
        self.restore_registry();
        self.peace = true;
    }
}
