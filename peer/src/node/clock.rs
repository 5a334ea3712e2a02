//! Logical time: what was seen before what.
//!
//! An entry's vector clock is what its author had seen: for every author the highest seq. Written out it would grow with the
//! number of authors, so an entry carries only what changed since its author's previous entry, and of that only the heads:
//! entries that no other seen entry implies. Seeing an entry implies seeing all that it names, and all its author's earlier ones;
//! since entries are taken in causal order, removing what a new entry names from the set of heads keeps that set exact. It is the
//! same reduction that a commit graph makes with its parents (see Charron-Bost 1991 for why a full clock cannot be smaller in
//! the worst case; in a conversation the set of heads is usually one entry).
//!
//! Lamport time (Lamport 1978) is 1 + the greatest among the author's previous entry and the heads. Every reader can compute the
//! same number from what it holds, so a wrong one is refused, and no clock can be pushed ahead.

use std::collections::BTreeMap;

use super::types::{Author, Heights, Seen, Seq};

/// The entries held that no other held entry implies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier(BTreeMap<Author, Seq>);

impl Frontier {
    /// Takes in an entry whose causes have all been taken in.
    pub fn advance(&mut self, author: Author, seq: Seq, seen: &[Seen]) {
        for cause in seen {
            if self.0.get(&cause.author).is_some_and(|head| *head <= cause.seq) {
                self.0.remove(&cause.author);
            }
        }
        self.0.insert(author, seq);
    }

    /// The heads, sorted by author.
    pub fn heads(&self) -> impl Iterator<Item = Seen> + '_ {
        self.0.iter().map(|(&author, &seq)| Seen { author, seq })
    }

    /// The heads of a log that was read back, from each author's last entry with what it names, and from what the last entries of
    /// all name. May hold a few that are implied by older entries: naming them again says nothing wrong.
    pub fn rebuild<'a>(
        heads: impl Iterator<Item = (Author, Seq, &'a [Seen])> + Clone,
        recently_seen: &Heights,
    ) -> Self {
        let mut frontier = Self(heads.clone().map(|(author, seq, _)| (author, seq)).collect());
        let named = heads.flat_map(|(_, _, seen)| seen).copied();
        let recently = recently_seen.0.iter().map(|(&author, &seq)| Seen { author, seq });
        for cause in named.chain(recently) {
            if frontier.0.get(&cause.author).is_some_and(|head| *head <= cause.seq) {
                frontier.0.remove(&cause.author);
            }
        }
        frontier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::types::DeviceId;

    fn author(n: u8) -> Author {
        Author {
            device: DeviceId([n; 32]),
            incarnation: 0,
        }
    }

    fn seen(n: u8, seq: u64) -> Seen {
        Seen {
            author: author(n),
            seq: Seq(seq),
        }
    }

    #[test]
    fn an_answer_replaces_what_it_answers() {
        let mut frontier = Frontier::default();
        frontier.advance(author(1), Seq(1), &[]);
        frontier.advance(author(2), Seq(1), &[seen(1, 1)]);
        assert_eq!(frontier.heads().collect::<Vec<_>>(), [seen(2, 1)]);
    }

    #[test]
    fn what_was_written_at_the_same_time_stays_side_by_side() {
        let mut frontier = Frontier::default();
        frontier.advance(author(1), Seq(1), &[]);
        frontier.advance(author(2), Seq(1), &[]);
        frontier.advance(author(1), Seq(2), &[]);
        assert_eq!(frontier.heads().collect::<Vec<_>>(), [seen(1, 2), seen(2, 1)]);
    }

    #[test]
    fn an_older_sight_removes_no_newer_head() {
        let mut frontier = Frontier::default();
        frontier.advance(author(1), Seq(1), &[]);
        frontier.advance(author(1), Seq(2), &[]);
        frontier.advance(author(2), Seq(1), &[seen(1, 1)]);
        assert_eq!(frontier.heads().collect::<Vec<_>>(), [seen(1, 2), seen(2, 1)]);
    }

    #[test]
    fn a_rebuilt_frontier_holds_every_head() {
        let (one, two) = ([seen(2, 1)], [seen(3, 1)]);
        let heads = [
            (author(1), Seq(2), &one[..]),
            (author(2), Seq(1), &[][..]),
            (author(3), Seq(2), &two[..0]),
        ];
        let rebuilt = Frontier::rebuild(heads.into_iter(), &Heights::default());
        assert_eq!(rebuilt.heads().collect::<Vec<_>>(), [seen(1, 2), seen(3, 2)]);
    }
}
