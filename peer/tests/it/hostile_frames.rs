//! Frames that break a rule, sent by a peer that is logged in, in the room and linked.

use bytes::Bytes;
use peerchat_proto::v1::{Ack, Frame, Heights, Knock, Membership};

use crate::{
    attack::{Attack, attack_all, heights, in_room, nobody},
    wire::{encoded, entries, room, seen},
};

fn memberships(count: usize, stamp: u64) -> Vec<Frame> {
    let membership = |n| Membership {
        room: format!("room{n}"),
        stamp,
        is_in: true,
        invitation: None,
    };
    vec![Frame {
        memberships: (0..count).map(membership).collect(),
        ..Frame::default()
    }]
}

const FRAMES: [Attack; 16] = [
    Attack {
        what: "bytes that are no entry",
        why: "are no entry",
        frames: |_, _, _| {
            vec![Frame {
                entries: vec![vec![0xff; 99].into()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "no bytes",
        why: "the entry has no",
        frames: |_, _, _| {
            vec![Frame {
                entries: vec![Bytes::new()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "257 entries",
        why: "the entry's batch is 257; it must be at most 256 entries",
        frames: |_, _, pen| vec![entries(&(0..257).map(|_| pen.write("bad")).collect::<Vec<_>>())],
    },
    Attack {
        what: "more than 256 KiB",
        why: "at most 262144 bytes",
        frames: |_, _, pen| {
            vec![entries(
                &(0..5).map(|_| pen.write(&"bad".repeat(20_000))).collect::<Vec<_>>(),
            )]
        },
    },
    Attack {
        what: "an entry longer than any can be",
        why: "the limit is 163840",
        frames: |_, _, pen| {
            // A field that is unknown is kept, so that this is an entry like others but for its length.
            let entry = [
                &encoded(&pen.write("bad"))[..],
                &[0x9a, 0x06, 0x80, 0x80, 0x10],
                &vec![0; 256 * 1024],
            ]
            .concat();
            vec![Frame {
                entries: vec![entry.into()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "more than 4 MiB",
        why: "message",
        frames: |_, _, _| {
            vec![Frame {
                entries: vec![vec![1; 5 << 20].into()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "an ack for another device",
        why: "it acked entries of another device",
        frames: |fake, _, _| {
            let ack = Ack {
                conversation: Some(room("lobby")),
                author: Some(fake.author()),
                stored: 1,
                durable: 1,
            };
            vec![Frame {
                acks: vec![ack],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "an ack for nobody",
        why: "has no",
        frames: |_, _, _| {
            vec![Frame {
                acks: vec![Ack::default()],
                ..Frame::default()
            }]
        },
    },
    Attack {
        what: "an author's height twice",
        why: "each author once",
        frames: |_, _, _| {
            heights(vec![in_room(
                room("lobby"),
                vec![seen(nobody(1), 1), seen(nobody(1), 2)],
            )])
        },
    },
    Attack {
        what: "heights of too many authors",
        why: "of at most 65536 authors",
        frames: |_, _, _| {
            heights(vec![in_room(
                room("lobby"),
                (0..65_537).map(|n| seen(nobody(n), 1)).collect(),
            )])
        },
    },
    Attack {
        what: "heights of too many conversations",
        why: "at most 4096",
        frames: |_, _, _| heights((0..4_097).map(|n| in_room(room(&format!("r{n}")), vec![])).collect()),
    },
    Attack {
        what: "heights of no conversation",
        why: "has no conversation",
        frames: |_, _, _| heights(vec![Heights::default()]),
    },
    Attack {
        what: "in which rooms the victim is",
        why: "it told in which rooms another user is",
        frames: |_, _, _| memberships(1, 1),
    },
    Attack {
        what: "too many rooms",
        why: "at most 1024",
        frames: |_, _, _| memberships(1_025, 1),
    },
    Attack {
        what: "a stamp that nothing can follow",
        why: "from 1 to 281474976710656",
        frames: |_, _, _| memberships(1, u64::MAX),
    },
    Attack {
        what: "too many knocks",
        why: "at most 256",
        frames: |_, _, _| {
            vec![Frame {
                knocks: vec![Knock::default(); 257],
                ..Frame::default()
            }]
        },
    },
];

#[test]
fn a_frame_that_breaks_a_rule_is_refused_told_and_not_kept() {
    attack_all(&FRAMES);
}
