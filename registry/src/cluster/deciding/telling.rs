//! What is said of how the ledger stands: to who waited in vain, and to the log. Pure.

use std::collections::BTreeSet;

use crate::{
    accounts::decider::Undecided,
    cluster::{
        election::Role,
        ledger::Standing,
        term::{NodeId, list},
    },
    routes::Millis,
};

/// How long something must be wrong before the log has it: less than that it is part of each change of the leader.
const SETTLED: Millis = Millis(1_000);

/// What a node knows when it is asked why nothing is decided.
#[derive(Debug)]
pub(super) struct Situation {
    /// What it is in the election.
    pub role: Role,
    /// How its ledger stands.
    pub standing: Standing,
    /// There is nothing on its disk: its cluster has not begun, or the disk is new.
    pub is_blank: bool,
    /// The nodes that it does not reach.
    pub silent: BTreeSet<NodeId>,
    /// How many nodes there are, with itself.
    pub nodes: usize,
}

impl Situation {
    /// Why nothing is decided, and what would help.
    pub(super) fn reason(&self) -> Undecided {
        let nodes = self.nodes;
        let (reached, needed) = (nodes.saturating_sub(self.silent.len()), nodes / 2 + 1);
        if self.is_blank && !self.silent.is_empty() {
            return Undecided::NotBegun(list(&self.silent));
        }
        if reached < needed {
            return Undecided::TooFew { reached, nodes, needed };
        }
        Undecided::Standing(match (&self.standing, self.role) {
            (Standing::Leads(_) | Standing::Follows(_), _) => "it takes too long".to_owned(),
            (Standing::NoLeader, Role::Follower(term)) if let Some(leader) = term.leader() => {
                format!("node {leader}, which leads, cannot decide yet, and `peerchat-registry status` tells why")
            }
            (standing, _) => standing.to_string(),
        })
    }
}

/// What the log was told.
#[derive(Debug, Default)]
pub(super) struct News {
    told: Option<Standing>,
    /// Since when nothing can be decided.
    troubled_since: Option<Millis>,
}

impl News {
    /// Whether the log is to have how the ledger stands now: at once what is well, and what is not when it has lasted.
    pub(super) fn take(&mut self, standing: &Standing, now: Millis) -> bool {
        match standing {
            Standing::Leads(_) | Standing::Follows(_) | Standing::CatchesUp(_) => self.troubled_since = None,
            Standing::NoLeader
            | Standing::NoMajority(_)
            | Standing::NotBegun(_)
            | Standing::Lost(_)
            | Standing::Contradicted(_) => {
                let since = *self.troubled_since.get_or_insert(now);
                if now.0 < since.0.saturating_add(SETTLED.0) {
                    return false;
                }
            }
        }
        let is_news = self.told.as_ref() != Some(standing);
        if is_news {
            self.told = Some(standing.clone());
        }
        is_news
    }

    /// When to ask again, though nothing happens.
    pub(super) fn due(&self, now: Millis) -> Option<Millis> {
        let due = Millis(self.troubled_since?.0.saturating_add(SETTLED.0));
        (now < due).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::term::Term;

    fn ids(numbers: &[u64]) -> BTreeSet<NodeId> {
        numbers.iter().map(|number| NodeId::new(*number).unwrap()).collect()
    }

    fn follows(number: u64) -> Standing {
        Standing::Follows(Term::new(number).unwrap())
    }

    fn situation(standing: Standing, silent: &[u64]) -> Situation {
        Situation {
            role: Role::Follower(Term::new(103).unwrap()),
            standing,
            is_blank: false,
            silent: ids(silent),
            nodes: 3,
        }
    }

    #[test]
    fn who_waited_in_vain_is_told_what_would_help() {
        let blank = |silent: &[u64]| Situation {
            is_blank: true,
            ..situation(Standing::NoLeader, silent)
        };
        for missing in [&[3][..], &[2, 3]] {
            let text = blank(missing).reason().to_string();
            let named = missing.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            assert!(
                text.contains(&format!("all nodes can be reached: start {named};")),
                "{text}"
            );
        }
        let text = situation(Standing::NoLeader, &[2, 3]).reason().to_string();
        assert!(text.contains("1 of 3") && text.contains("needs 2"), "{text}");
        for asked in [blank(&[]), situation(Standing::NoLeader, &[2])] {
            let text = asked.reason().to_string();
            assert!(
                text.contains("node 3, which leads") && text.contains("status"),
                "{text}"
            );
        }
        let electing = Situation {
            role: Role::Election,
            ..situation(Standing::NoLeader, &[])
        };
        assert!(electing.reason().to_string().contains("no node leads"));
        let lost = situation(Standing::Lost(ids(&[1, 2])), &[]).reason().to_string();
        assert!(lost.contains("--accept-lost-accounts"), "{lost}");
    }

    #[test]
    fn a_change_of_the_leader_is_one_line_and_trouble_that_lasts_is_told() {
        let mut news = News::default();
        assert!(news.take(&follows(103), Millis(0)));
        assert_eq!(news.due(Millis(0)), None);
        for (at, passing) in [
            (100, Standing::NoLeader),
            (110, Standing::NoMajority(ids(&[1, 3]))),
            (120, Standing::NoMajority(ids(&[3]))),
        ] {
            assert!(!news.take(&passing, Millis(at)));
        }
        assert_eq!(news.due(Millis(120)), Some(Millis(1_100)));
        assert!(news.take(&follows(202), Millis(130)));
        assert_eq!(news.due(Millis(130)), None);

        let lasting = Standing::NoMajority(ids(&[1, 3]));
        assert!(!news.take(&Standing::NoLeader, Millis(2_000)));
        assert!(!news.take(&lasting, Millis(2_999)));
        assert!(news.take(&lasting, Millis(3_000)));
        assert_eq!(news.due(Millis(3_000)), None);
        assert!(!news.take(&lasting, Millis(9_000)), "it is told once");
        assert!(news.take(&follows(303), Millis(9_001)));
        assert!(!news.take(&follows(303), Millis(9_002)));
    }
}
