//! What is encoded is decoded, and whatever else comes is an error.

use proptest::prelude::*;

use super::*;

fn author() -> impl Strategy<Value = Author> {
    (any::<[u8; 32]>(), any::<u64>()).prop_map(|(device, incarnation)| Author {
        device: DeviceId(device),
        incarnation,
    })
}

fn conversation() -> impl Strategy<Value = Conversation> {
    prop_oneof![
        "[a-z小é🦀]{1,16}".prop_map(|name| Conversation::Room(RoomName::new(&name).unwrap())),
        ("[a-zA-Z]{1,9}", "[a-z]{1,9}")
            .prop_map(|(a, b)| { Conversation::direct(&UserName::new(&a).unwrap(), &UserName::new(&b).unwrap()) }),
    ]
}

prop_compose! {
    fn draft()(
        conversation in conversation(),
        author in author(),
        seq in 1..50u64,
        seen in prop::collection::btree_map(author(), 1..9u64, 0..5),
        previous in any::<[u8; 32]>(),
        more in 0..9u64,
        sent_at in any::<i64>(),
        text in prop::option::of(".{0,40}"),
    ) -> Draft {
        let first = seq == 1;
        Draft {
            conversation,
            author,
            seq: Seq(seq),
            user: first.then(|| UserName::new("Alice").unwrap()),
            previous: EntryId(previous),
            seen: seen.into_iter().map(|(author, seq)| Seen { author, seq: Seq(seq) }).collect(),
            lamport: Lamport(seq + more),
            sent_at: WallTime(sent_at),
            body: text.map_or(Body::Unknown, Body::Text),
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(draft in draft()) {
        let entry = encode_entry(draft);
        prop_assert_eq!(&decode_entry(entry.bytes.clone()).unwrap(), &*entry);
    }

    #[test]
    fn what_is_decoded_does_not_depend_on_what_came_before(drafts in prop::collection::vec(draft(), 1..6)) {
        let mut entries: Vec<_> = drafts.iter().cloned().map(encode_entry).collect();
        // Of the same conversation as the one before it.
        let last = drafts[drafts.len() - 1].clone();
        entries.push(encode_entry(Draft { sent_at: WallTime(0), ..last }));
        let batch = entries.iter().map(|entry| entry.bytes.clone()).collect();
        prop_assert_eq!(entries_from_wire(batch).unwrap(), entries);
    }

    #[test]
    fn any_bytes_are_an_entry_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_entry(bytes.into());
    }

    #[test]
    fn an_altered_entry_is_another_one(draft in draft(), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let entry = encode_entry(draft);
        let mut bytes = entry.bytes.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(altered) = decode_entry(bytes.into()) {
            prop_assert_ne!(altered.id, entry.id);
        }
    }
}

#[test]
fn a_text_of_64_kib_passes_and_one_byte_more_does_not() {
    let draft = |len: usize| Draft {
        conversation: Conversation::Room(RoomName::new("lobby").unwrap()),
        author: Author {
            device: DeviceId([1; 32]),
            incarnation: 1,
        },
        seq: Seq::FIRST,
        user: Some(UserName::new("alice").unwrap()),
        previous: EntryId([1; 32]),
        seen: Vec::new(),
        lamport: Lamport(1),
        sent_at: WallTime(0),
        body: Body::Text("x".repeat(len)),
    };
    assert!(decode_entry(encode_entry(draft(TEXT_BYTES_MAX)).bytes.clone()).is_ok());
    let error = decode_entry(encode_entry(draft(TEXT_BYTES_MAX + 1)).bytes.clone()).unwrap_err();
    assert!(error.to_string().contains("65536"), "{error}");
}

#[test]
fn a_batch_over_the_limit_is_refused() {
    assert!(entries_from_wire(vec![Bytes::new(); BATCH_ENTRIES_MAX + 1]).is_err());
    assert!(entries_from_wire(vec![vec![0; BATCH_BYTES_MAX].into(), vec![0].into()]).is_err());
}
