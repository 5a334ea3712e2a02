//! When somebody is told how far his entries are in this log.

use super::{
    Input,
    link::{Ack, Outgoing},
    testing::{Alice, Other, room},
    types::Seq,
};

const BOB: Other = Other(2, "bob");

/// What Alice has acked since she was last asked, as stored and as durable.
fn acked(alice: &mut Alice) -> Vec<(u64, u64)> {
    let sent = std::mem::take(&mut alice.sent).into_iter();
    let ack = |what| match what {
        Outgoing::Ack(Ack { stored, durable, .. }) => Some((stored.0, durable.0)),
        _ => None,
    };
    sent.filter_map(|(_, what)| ack(what)).collect()
}

#[test]
fn what_is_durable_is_acked_with_what_was_written_since() {
    let mut alice = Alice::among(&[BOB]);
    let entries = BOB.chain(1, 4);
    let author = entries[0].author;
    let synced = |alice: &mut Alice, seq| alice.input(Input::Durable(room(), vec![(author, Seq(seq))]));
    alice.sent.clear();
    alice.live(BOB, &entries[..2]);
    assert_eq!(acked(&mut alice), [(2, 0)]);
    synced(&mut alice, 1);
    assert_eq!(acked(&mut alice), [], "the next ack says it");
    alice.live(BOB, &entries[2..3]);
    assert_eq!(acked(&mut alice), [(3, 1)]);
    synced(&mut alice, 3);
    assert_eq!(acked(&mut alice), [(3, 3)], "there may be no other one for long");
    // Where nothing follows, the sync of the last entry says it of all.
    alice.live(BOB, &entries[3..]);
    synced(&mut alice, 3);
    synced(&mut alice, 4);
    assert_eq!(acked(&mut alice), [(4, 3), (4, 4)]);
}
