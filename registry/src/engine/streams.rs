//! The mailboxes of the watchers that are connected here: one for every lease that was given out here and whose stream has not ended.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::{
    mailbox::{Closed, Mailbox, Outbox, StreamEnd},
    routes::{Effect, LeaseEnd, LeaseToken, Note, Peer},
};

/// What other registries say waits until this one has seen to it. Whoever says something that finds no place says it again, or does
/// without.
const NOTES_MAX: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Streams {
    mailboxes: BTreeMap<LeaseToken, Mailbox>,
    /// Who hears what registries that share the table say; none where nobody listens.
    ears: Option<mpsc::Sender<Note>>,
    is_closed: bool,
}

impl Streams {
    /// Whether nobody is taken any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Lets changes for a lease wait from now on.
    pub(crate) fn begin(&mut self, lease: LeaseToken) {
        self.mailboxes.insert(lease, Mailbox::new());
    }

    /// The leases of those who are connected here, or about to be.
    pub(crate) fn leases(&self) -> impl Iterator<Item = LeaseToken> {
        self.mailboxes.keys().copied()
    }

    /// Whether a lease is one of them.
    pub(crate) fn is_known(&self, lease: LeaseToken) -> bool {
        self.mailboxes.contains_key(&lease)
    }

    /// Whether the lease's one stream can still be opened.
    pub(crate) fn is_unopened(&self, lease: LeaseToken) -> bool {
        self.mailboxes.get(&lease).is_some_and(Mailbox::is_unopened)
    }

    /// The reading end of a lease's mailbox, which is there once.
    pub(crate) fn open(&mut self, lease: LeaseToken) -> Option<(Outbox, Closed)> {
        self.mailboxes.get_mut(&lease)?.open()
    }

    /// Tells those who are here, and the log, what comes of a step. Answers whose stream ended because they read too slowly: their
    /// leases are to be shortened as those of broken streams are.
    #[must_use]
    pub(crate) fn carry_out(&mut self, effects: Vec<Effect>) -> Vec<LeaseToken> {
        effects.into_iter().filter_map(|effect| self.tell(effect)).collect()
    }

    /// The same with one effect.
    #[must_use]
    pub(crate) fn tell(&mut self, effect: Effect) -> Option<LeaseToken> {
        match effect {
            Effect::Tell { to, change } => {
                if self.mailboxes.get(&to).is_some_and(|mailbox| !mailbox.push(change)) {
                    warn!(lease = ?to, "ended the stream of a peer that reads too slowly");
                    self.end(to, Some(StreamEnd::TooSlow));
                    return Some(to);
                }
            }
            Effect::Ended { lease, peer, end } => self.lease_ended(lease, &peer, end),
            Effect::RoomCreated { room, by } => info!(room = %room, user = %by, "room created"),
            Effect::RoomDismissed { room } => info!(room = %room, "room dismissed"),
            Effect::Said { note } => self.hear(note),
        }
        None
    }

    fn lease_ended(&mut self, lease: LeaseToken, peer: &Peer, end: LeaseEnd) {
        match end {
            LeaseEnd::Replaced => debug!(user = %peer.user, device = %peer.device, "{}", said(end)),
            _ => info!(user = %peer.user, device = %peer.device, "{}", said(end)),
        }
        self.end(lease, Some(StreamEnd::Lease(end)));
    }

    /// Ends a lease of which another registry tells the log.
    pub(crate) fn lease_ended_quietly(&mut self, lease: LeaseToken, peer: &Peer, end: LeaseEnd) {
        debug!(user = %peer.user, device = %peer.device, "{}, as the node that leads says", said(end));
        self.end(lease, Some(StreamEnd::Lease(end)));
    }

    /// What registries that share the table say, from now on.
    pub(crate) fn listen(&mut self) -> mpsc::Receiver<Note> {
        let (ears, heard) = mpsc::channel(NOTES_MAX);
        self.ears = Some(ears);
        heard
    }

    fn hear(&mut self, note: Note) {
        if let Some(ears) = &self.ears
            && ears.try_send(note).is_err()
        {
            warn!("what another registry said is left out: too much waits, or this one ends");
        }
    }

    /// Lets nothing wait for a lease any more, and tells why if that is to be told.
    pub(crate) fn end(&mut self, lease: LeaseToken, why: Option<StreamEnd>) {
        if let Some(mailbox) = self.mailboxes.remove(&lease)
            && let Some(why) = why
        {
            mailbox.end(why);
        }
    }

    /// Ends all streams and takes no more.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        for (_, mailbox) in std::mem::take(&mut self.mailboxes) {
            mailbox.end(StreamEnd::ShuttingDown);
        }
    }
}

/// The end of a lease, as the log has it.
fn said(end: LeaseEnd) -> &'static str {
    match end {
        LeaseEnd::LoggedOut => "logged out",
        LeaseEnd::Lost => "lease lost",
        // Its peer is here with another one, or at another registry, and has just been told of as logged in.
        LeaseEnd::Replaced => "logged in anew",
        LeaseEnd::Revoked => "device revoked",
    }
}
