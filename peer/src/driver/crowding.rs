//! What keeps the user from saying more than his links can take at once.
//!
//! Whatever a link's queue has no room for its reader must pull, which costs both sides several times as much. So while a link has
//! no room for what one turn may bring, the user's next requests wait for it; but not for long, or the slowest reader would set the
//! pace for all: one that makes no room in time gets what is too much for it by pulling, as it would have anyway.

use std::time::{Duration, Instant};

use super::{Driver, TURN_MAX};
use crate::{log::Disk, node::link::LinkId};

/// How long the user's requests wait for a link that has no room.
const ROOM_WAIT: Duration = Duration::from_millis(20);

impl<D: Disk> Driver<D> {
    /// A link that is waited for, and until when.
    pub(super) fn crowded_link(&mut self) -> Option<(LinkId, Instant)> {
        let mut now = None;
        for (link, queue) in &mut self.links {
            if queue.has_room(TURN_MAX) {
                queue.waited_for_until = None;
                continue;
            }
            let now = *now.get_or_insert_with(Instant::now);
            let until = *queue.waited_for_until.get_or_insert(now + ROOM_WAIT);
            if until > now {
                return Some((*link, until));
            }
        }
        None
    }
}
