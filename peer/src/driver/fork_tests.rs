//! Devices that contradict themselves, and what is kept of that.

use super::testing::{Peer, identity};
use crate::{
    net::convert,
    node::{
        Input,
        types::{Conversation, Seen, Seq},
    },
    seal::testing::Pen,
};

#[test]
fn two_entries_for_one_number_in_a_conversation_that_is_new_end_nothing() {
    let (mut peer, mut mallory, twin) = (Peer::new(), Pen::new(1), Pen::new(1));
    let direct = Conversation::direct(&identity(1).user, &identity(9).user);
    let of = |pen: &Pen, text: &str, seen| {
        let mut draft = pen.draft(text, seen);
        draft.conversation = direct.clone();
        convert::encode_entry(draft)
    };
    let link = peer.link(&mallory);
    peer.frame(
        link,
        vec![of(&mallory, "one", Vec::new()), of(&twin, "another one", Vec::new())],
    );
    peer.input(Input::LinkDown(link, "closed".into()));
    let missing = Seen {
        author: mallory.author,
        seq: Seq(2),
    };
    mallory.author.incarnation += 1;
    let link = peer.link(&mallory);
    peer.frame(link, vec![of(&mallory, "it names what nobody has", vec![missing])]);
    assert!(peer.core.log(&direct).is_some());
}
