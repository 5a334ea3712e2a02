//! A node with many peers at once.

use super::{super::replica::Replica, *};
use crate::{
    cluster::term::Term,
    routes::{
        Millis,
        random::{Call, Script},
    },
};

/// A node that leads itself.
fn leading() -> State {
    let own = NodeId::new(1).unwrap();
    let mut node = State::new(own);
    node.gather(Term::NONE.next_of(own).unwrap());
    assert!(node.lead(None).is_none());
    node
}

#[test]
fn however_many_read_too_slowly_at_once_all_are_counted_as_lost() {
    let mut node = leading();
    let many = 20_000_u32;
    node.too_slow = (0..many)
        .map(|n| {
            let mut token = [0; 16];
            token[..4].copy_from_slice(&n.to_be_bytes());
            LeaseToken(token)
        })
        .collect();
    let before = node.replica.position().revision;
    node.settle();
    assert_eq!(node.replica.position().revision, before + u64::from(many));
    assert_eq!(node.waiting(), 0);
}

#[tokio::test]
async fn another_copy_tells_those_who_are_connected_here_and_nobody_else() {
    let mut node = leading();
    let mut script = Script::new();
    for device in [1, 2] {
        let (reply, _answer) = oneshot::channel();
        let command = script.command(&Call::LogIn { device, port: 1 }).unwrap();
        node.submit(Order::Call(command), Some(reply)).unwrap();
        node.submit(Order::Call(script.command(&Call::Join(0, 0)).unwrap()), None)
            .unwrap();
    }
    let [one, two] = node.streams.leases().collect::<Vec<_>>()[..] else {
        panic!("two are connected");
    };
    node.streams.end(two, None);
    let former = node.replace(Replica::default());
    assert_eq!(former.routes.records().count(), 2);
    assert!(!node.streams.is_known(one), "its lease has ended");

    // Of both tables, what is told to the holder of one lease is what is told of all to him.
    let mut told = Vec::new();
    former
        .routes
        .differences(&Routes::new(), [one], |effect| told.push(effect));
    assert!(
        matches!(told[..], [Effect::Ended { lease, .. }] if lease == one),
        "{told:?}"
    );
    assert_eq!(node.replica.now(), Millis(0));
}
