//! What keeps the user from saying more than his links can take at once.
//!
//! Whatever a link's queue has no room for its reader must pull, which costs both sides several times as much. So while a link has
//! no room for what one turn may bring, the user's next requests wait for it; but not for long, or the slowest reader would set the
//! pace for all: one that makes no room in time gets what is too much for it by pulling, as it would have anyway.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Driver, TURN_MAX, ports::LinkQueue};
use crate::{log::Disk, node::link::LinkId};

/// How long the user's requests wait for a link that has no room.
const ROOM_WAIT: Duration = Duration::from_millis(20);

impl<D: Disk> Driver<D> {
    /// A link that is waited for, and until when.
    pub(super) fn crowded_link(&mut self) -> Option<(LinkId, Instant)> {
        crowded(&mut self.links, Instant::now)
    }
}

/// One of the links that have no room and are waited for. All of them are at the same time, or the user would wait for one after the other.
fn crowded(links: &mut BTreeMap<LinkId, LinkQueue>, clock: impl Fn() -> Instant) -> Option<(LinkId, Instant)> {
    let (mut now, mut crowded) = (None, None);
    for (link, queue) in links {
        if queue.has_room(TURN_MAX) {
            queue.waited_for_until = None;
            continue;
        }
        let now = *now.get_or_insert_with(&clock);
        let until = *queue.waited_for_until.get_or_insert(now + ROOM_WAIT);
        if until > now {
            crowded.get_or_insert((*link, until));
        }
    }
    crowded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        driver::ports::link_queue,
        node::link::{Knock, Outgoing},
    };

    #[test]
    fn many_links_without_room_are_waited_for_no_longer_than_one() {
        let queues: Vec<_> = (0..200).map(|n| (LinkId(n), link_queue(TURN_MAX))).collect();
        let (mut links, mut outlets) = (BTreeMap::new(), Vec::new());
        for (link, (queue, outlet)) in queues {
            let proof = [0; 32];
            assert!(queue.send(Outgoing::Knock(Knock {
                proof,
                reply_wanted: false
            })));
            links.insert(link, queue);
            outlets.push(outlet);
        }
        let start = Instant::now();
        let mut after = |ms| crowded(&mut links, || start + Duration::from_millis(ms));
        let until = start + ROOM_WAIT;
        assert!(after(0).is_some_and(|(_, found)| found == until));
        assert!(after(19).is_some_and(|(_, found)| found == until));
        assert_eq!(after(20), None, "the others were waited for as well");
        // One that had room meanwhile is waited for anew.
        outlets[150].queue.try_recv().unwrap();
        assert_eq!(after(30), None);
        links[&LinkId(150)].send(Outgoing::Knock(Knock {
            proof: [0; 32],
            reply_wanted: false,
        }));
        let again = crowded(&mut links, || until);
        assert_eq!(again, Some((LinkId(150), until + ROOM_WAIT)));
    }
}
