//! Entries, as disk and wire carry them.

use bytes::Bytes;
use peerchat::{
    net::convert::{decode_entry, encode_entry},
    node::{
        limits::{ENTRY_BYTES_MAX, SEEN_MAX, TEXT_BYTES_MAX},
        types::{Body, Seq},
    },
};

use crate::{pens::Pen, within};

/// Reads an entry, and writes and reads it again.
pub fn check(data: &[u8]) {
    within(64 * 1024, 60, data.len(), || {
        let bytes = Bytes::copy_from_slice(data);
        let entry = match decode_entry(bytes.clone()) {
            Ok(entry) => entry,
            Err(error) => {
                let said = error.to_string();
                assert!(said.len() <= 4 * data.len() + 1_000, "an error repeats no more than it must: {said}");
                return;
            }
        };
        assert_eq!(entry.bytes, bytes, "what was hashed is what is passed on");
        assert_eq!(entry.id.0, *blake3::hash(&bytes).as_bytes());
        assert!(bytes.len() <= ENTRY_BYTES_MAX && entry.seen.len() <= SEEN_MAX);
        assert!(entry.lamport.0 >= entry.seq.0 && entry.seq >= Seq::FIRST);
        assert_eq!(entry.seq == Seq::FIRST, entry.user.is_some());
        assert!(entry.seen.is_sorted_by(|a, b| a.author < b.author) && entry.seen.iter().all(|seen| seen.author != entry.author));
        if let Body::Text(text) = &entry.body {
            assert!(text.len() <= TEXT_BYTES_MAX);
        }
        let again = encode_entry(entry.draft.clone());
        let read = decode_entry(again.bytes.clone()).expect("what was read can be written");
        assert_eq!(read.draft, entry.draft);
        assert_eq!(encode_entry(read.draft).bytes, again.bytes, "there is one way to write it");
    });
}

/// First and later ones, with causes.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut pen = Pen::new(1);
    let first = pen.write("first");
    let answer = Pen::new(2).answer("大厅 👩‍💻", &[&first]);
    let direct = peerchat::node::types::Conversation::direct(&pen.user, &crate::pens::user("Zoë"));
    let direct = Pen::of(3, pen.user.clone(), direct).write("");
    [first, pen.write("second"), answer, direct].map(|entry| entry.bytes.to_vec()).to_vec()
}
