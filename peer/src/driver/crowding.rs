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
        let (mut now, mut crowded) = (None, None);
        for (link, until) in &mut self.crowded {
            let now = *now.get_or_insert_with(Instant::now);
            let until = *until.get_or_insert(now + ROOM_WAIT);
            if until > now {
                // All are waited for at the same time, or the user would wait for one after the other.
                crowded.get_or_insert((*link, until));
            }
        }
        crowded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        driver::{ports::link_queue, testing::driver},
        node::link::Knock,
    };

    #[test]
    fn a_link_is_waited_for_as_long_as_it_has_no_room_for_a_turn() {
        let (mut driver, _ends) = driver();
        let what = || {
            Outgoing::Knock(Knock {
                proof: [0; 32],
                reply_wanted: false,
            })
        };
        let mut outlets = Vec::new();
        for link in [LinkId(1), LinkId(2)] {
            let (queue, outlet) = link_queue(TURN_MAX + 1);
            driver.links.insert(link, queue);
            outlets.push(outlet);
            assert!(driver.send(link, what()));
        }
        assert_eq!(driver.crowded_link(), None);
        assert!(driver.send(LinkId(2), what()));
        let found = driver.crowded_link().expect("the second one has too little room");
        assert_eq!(found.0, LinkId(2));
        assert_eq!(
            driver.crowded_link(),
            Some(found),
            "not longer than from the first time on"
        );
        outlets[1].queue.try_recv().unwrap();
        assert_eq!(driver.crowded_link(), None);
        assert!(driver.send(LinkId(2), what()));
        assert!(driver.crowded_link().is_some());
        driver.links.remove(&LinkId(2));
        assert_eq!(driver.crowded_link(), None, "it is gone");
    }
    #[test]
    fn many_links_without_room_are_waited_for_no_longer_than_one() {
        let (mut driver, _ends) = driver();
        let mut outlets = Vec::new();
        for link in (0..200).map(LinkId) {
            let (queue, outlet) = link_queue(TURN_MAX);
            driver.links.insert(link, queue);
            outlets.push(outlet);
            let proof = [0; 32];
            assert!(driver.send(
                link,
                Outgoing::Knock(Knock {
                    proof,
                    reply_wanted: false
                })
            ));
        }
        let before = Instant::now();
        driver.crowded_link().expect("none has room");
        let latest = Instant::now() + ROOM_WAIT;
        let mut until = driver.crowded.values();
        assert!(until.all(|until| until.is_some_and(|until| (before..latest).contains(&until))));
    }
}
