//! A new leader brings itself up to date before it leads.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Entry, Ledger, Message, NodeId, Output, Place, Record, State, Term,
    limits::{FETCHES_MAX, RETRY},
};
use crate::routes::Millis;

#[derive(Debug)]
pub(super) struct Preparing {
    pub term: Term,
    /// What the others have said since they follow.
    answers: BTreeMap<NodeId, Answer>,
    ask_at: Millis,
    fetching: Option<Fetching>,
}

/// What one node has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub is_member: bool,
    pub life: u64,
    pub end: Place,
}

/// What this node lacks, and from whom it gets it.
#[derive(Debug)]
struct Fetching {
    source: NodeId,
    /// Where the log of the source ends.
    end: Place,
    /// Up to here this node has the same.
    after: u64,
    again_at: Millis,
    tries: u32,
}

impl Preparing {
    pub(super) fn wake_at(&self) -> Millis {
        let again_at = self.fetching.as_ref().map(|fetching| fetching.again_at);
        again_at.map_or(self.ask_at, |at| at.min(self.ask_at))
    }

    pub(super) fn source(&self) -> Option<NodeId> {
        self.fetching.as_ref().map(|fetching| fetching.source)
    }

    /// Who has said that he has forgotten nothing, and who has said anything.
    pub(super) fn answered(&self) -> impl Iterator<Item = (NodeId, bool)> {
        self.answers.iter().map(|(node, answer)| (*node, answer.is_member))
    }

    pub(super) fn has_nothing(&self) -> bool {
        self.answers.values().all(|answer| answer.end.index == 0)
    }
}

impl Ledger {
    /// The election has chosen this node.
    pub(super) fn prepare(&mut self, term: Term, now: Millis) {
        if term < self.kept.promised {
            self.state = State::Idle;
            return self.outputs.push(Output::Seen(self.kept.promised));
        }
        if term > self.kept.promised {
            self.keep(Record::Promise(term));
        }
        self.state = State::Preparing(Preparing {
            term,
            answers: BTreeMap::new(),
            ask_at: now + RETRY,
            fetching: None,
        });
        self.send_all(&Message::Prepare { term, life: self.life });
        self.judge_promises(now);
    }

    /// A node has promised to follow another leader. Where that one led under the same term, it was this node, before it lost its disk: the
    /// next term is nobody's yet.
    pub(super) fn is_stale(&mut self, term: Term) {
        match &self.state {
            State::Preparing(preparing) if preparing.term == term => {
                if let Some(next) = term.next_of(self.me) {
                    self.seen(next);
                }
            }
            _ => self.seen(term),
        }
    }

    pub(super) fn prepare_again(&mut self, now: Millis) {
        let life = self.life;
        let State::Preparing(preparing) = &mut self.state else {
            return;
        };
        let term = preparing.term;
        if let Some(fetching) = &mut preparing.fetching
            && now >= fetching.again_at
        {
            fetching.tries += 1;
            if fetching.tries < FETCHES_MAX {
                self.fetch(now);
            } else {
                // It may be gone. Where there is a majority without it, what it has alone is not committed.
                let source = fetching.source;
                preparing.fetching = None;
                preparing.answers.remove(&source);
                self.judge_promises(now);
            }
        }
        let State::Preparing(preparing) = &mut self.state else {
            return;
        };
        if now >= preparing.ask_at {
            preparing.ask_at = now + RETRY;
            // A member's word is for ever, and another's may get better: the operator may let it count.
            let answers = &preparing.answers;
            let is_open = |node: &&NodeId| !answers.get(node).is_some_and(|answer| answer.is_member);
            let silent = self.others.iter().filter(is_open);
            for to in silent.copied().collect::<Vec<_>>() {
                self.send(to, Message::Prepare { term, life });
            }
            self.judge_promises(now);
        }
    }

    pub(super) fn promised(&mut self, from: NodeId, answer: Answer, now: Millis) {
        match &mut self.state {
            State::Preparing(preparing) => {
                preparing.answers.insert(from, answer);
                self.judge_promises(now);
            }
            State::Leading(_) => self.heard(from),
            State::Idle | State::Following(_) => {}
        }
    }

    /// Whether those who follow are enough, and what is to be done then.
    pub(super) fn judge_promises(&mut self, now: Millis) {
        let State::Preparing(preparing) = &self.state else {
            return;
        };
        if preparing.fetching.is_some() {
            return;
        }
        let (term, own_end) = (preparing.term, self.kept.log.end());
        let have_all_answered = preparing.answers.len() == self.others.len();
        let lost: Vec<_> = preparing
            .answers
            .iter()
            .filter(|(_, answer)| !answer.is_member)
            .collect();
        if have_all_answered && preparing.has_nothing() && own_end.index == 0 && !self.is_forced {
            let begin = |(node, answer): (&NodeId, &Answer)| (*node, answer.life);
            let begin: Vec<_> = lost.into_iter().map(begin).collect();
            self.become_member();
            let is_begun = begin.is_empty();
            for (to, life) in begin {
                self.send(to, Message::Begin { term, life });
            }
            if is_begun {
                self.lead(term, now);
            }
            return;
        }
        let members = preparing.answers.iter().filter(|(_, answer)| answer.is_member);
        let highest = members.clone().max_by_key(|(_, answer)| answer.end);
        let count = members.count() + usize::from(self.kept.is_member);
        let own = self.kept.is_member.then_some(own_end);
        let top = highest.map(|(_, answer)| answer.end).max(own).unwrap_or_default();
        // Where they have nothing, it may be that no cluster has begun.
        let is_enough = count >= self.majority() && (top.index > 0 || have_all_answered || self.is_forced);
        if !is_enough {
            return;
        }
        let source = highest.map(|(node, _)| *node).filter(|_| !self.kept.log.holds(top));
        let Some(source) = source else {
            return self.lead(term, now);
        };
        let fetching = Fetching {
            source,
            end: top,
            after: self.commit,
            again_at: now,
            tries: 0,
        };
        if let State::Preparing(preparing) = &mut self.state {
            preparing.fetching = Some(fetching);
        }
        self.fetch(now);
    }

    pub(super) fn fetch(&mut self, now: Millis) {
        let State::Preparing(preparing) = &mut self.state else {
            return;
        };
        let term = preparing.term;
        if let Some(fetching) = &mut preparing.fetching {
            fetching.again_at = now + RETRY;
            let (to, after) = (fetching.source, fetching.after);
            let part = self.snapshots.has(to);
            self.send(to, Message::Fetch { term, after, part });
        }
    }

    /// The node that has more has sent some of it.
    pub(super) fn lent(&mut self, from: NodeId, term: Term, prev: Place, entries: &[Entry], now: Millis) {
        let is_source = matches!(&self.state, State::Preparing(preparing) if preparing.source() == Some(from));
        if !is_source || entries.is_empty() {
            return;
        }
        if let Some(matched) = self.merge(term, prev, entries) {
            self.fetched_up_to(matched, now);
        }
    }

    /// This node has the same as the source up to here.
    pub(super) fn fetched_up_to(&mut self, matched: u64, now: Millis) {
        let State::Preparing(preparing) = &mut self.state else {
            return;
        };
        let term = preparing.term;
        let Some(fetching) = preparing.fetching.as_mut().filter(|fetching| matched > fetching.after) else {
            return;
        };
        fetching.after = matched;
        fetching.tries = 0;
        if self.kept.log.holds(fetching.end) {
            return self.lead(term, now);
        }
        self.fetch(now);
    }

    /// The nodes that have said something under this leadership.
    pub(super) fn answerers(&self) -> BTreeSet<NodeId> {
        match &self.state {
            State::Preparing(preparing) => preparing.answers.keys().copied().collect(),
            _ => BTreeSet::new(),
        }
    }
}
