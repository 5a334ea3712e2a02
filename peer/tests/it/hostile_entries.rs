//! Entries that break a rule, sent by a peer that is logged in, in the room and linked.

use peerchat_proto::v1::{Entry, Frame};

use crate::{
    attack::{Attack, attack_all, nobody},
    wire::{Fake, Pen, author, body_of, device_of, direct, entries, room, seen},
};

/// A second entry that is as `change` makes it.
fn altered(pen: &mut Pen, change: impl FnOnce(&mut Entry)) -> Vec<Frame> {
    let mut entry = pen.write("bad");
    change(&mut entry);
    vec![entries(&[entry])]
}

/// A first entry of another author that is as `change` makes it.
fn first(fake: &Fake, change: impl FnOnce(&mut Entry)) -> Vec<Frame> {
    altered(
        &mut Pen::new(&fake.user, author(&fake.device, 8), room("lobby"), fake.origin()),
        change,
    )
}

const LONG: usize = 64 * 1024;

const ENTRIES: [Attack; 23] = [
    Attack {
        what: "another previous entry",
        why: "does not follow from entry 1",
        frames: |_, _, pen| altered(pen, |entry| entry.previous = vec![9; 32].into()),
    },
    Attack {
        what: "a first entry under another authority",
        why: "begins under the authority SHA256:CQkJ",
        frames: |fake, _, _| {
            let mut pen = Pen::new(&fake.user, author(&fake.device, 9), room("lobby"), [9; 32]);
            vec![entries(&[pen.write("bad")])]
        },
    },
    Attack {
        what: "no previous entry",
        why: "the entry has no previous",
        frames: |_, _, pen| altered(pen, |entry| entry.previous.clear()),
    },
    Attack {
        what: "half a previous entry",
        why: "32 bytes",
        frames: |_, _, pen| altered(pen, |entry| entry.previous.truncate(16)),
    },
    Attack {
        what: "a clock that runs ahead",
        why: "has Lamport time 1152921504606846976; its causes make it 2",
        frames: |_, _, pen| altered(pen, |entry| entry.lamport = 1 << 60),
    },
    Attack {
        what: "a clock that can go no further",
        why: "the entry's lamport is 18446744073709551615",
        frames: |_, _, pen| altered(pen, |entry| entry.lamport = u64::MAX),
    },
    Attack {
        what: "a clock that stands still",
        why: "the entry's lamport is 1",
        frames: |_, _, pen| altered(pen, |entry| entry.lamport = 1),
    },
    Attack {
        what: "two entries of one seq",
        why: "wrote two different entries with seq 1",
        frames: |fake, _, _| {
            let mut twin = fake.pen(room("lobby"));
            vec![entries(&[twin.write("bad")])]
        },
    },
    Attack {
        what: "seq 0",
        why: "the entry's seq is 0",
        frames: |_, _, pen| altered(pen, |entry| entry.seq = 0),
    },
    Attack {
        what: "an entry of another device",
        why: "it sent an entry of device",
        frames: |_, other, _| {
            let mut pen = Pen::new("bob", author(&device_of(other), 7), room("lobby"), [0; 32]);
            vec![entries(&[pen.write("bad")])]
        },
    },
    Attack {
        what: "another user's name",
        why: "writes as bob, but it is",
        frames: |fake, _, _| first(fake, |entry| entry.user = "bob".into()),
    },
    Attack {
        what: "no user",
        why: "the entry's user",
        frames: |fake, _, _| first(fake, |entry| entry.user.clear()),
    },
    Attack {
        what: "a user in the second entry",
        why: "set at seq 1 only",
        frames: |fake, _, pen| altered(pen, |entry| entry.user = fake.user.clone()),
    },
    Attack {
        what: "a device of 31 bytes",
        why: "the entry's author is 31 bytes",
        frames: |fake, _, _| first(fake, |entry| entry.author = Some(author(&vec![1; 31].into(), 1))),
    },
    Attack {
        what: "a text over the limit",
        why: "at most 65536 bytes",
        frames: |_, _, pen| altered(pen, |entry| entry.body = Some(body_of(&"bad".repeat(LONG / 3 + 1)))),
    },
    Attack {
        what: "no body",
        why: "the entry has no body",
        frames: |_, _, pen| altered(pen, |entry| entry.body = None),
    },
    Attack {
        what: "causes out of order",
        why: "sorted by author, each once",
        frames: |_, _, pen| altered(pen, |entry| entry.seen = vec![seen(nobody(2), 1), seen(nobody(1), 1)]),
    },
    Attack {
        what: "itself as a cause",
        why: "entries of others",
        frames: |fake, _, pen| altered(pen, |entry| entry.seen = vec![seen(fake.author(), 1)]),
    },
    Attack {
        what: "too many causes",
        why: "at most 1024 authors",
        frames: |_, _, pen| {
            altered(pen, |entry| {
                entry.seen = (0..1_025).map(|n| seen(nobody(n), 1)).collect()
            })
        },
    },
    Attack {
        what: "no conversation",
        why: "the entry has no conversation",
        frames: |_, _, pen| altered(pen, |entry| entry.conversation = None),
    },
    Attack {
        what: "a room by another spelling",
        why: "the entry's conversation is \"Lobby\"",
        frames: |_, _, pen| altered(pen, |entry| entry.conversation = Some(room("Lobby"))),
    },
    Attack {
        what: "a folder for a room",
        why: "means a folder",
        frames: |_, _, pen| altered(pen, |entry| entry.conversation = Some(room(".."))),
    },
    Attack {
        what: "two users the wrong way round",
        why: "two users in order",
        frames: |_, _, pen| altered(pen, |entry| entry.conversation = Some(direct("mallory", "alice"))),
    },
];

#[test]
fn an_entry_that_breaks_a_rule_is_refused_told_and_not_kept() {
    attack_all(&ENTRIES);
}
