//! A node in a room, with members of the tests' own making.

mod other;

use std::{collections::BTreeMap, hash::Hasher as _, sync::Arc};

use bytes::Bytes;

pub(super) use self::other::Other;
use super::{
    Ask, DeliveryNews, Effect, Identity, Input, LoadedLog, Millis, Node, Now, PeerAddress,
    event::{Code, Event},
    link::{Frame, HeightsNews, LinkId, LinkUp, Outgoing},
    memberships::{Membership, MembershipNews, Memberships},
    people::Deed,
    sealing::{Introduction, Seal},
    sync::PullId,
    types::{
        Author, Authority, Conversation, DeviceId, Draft, Encode, Entry, EntryId, Heights, RoomName, Seq, Stretches,
        UserName, WallTime,
    },
    window,
};

/// Under which all of it is.
pub(super) const AUTHORITY: Authority = Authority([0xa0; 32]);

/// Stands in for the encoding, which the node does not know.
fn encode(draft: Draft) -> Arc<Entry> {
    let bytes = Bytes::from(format!("{draft:?}"));
    let mut id = [0; 32];
    for (n, part) in id.chunks_mut(8).enumerate() {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_usize(n);
        hasher.write(&bytes);
        part.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    let id = EntryId(id);
    Arc::new(Entry { id, draft, bytes })
}

pub(super) fn room() -> Conversation {
    Conversation::Room(room_name())
}

/// News of a room that is not private.
pub(super) fn membership(room: RoomName, stamp: u64, is_in: bool) -> MembershipNews {
    MembershipNews {
        room,
        membership: Membership { stamp, is_in },
        invitation: None,
    }
}

pub(super) fn room_name() -> RoomName {
    RoomName::new("lobby").unwrap()
}

/// The seals of the last entries of each author.
pub(super) fn seals(entries: &[Arc<Entry>]) -> Vec<Seal> {
    let mut last: BTreeMap<(Conversation, Author), Seal> = BTreeMap::new();
    for entry in entries {
        let seal = Seal {
            author: entry.author,
            seq: entry.seq,
            id: entry.id,
            signature: [0; 64],
        };
        last.insert((entry.conversation.clone(), entry.author), seal);
    }
    last.into_values().collect()
}

/// A pull that the node has begun.
#[derive(Debug, Clone)]
pub(super) struct Pulled {
    pub(super) id: PullId,
    pub(super) from: DeviceId,
    pub(super) conversation: Conversation,
    pub(super) heights: Heights,
}

/// Alice's node.
pub(super) struct Alice {
    pub(super) node: Node,
    pub(super) now: u64,
    pub(super) pulls: Vec<Pulled>,
    pub(super) stopped: Vec<PullId>,
    /// Devices that were asked by a call what they hold.
    pub(super) called: Vec<DeviceId>,
    pub(super) events: Vec<Event>,
    pub(super) deeds: Vec<Deed>,
    /// What went out over links.
    pub(super) sent: Vec<(LinkId, Outgoing)>,
    pub(super) dialled: Vec<DeviceId>,
    pub(super) asked: Vec<Ask>,
    pub(super) delivered: Vec<DeliveryNews>,
    /// Which conversations she is said to have joined, and whether by another device.
    pub(super) joined: Vec<(Conversation, bool)>,
    /// How often she was shown the last entries.
    pub(super) replays: usize,
    /// Of which, each time, and how many other things she had been told before.
    pub(super) shown_last: Vec<(usize, Stretches)>,
    /// How often something that came was to be compared with her log.
    pub(super) compared: usize,
}

impl Alice {
    /// She joins the room; these are in it.
    pub(super) fn joins(others: &[Other]) -> Self {
        Self::joins_with(LoadedLog::default(), others)
    }

    /// She holds this of the room, and joins it.
    pub(super) fn joins_with(mut log: LoadedLog, others: &[Other]) -> Self {
        let me = Identity {
            user: UserName::new("alice").unwrap(),
            device: DeviceId([0xaa; 32]),
        };
        let mut node = Node::new(me, Some(AUTHORITY), Encode(Arc::new(encode)), 1);
        // Whoever writes has been introduced and seals what he writes.
        for n in 0..=u8::MAX {
            node.load_introduction(Introduction {
                device: DeviceId([n; 32]),
                user: UserName::new("somebody").unwrap(),
                certificate: Bytes::new(),
            });
        }
        log.servable = Heights(
            log.authors
                .iter()
                .map(|(author, held)| (*author, held.height()))
                .collect(),
        );
        log.sealed = log.servable.0.clone();
        node.load(room(), log);
        let mut alice = Self {
            node,
            now: 0,
            pulls: Vec::new(),
            stopped: Vec::new(),
            called: Vec::new(),
            events: Vec::new(),
            deeds: Vec::new(),
            sent: Vec::new(),
            dialled: Vec::new(),
            asked: Vec::new(),
            delivered: Vec::new(),
            joined: Vec::new(),
            replays: 0,
            shown_last: Vec::new(),
            compared: 0,
        };
        alice.input(Input::Start(Memberships::default()));
        alice.input(Input::RegistryUp {
            hosting: false,
            address: String::new(),
            authority: AUTHORITY,
        });
        alice.enters(room_name(), others);
        alice
    }

    /// She joins a room.
    pub(super) fn enters(&mut self, room: RoomName, others: &[Other]) {
        self.input(Input::Join(room.clone()));
        self.input(Input::RoomJoined {
            room,
            created: false,
            members: others.iter().map(|other| other.address()).collect(),
        });
    }

    /// She is in the room, where nobody else has written anything, with links to these.
    pub(super) fn among(others: &[Other]) -> Self {
        let mut alice = Self::joins(others);
        for other in others {
            alice.answer(*other, Heights::default());
            alice.link(*other);
        }
        alice
    }

    pub(super) fn input(&mut self, input: Input) {
        let now = Now {
            mono: Millis(self.now),
            wall: WallTime::default(),
        };
        for effect in self.node.handle(input, now).then {
            match effect {
                Effect::Pull {
                    pull: id,
                    device: from,
                    conversation,
                    heights,
                    ..
                } => self.pulls.push(Pulled {
                    id,
                    from,
                    conversation,
                    heights,
                }),
                Effect::StopPull(id) => self.stopped.push(id),
                Effect::AskVersion(device, ..) => self.called.push(device),
                Effect::TellLast(_, _, stretches) => {
                    self.replays += 1;
                    self.shown_last.push((self.events.len(), stretches));
                }
                Effect::Compare(_) => self.compared += 1,
                Effect::Tell(event) => self.events.push(event),
                Effect::People(deed) => self.deeds.push(deed),
                Effect::Send(link, what) => self.sent.push((link, what)),
                Effect::Dial(device, _) => self.dialled.push(device),
                Effect::Registry(ask) => self.asked.push(ask),
                Effect::TellDelivered(news) => self.delivered.push(news),
                Effect::TellJoined {
                    conversation,
                    by_other_device,
                    ..
                } => self.joined.push((conversation, by_other_device)),
                _ => {}
            }
        }
    }

    /// Lets time pass up to then, as a loop around the node does: whenever it wants it, there is a tick.
    pub(super) fn pass_until(&mut self, then: u64) {
        while let Some(due) = self.node.next_due().filter(|due| due.0 <= then) {
            self.now = self.now.max(due.0);
            self.input(Input::Tick);
            let next = self.node.next_due();
            assert!(
                next.is_none_or(|next| next.0 > self.now),
                "it wants the same time again"
            );
        }
        self.now = then;
    }

    pub(super) fn unlink(&mut self, other: Other) {
        self.input(Input::LinkDown(LinkId(other.0.into()), "gone".into()));
    }

    pub(super) fn link(&mut self, other: Other) {
        self.link_as(other, other.0.into());
    }

    /// The same, by another name.
    pub(super) fn link_as(&mut self, other: Other, link: u64) {
        let PeerAddress { user, device, address } = other.address();
        self.input(Input::LinkUp(LinkUp {
            link: LinkId(link),
            device,
            user,
            session: 1,
            address,
            dialed_by_us: false,
        }));
    }

    /// A member answers what it holds.
    pub(super) fn answer(&mut self, other: Other, heights: Heights) {
        self.input(Input::VersionAnswer(other.device(), room(), heights));
    }

    pub(super) fn frame(&mut self, from: Other, frame: Frame) {
        self.input(Input::Frame(LinkId(from.0.into()), frame));
    }

    /// Entries come over a link, with seals.
    pub(super) fn live(&mut self, from: Other, entries: &[Arc<Entry>]) {
        for entries in entries.chunks(256) {
            let seals = seals(entries).into_iter();
            let conversation = |seal: &Seal| {
                let sealed = entries.iter().find(|entry| entry.id == seal.id);
                sealed.map_or_else(room, |entry| entry.conversation.clone())
            };
            let seals = seals.map(|seal| (conversation(&seal), seal)).collect();
            let entries = entries.to_vec();
            self.frame(
                from,
                Frame {
                    entries,
                    seals,
                    ..Frame::default()
                },
            );
        }
    }

    /// A member tells over its link what it holds.
    pub(super) fn told(&mut self, from: Other, heights: Heights) {
        let news = HeightsNews {
            conversation: room(),
            heights,
            reply_wanted: false,
            left: false,
            relay_wanted: false,
        };
        self.frame(
            from,
            Frame {
                heights: vec![news],
                ..Frame::default()
            },
        );
    }

    /// A pull brings something.
    pub(super) fn brings(&mut self, pull: &Pulled, entries: &[Arc<Entry>]) {
        for part in entries.chunks(256) {
            let part = window::Pulled {
                entries: part.to_vec(),
                seals: seals(part),
                ..window::Pulled::default()
            };
            self.input(Input::History(pull.id, part));
        }
    }

    pub(super) fn ends(&mut self, pull: &Pulled) {
        self.input(Input::HistoryEnd(pull.id, Ok(())));
    }

    pub(super) fn last_pull(&self) -> Pulled {
        self.pulls.last().expect("a pull").clone()
    }

    pub(super) fn held(&self) -> BTreeMap<Author, Seq> {
        self.node.talks()[&room()].replica.heights().0
    }

    /// How much she holds of another device.
    pub(super) fn held_of(&self, other: Other) -> u64 {
        let of = |(author, seq): (&Author, &Seq)| if author.device == other.device() { seq.0 } else { 0 };
        self.held().iter().map(of).sum()
    }

    pub(super) fn wrote(&self) -> usize {
        self.count(|event| matches!(event, Event::Sent(_)))
    }

    pub(super) fn said(&self) -> usize {
        self.count(|event| matches!(event, Event::Sent(_)))
    }

    pub(super) fn notices(&self, code: Code) -> usize {
        self.count(|event| matches!(event, Event::Notice(notice) if notice.code == code))
    }

    pub(super) fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| is_it(event)).count()
    }
}
