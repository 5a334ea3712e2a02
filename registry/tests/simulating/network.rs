//! A network that loses, doubles and delays, and that can be parted.

use std::collections::BTreeSet;

/// Which node, by its place in the list.
pub type Who = usize;

/// How long a message takes at most where nothing is wrong, in milliseconds.
pub const DELAY_MAX: u64 = 30;

/// What goes wrong how often.
#[derive(Debug, Clone, Copy)]
pub struct Odds {
    /// One message of so many is lost, and one is doubled.
    pub lost_of: u8,
    /// One copy of so many is late.
    pub late_of: u8,
    /// By so many milliseconds at most.
    pub late_ms: u64,
}

/// The ways between so many nodes.
#[derive(Debug)]
pub struct Network {
    nodes: usize,
    odds: Odds,
    /// Who cannot say anything to whom.
    cut: BTreeSet<(Who, Who)>,
    pub lost: u64,
    pub doubled: u64,
}

impl Network {
    pub fn new(nodes: usize, odds: Odds) -> Self {
        Self {
            nodes,
            odds,
            cut: BTreeSet::new(),
            lost: 0,
            doubled: 0,
        }
    }

    /// Two sides, neither of which hears the other.
    pub fn part(&mut self, rng: &mut fastrand::Rng) {
        let sides: Vec<_> = (0..self.nodes).map(|_| rng.bool()).collect();
        self.cut = self.pairs().filter(|(from, to)| sides[*from] != sides[*to]).collect();
    }

    /// Some hear nothing of some others, who may hear them.
    pub fn cut_some(&mut self, rng: &mut fastrand::Rng) {
        let some = self.pairs().filter(|_| rng.u8(..4) == 0);
        self.cut.extend(some);
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// Whether one can say something to another one.
    pub fn reaches(&self, from: Who, to: Who) -> bool {
        !self.cut.contains(&(from, to))
    }

    /// A message is sent: after how long each of its copies comes. In peace one comes in time.
    pub fn carry(&mut self, from: Who, to: Who, peace: bool, rng: &mut fastrand::Rng) -> Vec<u64> {
        if !self.reaches(from, to) {
            self.lost += 1;
            return Vec::new();
        }
        let Odds {
            lost_of,
            late_of,
            late_ms,
        } = self.odds;
        let copies = match rng.u8(..lost_of) {
            _ if peace => 1,
            0 => 0,
            1 => 2,
            _ => 1,
        };
        match copies {
            0 => self.lost += 1,
            2 => self.doubled += 1,
            _ => {}
        }
        let delay = |_| {
            let is_late = !peace && rng.u8(..late_of) == 0;
            rng.u64(1..=if is_late { late_ms } else { DELAY_MAX })
        };
        (0..copies).map(delay).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = (Who, Who)> + use<> {
        let nodes = self.nodes;
        let all = (0..nodes).flat_map(move |from| (0..nodes).map(move |to| (from, to)));
        all.filter(|(from, to)| from != to)
    }
}
