//! Frames of a link, and what somebody holds.

use bytes::Bytes;
use peerchat::{
    net::fuzzing::{frame, frame_bytes, heights, heights_bytes},
    node::{
        limits::{AUTHORS_MAX, BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, CONVERSATIONS_MAX, ENTRY_BYTES_MAX, KNOCKS_MAX, MEMBERSHIPS_MAX},
        link::{Ack, ByeReason, Frame, HeightsNews, Knock},
        memberships::{Membership, MembershipNews},
        private::Invitation,
        types::{Heights, RoomName, Seq},
    },
};

use crate::{
    pens::{Pen, room},
    within,
};

/// Reads a frame, and writes and reads it again; the same with heights.
pub fn check(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    within(64 * 1024, 300, data.len(), || {
        if let Some(held) = heights(bytes.clone()) {
            assert!(held.0.len() <= AUTHORS_MAX);
            assert_eq!(heights(heights_bytes(&held)), Some(held));
        }
        let Some(mut read) = frame(bytes) else { return };
        assert!(read.entries.len() <= BATCH_ENTRIES_MAX);
        assert!(read.entries.iter().map(|entry| entry.bytes.len()).sum::<usize>() <= BATCH_BYTES_MAX.max(ENTRY_BYTES_MAX));
        for found in [read.seals.len(), read.acks.len(), read.heights.len()] {
            assert!(found <= CONVERSATIONS_MAX);
        }
        assert!(read.memberships.len() <= MEMBERSHIPS_MAX && read.knocks.len() <= KNOCKS_MAX);
        read.seals.clear();
        let again = frame(frame_bytes(&read)).expect("what was read can be written");
        assert_eq!(format!("{again:?}"), format!("{read:?}"));
        let invited = |frame: &Frame| -> Vec<_> {
            frame.memberships.iter().map(|news| news.invitation.as_ref().map(|of| of.text().to_string())).collect()
        };
        assert_eq!(invited(&again), invited(&read));
    });
}

/// One with everything in it, and heights.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut pen = Pen::new(1);
    let held = Heights([(pen.author, Seq(3)), (Pen::new(2).author, Seq(1))].into());
    let invitation = Invitation::new(&RoomName::new("secret").expect("a name"), [3; 16].into());
    let ack = Ack {
        conversation: room(),
        author: pen.author,
        stored: Seq(2),
        durable: Seq(1),
    };
    let news = HeightsNews {
        conversation: room(),
        heights: held.clone(),
        reply_wanted: true,
        left: false,
        relay_wanted: false,
    };
    let frame = Frame {
        knocks: vec![Knock {
            proof: [9; 32],
            reply_wanted: true,
        }],
        entries: vec![pen.write("one"), pen.write("two")],
        seals: Vec::new(),
        acks: vec![ack],
        heights: vec![news],
        memberships: vec![MembershipNews {
            room: invitation.room(),
            membership: Membership { stamp: 3, is_in: true },
            invitation: Some(invitation),
        }],
        bye: Some(ByeReason::Quit),
    };
    let small = Frame {
        entries: vec![pen.write("three")],
        ..Frame::default()
    };
    vec![frame_bytes(&frame).into(), frame_bytes(&small).into(), heights_bytes(&held).into()]
}
