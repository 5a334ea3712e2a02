//! What waits for one follower: so many messages at most, and so many bytes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc;

use super::message::Down;

/// How many messages wait: more than orders come in a second. Who lags further behind begins anew, with the whole table.
const MESSAGES_MAX: usize = 8_192;

/// How many bytes of orders wait. A table does not count: it is there once, and first.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The writing end.
#[derive(Debug, Clone)]
pub(super) struct Downs {
    queue: mpsc::Sender<Down>,
    bytes: Arc<AtomicUsize>,
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Waiting {
    queue: mpsc::Receiver<Down>,
    bytes: Arc<AtomicUsize>,
}

/// Both ends of a queue.
pub(super) fn queue() -> (Downs, Waiting) {
    let (sender, queue) = mpsc::channel(MESSAGES_MAX);
    let bytes = Arc::<AtomicUsize>::default();
    let downs = Downs {
        queue: sender,
        bytes: Arc::clone(&bytes),
    };
    (downs, Waiting { queue, bytes })
}

fn bytes(down: &Down) -> usize {
    match down {
        Down::Entry(entry) => entry.order.bytes(),
        _ => 0,
    }
}

impl Downs {
    /// Says something. False where there is no room for it, or nobody who reads.
    pub(super) fn say(&self, down: Down) -> bool {
        let bytes = bytes(&down);
        if self.bytes.load(Ordering::Relaxed) + bytes > BYTES_MAX {
            return false;
        }
        // Counted before it can be read. Only this end adds, so it is never more than the limit.
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let is_taken = self.queue.try_send(down).is_ok();
        if !is_taken {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_taken
    }
}

impl Waiting {
    /// The next message; none where there will be no more.
    pub(super) async fn next(&mut self) -> Option<Down> {
        let down = self.queue.recv().await?;
        self.bytes.fetch_sub(bytes(&down), Ordering::Relaxed);
        Some(down)
    }

    /// The next message, if one waits.
    #[cfg(test)]
    pub(super) fn next_now(&mut self) -> Option<Down> {
        let down = self.queue.try_recv().ok()?;
        self.bytes.fetch_sub(bytes(&down), Ordering::Relaxed);
        Some(down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::{
            table::order::{Entry, Order, Position},
            term::NodeId,
        },
        routes::{LeaseToken, Millis},
    };

    fn order(leases: usize) -> Down {
        Down::Entry(Arc::new(Entry {
            position: Position::default(),
            now: Millis(0),
            origin: NodeId::new(1).unwrap(),
            ticket: 0,
            order: Order::RenewMany(vec![LeaseToken([0; 16]); leases]),
        }))
    }

    #[test]
    fn what_waits_is_bounded_by_number_and_by_size() {
        let (downs, mut waiting) = queue();
        assert!((0..MESSAGES_MAX).all(|_| downs.say(Down::Ready)));
        assert!(!downs.say(Down::Ready));
        while waiting.next_now().is_some() {}
        let long = || order(BYTES_MAX / 16 / 4);
        assert!((0..3).all(|_| downs.say(long())));
        assert!(!downs.say(long()), "a fourth one is too much");
        assert!(downs.say(order(1)), "a short one is not");
        assert!(waiting.next_now().is_some());
        assert!(downs.say(long()), "what was read waits no longer");
        drop(waiting);
        assert!(!downs.say(order(1)));
    }
}
