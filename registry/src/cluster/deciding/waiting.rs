//! Those who wait for a decision, and those who wait to have all that was decided. Many of the latter share one proposal that changes nothing: what was
//! decided before it was made comes before it. Who comes while it is under way waits for the next one.

use std::{collections::BTreeMap, time::Duration};

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

/// How soon after one proposal for them the next one is made. Each is a sync of all disks of the cluster, and a stranger needs no more than a wrong
/// password to have one made.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

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
    /// Before then no proposal is made for them.
    look_at: Option<Instant>,
}

impl Waiting {
    /// Takes a wish. What is to be proposed for it, if anything. `encode` gives a change as bytes.
    pub(super) fn take(
        &mut self,
        wish: Wish,
        now: Instant,
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
                self.look(now)
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

    /// When [`look`](Self::look) has something to propose, if it has.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.look_at
            .filter(|_| self.looking.is_none() && !self.later.is_empty())
    }

    /// Lets those who wait look together, unless others do or have done so just now.
    pub(super) fn look(&mut self, now: Instant) -> Option<Proposal> {
        let is_early = self.look_at.is_some_and(|at| now < at);
        if self.looking.is_some() || self.later.is_empty() || is_early {
            return None;
        }
        self.look_at = Some(now + LOOK_PAUSE);
        let ticket = self.ticket();
        self.looking = Some((ticket, std::mem::take(&mut self.later)));
        Some((ticket, Change::default()))
    }

    /// A proposal was applied. Whoever waits for it is told; what is to be proposed next.
    pub(super) fn applied(&mut self, ticket: Ticket, outcome: Outcome, now: Instant) -> Option<Proposal> {
        if let Some(asked) = self.asked.remove(&ticket) {
            // Who has hung up asks again.
            let _ = asked.answer.send(Ok(outcome));
            return None;
        }
        self.looked(ticket, now, &Ok(()))
    }

    /// A proposal has come to nothing. It is proposed once more where it never will be applied and somebody has time to wait for it; else he is told
    /// why.
    pub(super) fn refused(&mut self, ticket: Ticket, why: Refusal, now: Instant, told: &Undecided) -> Option<Proposal> {
        let is_worth_it = matches!(why, Refusal::Superseded | Refusal::NoLeader);
        if let Some(asked) = self.asked.remove(&ticket) {
            if is_worth_it && now < asked.until && !asked.answer.is_closed() {
                return self.ask(asked);
            }
            let _ = asked.answer.send(Err(told.clone()));
            return None;
        }
        let is_own = self.looking.as_ref().is_some_and(|(of, _)| *of == ticket);
        if is_own && is_worth_it {
            let waiting = self.looking.take().map(|(_, waiting)| waiting).unwrap_or_default();
            let (patient, over): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|(until, answer)| now < *until && !answer.is_closed());
            over.into_iter()
                .for_each(|(_, answer)| drop(answer.send(Err(told.clone()))));
            self.later.extend(patient);
            return self.look(now);
        }
        self.looked(ticket, now, &Err(told.clone()))
    }

    fn looked(&mut self, ticket: Ticket, now: Instant, answer: &Result<(), Undecided>) -> Option<Proposal> {
        let (_, waiting) = self.looking.take_if(|(of, _)| *of == ticket)?;
        for (_, waits) in waiting {
            let _ = waits.send(answer.clone());
        }
        self.look(now)
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

    fn catch_up(waiting: &mut Waiting, now: Instant) -> (Option<Proposal>, Answer) {
        let (answer, answered) = oneshot::channel();
        let until = later();
        let proposal = waiting.take(Wish::CatchUp { until, answer }, now, |_| Vec::new());
        (proposal, answered)
    }

    #[test]
    fn many_catch_up_by_one_proposal_and_who_comes_later_by_the_next_one() {
        let mut waiting = Waiting::default();
        let now = Instant::now();
        let (first, mut one) = catch_up(&mut waiting, now);
        let (ticket, change) = first.unwrap();
        assert!(change.is_empty());
        let (none, mut two) = catch_up(&mut waiting, now);
        let (also_none, mut three) = catch_up(&mut waiting, now);
        assert!(none.is_none() && also_none.is_none());
        let now = now + LOOK_PAUSE;
        let (next, _) = waiting.applied(ticket, Ok(change::Done::Plainly), now).unwrap();
        assert_eq!(one.try_recv(), Ok(Ok(())));
        assert!(two.try_recv().is_err(), "it may have come too late");
        assert!(waiting.applied(ticket, Ok(change::Done::Plainly), now).is_none());
        assert!(waiting.applied(next, Ok(change::Done::Plainly), now).is_none());
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
        let now = Instant::now();
        let (first, bytes) = waiting.take(wish, now, |_| b"change".to_vec()).unwrap();
        let again = waiting.refused(first, Refusal::Superseded, Instant::now(), &Undecided::Aside);
        let (second, same) = again.unwrap();
        assert!(first != second && bytes == same);
        assert!(answered.try_recv().is_err());
        // That one may yet come.
        let none = waiting.refused(second, Refusal::NoMajority, Instant::now(), &Undecided::Aside);
        assert!(none.is_none());
        assert!(matches!(answered.try_recv(), Ok(Err(Undecided::Aside))));

        let (first, mut one) = catch_up(&mut waiting, now);
        let (_, mut two) = catch_up(&mut waiting, now);
        let now = now + LOOK_PAUSE;
        let again = waiting.refused(first.unwrap().0, Refusal::NoLeader, now, &Undecided::Aside);
        assert!(
            waiting
                .applied(again.unwrap().0, Ok(change::Done::Plainly), now)
                .is_none()
        );
        assert_eq!((one.try_recv(), two.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
        let (first, mut one) = catch_up(&mut waiting, now + LOOK_PAUSE);
        let over = later() + Duration::from_secs(1);
        let none = waiting.refused(first.unwrap().0, Refusal::NoLeader, over, &Undecided::Aside);
        assert!(none.is_none() && one.try_recv() == Ok(Err(Undecided::Aside)));
    }

    #[test]
    fn who_is_refused_again_and_again_does_not_keep_all_disks_busy() {
        let mut waiting = Waiting::default();
        let mut now = Instant::now();
        let mut made = 0;
        let mut looking = None;
        let end = now + 10 * LOOK_PAUSE;
        while now < end {
            let (first, _) = catch_up(&mut waiting, now);
            let due = waiting.wake_at().is_some_and(|at| at <= now);
            assert!(first.is_none() || !due);
            looking = looking.or(first).or_else(|| waiting.look(now));
            if let Some((ticket, _)) = looking.take() {
                made += 1;
                assert!(waiting.applied(ticket, Ok(change::Done::Plainly), now).is_none());
            }
            now += Duration::from_millis(1);
        }
        assert_eq!(made, 10);
        assert_eq!(waiting.wake_at(), Some(end), "the last ones are not forgotten");
        assert!(waiting.look(end).is_some());
    }
}
