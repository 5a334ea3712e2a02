//! What nodes say to each other about the ledger, as messages. What comes in is checked and becomes types that are valid by construction; how much there
//! may be of it the ledger judges.

use peerchat_proto::v1::{self, decide_request as said};

use super::follow::from_node;
use crate::cluster::{
    ledger::{Entry, Message, Place, Proposal, Ticket},
    term::Term,
};

/// A message as it is sent.
pub(super) fn to_request(nodes: Vec<u32>, message: &Message) -> v1::DecideRequest {
    use said::Message as Said;
    let message = match message {
        Message::Prepare { term, life } => Said::Prepare(v1::LedgerPrepare {
            term: term.number(),
            life: *life,
        }),
        Message::Promise {
            term,
            is_member,
            life,
            end,
        } => Said::Promise(v1::LedgerPromise {
            term: term.number(),
            is_member: *is_member,
            life: *life,
            end: Some(to_place(*end)),
        }),
        Message::Begin { term, life } => Said::Begin(v1::LedgerBegin {
            term: term.number(),
            life: *life,
        }),
        Message::Fetch { term, after, part } => Said::Fetch(v1::LedgerFetch {
            term: term.number(),
            after: *after,
            part_of: part.map(|(of, _)| to_place(of)),
            part_bytes: part.map_or(0, |(_, bytes)| bytes),
        }),
        Message::Lend { term, prev, entries } => Said::Lend(v1::LedgerLend {
            term: term.number(),
            prev: Some(to_place(*prev)),
            entries: entries.iter().map(to_entry).collect(),
        }),
        Message::Append {
            term,
            prev,
            entries,
            commit,
            floor,
            taken,
        } => Said::Append(v1::LedgerAppend {
            term: term.number(),
            prev: Some(to_place(*prev)),
            entries: entries.iter().map(to_entry).collect(),
            commit: *commit,
            floor: *floor,
            taken: *taken,
        }),
        Message::Part {
            term,
            at,
            offset,
            total,
            bytes,
        } => Said::Part(v1::LedgerPart {
            term: term.number(),
            at: Some(to_place(*at)),
            offset: *offset,
            total: *total,
            bytes: bytes.clone().into(),
        }),
        Message::Stored {
            term,
            matched,
            is_member,
            applied,
        } => Said::Stored(v1::LedgerStored {
            term: term.number(),
            matched: *matched,
            is_member: *is_member,
            applied: *applied,
        }),
        Message::Hand { term, proposals } => {
            let slot = |(slot, proposal): &(u64, Proposal)| v1::LedgerSlot {
                slot: *slot,
                proposal: Some(to_proposal(proposal)),
            };
            Said::Hand(v1::LedgerHand {
                term: term.number(),
                slots: proposals.iter().map(slot).collect(),
            })
        }
        Message::Stale { term } => Said::Stale(v1::LedgerStale { term: term.number() }),
        Message::Ask { nonce } => Said::Ask(v1::LedgerAsk { nonce: *nonce }),
        Message::Told {
            nonce,
            promised,
            is_member,
            leads,
        } => Said::Told(v1::LedgerTold {
            nonce: *nonce,
            promised: promised.number(),
            is_member: *is_member,
            leads: leads.map(|(term, index)| to_place(Place { term, index })),
        }),
    };
    let message = Some(message);
    v1::DecideRequest { nodes, message }
}

/// A message that came; none where it makes no sense.
pub(super) fn from_said(message: said::Message) -> Option<Message> {
    use said::Message as Said;
    Some(match message {
        Said::Prepare(said) => Message::Prepare {
            term: Term::new(said.term)?,
            life: said.life,
        },
        Said::Promise(said) => Message::Promise {
            term: Term::new(said.term)?,
            is_member: said.is_member,
            life: said.life,
            end: from_place(said.end?)?,
        },
        Said::Begin(said) => Message::Begin {
            term: Term::new(said.term)?,
            life: said.life,
        },
        Said::Fetch(said) => Message::Fetch {
            term: Term::new(said.term)?,
            after: said.after,
            part: match said.part_of {
                Some(of) => Some((from_place(of)?, said.part_bytes)),
                None => None,
            },
        },
        Said::Lend(said) => Message::Lend {
            term: Term::new(said.term)?,
            prev: from_place(said.prev?)?,
            entries: said.entries.into_iter().map(from_entry).collect::<Option<_>>()?,
        },
        Said::Append(said) => Message::Append {
            term: Term::new(said.term)?,
            prev: from_place(said.prev?)?,
            entries: said.entries.into_iter().map(from_entry).collect::<Option<_>>()?,
            commit: said.commit,
            floor: said.floor,
            taken: said.taken,
        },
        Said::Part(said) => Message::Part {
            term: Term::new(said.term)?,
            at: from_place(said.at?)?,
            offset: said.offset,
            total: said.total,
            bytes: said.bytes.into(),
        },
        Said::Stored(said) => Message::Stored {
            term: Term::new(said.term)?,
            matched: said.matched,
            is_member: said.is_member,
            applied: said.applied,
        },
        Said::Hand(said) => {
            let slot = |slot: v1::LedgerSlot| Some((slot.slot, from_proposal(slot.proposal?)?));
            Message::Hand {
                term: Term::new(said.term)?,
                proposals: said.slots.into_iter().map(slot).collect::<Option<_>>()?,
            }
        }
        Said::Stale(said) => Message::Stale {
            term: Term::new(said.term)?,
        },
        Said::Ask(said) => Message::Ask { nonce: said.nonce },
        Said::Told(said) => Message::Told {
            nonce: said.nonce,
            promised: Term::new(said.promised)?,
            is_member: said.is_member,
            leads: match said.leads {
                Some(leads) => Some((Term::new(leads.term)?, leads.index)),
                None => None,
            },
        },
    })
}

fn to_place(place: Place) -> v1::LedgerPlace {
    v1::LedgerPlace {
        term: place.term.number(),
        index: place.index,
    }
}

fn from_place(place: v1::LedgerPlace) -> Option<Place> {
    let index = place.index;
    Some(Place {
        term: Term::new(place.term)?,
        index,
    })
}

fn to_entry(entry: &Entry) -> v1::LedgerEntry {
    v1::LedgerEntry {
        place: Some(to_place(entry.place)),
        proposal: entry.proposal.as_ref().map(to_proposal),
    }
}

fn from_entry(entry: v1::LedgerEntry) -> Option<Entry> {
    Some(Entry {
        place: from_place(entry.place?)?,
        proposal: match entry.proposal {
            Some(proposal) => Some(from_proposal(proposal)?),
            None => None,
        },
    })
}

fn to_proposal(proposal: &Proposal) -> v1::LedgerProposal {
    v1::LedgerProposal {
        node: proposal.node.number().into(),
        life: proposal.life,
        ticket: proposal.ticket.0,
        change: proposal.change.to_vec().into(),
    }
}

fn from_proposal(proposal: v1::LedgerProposal) -> Option<Proposal> {
    Some(Proposal {
        node: from_node(proposal.node)?,
        life: proposal.life,
        ticket: Ticket(proposal.ticket),
        change: proposal.change.as_ref().into(),
    })
}
