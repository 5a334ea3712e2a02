//! A peer on a disk in memory, and what others say to it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{runtime::Builder, sync::mpsc, time::timeout};

use super::{
    Channels, Driver,
    core::{Act, Codec, Core},
    ports::{Incoming, Order},
    refusals::Refusals,
    request::Request,
    serve::ServedPart,
    turn::Turn,
};
use crate::{
    log::{Disk as _, MemoryDisk},
    net::convert,
    node::{
        Identity, Input, Liveness, Millis, Now, PeerAddress,
        event::{Code, Event, Notice},
        link::{Frame, LinkId, LinkUp},
        memberships::Memberships,
        sealing::Seal,
        sync::PullId,
        types::{Body, Conversation, Entry, Heights, Reader, UserName, WallTime},
    },
    seal::{
        self, HistoryReader, Part,
        testing::{AUTHORITY, HashNotary, Pen, device, room},
    },
    state::State,
};

/// The peer under test is device 9, and its user is `user-9`.
pub struct Peer {
    pub core: Core<MemoryDisk>,
    pub now: u64,
    pub acts: Vec<Act>,
}

pub fn identity(n: u8) -> Identity {
    let user = UserName::new(&format!("user-{n}")).unwrap();
    Identity {
        user,
        device: device(n),
    }
}

pub fn reader(n: u8) -> Reader {
    let Identity { user, device } = identity(n);
    Reader { user, device }
}

pub fn open(disk: MemoryDisk, n: u8) -> Peer {
    let notary = HashNotary::shared(device(n));
    let codec = Codec {
        encode: convert::encoder(notary.tag_key().clone()),
        decode: convert::decode_entry,
    };
    disk.create_folder(&PathBuf::from("/data")).unwrap();
    let opened = Core::open(
        disk,
        "/data".into(),
        (identity(n), Some(AUTHORITY)),
        codec,
        notary.clone(),
        1,
    );
    let (core, notices) = opened.unwrap();
    assert!(notices.is_empty());
    let mut peer = Peer {
        core,
        now: 0,
        acts: Vec::new(),
    };
    let certificate = HashNotary::certificate(device(n), &format!("user-{n}"));
    let introduction = seal::introduction(certificate, notary.as_ref()).unwrap();
    peer.input(Input::Introduced(introduction));
    peer.input(Input::Start(Memberships::default()));
    let Conversation::Room(lobby) = room() else {
        unreachable!()
    };
    peer.input(Input::Join(lobby.clone()));
    peer.input(Input::RoomJoined {
        room: lobby.clone(),
        created: true,
        members: Vec::new(),
    });
    // Who is in the room, as the registry says, and so may read it.
    for n in 1..=4 {
        let Identity { user, device } = identity(n);
        let address = format!("peer:{n}");
        let member = PeerAddress { user, device, address };
        peer.input(Input::RoomChanged(lobby.clone(), member, Liveness::Here));
    }
    peer.acts.clear();
    peer
}

/// The other ends of a driver's channels.
pub struct Ends {
    pub requests: mpsc::Sender<Request>,
    pub events: mpsc::Receiver<Event>,
    _incoming: mpsc::Sender<Incoming>,
    _orders: mpsc::Receiver<Order>,
}

/// The peer under test with its loop.
pub fn driver() -> (Driver<MemoryDisk>, Ends) {
    let (requests, requested) = mpsc::channel(16);
    let (events, told) = mpsc::channel(256);
    let (incoming, from_wire) = mpsc::channel(16);
    let (orders, ordered) = mpsc::channel(256);
    let channels = Channels {
        requests: requested,
        events,
        incoming: from_wire,
        orders,
        refusals: Refusals::default(),
    };
    let disk = MemoryDisk::new(2);
    let driver = Driver::new(Peer::new().core, channels, State::default(), disk, "/".into());
    let ends = Ends {
        requests,
        events: told,
        _incoming: incoming,
        _orders: ordered,
    };
    (driver, ends)
}

/// Runs a test of the loop, which must not take longer than 20 s.
pub fn run(test: impl AsyncFnOnce(Driver<MemoryDisk>, Ends)) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let (driver, ends) = driver();
    let ended = runtime.block_on(async { timeout(Duration::from_secs(20), test(driver, ends)).await });
    ended.expect("the test waits for something that does not come");
}

impl Driver<MemoryDisk> {
    /// Takes turns up to one of some kind, that one as well.
    pub(super) async fn turns_until(&mut self, is_last: impl Fn(&Turn) -> bool) {
        loop {
            let turn = self.next_turn().await;
            let is_last = is_last(&turn);
            self.carry_out(turn).await.unwrap();
            if is_last {
                break;
            }
        }
    }
}

impl Peer {
    pub fn new() -> Self {
        open(MemoryDisk::new(1), 9)
    }

    pub fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        while !inputs.is_empty() {
            let acts = self.core.handle(inputs.drain(..), self.time()).unwrap();
            for act in acts {
                match act {
                    Act::Again(input) => inputs.push(input),
                    act => self.acts.push(act),
                }
            }
        }
    }

    pub fn time(&self) -> Now {
        Now {
            mono: Millis(self.now),
            wall: WallTime(0),
        }
    }

    pub fn seal(&mut self) {
        let acts = self.core.seal(self.time()).unwrap();
        self.acts.extend(acts);
    }

    pub fn judge(&mut self) {
        while self.core.must_judge() {
            for input in self.core.begin_judging().run() {
                self.input(input);
            }
        }
    }

    /// A link to device `n` under the same number.
    pub fn link(&mut self, pen: &Pen) -> LinkId {
        let n = pen.author.device.0[0];
        let notary = HashNotary::shared(device(9));
        let introduction = seal::introduction(pen.certificate(), notary.as_ref()).unwrap();
        self.input(Input::Introduced(introduction));
        let link = LinkId(u64::from(n));
        self.input(Input::LinkUp(LinkUp {
            link,
            device: pen.author.device,
            user: identity(n).user,
            session: 1,
            address: format!("peer:{n}"),
            dialed_by_us: false,
        }));
        link
    }

    /// Seals come over a link. Nobody has judged them yet.
    pub fn frame_of_seals(&mut self, link: LinkId, seals: Vec<Seal>) {
        let frame = Frame {
            seals: seals.into_iter().map(|seal| (room(), seal)).collect(),
            ..Frame::default()
        };
        self.input(Input::Frame(link, frame));
    }

    pub fn frame(&mut self, link: LinkId, entries: Vec<Arc<Entry>>) {
        let frame = Frame {
            entries,
            ..Frame::default()
        };
        self.input(Input::Frame(link, frame));
    }

    /// Device `n` says that it holds this, and is pulled from.
    pub fn pulled_from(&mut self, n: u8, heights: Heights) -> PullId {
        self.acts.clear();
        self.input(Input::VersionAnswer(device(n), room(), heights));
        self.pull(n).expect("it is pulled from")
    }

    pub fn pull(&self, n: u8) -> Option<PullId> {
        self.acts.iter().find_map(|act| match act {
            Act::Order(Order::Pull { pull, device: from, .. }) if *from == device(n) => Some(*pull),
            _ => None,
        })
    }

    pub fn notices(&self, code: Code) -> Vec<String> {
        let notice = |act: &Act| match act {
            Act::Tell(Event::Notice(Notice { code: found, message })) if *found == code => Some(message.clone()),
            _ => None,
        };
        self.acts.iter().filter_map(notice).collect()
    }

    pub fn texts(&self) -> Vec<String> {
        let lines = self.core.log(&room()).unwrap().canonical().map(Result::unwrap);
        lines.map(|entry| text(&entry)).collect()
    }

    /// All that device `n` is given, as it judges that.
    pub fn given_to(&self, n: u8) -> Vec<Arc<Entry>> {
        let (me, notary) = (identity(n), HashNotary::shared(device(n)));
        let history = self.core.serve_history(&reader(n), &room(), &Heights::default());
        let mut history = history.unwrap().expect("there is a log");
        let mut reader = HistoryReader::new(notary, &me, room(), Heights::default());
        let mut found = Vec::new();
        loop {
            let part = self.core.serve_part(&room(), &mut history).unwrap();
            if part.is_empty() {
                break;
            }
            found.extend(reader.take(part_of(part)).unwrap().entries);
        }
        reader.finish().unwrap();
        found
    }
}

/// What was served, as it is read.
pub fn part_of(part: ServedPart) -> Part {
    let entries = part.entries.into_iter();
    let entries = entries.map(|bytes| Arc::new(convert::decode_entry(bytes).unwrap()));
    Part {
        entries: entries.collect(),
        seals: part.seals,
        introductions: part.introductions,
        contradictions: part.contradictions,
    }
}

/// What one who holds all of these says that he holds.
pub fn heights(pens: &[&Pen]) -> Heights {
    let height = |pen: &&Pen| (pen.author, pen.last.map(|(seq, _)| seq).unwrap_or_default());
    Heights(pens.iter().map(height).collect())
}

pub fn text(entry: &Entry) -> String {
    match &entry.body {
        Body::Text(text) => text.clone(),
        Body::Unknown => String::new(),
    }
}
