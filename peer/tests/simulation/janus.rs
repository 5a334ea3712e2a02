//! A device that contradicts itself: from its fourth message in the room on it says one thing to some and another thing to others, and
//! seals both.

use std::{collections::BTreeMap, sync::Arc};

use peerchat::{
    net::convert,
    node::{
        link::Outgoing,
        sealing::Seal,
        types::{Author, Body, Conversation, DeviceId, Entry, EntryId, Seq},
    },
    seal,
};

use crate::world::{Who, World};

/// Entries with their seals.
type Said = (Vec<Arc<Entry>>, Vec<(Conversation, Seal)>);

/// What it says to the others.
#[derive(Debug)]
pub struct Janus {
    pub who: Who,
    /// As whom. What it writes as another author later is the same for all.
    pub author: Option<Author>,
    other: BTreeMap<Seq, EntryId>,
}

impl Janus {
    pub fn new(who: Who) -> Self {
        Self {
            who,
            author: None,
            other: BTreeMap::new(),
        }
    }

    /// What stands for an entry, if that can be.
    fn alter(&mut self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        if *self.author.get_or_insert(entry.author) != entry.author {
            return None;
        }
        let before = Seq(entry.seq.0 - 1);
        if entry.seq > Seq::FIRST && !self.other.contains_key(&before) {
            return None;
        }
        let mut altered = Arc::clone(entry);
        if entry.seq > Seq(3) {
            let mut draft = entry.draft.clone();
            draft.previous = *self.other.get(&before)?;
            draft.body = Body::Text("and another thing".into());
            altered = convert::encode_entry(draft);
        }
        self.other.insert(entry.seq, altered.id);
        Some(altered)
    }
}

impl World {
    /// Whether a device is the one that contradicts itself.
    pub fn is_janus(&self, who: Who) -> bool {
        self.janus.as_ref().is_some_and(|janus| janus.who == who)
    }

    /// The same by its key.
    pub fn is_janus_device(&self, device: &DeviceId) -> bool {
        let janus = self.janus.as_ref();
        janus.is_some_and(|janus| self.peers[janus.who].device == *device)
    }

    /// Whether an author has contradicted himself: members may hold this or that of him.
    pub fn is_two_faced(&self, author: &Author) -> bool {
        self.janus.as_ref().is_some_and(|janus| janus.author == Some(*author))
    }

    /// What goes over a link instead of `what`, if anything else does.
    pub fn two_faced(&mut self, who: Who, other: Who, what: &Outgoing) -> Option<Said> {
        let is_told_the_other = other % 2 == 1 && self.peers[who].user != self.peers[other].user;
        let janus = self.janus.as_mut().filter(|janus| janus.who == who)?;
        let room = Conversation::Room(World::room());
        match what {
            Outgoing::Entry(entry) if entry.conversation == room => {
                let altered = janus.alter(entry).filter(|_| is_told_the_other)?;
                let notary = self.peers[who].notary.as_ref();
                let seal = seal::make(notary, &room, altered.author, altered.seq, altered.id);
                Some((vec![altered], vec![(room, seal)]))
            }
            // They have one already.
            Outgoing::Seal(conversation, seal) if is_told_the_other && *conversation == room => {
                let is_other = janus.author == Some(seal.author) && janus.other.contains_key(&seal.seq);
                is_other.then(Said::default)
            }
            _ => None,
        }
    }
}
