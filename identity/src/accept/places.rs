//! Who may have which of the places that there are for connections. Pure: time and ids come in as arguments, and closing is done elsewhere.
//!
//! A place is *kept* while something goes on over it that others rely on, such as a link or a lease. All others can be taken away:
//!
//! - Where a device has more of them than its share, the one over which nothing was asked for the longest time goes. That holds always, since
//!   a device is proven.
//! - Where all places are taken, a newcomer is let in at the cost of the source that has the most of them, and there of the one over which nothing
//!   was asked for the longest time. A source is an address, or a network of version 6. This bites only then: behind one address there may
//!   be many who are honest, and each of them is in, and kept, sooner than anybody else can fill all places once more.
//! - That one is a stranger, who has not proved to be a device, where strangers have more than half of all places, and none where they have less: strangers
//!   who come one after the other push out nobody else.
//! - Over which nothing is asked in time, that one goes too, unless its device has a place that is kept.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use crate::DeviceBytes;

/// The bits of an address of version 6 that name a network: whoever has one such address has all of its network.
const NETWORK_BITS: u32 = 64;

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(u64);

/// Where connections come from, as far as one party can be told from another by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source(IpAddr);

impl Source {
    /// That of an address.
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let host = u128::MAX >> NETWORK_BITS;
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !host))
            }
            v4 => v4,
        })
    }
}

/// All places are taken, and each of them is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// All that are open.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    per_device_max: usize,
    first_call_timeout: Duration,
    next: u64,
    open: BTreeMap<Id, Place>,
    devices: BTreeMap<DeviceBytes, Device>,
    /// What is not kept, of those who have proved to be a device and of all others.
    proven: Idle,
    strange: Idle,
}

/// Places that are not kept.
#[derive(Debug, Default)]
struct Idle {
    count: usize,
    /// Of each source, those over which nothing was asked for the longest time first.
    of: BTreeMap<Source, BTreeSet<(Instant, Id)>>,
    /// The sources by how many those are; of two with as many the one that was idle longer is later.
    crowds: BTreeSet<(usize, Reverse<Instant>, Source)>,
}

#[derive(Debug)]
struct Place {
    source: Source,
    device: Option<DeviceBytes>,
    /// When something was asked over it last, or when it was taken.
    active: Instant,
    has_called: bool,
    /// For how many reasons it is kept for now.
    kept: u32,
    /// It is kept as long as it is open.
    is_trusted: bool,
}

impl Place {
    fn is_kept(&self) -> bool {
        self.kept > 0 || self.is_trusted
    }
}

/// The places of a device.
#[derive(Debug, Default)]
struct Device {
    kept: BTreeSet<Id>,
    idle: BTreeSet<(Instant, Id)>,
}

impl Places {
    /// So many in all, and so many of one device. The first call over each must come in time.
    pub(super) fn new(max: usize, per_device_max: usize, first_call_timeout: Duration) -> Self {
        Self {
            max,
            per_device_max,
            first_call_timeout,
            next: 0,
            open: BTreeMap::new(),
            devices: BTreeMap::new(),
            proven: Idle::default(),
            strange: Idle::default(),
        }
    }

    /// Gives a place to a newcomer, and says whose is to be closed for that.
    pub(super) fn enter(&mut self, source: Source, now: Instant) -> Result<(Id, Option<Id>), Full> {
        let closed = if self.open.len() < self.max {
            None
        } else {
            Some(self.longest_idle().ok_or(Full)?)
        };
        if let Some(closed) = closed {
            self.leave(closed);
        }
        let id = Id(self.next);
        self.next += 1;
        let place = Place {
            source,
            device: None,
            active: now,
            has_called: false,
            kept: 0,
            is_trusted: false,
        };
        self.put(id, place);
        Ok((id, closed))
    }

    /// A proxy has said where a connection comes from.
    pub(super) fn comes_from(&mut self, id: Id, source: Source) {
        self.change(id, |place| place.source = source);
    }

    /// A connection has proved of which device it is. Answers one of that device that is to be closed.
    pub(super) fn is_of(&mut self, id: Id, device: DeviceBytes) -> Option<Id> {
        self.change(id, |place| place.device = Some(device));
        let its = self.devices.get(&device)?;
        if its.kept.len() + its.idle.len() <= self.per_device_max {
            return None;
        }
        let (_, closed) = *its.idle.first()?;
        self.leave(closed);
        Some(closed)
    }

    /// Something is asked over a connection.
    pub(super) fn called(&mut self, id: Id, now: Instant) {
        self.change(id, |place| {
            place.has_called = true;
            place.active = now;
        });
    }

    /// A connection is kept for one more reason.
    pub(super) fn keep(&mut self, id: Id) {
        self.change(id, |place| place.kept += 1);
    }

    /// A connection is kept as long as it is open.
    pub(super) fn trust(&mut self, id: Id) {
        self.change(id, |place| place.is_trusted = true);
    }

    /// A reason to keep a connection is gone.
    pub(super) fn release(&mut self, id: Id, now: Instant) {
        self.change(id, |place| {
            place.kept = place.kept.saturating_sub(1);
            place.active = now;
        });
    }

    /// A connection has ended, if it had not before.
    pub(super) fn leave(&mut self, id: Id) {
        self.take(id);
    }

    /// Those over which nothing was asked in time. They are to be closed.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Id> {
        let is_overdue = |place: &Place| {
            let has_kept = |device: &DeviceBytes| self.devices.get(device).is_some_and(|its| !its.kept.is_empty());
            !(place.has_called || place.is_kept())
                && now.saturating_duration_since(place.active) >= self.first_call_timeout
                && !place.device.as_ref().is_some_and(has_kept)
        };
        let overdue = self.open.iter().filter(|(_, place)| is_overdue(place));
        let overdue: Vec<Id> = overdue.map(|(id, _)| *id).collect();
        for id in &overdue {
            self.leave(*id);
        }
        overdue
    }

    /// Whether there is a place over which nothing was asked yet.
    pub(super) fn any_silent(&self) -> bool {
        let mut all = self.open.values();
        all.any(|place| !(place.has_called || place.is_kept()))
    }

    /// Who has to go for a newcomer.
    fn longest_idle(&self) -> Option<Id> {
        let (first, second) = match self.strange.count > self.max / 2 {
            true => (&self.strange, &self.proven),
            false => (&self.proven, &self.strange),
        };
        first.longest().or_else(|| second.longest())
    }

    /// Where a place is listed that is not kept.
    fn idle(&mut self, place: &Place) -> &mut Idle {
        match place.device {
            Some(_) => &mut self.proven,
            None => &mut self.strange,
        }
    }

    fn change(&mut self, id: Id, change: impl FnOnce(&mut Place)) {
        if let Some(mut place) = self.take(id) {
            change(&mut place);
            self.put(id, place);
        }
    }

    fn take(&mut self, id: Id) -> Option<Place> {
        let place = self.open.remove(&id)?;
        let entry = (place.active, id);
        if let Some(device) = place.device
            && let Some(its) = self.devices.get_mut(&device)
        {
            its.kept.remove(&id);
            its.idle.remove(&entry);
            if its.kept.is_empty() && its.idle.is_empty() {
                self.devices.remove(&device);
            }
        }
        if !place.is_kept() {
            self.idle(&place).remove(place.source, entry);
        }
        Some(place)
    }

    fn put(&mut self, id: Id, place: Place) {
        let entry = (place.active, id);
        if let Some(device) = place.device {
            let its = self.devices.entry(device).or_default();
            if place.is_kept() {
                its.kept.insert(id);
            } else {
                its.idle.insert(entry);
            }
        }
        if !place.is_kept() {
            self.idle(&place).insert(place.source, entry);
        }
        self.open.insert(id, place);
    }
}

impl Idle {
    /// Of the source with the most, the one over which nothing was asked for the longest time.
    fn longest(&self) -> Option<Id> {
        let (.., source) = self.crowds.last()?;
        Some(self.of.get(source)?.first()?.1)
    }

    fn insert(&mut self, source: Source, entry: (Instant, Id)) {
        self.change(source, |idle| idle.insert(entry));
        self.count += 1;
    }

    fn remove(&mut self, source: Source, entry: (Instant, Id)) {
        self.change(source, |idle| idle.remove(&entry));
        self.count -= 1;
    }

    fn change(&mut self, source: Source, change: impl FnOnce(&mut BTreeSet<(Instant, Id)>) -> bool) {
        let mut idle = self.of.remove(&source).unwrap_or_default();
        let rank = |idle: &BTreeSet<(Instant, Id)>| Some((idle.len(), Reverse(idle.first()?.0), source));
        if let Some(rank) = rank(&idle) {
            self.crowds.remove(&rank);
        }
        change(&mut idle);
        if let Some(rank) = rank(&idle) {
            self.crowds.insert(rank);
            self.of.insert(source, idle);
        }
    }
}

#[cfg(test)]
#[path = "places/tests.rs"]
mod tests;
