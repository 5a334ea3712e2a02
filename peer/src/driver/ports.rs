//! The channels between the driver and the wire.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    request::AccountAsk,
    serve::{ServedPart, Serving},
};
use crate::node::{
    Ask, Input,
    account::AccountNews,
    link::{ByeReason, LinkUp, Outgoing, Way},
    status::RegistryStatus,
    sync::PullId,
    types::{Conversation, DeviceId, Heights, Reader, UserName},
    window::PullFailure,
};

/// How much of what came over the wire waits for the driver. When it is full the wire waits, and with it the senders.
pub const INCOMING_MAX: usize = 1_024;

/// How many orders wait for the wire. When it is full an order has failed.
pub const ORDERS_MAX: usize = 4_096;

/// What the wire brings to the driver.
#[derive(Debug)]
pub enum Incoming {
    /// Something that the node decides about.
    Input(Input),
    /// A link is open, and this is its queue.
    LinkUp(LinkUp, LinkQueue),
    /// Another peer asks for a version.
    Version {
        /// Of which conversation.
        conversation: Conversation,
        /// Who asks.
        reader: Reader,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Heights, ServeError>>,
    },
    /// Another peer pulls: it wants the next part of a history.
    History {
        /// Of which conversation.
        conversation: Conversation,
        /// Who asks.
        reader: Reader,
        /// Which part.
        wanted: Wanted,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Part, ServeError>>,
    },
}

/// Which part of a history is wanted.
#[derive(Debug)]
pub enum Wanted {
    /// The first of what one who holds this lacks.
    Beyond(Heights),
    /// The one after the last one.
    Next(Box<Serving>),
}

/// A part of a history, and how to go on.
pub type Part = (ServedPart, Option<Box<Serving>>);

/// Why another peer is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// He is not part of that conversation.
    #[error("{0} may not read this conversation")]
    NotAllowed(UserName),
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Log(String),
}

/// What the driver wants from the wire.
#[derive(Debug)]
pub enum Order {
    /// Dial a device.
    Dial(DeviceId, String),
    /// Ask a member what it holds.
    AskVersion(DeviceId, Way, Conversation),
    /// Pull a history.
    Pull {
        /// The pull's name.
        pull: PullId,
        /// From which device.
        device: DeviceId,
        /// How it is asked.
        way: Way,
        /// Of which conversation.
        conversation: Conversation,
        /// What is held already.
        heights: Heights,
    },
    /// Stop a pull. Where this is lost, what it still brings is passed over.
    StopPull(PullId),
    /// Ask the registry.
    Registry(Ask),
    /// Ask the registry for its rooms.
    ListRooms(oneshot::Sender<Option<Vec<(crate::node::types::RoomName, u32)>>>),
    /// How do the registries stand?
    RegistryStatus(oneshot::Sender<Vec<RegistryStatus>>),
    /// Ask the registry something about the account. The answer may be why not.
    Account(AccountAsk, oneshot::Sender<Result<AccountNews, String>>),
}

impl Order {
    /// What the node is told where the wire cannot take the order.
    pub fn failed(self) -> Option<Input> {
        let reason = || "this peer is too busy".to_owned();
        match self {
            Self::Dial(device, _) => Some(Input::DialFailed(device)),
            Self::AskVersion(device, _, conversation) => Some(Input::VersionFailed(device, conversation)),
            Self::Pull { pull, .. } => Some(Input::HistoryEnd(pull, Err(PullFailure::Broken(reason())))),
            Self::Registry(Ask::Join(room)) => Some(Input::RoomRefused { room, refused: None }),
            Self::Registry(Ask::Find(user)) => Some(Input::FindFailed(user, reason())),
            Self::StopPull(_)
            | Self::Registry(Ask::Leave(_) | Ask::Watch(_))
            | Self::ListRooms(_)
            | Self::RegistryStatus(_)
            | Self::Account(..) => None,
        }
    }
}

/// The sending end of a link's queue.
#[derive(Debug)]
pub struct LinkQueue {
    queue: mpsc::Sender<Outgoing>,
    /// Something was refused since the queue was last empty.
    overflowed: Arc<AtomicBool>,
    close: Option<oneshot::Sender<(ByeReason, String)>>,
    closed: CancellationToken,
}

/// The receiving end of a link's queue.
#[derive(Debug)]
pub struct LinkOutlet {
    /// What goes out.
    pub queue: mpsc::Receiver<Outgoing>,
    /// See [`LinkOutlet::drained`].
    overflowed: Arc<AtomicBool>,
    /// The link is to be closed, for this reason, after what is queued.
    pub close: oneshot::Receiver<(ByeReason, String)>,
    /// Cancelled when the link is to be closed: it must end soon, whether the other side reads or not.
    pub closed: CancellationToken,
}

/// A queue of at most `capacity` things that go out over a link.
pub fn link_queue(capacity: usize) -> (LinkQueue, LinkOutlet) {
    let (sender, receiver) = mpsc::channel(capacity);
    let (close, reason) = oneshot::channel();
    let overflowed = Arc::new(AtomicBool::new(false));
    let closed = CancellationToken::new();
    let queue = LinkQueue {
        queue: sender,
        overflowed: Arc::clone(&overflowed),
        close: Some(close),
        closed: closed.clone(),
    };
    let outlet = LinkOutlet {
        queue: receiver,
        overflowed,
        close: reason,
        closed,
    };
    (queue, outlet)
}

impl LinkQueue {
    /// Whether so many things more have room. A link that is closed needs none.
    pub fn has_room(&self, count: usize) -> bool {
        self.queue.capacity() >= count.min(self.queue.max_capacity()) || self.queue.is_closed()
    }

    /// Waits until so many things more have room, or the link is closed.
    pub async fn room(&self, count: usize) {
        let _at_once = self.queue.reserve_many(count.min(self.queue.max_capacity())).await;
    }

    /// Queues something; false where there is no room, and then the outlet says when there is.
    pub fn send(&self, what: Outgoing) -> bool {
        match self.queue.try_send(what) {
            Ok(()) => true,
            // The link is closing: its end is reported by itself.
            Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.overflowed.store(true, Ordering::Release);
                false
            }
        }
    }

    /// Closes the link: what is queued is still sent, and then why.
    pub fn close(&mut self, reason: ByeReason, message: String) {
        if let Some(close) = self.close.take() {
            // The outlet is gone where the link ends by itself.
            let _gone = close.send((reason, message));
            self.closed.cancel();
        }
    }
}

impl LinkOutlet {
    /// To be asked when the queue is empty: whether something was refused since it was last asked, so that the node must be told
    /// that there is room again.
    pub fn drained(&self) -> bool {
        self.overflowed.swap(false, Ordering::AcqRel)
    }
}
