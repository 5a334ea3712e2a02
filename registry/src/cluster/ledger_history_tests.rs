//! A node and a leader that have committed different things.

use super::*;

/// It would go on with accounts that nobody else has.
#[test]
fn a_node_takes_nothing_of_a_leader_with_another_history() {
    let mut ledger = member(1, 3, &[entry(103, 1), entry(103, 2)]);
    ledger.step(Input::Role(Role::Follower(term(203))));
    let committed = |prev: Place, entries: &[Entry]| Message::Append {
        term: term(203),
        prev,
        entries: entries.to_vec(),
        commit: 2,
        floor: 0,
        taken: 0,
    };
    let same = ledger.hear(3, committed(place(103, 2), &[]));
    assert_eq!(applied(&same), [1, 2]);
    assert_eq!(ledger.standing(), Standing::Follows(term(203)));
    for (prev, entries) in [
        (place(102, 2), vec![entry(203, 3)]),
        (place(103, 1), vec![entry(104, 2), entry(203, 3)]),
    ] {
        let mut ledger = member(1, 3, &[entry(103, 1), entry(103, 2)]);
        ledger.step(Input::Role(Role::Follower(term(203))));
        ledger.hear(3, committed(place(103, 2), &[]));
        let outputs = ledger.hear(3, committed(prev, &entries));
        assert_eq!(outputs, [], "nor does it say that it has the same up to anywhere");
        assert_eq!(ledger.standing(), Standing::Contradicted(term(203)));
        assert_eq!(ledger.kept().log.len(), 2);
        // Another leader may be right.
        ledger.step(Input::Role(Role::Follower(term(302))));
        let next = Message::Append {
            term: term(302),
            prev: place(103, 2),
            entries: vec![entry(302, 3)],
            commit: 3,
            floor: 0,
            taken: 0,
        };
        assert_eq!(applied(&ledger.hear(2, next)), [3]);
        assert_eq!(ledger.standing(), Standing::Follows(term(302)));
    }
}
