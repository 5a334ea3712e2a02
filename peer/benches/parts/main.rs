//! How long the pure parts of a message's way take: `cargo bench -p peerchat`. What a whole message takes measures `peerchat bench`.

#![allow(clippy::unwrap_used, reason = "these are benches")]

mod writing;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use peerchat::{
    log::{Log, RealDisk},
    net::convert,
    node::{
        Identity, Input, Millis, Node, Now, PeerAddress,
        link::{Frame, LinkId, LinkUp},
        memberships::Memberships,
        sealing::{Introduction, Seal},
        types::{Author, DeviceId, Entry, Heights, Seq, UserName, WallTime},
    },
};
use writing::{Writer, room};

/// The length of the texts, as in `peerchat bench`.
const TEXT_BYTES: usize = 100;
/// The entries of a full batch.
const BATCH: usize = 256;
/// The entries of the log that is searched.
const SEARCHED: usize = 10_000;
/// As many entries are appended to one log.
const LOG_ENTRIES: u64 = 100_000;
const LINK: LinkId = LinkId(1);

const NOW: Now = Now {
    mono: Millis(0),
    wall: WallTime(0),
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    entries(&mut criterion);
    live_entries(&mut criterion);
    appending(&mut criterion);
    scanning(&mut criterion);
    criterion.final_summary();
}

fn entries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("entry");
    let entry = Writer::new(TEXT_BYTES).nth(1).unwrap();
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode, tag and hash", |bench| {
        let encode = writing::encode();
        bench.iter_batched(|| entry.draft.clone(), |draft| (encode.0)(draft), BatchSize::SmallInput);
    });
    group.bench_function("hash", |bench| bench.iter(|| blake3::hash(black_box(&entry.bytes))));
    group.bench_function("decode and hash", |bench| {
        bench.iter(|| convert::decode_entry(black_box(entry.bytes.clone())).unwrap());
    });
    group.finish();
}

/// A node in a room with one member, who has a link.
fn node(writer: &Writer) -> Node {
    let me = Identity {
        user: UserName::new("alice").unwrap(),
        device: DeviceId([1; 32]),
    };
    let mut node = Node::new(me, Some(writing::AUTHORITY), writing::encode(), 1);
    let member = PeerAddress {
        user: writer.user(),
        device: writer.device(),
        address: "127.0.0.1:1".to_owned(),
    };
    let inputs = [
        Input::Start(Memberships::default()),
        Input::RegistryUp {
            hosting: false,
            address: String::new(),
            authority: writing::AUTHORITY,
        },
        Input::Join(writing::room_name()),
        Input::RoomJoined {
            room: writing::room_name(),
            created: false,
            members: vec![member.clone()],
        },
        Input::LinkUp(LinkUp {
            link: LINK,
            device: member.device,
            user: member.user,
            session: 1,
            address: member.address,
            dialed_by_us: false,
        }),
        Input::VersionAnswer(member.device, room(), Heights::default()),
        Input::Introduced(Introduction {
            device: writer.device(),
            user: writer.user(),
            certificate: Bytes::new(),
        }),
    ];
    for input in inputs {
        node.handle(input, NOW);
    }
    node
}

/// The seal of an entry, as one that was judged.
fn sealed(entry: &Entry) -> Input {
    let seal = Seal {
        author: entry.author,
        seq: entry.seq,
        id: entry.id,
        signature: [0; 64],
    };
    Input::Judged(room(), vec![seal], Vec::new())
}

/// Times `handle` alone, for so many entries that come in frames of `many`, each with a seal of the last.
fn handled(entries: u64, many: usize) -> Duration {
    let mut writer = Writer::new(TEXT_BYTES);
    let mut node = node(&writer);
    let (mut spent, mut left) = (Duration::ZERO, entries);
    while left > 0 {
        let entries: Vec<_> = writer.by_ref().take(many.min(usize::try_from(left).unwrap())).collect();
        let count = entries.len();
        left -= count as u64;
        let frame = Frame {
            entries,
            ..Frame::default()
        };
        let seal = frame.entries.last().map(|entry| sealed(entry)).unwrap();
        let input = Input::Frame(LINK, frame);
        let begun = Instant::now();
        let step = black_box(node.handle(input, NOW));
        black_box(node.handle(seal, NOW));
        spent += begun.elapsed();
        assert_eq!(step.persist.len(), count, "all are taken");
    }
    spent
}

fn live_entries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("node");
    group.throughput(Throughput::Elements(1));
    group.bench_function("live entry", |bench| bench.iter_custom(|entries| handled(entries, 1)));
    group.bench_function("live entry of a full frame", |bench| {
        bench.iter_custom(|entries| handled(entries, BATCH));
    });
    group.finish();
}

/// Times so many appends of `many` entries each. A log that is long enough makes way for a new one, so that the disk does not fill up.
fn appended(times: u64, many: usize) -> Duration {
    let (mut spent, mut left) = (Duration::ZERO, times);
    while left > 0 {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(RealDisk, &folder.path().join("room"), convert::decode_entry).unwrap();
        let mut writer = Writer::new(TEXT_BYTES);
        while left > 0 && log.version() < LOG_ENTRIES {
            let entries: Vec<_> = writer.by_ref().take(many).collect();
            let begun = Instant::now();
            log.append(&entries).unwrap();
            spent += begun.elapsed();
            left -= 1;
        }
    }
    spent
}

fn appending(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for many in [1, BATCH] {
        group.throughput(Throughput::Elements(many as u64));
        group.bench_function(format!("{many} at once"), |bench| {
            bench.iter_custom(|times| appended(times, many));
        });
    }
    group.finish();
}

fn scanning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log");
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open(RealDisk, &folder.path().join("room"), convert::decode_entry).unwrap();
    let entries: Vec<_> = Writer::new(TEXT_BYTES).take(SEARCHED).collect();
    log.append(&entries).unwrap();
    group.throughput(Throughput::Elements(SEARCHED as u64));
    group.bench_function("search without a hit", |bench| {
        bench.iter(|| {
            let mut scan = log.search("nowhere", 50);
            while !scan.advance(&log, u64::MAX).unwrap() {}
            scan.finish(&log).unwrap()
        });
    });
    // The last entry has a seal, which covers all.
    let sealed = |_: &Author, _: Seq| Some(Seq(SEARCHED as u64));
    group.bench_function("read as a history", |bench| {
        bench.iter(|| {
            let mut history = log.history(&Heights::default(), &log.heights());
            let mut read = 0;
            loop {
                let part = log.read_batch(&mut history, sealed).unwrap();
                if part.entries.is_empty() {
                    break;
                }
                read += part.entries.len();
            }
            assert_eq!(read, SEARCHED);
        });
    });
    log.sync().unwrap();
    log.close(None).unwrap();
    group.bench_function("open", |bench| {
        bench.iter(|| Log::open(RealDisk, &folder.path().join("room"), convert::decode_entry).unwrap());
    });
    group.finish();
}
