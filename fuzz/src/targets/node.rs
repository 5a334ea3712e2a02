//! The node, fed with whatever hostile devices and a hostile registry can say. One device beside this one is honest, and none of the
//! others can speak for the two, hear what is not theirs, or take back what is held.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use peerchat::{
    net::convert::{encode_entry, encoder},
    node::{
        Effect, Identity, Input, Liveness, Millis, Node, Now, PeerAddress, Step,
        link::{Ack, ByeReason, Frame, HeightsNews, Knock, LinkId, LinkUp, Outgoing},
        memberships::{Membership, MembershipNews, Memberships},
        private::Invitation,
        sealing::Seal,
        sync::PullId,
        types::{Author, Conversation, DeviceId, Entry, EntryId, Heights, RoomName, Seq, UserName, WallTime},
        window::PullFailure,
    },
    seal::{HistoryReader, Part, SharedNotary, introduction, is_good},
};

use crate::{
    dice::Dice,
    pens::{AUTHORITY, HashNotary, Pen, device, room, user},
    within,
};

/// The device that is honest: its entries are carried about by the others.
const HONEST: u8 = 5;
/// The most that follows from one input.
const EFFECTS_MAX: usize = 4_096;
const INPUTS_MAX: usize = 200;

/// Feeds the node.
pub fn check(data: &[u8]) {
    within(16 * 1024 * 1024, 20_000, data.len(), || {
        let mut dice = Dice::new(data);
        let mut world = World::new();
        for _ in 0..INPUTS_MAX {
            if !dice.has_more() {
                break;
            }
            let input = world.choose(&mut dice);
            world.handle(input);
        }
    });
}

struct World {
    node: Node,
    me: Identity,
    notary: SharedNotary,
    now: u64,
    pens: BTreeMap<u8, Pen>,
    /// What each pen wrote.
    written: Vec<Arc<Entry>>,
    /// What the honest one wrote.
    genuine: BTreeSet<EntryId>,
    /// What came in over links.
    offered: BTreeSet<EntryId>,
    links: BTreeMap<LinkId, u8>,
    next_link: u64,
    pulls: BTreeMap<PullId, HistoryReader>,
    /// Who was asked what he holds.
    asked: Vec<(DeviceId, Conversation)>,
    to_judge: Vec<(Conversation, Seal, DeviceId)>,
    /// How much was persisted.
    heights: BTreeMap<(Conversation, Author), Seq>,
    versions: BTreeMap<Conversation, u64>,
}

fn whose(n: u8) -> UserName {
    // Device 4 is this user's second one.
    user(if n == 4 { "user-1" } else { ["user-0", "user-1", "user-2", "user-3", "", "user-5"][usize::from(n)] })
}

fn peer(n: u8) -> PeerAddress {
    PeerAddress {
        user: whose(n),
        device: device(n),
        address: format!("peer:{n}"),
    }
}

fn secret() -> Invitation {
    Invitation::new(&RoomName::new("secret").expect("a name"), [3; 16].into())
}

fn room_name(conversation: &Conversation) -> RoomName {
    match conversation {
        Conversation::Room(name) => name.clone(),
        Conversation::Direct(_) => RoomName::new("lobby").expect("a name"),
    }
}

impl World {
    fn new() -> Self {
        let me = Identity {
            user: whose(1),
            device: device(1),
        };
        let notary = HashNotary::shared(me.device);
        let node = Node::new(me.clone(), Some(AUTHORITY), encoder(notary.tag_key().clone()), 1);
        let pens: BTreeMap<u8, Pen> = (2..=HONEST).map(|n| (n, Pen::of(n, whose(n), room()))).collect();
        let mut world = Self {
            node,
            me,
            notary,
            now: 0,
            pens,
            written: Vec::new(),
            genuine: BTreeSet::new(),
            offered: BTreeSet::new(),
            links: BTreeMap::new(),
            next_link: 1,
            pulls: BTreeMap::new(),
            asked: Vec::new(),
            to_judge: Vec::new(),
            heights: BTreeMap::new(),
            versions: BTreeMap::new(),
        };
        world.handle(Input::Start(Memberships::default()));
        world.handle(Input::RegistryUp {
            hosting: false,
            address: "registry:1".into(),
            authority: AUTHORITY,
        });
        world.handle(Input::Join(room_name(&room())));
        world.handle(Input::RoomJoined {
            room: room_name(&room()),
            created: false,
            members: (2..=HONEST).map(peer).collect(),
        });
        for n in 2..=4 {
            let certificate = world.pens[&n].certificate();
            let introduction = introduction(certificate, world.notary.as_ref()).expect("it is one");
            world.handle(Input::Introduced(introduction));
            let up = world.link_up(n);
            world.handle(up);
        }
        let honest = world.pens.get_mut(&HONEST).expect("it is there");
        for _ in 0..3 {
            let entry = honest.write("honest");
            world.genuine.insert(entry.id);
            world.written.push(entry);
        }
        world
    }

    fn link_up(&mut self, n: u8) -> Input {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.links.insert(link, n);
        Input::LinkUp(LinkUp {
            link,
            device: device(n),
            user: whose(n),
            session: self.next_link,
            address: peer(n).address,
            dialed_by_us: self.next_link.is_multiple_of(2),
        })
    }

    fn conversation(dice: &mut Dice) -> Conversation {
        match dice.below(8) {
            0 => Conversation::direct(&whose(1), &whose(2)),
            1 => Conversation::direct(&whose(1), &whose(3)),
            2 => Conversation::direct(&whose(2), &whose(3)),
            3 => Conversation::Room(secret().room()),
            4 => Conversation::Room(RoomName::new("other").expect("a name")),
            5 => Conversation::direct(&whose(1), &whose(1)),
            _ => room(),
        }
    }

    /// One that this user can name.
    fn own_conversation(dice: &mut Dice) -> Conversation {
        match Self::conversation(dice) {
            Conversation::Direct(pair) if !pair.has(&whose(1)) => room(),
            conversation => conversation,
        }
    }

    fn author(&self, dice: &mut Dice) -> Author {
        let mut author = Author {
            device: device(1 + dice.byte() % HONEST),
            incarnation: 1 + u64::from(dice.byte() % HONEST),
        };
        let mut known = self.node.talks().values().flat_map(|talk| talk.replica.authors().keys().copied());
        if let Some(known) = known.nth(dice.below(4)) {
            author = known;
        }
        author
    }

    fn heights(&self, dice: &mut Dice) -> Heights {
        let heights = (0..dice.below(4)).map(|_| (self.author(dice), Seq(dice.number())));
        Heights(heights.collect())
    }

    fn choose(&mut self, dice: &mut Dice) -> Input {
        let n = 2 + dice.byte() % 3;
        let of_room = room_name(&room());
        match dice.below(24) {
            0 => self.link_up(n),
            1 => match self.links.keys().next().copied() {
                Some(link) => {
                    self.links.remove(&link);
                    Input::LinkDown(link, "over".into())
                }
                None => self.link_up(n),
            },
            2 => Input::DialFailed(device(n)),
            3 => match self.links.keys().nth(dice.below(3)) {
                Some(link) if dice.bool() => Input::LinkFull(*link),
                Some(link) => Input::LinkDrained(*link),
                None => Input::Tick,
            },
            4 => match self.asked.pop() {
                Some((device, conversation)) if dice.below(8) == 0 => Input::VersionFailed(device, conversation),
                Some((device, conversation)) => Input::VersionAnswer(device, conversation, self.heights(dice)),
                None => Input::Tick,
            },
            5 => self.history(dice),
            6 => Input::RoomChanged(of_room, peer(1 + dice.byte() % HONEST), liveness(dice)),
            7 => Input::UserChanged(whose(n), dice.bool().then(|| peer(n)), liveness(dice)),
            8 => Input::Found(whose(n), (1..=dice.byte() % HONEST).map(peer).collect()),
            9 => Input::RoomJoined {
                room: of_room,
                created: dice.bool(),
                members: (1..=dice.byte() % HONEST).map(peer).collect(),
            },
            10 => Input::Write(Self::own_conversation(dice), "mine".into()),
            11 => match dice.below(4) {
                0 => Input::Leave(Self::own_conversation(dice)),
                1 => Input::Join(room_name(&Self::conversation(dice))),
                2 => Input::JoinPrivate(secret()),
                _ => Input::Open(whose(n)),
            },
            12 | 13 => {
                self.now += dice.number().min(600_000);
                Input::Tick
            }
            14 => self.judged(),
            _ => {
                let link = self.links.iter().nth(dice.below(3)).or(self.links.iter().next());
                match link.map(|(link, n)| (*link, *n)) {
                    Some((link, n)) => Input::Frame(link, self.frame(n, dice)),
                    None => self.link_up(n),
                }
            }
        }
    }

    fn frame(&mut self, n: u8, dice: &mut Dice) -> Frame {
        let mut frame = Frame::default();
        for _ in 0..=dice.below(4) {
            match dice.below(12) {
                0 => frame.acks.push(Ack {
                    conversation: Self::conversation(dice),
                    author: self.author(dice),
                    stored: Seq(dice.number()),
                    durable: Seq(dice.number()),
                }),
                1 | 2 => frame.heights.push(HeightsNews {
                    conversation: Self::conversation(dice),
                    heights: self.heights(dice),
                    reply_wanted: dice.bool(),
                    left: dice.below(8) == 0,
                    relay_wanted: false,
                }),
                3 => frame.memberships.push(MembershipNews {
                    room: room_name(&Self::conversation(dice)),
                    membership: Membership {
                        stamp: dice.number().clamp(1, 1 << 48),
                        is_in: dice.bool(),
                    },
                    invitation: dice.bool().then(secret),
                }),
                4 => frame.knocks.push(Knock {
                    proof: [dice.byte(); 32],
                    reply_wanted: dice.bool(),
                }),
                5 => frame.bye = Some(ByeReason::Unspecified),
                6 | 7 => {
                    let mut seal = self.pens[&n].last.map(|_| self.pens[&n].seal());
                    if let Some(seal) = seal.as_mut().filter(|_| dice.below(4) == 0) {
                        seal.seq = Seq(dice.number());
                    }
                    frame.seals.extend(seal.map(|seal| (Self::conversation(dice), seal)));
                }
                _ => frame.entries.push(self.entry(n, dice)),
            }
        }
        self.offered.extend(frame.entries.iter().map(|entry| entry.id));
        frame
    }

    /// An entry of this device, or one that it makes for another.
    fn entry(&mut self, n: u8, dice: &mut Dice) -> Arc<Entry> {
        let last = self.written.last().cloned();
        let Some(pen) = self.pens.get_mut(&n) else {
            return encode_entry(Pen::new(n).draft("nobody's"));
        };
        let mut draft = pen.draft("text");
        match dice.below(12) {
            0 => draft.author.device = device(1 + dice.byte() % HONEST),
            1 => draft.author.incarnation = dice.number(),
            2 => draft.lamport.0 = dice.number().clamp(draft.seq.0, u64::MAX - 1),
            3 => draft.conversation = Self::conversation(dice),
            4 => draft.previous = EntryId([dice.byte(); 32]),
            5 => draft.user = draft.user.map(|_| whose(3)),
            6 => draft.body = peerchat::node::types::Body::Text("another".into()),
            _ => {
                let to: Vec<&Entry> = last.iter().filter(|_| dice.bool()).map(AsRef::as_ref).collect();
                let entry = pen.answer("text", &to);
                self.written.push(Arc::clone(&entry));
                return entry;
            }
        }
        encode_entry(draft)
    }

    /// The next part of a pull, or its end.
    fn history(&mut self, dice: &mut Dice) -> Input {
        let Some(pull) = self.pulls.keys().nth(dice.below(3)).or(self.pulls.keys().next()).copied() else {
            return Input::Tick;
        };
        let Some(mut reader) = self.pulls.remove(&pull) else { return Input::Tick };
        if dice.below(3) == 0 {
            let end = match dice.bool() {
                true => reader.finish().map_err(PullFailure::Bad),
                false => Err(PullFailure::Broken("broken".into())),
            };
            return Input::HistoryEnd(pull, end);
        }
        let from = dice.below(8);
        let part = Part {
            entries: self.written.iter().skip(from).take(1 + dice.below(12)).cloned().collect(),
            seals: self.pens.values().filter(|pen| pen.last.is_some()).map(Pen::seal).collect(),
            introductions: self.pens.values().map(Pen::certificate).collect(),
            contradictions: Vec::new(),
        };
        match reader.take(part) {
            Ok(pulled) => {
                self.pulls.insert(pull, reader);
                Input::History(pull, pulled)
            }
            Err(bad) => Input::HistoryEnd(pull, Err(PullFailure::Bad(bad))),
        }
    }

    /// What was to be judged, judged by the signatures.
    fn judged(&mut self) -> Input {
        let Some((conversation, ..)) = self.to_judge.first().cloned() else {
            return Input::Tick;
        };
        let here = |(of, ..): &(Conversation, Seal, DeviceId)| *of == conversation;
        let (now, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.to_judge).into_iter().partition(here);
        self.to_judge = later;
        let (good, bad): (Vec<_>, Vec<_>) =
            now.into_iter().map(|(_, seal, from)| (seal, from)).partition(|(seal, _)| is_good(self.notary.as_ref(), &conversation, seal));
        Input::Judged(conversation, good.into_iter().map(|(seal, _)| seal).collect(), bad)
    }

    fn handle(&mut self, input: Input) {
        let now = Now {
            mono: Millis(self.now),
            wall: WallTime(self.now.cast_signed()),
        };
        let step = self.node.handle(input, now);
        self.check(&step);
        self.to_judge.extend(step.judge);
        self.to_judge.truncate(64);
        for effect in step.then {
            match effect {
                Effect::Pull {
                    pull,
                    conversation,
                    heights,
                    ..
                } => {
                    let reader = HistoryReader::new(self.notary.clone(), &self.me, conversation, heights);
                    self.pulls.insert(pull, reader);
                }
                Effect::AskVersion(device, _, conversation) => self.asked.push((device, conversation)),
                Effect::StopPull(pull) => drop(self.pulls.remove(&pull)),
                Effect::Close(link, ..) => drop(self.links.remove(&link)),
                _ => {}
            }
        }
    }

    fn check(&mut self, step: &Step) {
        assert!(step.then.len() <= EFFECTS_MAX, "{} effects follow from one input", step.then.len());
        for entry in &step.persist {
            let author = entry.author;
            if author.device == device(HONEST) {
                assert!(self.genuine.contains(&entry.id), "somebody speaks for another");
            }
            if author.device == self.me.device {
                assert!(!self.offered.contains(&entry.id), "somebody speaks for this user");
            }
            let height = self.heights.entry((entry.conversation.clone(), author)).or_default();
            assert_eq!(entry.seq, height.next(), "an entry twice, or one that is left out");
            *height = entry.seq;
        }
        for effect in &step.then {
            let Effect::Send(link, outgoing) = effect else { continue };
            let Some(n) = self.links.get(link) else { continue };
            let conversation = match outgoing {
                Outgoing::Entry(entry) => {
                    assert_eq!(entry.author.device, self.me.device, "only own entries are pushed");
                    &entry.conversation
                }
                Outgoing::Seal(conversation, _) => conversation,
                Outgoing::Heights(news) => &news.conversation,
                Outgoing::Memberships(_) => {
                    assert_eq!(whose(*n), self.me.user, "only own devices hear where the user is");
                    continue;
                }
                Outgoing::Ack(_) | Outgoing::Knock(_) => continue,
            };
            if let Conversation::Direct(pair) = conversation {
                assert!(pair.has(&whose(*n)), "device {n} hears what is said in {conversation:?}: {outgoing:?}");
            }
        }
        for (conversation, talk) in self.node.talks() {
            let before = self.versions.insert(conversation.clone(), talk.replica.version());
            assert!(before.is_none_or(|before| before <= talk.replica.version()), "a version falls");
        }
        for (conversation, version) in &self.versions {
            assert!(*version == 0 || self.node.talks().contains_key(conversation), "{conversation:?} is forgotten");
        }
    }
}

fn liveness(dice: &mut Dice) -> Liveness {
    [Liveness::Here, Liveness::Left, Liveness::Lost][dice.below(3)]
}

/// Frames, pulls and news, one kind after another.
pub fn seeds() -> Vec<Vec<u8>> {
    let kinds = (0..16).map(|kind| (0..24).flat_map(|n| [n, kind, n % 3, n, 11, n, 7, 64 + n]).collect());
    let mixed = (0..120_u8).map(|n| n.wrapping_mul(37)).collect();
    kinds.chain([mixed]).collect()
}
