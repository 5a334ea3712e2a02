//! Messages of the ledger over the wire.

use proptest::{collection::vec, prelude::*};

use super::decide::{from_said, to_request};
use crate::cluster::{
    ledger::{Entry, Message, Place, Proposal, Ticket},
    term::{NodeId, Term},
};

fn term() -> impl Strategy<Value = Term> {
    prop_oneof![
        Just(Term::NONE),
        (1..9u64, 1..9u64).prop_map(|(round, id)| Term::new(round * 100 + id).unwrap())
    ]
}

fn place() -> impl Strategy<Value = Place> {
    (term(), any::<u64>()).prop_map(|(term, index)| Place { term, index })
}

fn proposal() -> impl Strategy<Value = Proposal> {
    let parts = (1..=99u64, any::<u64>(), any::<u64>(), vec(any::<u8>(), 0..40));
    parts.prop_map(|(id, life, ticket, change)| Proposal {
        node: NodeId::new(id).unwrap(),
        life,
        ticket: Ticket(ticket),
        change: change.into(),
    })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (place(), proptest::option::of(proposal()));
    vec(entry.prop_map(|(place, proposal)| Entry { place, proposal }), 0..4)
}

fn message() -> impl Strategy<Value = Message> {
    let number = any::<u64>;
    prop_oneof![
        (term(), number()).prop_map(|(term, life)| Message::Prepare { term, life }),
        (term(), any::<bool>(), number(), place()).prop_map(|(term, is_member, life, end)| Message::Promise {
            term,
            is_member,
            life,
            end
        }),
        (term(), number()).prop_map(|(term, life)| Message::Begin { term, life }),
        (term(), number(), proptest::option::of((place(), number()))).prop_map(|(term, after, part)| Message::Fetch {
            term,
            after,
            part
        }),
        (term(), place(), entries()).prop_map(|(term, prev, entries)| Message::Lend { term, prev, entries }),
        (term(), place(), entries(), number(), number(), number()).prop_map(
            |(term, prev, entries, commit, floor, taken)| Message::Append {
                term,
                prev,
                entries,
                commit,
                floor,
                taken
            }
        ),
        (term(), place(), number(), number(), vec(any::<u8>(), 0..40)).prop_map(|(term, at, offset, total, bytes)| {
            Message::Part {
                term,
                at,
                offset,
                total,
                bytes,
            }
        }),
        (term(), number(), any::<bool>(), number()).prop_map(|(term, matched, is_member, applied)| Message::Stored {
            term,
            matched,
            is_member,
            applied
        }),
        (term(), vec((number(), proposal()), 0..4)).prop_map(|(term, proposals)| Message::Hand { term, proposals }),
        term().prop_map(|term| Message::Stale { term }),
        number().prop_map(|nonce| Message::Ask { nonce }),
        (
            number(),
            term(),
            any::<bool>(),
            proptest::option::of((term(), number()))
        )
            .prop_map(|(nonce, promised, is_member, leads)| Message::Told {
                nonce,
                promised,
                is_member,
                leads
            }),
    ]
}

proptest! {
    #[test]
    fn a_message_comes_as_it_was_said(message in message()) {
        let said = to_request(vec![1, 2, 3], &message);
        prop_assert_eq!(&said.nodes, &[1, 2, 3]);
        prop_assert_eq!(from_said(said.message.unwrap()), Some(message));
    }
}
