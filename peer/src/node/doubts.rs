//! Own authors of whom others say that they hold more than is held here.
//!
//! If that is so, the disk was set back to an older copy, as with a virtual machine, and whatever such an author wrote now would
//! contradict what he wrote then. But it is only said: whoever says it of each own author makes the device begin another one with each
//! text, until everybody takes it for a flood. So it is a doubt at first. While there is one, nothing is written as that author; the
//! member is pulled from, as he holds what is lacking. An own entry that comes shows that it is so, by its tag or its seal, and the
//! author is given up for good. Where all came that the member has and none was there, the doubt is gone, and he is believed no more.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Node,
    limits::OWN_DOUBTED_MAX,
    link::LinkId,
    types::{Author, Conversation, DeviceId, Entry, Heights},
};

/// The doubts of one conversation.
#[derive(Debug, Default)]
pub struct Doubts {
    /// Whoever says that he holds more of an author, and over which link he said so; none where he answered a call.
    by: BTreeMap<Author, BTreeMap<DeviceId, Option<LinkId>>>,
}

impl Doubts {
    /// A device says so of an author. With [`OWN_DOUBTED_MAX`] authors in doubt it is not believed of a further one.
    pub fn add(&mut self, author: Author, device: DeviceId, link: Option<LinkId>) {
        if self.by.len() < OWN_DOUBTED_MAX || self.by.contains_key(&author) {
            let claim = self.by.entry(author).or_default().entry(device).or_default();
            *claim = link.or(*claim);
        }
    }

    /// Whether anybody says so.
    pub fn has(&self, author: &Author) -> bool {
        self.by.contains_key(author)
    }

    /// The authors of whom a device says so.
    pub fn of(&self, device: &DeviceId) -> BTreeSet<Author> {
        let said = self.by.iter().filter(|(_, by)| by.contains_key(device));
        said.map(|(author, _)| *author).collect()
    }

    /// It is so, or it is of no interest any more.
    pub fn settle(&mut self, author: &Author) {
        self.by.remove(author);
    }

    /// A device does not hold what it said of these authors. Returns over which links it said so of those that are still in doubt.
    pub fn refute(&mut self, device: &DeviceId, authors: &BTreeSet<Author>) -> Vec<Option<LinkId>> {
        let mut said = Vec::new();
        for author in authors {
            if let Some(by) = self.by.get_mut(author) {
                said.extend(by.remove(device));
            }
        }
        self.by.retain(|_, by| !by.is_empty());
        said
    }
}

impl Node {
    /// A device says what it holds, over a link or in an answer.
    pub(super) fn own_height_told(
        &mut self,
        device: DeviceId,
        conversation: &Conversation,
        heights: &Heights,
        link: Option<LinkId>,
    ) {
        if self.peers.get(&device).is_none_or(|peer| peer.claims_falsely) {
            return;
        }
        let me = self.me.device;
        let talk = self.talk(conversation);
        let own: Vec<_> = talk.own(me).collect();
        for author in own {
            if heights.of(&author) > talk.replica.height(&author) {
                talk.doubts.add(author, device, link);
            }
        }
    }

    /// A pull brings an entry, which its author's tag or seal proves. If it is an own one that is not here, the disk was set back: nothing
    /// more is written as its author.
    pub(super) fn own_came(&mut self, conversation: &Conversation, entry: &Entry) {
        let author = entry.author;
        if author.device != self.me.device {
            return;
        }
        let talk = self.talk(conversation);
        if entry.seq > talk.replica.height(&author) {
            talk.give_up(&author);
        }
    }

    /// A member has given all that it can, and nothing of these authors, of whom it had said that it holds more. It is to blame if
    /// it is the same process that said so: another one may have lost what it held.
    pub(super) fn claims_refuted(&mut self, conversation: &Conversation, device: DeviceId, authors: &BTreeSet<Author>) {
        let said = self.talk(conversation).doubts.refute(&device, authors);
        let Some(peer) = self.peers.get_mut(&device) else {
            return;
        };
        let link = peer.link();
        if said.iter().any(|over| over.is_some() && *over == link) {
            peer.claims_falsely = true;
            let title = conversation.label(&self.me.user);
            let why = format!("in {title}: it said that it holds entries of this device that it does not have");
            self.misbehaved(device, &why);
        }
    }
}

#[cfg(test)]
mod tests;
