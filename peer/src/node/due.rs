//! When something is due, and whether the process may end.

use std::collections::VecDeque;

use super::{Millis, Node, link::LinkState, pulling, talk::Talk, types::Author};

impl Node {
    /// When the node wants an [`Input::Tick`](super::Input::Tick), if nothing else happens before.
    pub fn next_due(&self) -> Option<Millis> {
        self.due
    }

    pub(super) fn compute_due(&self) -> Option<Millis> {
        let dials = self.peers.values().filter_map(|peer| match peer.link {
            LinkState::Down => self.next_dial(peer),
            _ => peer.tell_at,
        });
        let talks = self.talks.values().filter_map(|talk| {
            let pulls = pulling::next_due(talk);
            let tells = talk.tell_at.into_iter().chain(talk.tell_short_at);
            tells.chain(talk.relays.look_at).chain(pulls).min()
        });
        let heights = (!self.links.is_empty()).then_some(self.next_heights_at);
        dials.chain(talks).chain(heights).chain(self.relisting.due()).min()
    }

    /// Whether all that was said in this run is stored by everybody who can be reached, so that nothing is late if the process ends.
    pub fn owes_nothing(&self) -> bool {
        self.opening.values().all(VecDeque::is_empty) && self.talks.values().all(|talk| self.is_delivered(talk))
    }

    fn is_delivered(&self, talk: &Talk) -> bool {
        let stored = |author: Author| {
            let height = talk.replica.height(&author);
            let reachable = talk.members.keys().filter(|device| self.is_online(device));
            let mut lacking = reachable.filter(|device| talk.deliveries.of(device, &author).stored < height);
            lacking.next().is_none()
        };
        talk.waiting_texts.is_empty() && talk.author.is_none_or(stored)
    }
}
