//! What the nodes of a cluster say to one another, and the changes that their ledger carries.

use peerchat_proto::v1::{self, account_change, decide_request, follow_request, follow_response, table_order, table_part};
use peerchat_registry::cluster::fuzzing;
use prost::Message as _;

use crate::within;

/// Reads a message and writes it again.
type Again = fn(&[u8]) -> Option<Vec<u8>>;

const KINDS: [Again; 6] = [fuzzing::up, fuzzing::down, fuzzing::order, fuzzing::decide, fuzzing::change, fuzzing::whole];

/// Reads bytes as each of them, and writes and reads them again.
pub fn check(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let again = KINDS[usize::from(*kind) % KINDS.len()];
    within(64 * 1024, 400, data.len(), || {
        if let Some(written) = again(bytes) {
            assert_eq!(again(&written).as_ref(), Some(&written), "what was read is written as something else");
        }
    });
}

/// One of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let peer = || v1::Peer {
        user: "Zoë".into(),
        device: vec![1; 32].into(),
        address: "192.0.2.7:41234".into(),
    };
    let lease = || prost::bytes::Bytes::from(vec![2; 16]);
    let position = v1::TablePosition { term: 203, revision: 9 };
    let order = || v1::TableOrder {
        order: Some(table_order::Order::LogIn(v1::OrderLogIn {
            peer: Some(peer()),
            lease: lease(),
        })),
    };
    let attempt = v1::TableOrder {
        order: Some(table_order::Order::Attempt(v1::OrderAttempt {
            user: "bob".into(),
            device: vec![1; 32].into(),
            host: "192.0.2.7".into(),
            outcome: 1,
        })),
    };
    let hello = v1::FollowRequest {
        step: Some(follow_request::Step::Hello(v1::FollowHello {
            nodes: vec![1, 2, 3],
            term: 203,
            position: Some(position),
        })),
    };
    let lease_part = v1::TableLease {
        lease: lease(),
        peer: Some(peer()),
        ends_ms: 5,
        rooms: vec!["lobby".into()],
        kept: vec!["left".into()],
        kept_until_ms: 7,
        watched: vec!["bob".into()],
        home: 2,
    };
    let part = v1::FollowResponse {
        step: Some(follow_response::Step::Part(v1::TablePart {
            part: Some(table_part::Part::Lease(lease_part)),
        })),
    };
    let entry = v1::FollowResponse {
        step: Some(follow_response::Step::Entry(v1::TableEntry {
            position: Some(position),
            now_ms: 3,
            origin: 2,
            ticket: 1,
            order: Some(order()),
        })),
    };
    let change = v1::AccountChange {
        at_s: 5,
        user: "Zoë".into(),
        what: Some(account_change::What::Approve(v1::ChangeApprove {
            by: vec![1; 32].into(),
            device: vec![2; 32].into(),
            label: "laptop".into(),
        })),
    };
    let proposal = v1::LedgerProposal {
        node: 1,
        life: 4,
        ticket: 2,
        change: change.encode_to_vec().into(),
    };
    let place = v1::LedgerPlace { term: 203, index: 5 };
    let append = v1::DecideRequest {
        nodes: vec![1, 2, 3],
        message: Some(decide_request::Message::Append(v1::LedgerAppend {
            term: 203,
            prev: Some(place),
            entries: vec![v1::LedgerEntry {
                place: Some(place),
                proposal: Some(proposal),
            }],
            commit: 4,
            floor: 1,
            taken: 3,
        })),
    };
    let messages = [
        (0, hello.encode_to_vec()),
        (1, part.encode_to_vec()),
        (1, entry.encode_to_vec()),
        (2, order().encode_to_vec()),
        (2, attempt.encode_to_vec()),
        (3, append.encode_to_vec()),
        (4, change.encode_to_vec()),
        (5, vec![0; 32]),
    ];
    messages.into_iter().map(|(kind, message)| [vec![kind], message].concat()).collect()
}
