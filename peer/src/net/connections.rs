//! The connections of the links. Histories travel over them as well, whichever side has dialled: who was dialled may be unable to dial
//! the other one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use peerchat_proto::v1 as wire;
use tokio::sync::{mpsc, oneshot};
use tonic::Streaming;

use super::channel::Dialled;
use crate::node::{limits::CALLS_OF_LINK_MAX, link::LinkId, types::DeviceId};

/// The connection of a link that is open.
#[derive(Debug, Clone)]
pub(super) enum Connection {
    /// This side has dialled, and can call.
    Dialled {
        /// The connection.
        dialled: Box<Dialled>,
        /// HOST:PORT that was dialled.
        address: String,
    },
    /// The other side has dialled: it is asked in frames of the link for what it is to give.
    Accepted(mpsc::Sender<wire::HistoryCall>),
}

/// A history that another peer gives, as it was asked to. Its call lasts as long as this.
#[derive(Debug)]
pub(super) struct Given {
    /// Its parts.
    pub(super) parts: Streaming<wire::GiveHistoryRequest>,
    /// Dropped with this, which ends the call.
    pub(super) _call: oneshot::Sender<()>,
}

/// All of them, and what was asked for over them.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    open: BTreeMap<LinkId, Connection>,
    asked: BTreeMap<(DeviceId, u64), oneshot::Sender<Given>>,
    next_ticket: u64,
}

/// A connection that is known for as long as this lives.
#[derive(Debug)]
pub(super) struct Known(Connections, LinkId);

/// A history that is waited for.
#[derive(Debug)]
pub(super) struct Ticket {
    connections: Connections,
    device: DeviceId,
    /// Its name.
    pub(super) number: u64,
    /// The history, as soon as it is given.
    pub(super) given: oneshot::Receiver<Given>,
}

/// What is asked for over a link, on its way into frames.
pub(super) fn calls() -> (mpsc::Sender<wire::HistoryCall>, mpsc::Receiver<wire::HistoryCall>) {
    mpsc::channel(CALLS_OF_LINK_MAX)
}

impl Connections {
    /// A link is open.
    pub(super) fn add(&self, link: LinkId, connection: Connection) -> Known {
        self.lock().open.insert(link, connection);
        Known(self.clone(), link)
    }

    /// The connection of a link, if that is still open.
    pub(super) fn of(&self, link: LinkId) -> Option<Connection> {
        self.lock().open.get(&link).cloned()
    }

    /// A device is about to be asked for a history.
    pub(super) fn ask(&self, device: DeviceId) -> Ticket {
        let (sender, given) = oneshot::channel();
        let mut inner = self.lock();
        let number = inner.next_ticket;
        inner.next_ticket += 1;
        inner.asked.insert((device, number), sender);
        drop(inner);
        let connections = self.clone();
        Ticket {
            connections,
            device,
            number,
            given,
        }
    }

    /// Where what a device gives is waited for; none where it was not asked, or it is too late.
    pub(super) fn waiting(&self, device: DeviceId, ticket: u64) -> Option<oneshot::Sender<Given>> {
        self.lock().asked.remove(&(device, ticket))
    }

    /// Nothing that is done under the lock can fail half-way.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.0.lock().open.remove(&self.1);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.connections.lock().asked.remove(&(self.device, self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_for_the_device_that_was_asked_while_somebody_waits() {
        let (connections, bob, carol) = (Connections::default(), DeviceId([1; 32]), DeviceId([2; 32]));
        let ticket = connections.ask(bob);
        assert!(connections.waiting(carol, ticket.number).is_none());
        assert!(connections.waiting(bob, ticket.number + 1).is_none());
        assert!(connections.waiting(bob, ticket.number).is_some());
        assert!(connections.waiting(bob, ticket.number).is_none());
        let other = connections.ask(bob);
        let number = other.number;
        drop((ticket, other));
        assert!(connections.waiting(bob, number).is_none());
        assert!(connections.lock().asked.is_empty());
    }
}
