//! Tries are counted here, and told to the other registries of the site, which count them as well: whoever may guess so often at one of them
//! may not guess so often at each.

use std::sync::Arc;

use peerchat_proto::names::UserName;
use tokio::sync::mpsc;

use super::{Accounts, Waits};
use crate::{
    accounts::{
        throttle::{Origin, Wait},
        tries::{Tried, What},
    },
    routes::Millis,
};

/// Tries that wait to be told to the others. What finds no place is counted here alone.
const TELL_MAX: usize = 256;

impl Accounts {
    /// What is counted here, from now on, for the other registries of the site.
    pub fn tries(&self) -> mpsc::Receiver<Tried> {
        let (others, tries) = mpsc::channel(TELL_MAX);
        self.lock().others = Some(others);
        tries
    }

    /// Counts what another registry has counted.
    pub fn count(&self, tried: Tried, now: Millis) {
        let mut waits = self.lock();
        // One for which there is a wait here already is not counted: it makes nobody's wait longer.
        let _waits_already = match (tried.what, tried.was_right) {
            (What::Password(account, from), false) => waits.guesses.attempt(&account, from, now),
            (What::Password(account, from), true) => {
                waits.guesses.was_right(&account, from);
                Ok(())
            }
            (What::NewName(from), false) => waits.new_names.attempt(&from, now),
            (What::NewName(_), true) => Ok(()),
            (What::Code(account), false) => waits.links.count_wrong(&account, now),
            (What::Code(account), true) => {
                waits.links.was_right(&account);
                Ok(())
            }
        };
    }

    /// Counts a guess at a password, before it is heard.
    pub(super) fn guesses(&self, name: &UserName, from: Origin, now: Millis) -> Result<(), Wait> {
        let mut waits = self.lock();
        waits.guesses.attempt(name.key(), from, now)?;
        waits.tell(Tried::counted(What::Password(name.key().into(), from)));
        Ok(())
    }

    /// The guess was right.
    pub(super) fn guessed_right(&self, name: &UserName, from: Origin) {
        let mut waits = self.lock();
        waits.guesses.was_right(name.key(), from);
        waits.tell(Tried::right(What::Password(name.key().into(), from)));
    }

    /// Counts a name that is to be taken.
    pub(super) fn takes_a_name(&self, from: Origin, now: Millis) -> Result<(), Wait> {
        let mut waits = self.lock();
        waits.new_names.attempt(&from, now)?;
        waits.tell(Tried::counted(What::NewName(from)));
        Ok(())
    }
}

impl Waits {
    /// Tells the others of a code that is right, or not known here.
    pub(super) fn tell_code(&self, account: &str, was_right: bool) {
        let what = What::Code(Arc::from(account));
        self.tell(Tried { what, was_right });
    }

    fn tell(&self, tried: Tried) {
        if let Some(others) = &self.others {
            // Where there is no place for it: see [`TELL_MAX`].
            let _ = others.try_send(tried);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Now, Policy, WallTime, linking::Code, rules::Registration, store::Place};

    async fn accounts() -> Accounts {
        let policy = Policy {
            registration: Registration::Open,
            certificate_lifetime: std::time::Duration::from_secs(60),
        };
        Accounts::open(&Place::Memory, policy).await.unwrap()
    }

    /// Brings to one registry what another one has counted.
    fn pass(tries: &mut mpsc::Receiver<Tried>, to: &Accounts, now: Millis) -> usize {
        let mut passed = 0;
        while let Ok(tried) = tries.try_recv() {
            to.count(tried, now);
            passed += 1;
        }
        passed
    }

    #[tokio::test]
    async fn what_is_tried_at_one_registry_counts_at_all() {
        let (one, other) = (accounts().await, accounts().await);
        let (mut ones, mut others) = (one.tries(), other.tries());
        let (alice, now) = (UserName::new("alice").unwrap(), Millis(0));
        let from = |last| Origin::new([192, 0, 2, last].into());
        // By turns: five guesses are free, wherever they are made.
        for n in 0..5_u8 {
            let at = if n % 2 == 0 { &one } else { &other };
            at.guesses(&alice, from(n), now).unwrap();
            assert_eq!(
                pass(&mut ones, &other, now) + pass(&mut others, &one, now),
                1,
                "and not back again"
            );
        }
        one.guesses(&alice, from(9), now).unwrap_err();
        other.guesses(&alice, from(9), now).unwrap_err();
        assert_eq!(
            pass(&mut ones, &other, now) + pass(&mut others, &one, now),
            0,
            "a wait is no try"
        );
        one.guessed_right(&alice, from(0));
        pass(&mut ones, &other, now);
        other.guesses(&alice, from(1), now).unwrap();

        for n in 0..40 {
            let at = if n % 2 == 0 { &one } else { &other };
            at.takes_a_name(from(7), now).unwrap();
            pass(&mut ones, &other, now);
            pass(&mut others, &one, now);
        }
        one.takes_a_name(from(7), now).unwrap_err();
        other.takes_a_name(from(7), now).unwrap_err();
        other.takes_a_name(from(8), now).unwrap();
    }

    #[tokio::test]
    async fn a_wrong_code_counts_at_all_and_a_right_one_at_none() {
        let (one, other) = (accounts().await, accounts().await);
        let mut ones = one.tries();
        let alice = UserName::new("alice").unwrap();
        let now = Now {
            wall: WallTime(0),
            running: Millis(0),
        };
        let by = crate::routes::DeviceId([1; 32]);
        let arrival = super::super::Arrival {
            name: &alice,
            device: by,
            label: &crate::accounts::DeviceLabel::new(""),
            password: None,
            invite: None,
            from: [127, 0, 0, 1].into(),
        };
        for at in [&one, &other] {
            at.admit(&arrival, now).await.unwrap();
        }
        for _ in 0..5 {
            one.approve(&alice, by, Code::new([1; 5]), now).await.unwrap_err();
        }
        let is_heard = async |at: &Accounts| {
            let error = at.approve(&alice, by, Code::new([1; 5]), now).await.unwrap_err();
            error.to_string().contains("no new device of yours")
        };
        pass(&mut ones, &other, now.running);
        assert!(!is_heard(&other).await);
        one.approved_elsewhere(&alice);
        pass(&mut ones, &other, now.running);
        assert!(is_heard(&one).await && is_heard(&other).await);
    }
}
