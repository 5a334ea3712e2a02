//! What a peer knows of another device, and the state of the link to it.

use std::collections::BTreeMap;

use super::{
    Millis,
    breaker::{Breaker, Waits},
    limits::{COMPARES_PER_SECOND, CROSSING_MS_MAX, REDIAL_MS_MAX, REDIAL_MS_MIN},
    memberships::MembershipNews,
    sealing::Seal,
    types::{Author, Conversation, DeviceId, Entry, Heights, Seq, UserName},
};
use std::sync::Arc;

/// Names one link of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What came in over a link, in the order in which it takes effect.
#[derive(Debug, Default)]
pub struct Frame {
    /// What shows that the other side has the secrets of private rooms.
    pub knocks: Vec<Knock>,
    /// Entries in the order in which they must be taken.
    pub entries: Vec<Arc<Entry>>,
    /// Seals of the other side's entries.
    pub seals: Vec<(Conversation, Seal)>,
    /// What the other side has of our entries.
    pub acks: Vec<Ack>,
    /// What the other side holds.
    pub heights: Vec<HeightsNews>,
    /// In which rooms the user is, as another own device says.
    pub memberships: Vec<MembershipNews>,
    /// The other side closes the link.
    pub bye: Option<ByeReason>,
}

/// What goes out over a link.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// An own entry.
    Entry(Arc<Entry>),
    /// A seal of own entries.
    Seal(Conversation, Arc<Seal>),
    /// What we have of the other side's entries.
    Ack(Ack),
    /// What we hold.
    Heights(HeightsNews),
    /// We have the secret of a private room.
    Knock(Knock),
    /// In which rooms the user is; to own devices only.
    Memberships(Vec<MembershipNews>),
}

/// Shows one who has the secret of a private room that the sender has it as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knock {
    /// What only such a one can make, of this sender for this receiver.
    pub proof: [u8; 32],
    /// The same is wanted in return.
    pub reply_wanted: bool,
}

/// How far one author's entries are in the log of the one who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The conversation.
    pub conversation: Conversation,
    /// The author.
    pub author: Author,
    /// Written to the log file up to here.
    pub stored: Seq,
    /// Synced to disk up to here.
    pub durable: Seq,
}

/// What the one who says so holds of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeightsNews {
    /// The conversation.
    pub conversation: Conversation,
    /// What is held.
    pub heights: Heights,
    /// The same is wanted in return.
    pub reply_wanted: bool,
    /// The one who says so is in the conversation no longer.
    pub left: bool,
    /// The one who says so has no link with somebody who is there: it wants to hear soon what others hold.
    pub relay_wanted: bool,
}

/// Why a link is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByeReason {
    /// The process ends.
    Quit,
    /// There is another link between the two devices.
    Duplicate,
    /// The other side broke a rule.
    Misbehaved,
    /// There are as many links as are taken.
    TooManyLinks,
    /// Others have begun as many conversations as they may.
    TooManyConversations,
    /// Not said.
    Unspecified,
}

/// A link that is open, as its hello introduced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkUp {
    /// Its name.
    pub link: LinkId,
    /// The other device.
    pub device: DeviceId,
    /// Its user.
    pub user: UserName,
    /// The random number of its process.
    pub session: u64,
    /// HOST:PORT where it listens.
    pub address: String,
    /// This side dialled.
    pub dialed_by_us: bool,
}

/// How another peer is asked for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Over the connection of a link, whichever side has dialled it.
    Link(LinkId),
    /// Over a connection of its own to HOST:PORT.
    Address(String),
}

/// The state of the link to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// There is none. It is dialled when the device's breaker says so, if it is wanted then.
    Down,
    /// It is being dialled.
    Dialing,
    /// It is open.
    Up {
        /// Its name.
        link: LinkId,
        /// The random number of the other process.
        session: u64,
        /// This side dialled.
        dialed_by_us: bool,
        /// Since when.
        since: Millis,
        /// Its queue is full: nothing is sent until it is drained, and then the other side is told what there is to pull.
        full: bool,
    },
}

/// Another device.
#[derive(Debug)]
pub struct Peer {
    /// Whose it is.
    pub user: UserName,
    /// HOST:PORT where it was last known to listen.
    pub address: Option<String>,
    /// The registry says that it is there.
    pub listed: bool,
    /// The link to it.
    pub link: LinkState,
    /// Why it closed the link, as far as it has said.
    pub bye: Option<ByeReason>,
    /// How often what it sent as a member broke the protocol and was refused. The user is told of the first time.
    pub refused: u64,
    /// It said that it holds own entries of this device, and did not have them: that is believed of it no more.
    pub claims_falsely: bool,
    /// How many of its live entries that were here already were compared with what is here, since a time.
    compared: (u32, Millis),
    /// Whether and when it is dialled.
    pub breaker: Breaker,
    /// The last dial of it has failed, which says something as long as there is a link all the same.
    pub dial_failed: bool,
    /// The user was told that it cannot be dialled at this address.
    pub told_undialable: Option<String>,
    /// What it holds, as far as it has said since the link is up, or when it was asked.
    pub heights: BTreeMap<Conversation, Heights>,
    /// The conversations of which its link is still to be told the heights, and whether the same is wanted in return.
    pub to_tell: BTreeMap<Conversation, bool>,
    /// Where telling goes on: the first one that may not have been told.
    pub tell_from: Option<Conversation>,
    /// When it goes on.
    pub tell_at: Option<Millis>,
    /// Before this time it is not told because it asks, since it was told some a moment ago.
    pub tell_not_before: Millis,
}

impl Peer {
    /// A device that was just heard of.
    pub fn new(user: UserName) -> Self {
        Self {
            user,
            address: None,
            listed: false,
            link: LinkState::Down,
            bye: None,
            refused: 0,
            claims_falsely: false,
            compared: (0, Millis::default()),
            breaker: Breaker::new(REDIAL),
            dial_failed: false,
            told_undialable: None,
            heights: BTreeMap::new(),
            to_tell: BTreeMap::new(),
            tell_from: None,
            tell_at: None,
            tell_not_before: Millis::default(),
        }
    }

    /// Whether one more of its live entries that is here already is to be compared with what is here.
    pub fn may_compare(&mut self, now: Millis) -> bool {
        let (count, since) = &mut self.compared;
        if now.since(*since) >= 1_000 {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(1);
        *count <= COMPARES_PER_SECOND
    }

    /// The open link.
    pub fn link(&self) -> Option<LinkId> {
        match self.link {
            LinkState::Up { link, .. } => Some(link),
            _ => None,
        }
    }

    /// Whether the link is open, was dialled by the other side, and takes more.
    pub fn has_dialled(&self) -> bool {
        matches!(
            self.link,
            LinkState::Up {
                dialed_by_us: false,
                full: false,
                ..
            }
        )
    }

    /// How it is asked for something: over the link, since who has opened that may be out of reach for those who dial.
    pub fn way(&self) -> Option<Way> {
        match self.link() {
            Some(link) => Some(Way::Link(link)),
            None => self.address.clone().map(Way::Address),
        }
    }

    /// The open link, if its queue takes more.
    pub fn link_with_room(&self) -> Option<LinkId> {
        match self.link {
            LinkState::Up { link, full: false, .. } => Some(link),
            _ => None,
        }
    }
}

/// How long a device is left alone that could not be dialled.
const REDIAL: Waits = Waits {
    first_ms: REDIAL_MS_MIN,
    longest_ms: REDIAL_MS_MAX,
};

/// Whether a new link takes the place of the one that is there.
///
/// A restarted process or a second dial by the same side means that the old link is dead, and so does a dial by the other side that comes
/// long after it was up: nobody dials who has a link. Of two crossing dials, the one by the smaller device stays: both sides come to the
/// same answer, in whatever order they see the two links.
pub fn replaces(me: DeviceId, new: &LinkUp, old_session: u64, old_dialed_by_us: bool, old_for_ms: u64) -> bool {
    new.session != old_session
        || new.dialed_by_us == old_dialed_by_us
        || new.dialed_by_us == (me < new.device)
        || old_for_ms > CROSSING_MS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(device: u8, session: u64, dialed_by_us: bool) -> LinkUp {
        let user = UserName::new("bob").unwrap();
        LinkUp {
            link: LinkId(1),
            device: DeviceId([device; 32]),
            user,
            session,
            address: String::new(),
            dialed_by_us,
        }
    }

    #[test]
    fn of_two_crossing_dials_both_sides_keep_the_same_one() {
        let (small, great) = (DeviceId([1; 32]), DeviceId([2; 32]));
        // The small one sees its own dial after the other one's, then before it; the great one likewise.
        assert!(replaces(small, &up(2, 0, true), 0, false, 0));
        assert!(!replaces(small, &up(2, 0, false), 0, true, 0));
        assert!(!replaces(great, &up(1, 0, true), 0, false, 0));
        assert!(replaces(great, &up(1, 0, false), 0, true, 0));
    }

    #[test]
    fn who_dials_long_after_a_link_was_up_has_lost_it_and_is_not_sent_away_for_it() {
        let (small, great) = (DeviceId([1; 32]), DeviceId([2; 32]));
        for (old_for_ms, is_lost) in [(CROSSING_MS_MAX, false), (CROSSING_MS_MAX + 1, true)] {
            assert_eq!(replaces(small, &up(2, 0, false), 0, true, old_for_ms), is_lost);
            assert_eq!(replaces(great, &up(1, 0, true), 0, false, old_for_ms), is_lost);
        }
    }

    #[test]
    fn a_restarted_process_and_a_second_dial_replace_the_link() {
        let me = DeviceId([1; 32]);
        assert!(replaces(me, &up(2, 8, false), 7, true, 0), "another session");
        assert!(
            replaces(me, &up(2, 7, false), 7, false, 0),
            "the same side dialled again"
        );
    }
}
