//! Two processes that have been given the same id. Each would lead under the same terms, and the others would follow now one and now the
//! other. A process has one key for all that it shows, so that another node can tell whether the one that calls it is the one that it calls at
//! the address in the list. The latter is the node: the others reach no other one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use peerchat_identity::DeviceBytes;

use super::term::NodeId;

/// What was seen of the processes of all other nodes.
#[derive(Debug, Default)]
pub(super) struct Lives(Mutex<BTreeMap<NodeId, Seen>>);

/// What was seen of those that say that they are one node.
#[derive(Debug, Default)]
struct Seen {
    /// The one at the address in the list, and when the last call began that it has answered.
    listed: Option<(DeviceBytes, Instant)>,
    /// Another one, and since when it calls.
    other: Option<(DeviceBytes, Instant)>,
}

impl Lives {
    /// The process at the address in the list has answered a call that began at this time.
    pub(super) fn answered(&self, node: NodeId, key: DeviceBytes, begun: Instant) {
        self.with(node, |seen| seen.listed = Some((key, begun)));
    }

    /// Whether the process with this key, which calls, is another one than that in the list, while that one is there. Of one that has
    /// been restarted that is not so: its former self answers no call that began after the first one of its new self.
    pub(super) fn is_doubled(&self, node: NodeId, key: DeviceBytes, now: Instant) -> bool {
        self.with(node, |seen| {
            let Some((_, answered)) = seen.listed.filter(|(listed, _)| *listed != key) else {
                return false;
            };
            let known = seen.other.filter(|(other, _)| *other == key);
            let (_, since) = *seen.other.insert(known.unwrap_or((key, now)));
            answered > since
        })
    }

    fn with<T>(&self, node: NodeId, act: impl FnOnce(&mut Seen) -> T) -> T {
        let mut lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(lives.entry(node).or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const FIRST: DeviceBytes = [1; 32];
    const SECOND: DeviceBytes = [2; 32];

    #[test]
    fn a_second_process_is_known_by_the_first_one_answering_still() {
        let (lives, node, begun) = (Lives::default(), NodeId::new(3).unwrap(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(!lives.is_doubled(node, SECOND, at(0)), "nothing is known of any");
        lives.answered(node, FIRST, at(1));
        assert!(!lives.is_doubled(node, FIRST, at(2)));
        // It was restarted, or it is another one.
        assert!(!lives.is_doubled(node, SECOND, at(3)));
        assert!(!lives.is_doubled(node, FIRST, at(3)));
        lives.answered(node, FIRST, at(4));
        assert!(lives.is_doubled(node, SECOND, at(5)));
        assert!(!lives.is_doubled(node, FIRST, at(5)), "that one is in the list");
        assert!(!lives.is_doubled(NodeId::new(2).unwrap(), SECOND, at(5)));
    }

    #[test]
    fn a_node_that_is_restarted_is_itself() {
        let (lives, node, begun) = (Lives::default(), NodeId::new(3).unwrap(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        lives.answered(node, FIRST, at(1));
        assert!(!lives.is_doubled(node, SECOND, at(2)));
        assert!(!lives.is_doubled(node, SECOND, at(3)));
        lives.answered(node, SECOND, at(4));
        assert!(!lives.is_doubled(node, SECOND, at(5)));
    }
}
