//! What it costs to judge a history. Not a test: it asserts nothing about time.
//!
//!     cargo test --release -p peerchat --lib seal::figures -- --ignored --nocapture

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use peerchat_identity::DeviceKey;

use super::{
    DeviceJudge, DeviceNotary, HistoryReader, Part, make,
    testing::{HashNotary, introduced, room},
};
use crate::{
    net::convert,
    node::{
        Identity,
        limits::BATCH_ENTRIES_MAX,
        sealing::Seal,
        types::{Author, Body, DeviceId, Draft, EntryId, Heights, Lamport, Seq, UserName, WallTime},
    },
};

const ENTRIES: usize = 200_000;

#[test]
#[ignore = "measures"]
fn a_bulk_pull() {
    let key = DeviceKey::generate().unwrap();
    let me = Identity {
        user: UserName::new("alice").unwrap(),
        device: DeviceId(key.public()),
    };
    let author = Author {
        device: me.device,
        incarnation: 1,
    };
    let notary = DeviceNotary::shared(move |message| key.sign(message), DeviceJudge::new(introduced));
    let mut parts: Vec<(Vec<Bytes>, Seal)> = Vec::new();
    let mut previous: Option<EntryId> = None;
    let mut bytes = Vec::new();
    for seq in (1..=ENTRIES as u64).map(Seq) {
        let entry = convert::encode_entry(Draft {
            conversation: room(),
            author,
            seq,
            user: previous.is_none().then(|| me.user.clone()),
            previous: previous.unwrap_or(EntryId([0; 32])),
            seen: Vec::new(),
            lamport: Lamport(seq.0),
            sent_at: WallTime(0),
            body: Body::Text(format!("a message of a usual length, number {}", seq.0)),
        });
        previous = Some(entry.id);
        bytes.push(entry.bytes.clone());
        if bytes.len() == BATCH_ENTRIES_MAX || seq.0 == ENTRIES as u64 {
            let seal = make(notary.as_ref(), &room(), author, seq, entry.id);
            parts.push((std::mem::take(&mut bytes), seal));
        }
    }
    let decoded = |entries: &[Bytes]| {
        let entries = entries.iter().cloned();
        entries
            .map(|bytes| Arc::new(convert::decode_entry(bytes).unwrap()))
            .collect::<Vec<_>>()
    };
    let reader = Identity {
        user: UserName::new("bob").unwrap(),
        device: DeviceId([9; 32]),
    };
    for _ in 0..3 {
        let start = Instant::now();
        let count: usize = parts.iter().map(|(entries, _)| decoded(entries).len()).sum();
        let plain = count as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        let mut window = HistoryReader::new(notary.clone(), &reader, room(), Heights::default());
        let mut count = 0;
        for (nth, (entries, seal)) in parts.iter().enumerate() {
            let introduction = HashNotary::certificate(me.device, "alice");
            let part = Part {
                entries: decoded(entries),
                seals: vec![seal.clone()],
                introductions: (nth == 0).then_some(introduction).into_iter().collect(),
                ..Part::default()
            };
            count += window.take(part).unwrap().entries.len();
        }
        window.finish().unwrap();
        assert_eq!(count, ENTRIES);
        let judged = count as f64 / start.elapsed().as_secs_f64();
        println!(
            "decoded {plain:.0}/s, decoded and judged {judged:.0}/s: {:.2} of it",
            judged / plain
        );
    }
}
