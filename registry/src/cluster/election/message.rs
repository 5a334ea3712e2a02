//! What comes into the election of a node, and what comes out.

use super::super::term::{NodeId, Term};

/// What nodes say to each other. Who says it is proved by the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// I hold an election.
    Election {
        /// The highest term that I have seen.
        seen: Term,
    },
    /// I am there.
    Answer {
        /// The highest term that I have seen.
        seen: Term,
        /// The leadership that I hear, or [`Term::NONE`].
        leader: Term,
    },
    /// I lead from now on.
    Coordinator {
        /// Under this term, which is mine.
        term: Term,
    },
    /// I lead still.
    Heartbeat {
        /// Under this term, which is mine.
        term: Term,
    },
    /// I lead no longer, and end.
    Resign {
        /// The term that is over, which was mine.
        term: Term,
    },
}

/// What happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// Another node says something.
    Message {
        /// Who.
        from: NodeId,
        /// What.
        message: Message,
    },
    /// The node is about to end: another one is to lead.
    Resign,
    /// Something else than a message has shown that there was this term.
    Seen(Term),
}

/// What is to be done, in the order in which it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The highest term that was seen is to be on disk before anything that follows is done.
    Persist(Term),
    /// Something is to be said to another node. It may be lost.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// The node is something else from now on.
    Became(Role),
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It follows the leader of this term.
    Follower(Term),
    /// It knows of no leader.
    Election,
    /// It leads, under this term.
    Leader(Term),
}

impl Role {
    /// The leadership that there is.
    pub fn term(self) -> Option<Term> {
        match self {
            Self::Follower(term) | Self::Leader(term) => Some(term),
            Self::Election => None,
        }
    }
}
