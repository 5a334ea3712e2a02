//! Which entries stand on the screen already.

use std::collections::{BTreeMap, VecDeque};

use crate::node::{
    event::Line,
    types::{Conversation, EntryId},
};

/// The most entries of a conversation that are remembered: more than are ever shown unasked. Of an older one it is forgotten that
/// it was printed, and it is printed again at worst.
const PRINTED_MAX: usize = 256;

/// The entries that were printed last, so that none is printed twice unasked.
#[derive(Debug, Default)]
pub(super) struct Printed(BTreeMap<Conversation, VecDeque<EntryId>>);

impl Printed {
    /// An entry is about to be printed; false where it was printed before.
    pub(super) fn insert(&mut self, line: &Line) -> bool {
        let ids = self.0.entry(line.conversation.clone()).or_default();
        if ids.contains(&line.id) {
            return false;
        }
        if ids.len() >= PRINTED_MAX {
            ids.pop_front();
        }
        ids.push_back(line.id);
        true
    }

    /// What was printed of a conversation counts no longer.
    pub(super) fn forget(&mut self, conversation: &Conversation) {
        self.0.remove(conversation);
    }
}
