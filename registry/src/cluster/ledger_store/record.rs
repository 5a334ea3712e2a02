//! Records of the ledger as bytes.

use super::super::{
    ledger::{CHANGE_MAX, Entry, Kept, Place, Proposal, Record, Ticket},
    term::{NodeId, Term},
};

const PROMISE: u8 = 1;
const MEMBER: u8 = 2;
const APPEND: u8 = 3;
const CUT: u8 = 4;
const DROP: u8 = 5;
const RESET: u8 = 6;
const FORGET: u8 = 7;

/// The fewest records that make a node keep the same.
pub(super) fn records_of(kept: &Kept) -> Vec<Record> {
    let base = kept.log.base();
    let mut records = vec![Record::Promise(kept.promised), Record::Reset(base)];
    if kept.is_member {
        records.push(Record::Member);
    }
    let entries = kept.log.after(base.index, usize::MAX, usize::MAX);
    records.extend(entries.into_iter().map(|entry| Record::Append(vec![entry])));
    records
}

/// Writes a record after others.
pub(in crate::cluster) fn encode(record: &Record, bytes: &mut Vec<u8>) {
    match record {
        Record::Promise(term) => {
            bytes.push(PROMISE);
            put(bytes, term.number());
        }
        Record::Member => bytes.push(MEMBER),
        Record::Append(entries) => entries.iter().for_each(|entry| encode_entry(entry, bytes)),
        Record::Cut(index) => {
            bytes.push(CUT);
            put(bytes, *index);
        }
        Record::Drop(place) => {
            bytes.push(DROP);
            put_place(bytes, *place);
        }
        Record::Reset(place) => {
            bytes.push(RESET);
            put_place(bytes, *place);
        }
        Record::Forget => bytes.push(FORGET),
    }
}

/// An entry is a record of its own.
fn encode_entry(entry: &Entry, bytes: &mut Vec<u8>) {
    bytes.push(APPEND);
    put_place(bytes, entry.place);
    let Some(proposal) = &entry.proposal else {
        return bytes.push(0);
    };
    bytes.push(proposal.node.number());
    put(bytes, proposal.life);
    put(bytes, proposal.ticket.0);
    put(bytes, proposal.change.len() as u64);
    bytes.extend_from_slice(&proposal.change);
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_place(bytes: &mut Vec<u8>, place: Place) {
    put(bytes, place.term.number());
    put(bytes, place.index);
}

/// The records in these bytes; none where they are anything else.
pub(in crate::cluster) fn decode(mut bytes: &[u8]) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        bytes = rest;
        records.push(match *kind {
            PROMISE => Record::Promise(Term::new(take(&mut bytes)?)?),
            MEMBER => Record::Member,
            APPEND => Record::Append(vec![entry(&mut bytes)?]),
            CUT => Record::Cut(take(&mut bytes)?),
            DROP => Record::Drop(place(&mut bytes)?),
            RESET => Record::Reset(place(&mut bytes)?),
            FORGET => Record::Forget,
            _ => return None,
        });
    }
    Some(records)
}

fn entry(bytes: &mut &[u8]) -> Option<Entry> {
    let place = place(bytes)?;
    let (node, rest) = bytes.split_first()?;
    *bytes = rest;
    if *node == 0 {
        return Some(Entry { place, proposal: None });
    }
    let node = NodeId::new(u64::from(*node)).ok()?;
    let (life, ticket) = (take(bytes)?, Ticket(take(bytes)?));
    let length = usize::try_from(take(bytes)?)
        .ok()
        .filter(|length| *length <= CHANGE_MAX)?;
    let (change, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let proposal = Proposal {
        node,
        life,
        ticket,
        change: change.into(),
    };
    let proposal = Some(proposal);
    Some(Entry { place, proposal })
}

fn place(bytes: &mut &[u8]) -> Option<Place> {
    let term = Term::new(take(bytes)?)?;
    let index = take(bytes)?;
    Some(Place { term, index })
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}
