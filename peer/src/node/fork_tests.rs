//! Devices that contradict themselves, and who is blamed for what.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Input, LoadedLog, Millis,
    contradiction::Forked,
    event::{Code, Event},
    holdback::Held,
    limits::{COMPARES_PER_SECOND, FORKED_LAMPORTS_MAX, FORKED_MAX, FORKED_UNKNOWN_MAX},
    link::{Frame, LinkId, Outgoing},
    replica::{AuthorLog, Replica},
    testing::{AUTHORITY, Alice, Other, room, seals},
    types::{Author, DeviceId, Entry, EntryId, Heights, Lamport, Seen, Seq},
};

const BOB: Other = Other(1, "bob");
const CAROL: Other = Other(2, "carol");
const MALLORY: Other = Other(3, "mallory");

impl Alice {
    /// Who is told to have broken the protocol.
    fn blamed(&self) -> Vec<String> {
        let blamed = |event: &Event| match event {
            Event::Notice(notice) if notice.code == Code::PeerMisbehaved => {
                notice.message.split(' ').next().map(String::from)
            }
            _ => None,
        };
        self.events.iter().filter_map(blamed).collect()
    }
}

/// Of Bob's first entry something of Mallory's depends that does not follow from what she said before.
fn broken(bob: &Entry) -> [Arc<Entry>; 2] {
    let one = MALLORY.first(1);
    let seen = Seen {
        author: bob.author,
        seq: bob.seq,
    };
    let mut last = (*one).clone();
    last.id = EntryId([9; 32]);
    [one, MALLORY.write(1, Some(&last), &[seen])]
}

#[test]
fn who_sends_what_others_have_waited_for_is_not_to_blame_for_them() {
    let mut alice = Alice::among(&[BOB, MALLORY]);
    let bobs = BOB.first(1);
    alice.live(MALLORY, &broken(&bobs));
    assert_eq!(alice.blamed(), [""; 0], "it waits");
    alice.live(BOB, &[bobs]);
    assert_eq!(alice.blamed(), ["mallory"]);
    assert_eq!((alice.held_of(BOB), alice.held_of(MALLORY)), (1, 1));
}

#[test]
fn who_serves_what_others_have_waited_for_is_not_to_blame_for_them() {
    let mut alice = Alice::among(&[CAROL, MALLORY]);
    let bobs = BOB.first(1);
    alice.live(MALLORY, &broken(&bobs));
    alice.answer(CAROL, BOB.holds(1));
    alice.pass_until(2_000);
    let pull = alice.last_pull();
    alice.brings(&pull, &[bobs]);
    assert_eq!(alice.blamed(), ["mallory"]);
}

#[test]
fn who_serves_what_its_author_has_sealed_is_not_to_blame_for_it() {
    let mut alice = Alice::among(&[CAROL]);
    alice.answer(CAROL, BOB.holds(2));
    alice.pass_until(2_000);
    let pull = alice.last_pull();
    let one = BOB.first(1);
    let two = BOB.write_at(1, Some(&one), &[], Lamport(7));
    alice.brings(&pull, &[one, two]);
    assert_eq!((alice.held_of(BOB), alice.blamed()), (1, Vec::new()));
}

/// Alice joins somebody's room, and holds an entry of Mallory's, who is known to contradict herself as that author.
fn knows_that_mallory_contradicts_herself(with: Other) -> (Alice, Author) {
    let mallory = MALLORY.first(1);
    let held = AuthorLog {
        user: MALLORY.user(),
        lamports: vec![mallory.lamport],
        head: mallory.id,
    };
    let log = LoadedLog {
        authors: [(mallory.author, held)].into(),
        forked: BTreeSet::from([mallory.author]),
        ..LoadedLog::default()
    };
    (Alice::joins_with(log, &[with]), mallory.author)
}

#[test]
fn nothing_is_asked_for_of_one_who_contradicts_himself() {
    let (mut alice, mallory) = knows_that_mallory_contradicts_herself(CAROL);
    let mut heights = MALLORY.holds(5);
    heights.raise(BOB.holds(1));
    alice.answer(CAROL, heights);
    let pull = alice.last_pull();
    // Of the entries; what proves it is welcome.
    assert_eq!(pull.heights, Heights([(mallory, Seq(u64::MAX - 1))].into()));
}

#[test]
fn who_was_shown_more_jumps_than_are_excused_is_not_to_blame_for_them() {
    let (mut alice, mallory) = knows_that_mallory_contradicts_herself(BOB);
    alice.answer(BOB, Heights::default());
    alice.link(BOB);
    let names = |seq| Seen {
        author: mallory,
        seq: Seq(seq),
    };
    let far = Lamport(3 * FORKED_LAMPORTS_MAX);
    alice.live(BOB, &[BOB.write_at(1, None, &[names(4)], far)]);
    assert_eq!((alice.held_of(BOB), alice.blamed()), (0, Vec::new()));
    // A time that is too early is nobody else's doing.
    let early = [BOB.first(2)];
    alice.live(BOB, &early);
    alice.live(BOB, &[BOB.write_at(2, Some(&early[0]), &[names(4)], Lamport(1))]);
    assert_eq!(alice.blamed(), ["bob"]);
}

#[test]
fn there_are_so_many_who_contradict_themselves_and_no_more() {
    let mut replica = Replica::new(super::testing::room(), Some(AUTHORITY));
    let author = |n: usize| Author {
        device: DeviceId([(n / FORKED_UNKNOWN_MAX) as u8; 32]),
        incarnation: n as u64,
    };
    let forked = (0..FORKED_MAX).filter(|n| replica.fork(author(*n)).is_some()).count();
    assert_eq!(forked, FORKED_MAX);
    assert!(replica.fork(BOB.author(1)).is_none());
    assert_eq!(replica.forked().len(), FORKED_MAX);
    // A device makes up as many as it likes.
    let mut replica = Replica::new(super::testing::room(), Some(AUTHORITY));
    let forked = (0..100).filter(|n| replica.fork(MALLORY.author(*n)).is_some()).count();
    assert_eq!(forked, FORKED_UNKNOWN_MAX);
    let known = MALLORY.first(1_000);
    alice_takes(&mut replica, &known);
    assert!(replica.fork(known.author).is_some());
}

fn alice_takes(replica: &mut Replica, entry: &Arc<Entry>) {
    let held = Held {
        entry: Arc::clone(entry),
        from: Some(MALLORY.device()),
        live: false,
        since: Millis::default(),
        seal: None,
    };
    assert_eq!(replica.offer(held).taken.len(), 1);
}

#[test]
fn who_sends_old_entries_again_and_again_has_few_of_them_compared() {
    let mut alice = Alice::among(&[MALLORY]);
    let chain = MALLORY.chain(1, 256);
    alice.live(MALLORY, &chain);
    alice.input(Input::Judged(room(), seals(&chain), Vec::new()));
    for _ in 0..20 {
        alice.live(MALLORY, &chain);
    }
    let at_once = COMPARES_PER_SECOND as usize;
    assert_eq!(alice.compared, at_once);
    alice.now += 1_000;
    alice.live(MALLORY, &chain[..1]);
    assert_eq!(alice.compared, at_once + 1);
    assert!(alice.blamed().is_empty());
}

#[test]
fn what_answers_another_face_of_a_liar_is_given_to_who_holds_that_face_and_to_nobody_else() {
    const DAVE: Other = Other(4, "dave");
    let mut alice = Alice::among(&[BOB, CAROL, DAVE, MALLORY]);
    // What she said here has no seal, so it proves nothing to others.
    let entries = vec![MALLORY.first(1)];
    alice.frame(
        MALLORY,
        Frame {
            entries,
            ..Frame::default()
        },
    );
    alice.input(Input::Forked(room(), MALLORY.author(1), Forked::Sealed));
    let names = Seen {
        author: MALLORY.author(1),
        seq: Seq(2),
    };
    let bobs = [BOB.write_at(1, None, &[names], Lamport(3))];
    alice.live(BOB, &bobs);
    alice.input(Input::Judged(room(), seals(&bobs), Vec::new()));
    assert_eq!(alice.held_of(BOB), 1);
    for (other, holds) in [(CAROL, 2), (DAVE, 1)] {
        alice.told(other, MALLORY.holds(holds));
        alice.pass_until(alice.now + 200);
        let link = LinkId(other.0.into());
        let told = alice.sent.iter().rev().find_map(|(to, what)| match what {
            Outgoing::Heights(news) if *to == link => Some(news.heights.of(&BOB.author(1))),
            _ => None,
        });
        let wanted = Seq(u64::from(holds == 2));
        assert_eq!(told, Some(wanted), "{}", other.1);
        let served = alice
            .node
            .servable_beyond(&room(), &other.device(), &MALLORY.holds(holds));
        assert_eq!(served.of(&BOB.author(1)), wanted, "{}", other.1);
    }
}
