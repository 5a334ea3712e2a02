//! A simulated peer: the shipped node and logs on a disk in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use peerchat::{
    driver::{
        core::{Act, Codec, Core},
        vouching::Judging,
    },
    log::{Disk as _, LogError, MemoryDisk, SyncOutcome},
    net::convert,
    node::{
        Identity, Input, Millis, Now,
        event::{Event, Joined},
        memberships::Memberships,
        types::{Author, Conversation, DeviceId, EntryId, Reader, Seq, UserName, WallTime},
    },
    seal::{self, SharedNotary},
};

use crate::{
    notary::{SimNotary, certificate},
    world::{AUTHORITY, Happening, Who, World},
};

/// A sync whose outcome is under way to the node.
#[derive(Debug)]
pub struct RunningSync {
    pub conversation: Conversation,
    pub outcome: SyncOutcome,
}

/// What a peer has promised: kept apart from it, to be held against its disk.
pub type Promises = BTreeMap<(Conversation, Author), Seq>;

/// A simulated peer.
pub struct SimPeer {
    pub user: UserName,
    pub device: DeviceId,
    pub disk: MemoryDisk,
    /// None while the process does not run.
    pub core: Option<Core<MemoryDisk>>,
    /// How many times it was started.
    pub lives: u64,
    /// What it remembers of the rooms that its user is in.
    pub memberships: Memberships,
    /// Acked or sent as stored, and acked as durable.
    pub stored: Promises,
    pub durable: Promises,
    /// What was shown in this life, but for what the user asked for.
    pub shown: BTreeSet<EntryId>,
    /// What is named by what was shown.
    pub answered: BTreeSet<(Conversation, Author, Seq)>,
    /// How much was held of each conversation at the last step of this life.
    pub versions: BTreeMap<Conversation, u64>,
    /// When the next tick was asked for.
    pub tick_at: Option<u64>,
    pub syncing: bool,
    /// Sealing own entries, and judging the seals of others, is planned or under way.
    pub sealing: bool,
    pub judging: bool,
    pub notary: SharedNotary,
    /// The last life ended with the power.
    pub lost_power: bool,
}

impl SimPeer {
    /// A device of one of the users, whom `user` counts.
    pub fn new(user: usize, seed: u64) -> Self {
        let mut device = [0; 32];
        fastrand::Rng::with_seed(seed).fill(&mut device);
        let notary = SimNotary::shared(DeviceId(device));
        Self {
            user: UserName::new(["alice", "bob", "carol", "dave", "eve"][user]).unwrap(),
            device: DeviceId(device),
            disk: MemoryDisk::new(seed),
            core: None,
            lives: 0,
            memberships: Memberships::default(),
            stored: Promises::new(),
            durable: Promises::new(),
            shown: BTreeSet::new(),
            answered: BTreeSet::new(),
            versions: BTreeMap::new(),
            tick_at: None,
            syncing: false,
            sealing: false,
            judging: false,
            notary,
            lost_power: false,
        }
    }

    /// Who it is when it calls others.
    pub fn reader(&self) -> Reader {
        Reader {
            user: self.user.clone(),
            device: self.device,
        }
    }

    /// The number of the life that it lives.
    pub fn life(&self) -> Option<u64> {
        self.core.is_some().then_some(self.lives)
    }

    pub fn address(who: Who) -> String {
        format!("peer:{}", who + 1)
    }

    pub fn who(address: &str) -> Who {
        address.strip_prefix("peer:").unwrap().parse::<Who>().unwrap() - 1
    }
}

impl World {
    pub fn folder() -> PathBuf {
        PathBuf::from("/data")
    }

    /// Starts a peer's process, unless it runs.
    pub fn start(&mut self, who: Who) {
        let peer = &mut self.peers[who];
        if peer.core.is_some() {
            return;
        }
        peer.lives += 1;
        peer.shown.clear();
        peer.answered.clear();
        peer.versions.clear();
        peer.tick_at = None;
        (peer.syncing, peer.sealing, peer.judging) = (false, false, false);
        let me = Identity {
            user: peer.user.clone(),
            device: peer.device,
        };
        let codec = Codec {
            encode: convert::encoder(peer.notary.tag_key().clone()),
            decode: convert::decode_entry,
        };
        peer.disk.create_folder(Path::new("/data")).unwrap();
        let seed = peer.disk.random();
        let opened = Core::open(
            peer.disk.clone(),
            Self::folder(),
            (me, Some(AUTHORITY)),
            codec,
            peer.notary.clone(),
            seed,
        );
        let (core, notices) = match opened {
            Ok(opened) => opened,
            // The disk is full already at opening; it will be tried again in peace.
            Err(error) => {
                assert!(
                    error.to_string().contains("No space") || error.to_string().contains("storage"),
                    "{error}"
                );
                return;
            }
        };
        // A loss of power may leave a hole before a whole frame in what was not synced; the end of a process never does.
        assert!(notices.is_empty() || peer.lost_power, "nothing is damaged: {notices:?}");
        // What waits in a log that was set aside is told at every start.
        peer.lost_power = !notices.is_empty();
        peer.core = Some(core);
        self.check_promises(who);
        let (life, memberships) = (self.peers[who].lives, self.peers[who].memberships.clone());
        self.introduce(who, life, who);
        self.input(who, life, Input::Start(memberships));
        self.register(who);
        if !self.peers[who].memberships.is_in(&Self::room()) {
            self.input(who, life, Input::Join(Self::room()));
        }
        // A lost disk, or one that was full, keeps no invitation, or not that he came in. A second device has both from the first one.
        if let Some(invitation) = self
            .private
            .clone()
            .filter(|_| self.is_invited(who) && !self.is_second(who))
            && let Some(core) = &self.peers[who].core
            && (core.node().invitation(&Conversation::Room(invitation.room())).is_none()
                || !self.peers[who].memberships.is_in(&invitation.room()))
        {
            self.input(who, life, Input::JoinPrivate(invitation));
        }
    }

    /// A peer learns whose the device of another one is, or its own.
    pub fn introduce(&mut self, who: Who, life: u64, other: Who) {
        let certificate = certificate(&self.peers[other].device, &self.peers[other].user);
        let introduction = seal::introduction(certificate, self.peers[who].notary.as_ref()).unwrap();
        self.input(who, life, Input::Introduced(introduction));
    }

    /// Hands an input to a peer and does what follows, if it is still the process that it was meant for.
    pub fn input(&mut self, who: Who, life: u64, input: Input) {
        if self.peers[who].life() != Some(life) {
            return;
        }
        let now = self.time();
        let mut inputs = vec![input];
        while !inputs.is_empty() && self.peers[who].life() == Some(life) {
            if self.traced {
                println!("{} {who} is told {inputs:?}", self.now);
            }
            let core = self.peers[who].core.as_mut().unwrap();
            let acts = core.handle(inputs.drain(..), now);
            inputs.extend(self.acts(who, acts));
        }
        if self.peers[who].life() == Some(life) {
            self.check_step(who);
            self.schedule(who, life);
        }
    }

    /// Does what a peer wants; what it is to be told where that fails at once.
    fn acts(&mut self, who: Who, acts: Result<Vec<Act>, LogError>) -> Vec<Input> {
        match acts {
            Ok(acts) => acts.into_iter().filter_map(|act| self.act(who, act)).collect(),
            Err(error) => {
                // Only a full disk fails here. The process ends without a word more.
                assert!(self.peers[who].disk.bytes() > 0, "{error}");
                self.totals.full_disks += 1;
                self.end_process(who, false);
                Vec::new()
            }
        }
    }

    pub fn seal(&mut self, who: Who, life: u64) {
        if self.peers[who].life() != Some(life) {
            return;
        }
        self.peers[who].sealing = false;
        let now = self.time();
        let acts = self.peers[who].core.as_mut().unwrap().seal(now);
        for input in self.acts(who, acts) {
            self.input(who, life, input);
        }
        self.input(who, life, Input::Tick);
    }

    pub fn judge(&mut self, who: Who, life: u64) {
        if self.peers[who].life() == Some(life) {
            let judging = Box::new(self.peers[who].core.as_mut().unwrap().begin_judging());
            let ms = self.rng.u64(1..10);
            self.after(ms, Happening::Judged { who, life, judging });
        }
    }

    pub fn judged(&mut self, who: Who, life: u64, judging: Judging) {
        if self.peers[who].life() == Some(life) {
            self.peers[who].judging = false;
            for input in judging.run() {
                self.input(who, life, input);
            }
        }
    }

    fn time(&self) -> Now {
        Now {
            mono: Millis(self.now),
            wall: WallTime(self.now as i64),
        }
    }

    pub fn input_soon(&mut self, who: Who, ms: u64) {
        let Some(life) = self.peers[who].life() else { return };
        let text = format!("{} again {}", self.peers[who].user, self.totals.entries);
        self.totals.entries += 1;
        let input = Box::new(Input::Write(Conversation::Room(Self::room()), text));
        self.after(ms, Happening::Input { who, life, input });
    }

    fn schedule(&mut self, who: Who, life: u64) {
        let Some(core) = &self.peers[who].core else { return };
        let (needs_sync, must_seal, must_judge) = (core.needs_sync(), core.must_seal(), core.must_judge());
        if let Some(due) = core.node().next_due() {
            let due = due.0.max(self.now + 1);
            if self.peers[who].tick_at.is_none_or(|at| at > due || at <= self.now) {
                self.peers[who].tick_at = Some(due);
                self.after(due - self.now, Happening::Tick { who, life });
            }
        }
        if needs_sync && !self.peers[who].syncing {
            self.peers[who].syncing = true;
            self.after(20, Happening::BeginSync { who, life });
        }
        if must_seal && !self.peers[who].sealing {
            self.peers[who].sealing = true;
            let ms = self.rng.u64(0..6);
            self.after(ms, Happening::Seal { who, life });
        }
        if must_judge && !self.peers[who].judging {
            self.peers[who].judging = true;
            let ms = self.rng.u64(0..100);
            self.after(ms, Happening::Judge { who, life });
        }
    }

    pub fn tick(&mut self, who: Who, life: u64) {
        if self.peers[who].tick_at == Some(self.now) {
            self.peers[who].tick_at = None;
        }
        self.input(who, life, Input::Tick);
    }

    pub fn begin_sync(&mut self, who: Who, life: u64) {
        if self.peers[who].life() != Some(life) {
            return;
        }
        self.peers[who].syncing = false;
        let tasks = self.peers[who].core.as_mut().unwrap().begin_syncs();
        for (conversation, task) in tasks {
            let sync = Box::new(RunningSync {
                conversation,
                outcome: task.run(),
            });
            let ms = self.rng.u64(1..30);
            self.after(ms, Happening::FinishSync { who, life, sync });
        }
        self.schedule(who, life);
    }

    pub fn finish_sync(&mut self, who: Who, life: u64, sync: RunningSync) {
        if self.peers[who].life() != Some(life) {
            return;
        }
        match self.peers[who]
            .core
            .as_mut()
            .unwrap()
            .finish_sync(sync.conversation, sync.outcome)
        {
            Ok(input) => self.input(who, life, input),
            Err(_) => {
                self.totals.full_disks += 1;
                self.end_process(who, false);
            }
        }
    }

    /// Does what a peer wants; an input where it fails at once.
    fn act(&mut self, who: Who, act: Act) -> Option<Input> {
        if self.traced {
            println!("{} {who} does {act:?}", self.now);
        }
        match act {
            Act::Order(order) => {
                self.order(who, order);
                None
            }
            Act::Send(link, what) => self.send(who, link, what),
            Act::Close(link, reason, _) => {
                self.close(who, link, reason);
                None
            }
            Act::Tell(event) => {
                self.check_event(who, &event);
                if let Event::Joined(Joined { by_other_device, .. }) | Event::Left { by_other_device, .. } = &event {
                    self.totals.followed += u64::from(*by_other_device);
                }
                if let Event::Sent(line) = event {
                    self.peers[who]
                        .stored
                        .insert((line.conversation, line.author), line.seq);
                }
                None
            }
            Act::Refused(Some((_, device)), _) if self.is_janus_device(&device) => None,
            Act::Refused(member, why) => panic!("{who:?} refused what {member:?} sent: {why}"),
            // What is remembered of people is not simulated: nobody is refused for it.
            Act::People(_) => None,
            Act::KeepInvitation(invitation) => {
                let core = self.peers[who].core.as_ref().expect("it acts");
                // On a full disk the next start does not know it.
                let _kept = core
                    .place_of_invitation(&invitation)
                    .and_then(|(path, bytes)| self.peers[who].disk.replace(&path, &bytes));
                None
            }
            Act::RememberRooms(memberships) => {
                self.peers[who].memberships = memberships;
                None
            }
            Act::Again(input) => Some(input),
        }
    }
}
