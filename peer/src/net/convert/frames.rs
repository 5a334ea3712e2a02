//! Frames of a link.

use bytes::Bytes;
use peerchat_proto::v1 as wire;
use zeroize::Zeroizing;

use super::{
    array, author_from_wire, author_to_wire, conversation_from_wire, conversation_to_wire, entries_from_wire,
    heights_from_wire, heights_to_wire, invalid, name_error, seals::live_seal_from_wire,
};
use crate::node::{
    limits::{CONVERSATIONS_MAX, KNOCKS_MAX, MEMBERSHIPS_MAX, STAMP_MAX},
    link::{Ack, ByeReason, Frame, HeightsNews, Knock},
    memberships::{Membership, MembershipNews},
    private::Invitation,
    types::{EntryError, RoomName, Seq},
};

/// What came in over a link, apart from a hello.
///
/// # Errors
/// Something in it breaks a rule.
pub(crate) fn frame_from_wire(frame: wire::Frame) -> Result<Frame, EntryError> {
    for (what, found, most) in [
        ("seals", frame.seals.len(), CONVERSATIONS_MAX),
        ("acks", frame.acks.len(), CONVERSATIONS_MAX),
        ("heights", frame.heights.len(), CONVERSATIONS_MAX),
        ("memberships", frame.memberships.len(), MEMBERSHIPS_MAX),
        ("knocks", frame.knocks.len(), KNOCKS_MAX),
    ] {
        if found > most {
            return Err(invalid(what, &format!("at most {most}"), found));
        }
    }
    let bye = frame.bye.map(|bye| match bye.reason() {
        wire::ByeReason::Quit => ByeReason::Quit,
        wire::ByeReason::Duplicate => ByeReason::Duplicate,
        wire::ByeReason::Misbehaved => ByeReason::Misbehaved,
        wire::ByeReason::TooManyLinks => ByeReason::TooManyLinks,
        wire::ByeReason::TooManyConversations => ByeReason::TooManyConversations,
        wire::ByeReason::Unspecified => ByeReason::Unspecified,
    });
    Ok(Frame {
        knocks: frame.knocks.iter().map(knock_from_wire).collect::<Result<_, _>>()?,
        entries: entries_from_wire(frame.entries)?,
        seals: frame
            .seals
            .into_iter()
            .map(live_seal_from_wire)
            .collect::<Result<_, _>>()?,
        acks: frame.acks.into_iter().map(ack_from_wire).collect::<Result<_, _>>()?,
        heights: frame
            .heights
            .into_iter()
            .map(heights_news_from_wire)
            .collect::<Result<_, _>>()?,
        memberships: frame
            .memberships
            .into_iter()
            .map(membership_from_wire)
            .collect::<Result<_, _>>()?,
        bye,
    })
}

/// The last frame of a link.
pub(crate) fn bye_to_wire(reason: ByeReason, message: String) -> wire::Frame {
    let reason = match reason {
        ByeReason::Quit => wire::ByeReason::Quit,
        ByeReason::Duplicate => wire::ByeReason::Duplicate,
        ByeReason::Misbehaved => wire::ByeReason::Misbehaved,
        ByeReason::TooManyLinks => wire::ByeReason::TooManyLinks,
        ByeReason::TooManyConversations => wire::ByeReason::TooManyConversations,
        ByeReason::Unspecified => wire::ByeReason::Unspecified,
    };
    wire::Frame {
        bye: Some(wire::Bye {
            reason: reason.into(),
            message,
        }),
        ..Default::default()
    }
}

pub(crate) fn knock_to_wire(knock: &Knock) -> wire::Knock {
    wire::Knock {
        proof: Bytes::copy_from_slice(&knock.proof),
        reply_wanted: knock.reply_wanted,
    }
}

fn knock_from_wire(knock: &wire::Knock) -> Result<Knock, EntryError> {
    Ok(Knock {
        proof: array("proof", &knock.proof)?,
        reply_wanted: knock.reply_wanted,
    })
}

pub(crate) fn ack_to_wire(ack: &Ack) -> wire::Ack {
    wire::Ack {
        conversation: Some(conversation_to_wire(&ack.conversation)),
        author: Some(author_to_wire(&ack.author)),
        stored: ack.stored.0,
        durable: ack.durable.0,
    }
}

fn ack_from_wire(ack: wire::Ack) -> Result<Ack, EntryError> {
    Ok(Ack {
        conversation: conversation_from_wire(ack.conversation)?,
        author: author_from_wire(ack.author)?,
        stored: Seq(ack.stored),
        durable: Seq(ack.durable),
    })
}

pub(crate) fn heights_news_to_wire(news: &HeightsNews) -> wire::Heights {
    wire::Heights {
        conversation: Some(conversation_to_wire(&news.conversation)),
        heights: heights_to_wire(&news.heights),
        reply_wanted: news.reply_wanted,
        left: news.left,
        relay_wanted: news.relay_wanted,
    }
}

fn heights_news_from_wire(news: wire::Heights) -> Result<HeightsNews, EntryError> {
    Ok(HeightsNews {
        conversation: conversation_from_wire(news.conversation)?,
        heights: heights_from_wire(&news.heights)?,
        reply_wanted: news.reply_wanted,
        left: news.left,
        relay_wanted: news.relay_wanted,
    })
}

pub(crate) fn membership_to_wire(news: &MembershipNews) -> wire::Membership {
    wire::Membership {
        room: news.room.as_str().to_owned(),
        stamp: news.membership.stamp,
        is_in: news.membership.is_in,
        invitation: news.invitation.as_ref().map(|invitation| invitation.text().to_string()),
    }
}

fn membership_from_wire(said: wire::Membership) -> Result<MembershipNews, EntryError> {
    let wire::Membership {
        room,
        stamp,
        is_in,
        invitation,
    } = said;
    let invitation = invitation.map(Zeroizing::new);
    let room = RoomName::parse(&room).map_err(|error| name_error("membership", error))?;
    if !(1..=STAMP_MAX).contains(&stamp) {
        return Err(invalid("membership's stamp", &format!("from 1 to {STAMP_MAX}"), stamp));
    }
    let invitation = match invitation {
        None => None,
        Some(text) => match Invitation::read(&text) {
            Ok(invitation) if invitation.room() == room => Some(invitation),
            // What was sent is not repeated: it may be a secret.
            _ => return Err(invalid("membership's invitation", "the one to its room", "another one")),
        },
    };
    Ok(MembershipNews {
        room,
        membership: Membership { stamp, is_in },
        invitation,
    })
}
