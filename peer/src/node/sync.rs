//! From whom to pull what is missing.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    Millis,
    found::Found,
    types::{Author, DeviceId, Heights, Seq},
};

/// Names one pull of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PullId(pub u64);

/// A pull that is under way.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Its name.
    pub id: PullId,
    /// From whom.
    pub from: DeviceId,
    /// When it started.
    pub since: Millis,
    /// How many entries were lacking when it started, as far as known.
    pub of: u64,
    /// How many of the entries that came were taken.
    pub taken: u64,
    /// How many were taken when progress was last told.
    pub told: u64,
    /// It brought seals that were lacking.
    pub sealed: bool,
    /// Something that came broke a rule.
    pub bad: bool,
    /// Its first part is there.
    pub began: bool,
    /// When to judge its pace. From its first part on that is every [`PULL_WINDOW_MS`](super::limits::PULL_WINDOW_MS).
    pub judge_at: Millis,
    /// How many entries have come since it was last judged.
    pub came: usize,
    /// How many bytes they have.
    pub came_bytes: usize,
    /// How many entries were passed over, since their device is over its allowance.
    pub passed: u64,
    /// What it has brought that is held already, or something else under the same seqs.
    pub found: Found,
    /// Not all was wanted or taken that the member holds.
    pub partial: bool,
    /// Own authors of whom the member had said before that it holds more than is here.
    pub claims: BTreeSet<Author>,
}

/// How a pull ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullEnd {
    /// All came.
    Complete,
    /// The member or the way to it failed.
    Broken,
    /// It was stopped, since it brought too little.
    Slow,
    /// It was stopped, since others must have their turn.
    Long,
    /// It was stopped, since it brought too much of a device that is over its allowance.
    Flooded,
    /// What it brought cannot be genuine, or cannot be shown to be.
    Bad,
}

/// How many pulls from a member had to be stopped since it last brought everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stops {
    /// All of them. Others are asked first.
    all: u32,
    /// Those that were too slow, since the last one that was long and brought something. It is left alone for the longer.
    slow: u32,
}

/// The sync of one conversation.
#[derive(Debug, Default)]
pub struct Sync {
    /// The pull that is under way; there is at most one.
    pub pull: Option<Pull>,
    /// Members that are not asked again before a time, since they were of no use.
    pub not_before: BTreeMap<DeviceId, Millis>,
    /// The members whose pulls had to be stopped.
    pub stops: BTreeMap<DeviceId, Stops>,
    /// Since when some member is seen to hold more, all of it by authors whose links are up: it is probably under way.
    pub lag_since: Option<Millis>,
    /// When to look again whether to pull.
    pub look_at: Option<Millis>,
    /// When to look again whether something has been held back for too long. That goes through all of it.
    pub held_at: Option<Millis>,
    /// Authors whose next entry was held back at the last look for one of a device over its allowance, with that entry.
    pub in_vain: BTreeMap<Author, Seq>,
    /// Before this time nothing is pulled for the sake of a device that was over its allowance a moment ago.
    pub flood_at: Option<Millis>,
}

impl Sync {
    /// Takes note of how a pull ended. Returns how many from that member were too slow since the last one that was not.
    pub fn note_end(&mut self, pull: &Pull, end: PullEnd) -> u32 {
        let stops = self.stops.entry(pull.from).or_default();
        match end {
            PullEnd::Slow => {
                stops.all = stops.all.saturating_add(1);
                stops.slow = stops.slow.saturating_add(1);
            }
            PullEnd::Long => {
                stops.all = stops.all.saturating_add(1);
                stops.slow = if pull.taken > 0 { 0 } else { stops.slow };
            }
            PullEnd::Complete if !pull.bad => *stops = Stops::default(),
            PullEnd::Complete | PullEnd::Broken | PullEnd::Flooded | PullEnd::Bad => {}
        }
        stops.slow
    }

    /// How many pulls from a member had to be stopped since it last brought everything.
    pub fn stopped(&self, device: &DeviceId) -> u32 {
        self.stops.get(device).map_or(0, |stops| stops.all)
    }

    /// Looks again whether to pull at this time, if not before.
    pub fn look_by(&mut self, at: Millis) {
        self.look_at = Some(self.look_at.map_or(at, |look_at| look_at.min(at)));
    }
}

/// The member to pull from, and how many entries it is ahead: of those that hold something that is lacked, the one with the
/// highest version; of several such, the one with the smallest device id. `counts` says of which authors an advantage counts. The
/// number with a member says how many pulls from it had to be stopped: who has fewer comes first, so that a member that would go on
/// for ever keeps nobody from his turn.
///
/// This is the choice of the highest version first and of merging the others afterwards: it is made again after every pull, and
/// ends when nobody holds anything that is lacked.
pub fn plan<'a>(
    mine: &Heights,
    members: impl Iterator<Item = (DeviceId, u32, &'a Heights)>,
    counts: impl Fn(DeviceId, &Author) -> bool,
) -> Option<(DeviceId, u64)> {
    members
        .filter_map(|(device, stopped, heights)| {
            let ahead = heights
                .0
                .iter()
                .any(|(author, seq)| *seq > mine.of(author) && counts(device, author));
            ahead.then(|| {
                (
                    Reverse(stopped),
                    heights.version(),
                    Reverse(device),
                    heights.ahead_of(mine),
                )
            })
        })
        .max()
        .map(|(_, _, Reverse(device), lacking)| (device, lacking))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u8) -> DeviceId {
        DeviceId([n; 32])
    }

    fn heights(pairs: &[(u8, u64)]) -> Heights {
        let author = |n| Author {
            device: device(n),
            incarnation: 0,
        };
        Heights(pairs.iter().map(|&(n, seq)| (author(n), Seq(seq))).collect())
    }

    fn plan_all(mine: &Heights, members: &[(u8, Heights)]) -> Option<(u8, u64)> {
        let members = members.iter().map(|(n, heights)| (device(*n), 0, heights));
        plan(mine, members, |_, _| true).map(|(device, lacking)| (device.0[0], lacking))
    }

    #[test]
    fn nobody_is_asked_when_nothing_is_lacking() {
        let mine = heights(&[(1, 3), (2, 2)]);
        assert_eq!(
            plan_all(&mine, &[(1, heights(&[(1, 3)])), (2, mine.clone()), (3, heights(&[]))]),
            None
        );
    }

    #[test]
    fn the_highest_version_is_pulled_first() {
        let members = [
            (1, heights(&[(1, 5)])),
            (2, heights(&[(1, 4), (2, 9)])),
            (3, heights(&[(3, 2)])),
        ];
        assert_eq!(plan_all(&heights(&[]), &members), Some((2, 13)));
    }

    #[test]
    fn a_lower_version_that_holds_something_else_is_merged() {
        let mine = heights(&[(1, 4), (2, 9)]);
        assert_eq!(
            plan_all(&mine, &[(1, heights(&[(1, 5)])), (2, mine.clone())]),
            Some((1, 1))
        );
    }

    #[test]
    fn the_smaller_device_is_asked_of_two_alike() {
        let members = [(9, heights(&[(1, 5)])), (3, heights(&[(1, 5)]))];
        assert_eq!(plan_all(&heights(&[]), &members), Some((3, 5)));
    }

    #[test]
    fn an_advantage_that_does_not_count_is_left() {
        let members = [(device(2), heights(&[(1, 5)]))];
        let members = members.iter().map(|(device, heights)| (*device, 0, heights));
        assert_eq!(
            plan(&heights(&[]), members, |_, author| author.device != device(1)),
            None
        );
    }

    #[test]
    fn whoever_had_to_be_stopped_comes_after_the_others() {
        let members = [(1, heights(&[(1, 5)])), (2, heights(&[(1, 1)]))];
        let ask = |stopped: u32| {
            let members = members.iter().zip([stopped, 1]);
            let members = members.map(|((n, heights), stopped)| (device(*n), stopped, heights));
            plan(&heights(&[]), members, |_, _| true)
        };
        assert_eq!(ask(2), Some((device(2), 1)));
        assert_eq!(ask(1), Some((device(1), 5)));
    }
}
