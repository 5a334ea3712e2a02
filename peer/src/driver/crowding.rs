//! What keeps the user from saying more than his links can take at once.
//!
//! Whatever a link's queue has no room for its reader must pull, which costs both sides several times as much. So while a link has
//! no room for what one turn may bring, the user's next requests wait for it; but not for long, or the slowest reader would set the
//! pace for all: one that makes no room in time gets what is too much for it by pulling, as it would have anyway.

use std::time::{Duration, Instant};

use super::{Driver, TURN_MAX};
use crate::{
    log::Disk,
    node::link::{LinkId, Outgoing},
};

/// How long the user's requests wait for a link that has no room: as long as a reader may be waiting for its turn on a machine with many
/// more of them than cores. One that has stopped is waited for once, until it has room again.
const ROOM_WAIT: Duration = Duration::from_millis(100);

impl<D: Disk> Driver<D> {
    /// Queues something for a link. False where there is no room.
    pub(super) fn send(&mut self, link: LinkId, what: Outgoing) -> bool {
        let Some(queue) = self.links.get(&link) else {
            return true;
        };
        let sent = queue.send(what);
        if !queue.has_room(TURN_MAX) {
            self.crowded.entry(link).or_default();
        }
        sent
    }

    /// A link that is waited for, and until when.
    pub(super) fn crowded_link(&mut self) -> Option<(LinkId, Instant)> {
        // Only what was sent takes room, so none but these can have too little: with many links, looking at all takes longer than a turn.
        let links = &self.links;
        let is_crowded = |link: &LinkId| links.get(link).is_some_and(|queue| !queue.has_room(TURN_MAX));
        self.crowded.retain(|link, _| is_crowded(link));
        let mut now = None;
        for (link, until) in &mut self.crowded {
            let now = *now.get_or_insert_with(Instant::now);
            let until = *until.get_or_insert(now + ROOM_WAIT);
            if until > now {
                return Some((*link, until));
            }
        }
        None
    }
}
