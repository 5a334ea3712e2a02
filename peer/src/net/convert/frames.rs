//! Frames of a link.

use bytes::Bytes;
use peerchat_proto::v1 as wire;

use super::{
    array, author_from_wire, author_to_wire, conversation_from_wire, conversation_to_wire, entries_from_wire,
    heights_from_wire, heights_to_wire, invalid,
};
use crate::node::{
    limits::{CONVERSATIONS_MAX, KNOCKS_MAX},
    link::{Ack, ByeReason, Frame, HeightsNews, Knock},
    types::{EntryError, Seq},
};

/// What came in over a link, apart from a hello.
///
/// # Errors
/// Something in it breaks a rule.
pub(crate) fn frame_from_wire(frame: wire::Frame) -> Result<Frame, EntryError> {
    for (what, found) in [("acks", frame.acks.len()), ("heights", frame.heights.len())] {
        if found > CONVERSATIONS_MAX {
            return Err(invalid(what, &format!("at most {CONVERSATIONS_MAX}"), found));
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
        knocks: knocks_from_wire(&frame.knocks)?,
        entries: entries_from_wire(frame.entries)?,
        acks: frame.acks.into_iter().map(ack_from_wire).collect::<Result<_, _>>()?,
        heights: frame
            .heights
            .into_iter()
            .map(heights_news_from_wire)
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

fn knocks_from_wire(knocks: &[wire::Knock]) -> Result<Vec<Knock>, EntryError> {
    if knocks.len() > KNOCKS_MAX {
        return Err(invalid("knocks", &format!("at most {KNOCKS_MAX}"), knocks.len()));
    }
    let knock = |knock: &wire::Knock| {
        Ok(Knock {
            proof: array("proof", &knock.proof)?,
            reply_wanted: knock.reply_wanted,
        })
    };
    knocks.iter().map(knock).collect()
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
    }
}

fn heights_news_from_wire(news: wire::Heights) -> Result<HeightsNews, EntryError> {
    Ok(HeightsNews {
        conversation: conversation_from_wire(news.conversation)?,
        heights: heights_from_wire(&news.heights)?,
        reply_wanted: news.reply_wanted,
        left: news.left,
    })
}
