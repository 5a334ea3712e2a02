//! The world: a clock, a queue of what happens when, some peers, a network and a registry.

use std::{cmp::Reverse, collections::BinaryHeap};

use peerchat::node::{
    private::Invitation,
    types::{Authority, Conversation, RoomName, UserName},
};

use crate::{faults::Fault, janus::Janus, peer::SimPeer, registry::SimRegistry, seeds::totals, wire::Wire};

/// For so long, in milliseconds, everything goes wrong.
const TROUBLE_MS: u64 = 60_000;
/// So much longer, in milliseconds, everything goes well, after which all must be equal.
const PEACE_MS: u64 = 150_000;

/// Under which all peers are.
pub const AUTHORITY: Authority = Authority([0xa0; 32]);

/// Which peer, by its place in the world.
pub type Who = usize;

/// Something that happens at a time.
#[derive(Debug)]
pub enum Happening {
    /// An input reaches a peer, if it is still the same process.
    Input {
        who: Who,
        life: u64,
        input: Box<peerchat::node::Input>,
    },
    /// A peer syncs its disk, or the sync is over.
    BeginSync {
        who: Who,
        life: u64,
    },
    FinishSync {
        who: Who,
        life: u64,
        sync: Box<crate::peer::RunningSync>,
    },
    /// A peer seals what it wrote, judges the seals of others, or has judged them.
    Seal {
        who: Who,
        life: u64,
    },
    Judge {
        who: Who,
        life: u64,
    },
    Judged {
        who: Who,
        life: u64,
        judging: Box<peerchat::driver::vouching::Judging>,
    },
    /// A part of a pull is served.
    ServePart(Box<crate::pulls::Serving>),
    /// A user does something.
    User(Who),
    /// Something breaks or is mended.
    Fault(Fault),
    /// A peer's timer.
    Tick {
        who: Who,
        life: u64,
    },
    /// The registry's word on a peer that is gone.
    LeaseEnds {
        who: Who,
        life: u64,
    },
}

totals!(
    entries,
    kills,
    power_losses,
    full_disks,
    partitions,
    registry_losses,
    lost,
    doubled,
    swapped,
    full_links,
    pulls,
    failed_pulls,
    wiped,
    refused,
    knocks,
    second_devices,
    followed,
    forks,
    /// Logs that were compared meanwhile, since they held the same.
    compared,
    /// Messages that came from another peer while there was no registry, and had been written since it was lost.
    without_registry
);

/// A simulated world.
pub struct World {
    pub now: u64,
    pub rng: fastrand::Rng,
    pub peers: Vec<SimPeer>,
    pub wire: Wire,
    pub registry: SimRegistry,
    pub totals: Totals,
    /// How many users there are. The first device of each comes before all second ones.
    users: usize,
    /// The invitation to a private room that all but the last user have, in some worlds; second devices have it from the first ones.
    /// Whoever runs the registry puts the last user in.
    pub private: Option<Invitation>,
    /// A device that contradicts itself, in some worlds.
    pub janus: Option<Janus>,
    /// Nothing goes wrong any more.
    pub peace: bool,
    /// What each peer is told and does is printed, and its state in the end: where `SIMULATION_TRACE` is set.
    pub traced: bool,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: std::collections::BTreeMap<u64, Happening>,
    next: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let users = rng.usize(3..=5);
        let mut peers: Vec<_> = (0..users).map(|user| SimPeer::new(user, rng.u64(..))).collect();
        // In every other world some of the users have two devices.
        if seed % 2 == 1 {
            let some = (0..users).filter(|_| rng.u8(..3) > 0).collect::<Vec<_>>();
            peers.extend(some.into_iter().map(|user| SimPeer::new(user, rng.u64(..))));
        }
        let second_devices = (peers.len() - users) as u64;
        let mut world = Self {
            now: 0,
            wire: Wire::default(),
            registry: SimRegistry::default(),
            rng,
            peers,
            totals: Totals {
                second_devices,
                ..Totals::default()
            },
            users,
            private: None,
            janus: seed.is_multiple_of(3).then(|| Janus::new(2)),
            peace: false,
            traced: std::env::var_os("SIMULATION_TRACE").is_some(),
            queue: BinaryHeap::new(),
            happenings: std::collections::BTreeMap::new(),
            next: 0,
        };
        if world.rng.bool() {
            let plans = RoomName::new("plans").unwrap();
            world.private = Some(Invitation::new(&plans, [7; 16].into()));
        }
        for who in 0..world.peers.len() {
            // Some join late.
            let at = if world.rng.bool() {
                0
            } else {
                world.rng.u64(..TROUBLE_MS / 2)
            };
            world.at(at, Happening::Fault(Fault::Start(who)));
            world.at(at + 100, Happening::User(who));
        }
        world.plan_faults(TROUBLE_MS);
        world
    }

    /// The room that everybody is in.
    pub fn room() -> RoomName {
        RoomName::new("lobby").unwrap()
    }

    /// Whether somebody has the invitation to the private room: all but the last user and his devices.
    pub fn is_invited(&self, who: Who) -> bool {
        self.private.is_some() && self.peers[who].user != self.peers[self.outsider()].user
    }

    /// The last user's first device.
    pub fn outsider(&self) -> Who {
        self.users - 1
    }

    /// Whether a device is its user's second one.
    pub fn is_second(&self, who: Who) -> bool {
        who >= self.users
    }

    /// Whether a conversation is the private room.
    pub fn is_private(conversation: &Conversation) -> bool {
        // There is one at most.
        matches!(conversation, Conversation::Room(room) if room.id().is_some())
    }

    /// A room that somebody is in.
    pub fn any_room(&mut self, who: Who) -> Conversation {
        let private = self.private.as_ref().filter(|_| self.is_invited(who));
        match private.map(Invitation::room) {
            Some(room) if self.rng.u8(..3) == 0 => Conversation::Room(room),
            _ => Conversation::Room(Self::room()),
        }
    }

    /// A room into which people come and from which they go.
    pub fn other_room() -> RoomName {
        RoomName::new("tea").unwrap()
    }

    /// The first two users: they talk to one another, and nobody else may see it.
    pub fn two(&self) -> [UserName; 2] {
        [0, 1].map(|who| self.peers[who].user.clone())
    }

    /// Lets something happen some milliseconds from now.
    pub fn after(&mut self, ms: u64, happening: Happening) {
        self.at(self.now + ms, happening);
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.queue.push(Reverse((at, self.next)));
        self.happenings.insert(self.next, happening);
        self.next += 1;
    }

    pub fn run(mut self) -> Totals {
        self.run_until(TROUBLE_MS);
        self.make_peace();
        let held = self.union_of_all();
        self.run_until(TROUBLE_MS + PEACE_MS);
        self.check_the_end(&held);
        self.totals
    }

    fn run_until(&mut self, end: u64) {
        while let Some(&Reverse((at, number))) = self.queue.peek() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = at;
            let happening = self.happenings.remove(&number).unwrap();
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Input { who, life, input } => self.input(who, life, *input),
            Happening::BeginSync { who, life } => self.begin_sync(who, life),
            Happening::FinishSync { who, life, sync } => self.finish_sync(who, life, *sync),
            Happening::Seal { who, life } => self.seal(who, life),
            Happening::Judge { who, life } => self.judge(who, life),
            Happening::Judged { who, life, judging } => self.judged(who, life, *judging),
            Happening::ServePart(serving) => self.serve_part(*serving),
            Happening::User(who) => self.user_acts(who),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Tick { who, life } => self.tick(who, life),
            Happening::LeaseEnds { who, life } => self.lease_ends(who, life),
        }
    }

    fn user_acts(&mut self, who: Who) {
        use peerchat::node::Input;
        let again = self.rng.u64(50..4_000);
        if !self.peace {
            self.after(again, Happening::User(who));
        }
        let Some(life) = self.peers[who].life() else { return };
        let text = format!("{} {}", self.peers[who].user, self.totals.entries);
        self.totals.entries += 1;
        let me = self.peers[who].user.clone();
        let two = self.two();
        let (room, other_room) = (Conversation::Room(Self::room()), Conversation::Room(Self::other_room()));
        let input = match self.rng.u8(..20) {
            0..12 => Input::Write(self.any_room(who), text),
            12 => Input::Join(Self::room()),
            13 => Input::Join(Self::other_room()),
            14 => Input::Leave(other_room),
            15 => Input::Write(other_room, text),
            16 if self.rng.bool() => Input::Open(me),
            16 => Input::Write(Conversation::direct(&me, &me), text),
            _ if two.contains(&me) => {
                let other = two.into_iter().find(|user| *user != me).unwrap();
                if self.rng.bool() {
                    Input::Open(other)
                } else {
                    Input::Write(Conversation::direct(&me, &other), text)
                }
            }
            _ => Input::Write(room, text),
        };
        self.input(who, life, input);
        if self.rng.u8(..4) == 0 {
            // Talking over one another.
            let soon = self.rng.u64(..30);
            self.input_soon(who, soon);
        }
    }
}
