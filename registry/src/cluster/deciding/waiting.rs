//! Those who wait for a decision, and those who wait to have all that was decided. Many of the latter share one proposal that changes nothing: what was
//! decided before it was made comes before it. Who comes while it is under way waits for the next one.

use std::collections::BTreeMap;

use tokio::{sync::oneshot, time::Instant};

use crate::{
    accounts::{
        decider::{Undecided, Wish},
        store::Outcome,
    },
    cluster::ledger::{Change, Refusal, Ticket},
};

/// How many may wait to catch up. More are refused.
const CATCHING_UP_MAX: usize = 8_192;

/// What is to be proposed.
pub(super) type Proposal = (Ticket, Change);

#[derive(Debug)]
struct Asked {
    change: Change,
    until: Instant,
    answer: oneshot::Sender<Result<Outcome, Undecided>>,
}

type CatchUp = (Instant, oneshot::Sender<Result<(), Undecided>>);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The last ticket that was used.
    last: u64,
    asked: BTreeMap<Ticket, Asked>,
    /// The proposal of those who catch up.
    looking: Option<(Ticket, Vec<CatchUp>)>,
    /// Those who came after it.
    later: Vec<CatchUp>,
}

impl Waiting {
    /// Takes a wish. What is to be proposed for it, if anything. `encode` gives a change as bytes.
    pub(super) fn take(
        &mut self,
        wish: Wish,
        encode: impl Fn(&crate::accounts::change::Change) -> Vec<u8>,
    ) -> Option<Proposal> {
        match wish {
            Wish::Change { change, until, answer } => {
                let change: Change = encode(&change).into();
                self.ask(Asked { change, until, answer })
            }
            Wish::CatchUp { until, answer } => {
                if self.later.len() >= CATCHING_UP_MAX {
                    let _ = answer.send(Err(Undecided::Busy));
                    return None;
                }
                self.later.push((until, answer));
                self.look()
            }
        }
    }

    fn ask(&mut self, asked: Asked) -> Option<Proposal> {
        let ticket = self.ticket();
        let change = asked.change.clone();
        self.asked.insert(ticket, asked);
        Some((ticket, change))
    }

    fn ticket(&mut self) -> Ticket {
        self.last += 1;
        Ticket(self.last)
    }

    /// Lets those who wait look together, unless others do.
    fn look(&mut self) -> Option<Proposal> {
        if self.looking.is_some() || self.later.is_empty() {
            return None;
        }
        let ticket = self.ticket();
        self.looking = Some((ticket, std::mem::take(&mut self.later)));
        Some((ticket, Change::default()))
    }

    /// A proposal was applied. Whoever waits for it is told; what is to be proposed next.
    pub(super) fn applied(&mut self, ticket: Ticket, outcome: Outcome) -> Option<Proposal> {
        if let Some(asked) = self.asked.remove(&ticket) {
            // Who has hung up asks again.
            let _ = asked.answer.send(Ok(outcome));
            return None;
        }
        self.looked(ticket, |_| Ok(()))
    }

    /// A proposal has come to nothing. It is proposed once more where it never will be applied and somebody has time to wait for it; else he is told
    /// why.
    pub(super) fn refused(
        &mut self,
        ticket: Ticket,
        why: Refusal,
        now: Instant,
        told: impl Fn() -> Undecided,
    ) -> Option<Proposal> {
        let is_worth_it = matches!(why, Refusal::Superseded | Refusal::NoLeader);
        if let Some(asked) = self.asked.remove(&ticket) {
            if is_worth_it && now < asked.until && !asked.answer.is_closed() {
                return self.ask(asked);
            }
            let _ = asked.answer.send(Err(told()));
            return None;
        }
        let is_own = self.looking.as_ref().is_some_and(|(of, _)| *of == ticket);
        if is_own && is_worth_it {
            let waiting = self.looking.take().map(|(_, waiting)| waiting).unwrap_or_default();
            let (patient, over): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|(until, answer)| now < *until && !answer.is_closed());
            over.into_iter().for_each(|(_, answer)| drop(answer.send(Err(told()))));
            self.later.extend(patient);
            return self.look();
        }
        self.looked(ticket, |_| Err(told()))
    }

    fn looked(&mut self, ticket: Ticket, answer: impl Fn(Ticket) -> Result<(), Undecided>) -> Option<Proposal> {
        let (_, waiting) = self.looking.take_if(|(of, _)| *of == ticket)?;
        for (_, waits) in waiting {
            let _ = waits.send(answer(ticket));
        }
        self.look()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::accounts::{WallTime, change, invite::InviteHash};

    type Answer = oneshot::Receiver<Result<(), Undecided>>;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn catch_up(waiting: &mut Waiting) -> (Option<Proposal>, Answer) {
        let (answer, answered) = oneshot::channel();
        let until = later();
        (waiting.take(Wish::CatchUp { until, answer }, |_| Vec::new()), answered)
    }

    fn aside() -> Undecided {
        Undecided::Aside
    }

    #[test]
    fn many_catch_up_by_one_proposal_and_who_comes_later_by_the_next_one() {
        let mut waiting = Waiting::default();
        let (first, mut one) = catch_up(&mut waiting);
        let (ticket, change) = first.unwrap();
        assert!(change.is_empty());
        let (none, mut two) = catch_up(&mut waiting);
        let (also_none, mut three) = catch_up(&mut waiting);
        assert!(none.is_none() && also_none.is_none());
        let (next, _) = waiting.applied(ticket, Ok(change::Done::Plainly)).unwrap();
        assert_eq!(one.try_recv(), Ok(Ok(())));
        assert!(two.try_recv().is_err(), "it may have come too late");
        assert!(waiting.applied(ticket, Ok(change::Done::Plainly)).is_none());
        assert!(waiting.applied(next, Ok(change::Done::Plainly)).is_none());
        assert_eq!((two.try_recv(), three.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
    }

    #[test]
    fn what_never_will_be_applied_is_proposed_again_and_nothing_else() {
        let mut waiting = Waiting::default();
        let change = change::Change {
            at: WallTime(7),
            what: change::What::AddInvite {
                invite: InviteHash([7; 32]),
                expires: WallTime(8),
            },
        };
        let (answer, mut answered) = oneshot::channel();
        let wish = Wish::Change {
            change: Box::new(change),
            until: later(),
            answer,
        };
        let (first, bytes) = waiting.take(wish, |_| b"change".to_vec()).unwrap();
        let again = waiting.refused(first, Refusal::Superseded, Instant::now(), aside);
        let (second, same) = again.unwrap();
        assert!(first != second && bytes == same);
        assert!(answered.try_recv().is_err());
        // That one may yet come.
        let none = waiting.refused(second, Refusal::NoMajority, Instant::now(), aside);
        assert!(none.is_none());
        assert!(matches!(answered.try_recv(), Ok(Err(Undecided::Aside))));

        let (first, mut one) = catch_up(&mut waiting);
        let (_, mut two) = catch_up(&mut waiting);
        let again = waiting.refused(first.unwrap().0, Refusal::NoLeader, Instant::now(), aside);
        assert!(waiting.applied(again.unwrap().0, Ok(change::Done::Plainly)).is_none());
        assert_eq!((one.try_recv(), two.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
        let (first, mut one) = catch_up(&mut waiting);
        let over = later() + Duration::from_secs(1);
        let none = waiting.refused(first.unwrap().0, Refusal::NoLeader, over, aside);
        assert!(none.is_none() && one.try_recv() == Ok(Err(Undecided::Aside)));
    }
}
