//! Who comes in: what is known of him here, what he brings, and what is decided.

use super::{AccountError, Accounts, Admission, Arrival};
use crate::{
    accounts::{
        Now,
        change::{Claim, Done, Proof, Settled, What},
        looks::looks,
        rules::{self, Brought, Decision, PasswordResult, Refusal},
        store::{Found, StoreError},
        throttle::Origin,
    },
    routes::{DeviceId, Millis},
};

/// How often a step is begun again because somebody else was faster. Each time somebody got through, so three are plenty.
const ROUNDS_MAX: usize = 3;

impl Accounts {
    pub(super) async fn settle(&self, arrival: &Arrival<'_>, now: Now) -> Result<Admission, AccountError> {
        let from = Origin::new(arrival.from);
        let until = Self::deadline();
        let mut counted = false;
        for _ in 0..ROUNDS_MAX {
            let who = (arrival.name, arrival.device, arrival.invite);
            let found = self
                .look_up(who, now.wall, until, |found| {
                    refusal(self.expected(found, &Proof::None))
                })
                .await?;
            let expected = self.expected(&found, &Proof::None);
            // Should it be revoked now: see `Service::certify`.
            if let (Decision::Welcome, Some(user)) = (expected, &found.shown)
                && found.is_known(arrival.label, now.wall)
            {
                let (user, decision) = (user.clone(), Decision::Welcome);
                return Ok(self.admitted(Settled { user, decision }, arrival.device));
            }
            let looks = looks(arrival.name);
            if let Decision::Create { .. } = expected {
                arrival.name.check_new()?;
                // Before anything is counted or hashed; whoever decides looks again.
                let taken = self.store.taken(&looks).await?;
                if let Some(taken) = taken.filter(|taken| taken != arrival.name) {
                    return Err(StoreError::LooksLike(taken).into());
                }
            }
            if let Decision::Create { .. } = expected
                && !counted
                && !from.is_loopback()
            {
                // On one machine names are taken by its own users, and by tests in hundreds.
                self.takes_a_name(from, now.running)?;
                counted = true;
            }
            let proof = self.proof(arrival, &found, from, now.running).await?;
            let was_compared = matches!(proof, Proof::Compared { is_right: true, .. });
            let settled = match self.expected(&found, &proof) {
                // What is stored is against him, whoever decides.
                Decision::Refuse(refusal) => Err(refusal.into()),
                // Nobody else need know, so nobody is asked.
                Decision::Welcome => {
                    let back = self
                        .store
                        .welcome(arrival.name, arrival.device, arrival.label, now.wall);
                    back.await.map(Done::LetIn).map_err(AccountError::from)
                }
                _ => {
                    let claim = Claim {
                        name: arrival.name.clone(),
                        device: arrival.device,
                        label: arrival.label.clone(),
                        proof,
                        invite: arrival.invite,
                        registration: self.policy.registration,
                        looks,
                    };
                    self.decide(What::Claim(claim), now.wall, until).await
                }
            };
            match settled {
                Err(AccountError::Store(StoreError::Raced)) => {}
                settled => {
                    if was_compared {
                        self.guessed_right(arrival.name, from);
                    }
                    return match settled? {
                        Done::LetIn(settled) => Ok(self.admitted(settled, arrival.device)),
                        _ => Err(StoreError::Raced.into()),
                    };
                }
            }
        }
        Err(StoreError::Raced.into())
    }

    /// What would happen to who has proved this.
    fn expected(&self, found: &Found, proof: &Proof) -> Decision {
        let password = match proof {
            Proof::None | Proof::New(_) => PasswordResult::None,
            Proof::Compared { is_right: true, .. } => PasswordResult::Right,
            Proof::Compared { is_right: false, .. } => PasswordResult::Wrong,
        };
        let invite = found.invite;
        let brought = Brought { password, invite };
        rules::decide(found.stored, found.device, brought, self.policy.registration)
    }

    /// Looks at the password where it decides something; nothing is hashed for anybody else.
    async fn proof(
        &self,
        arrival: &Arrival<'_>,
        found: &Found,
        from: Origin,
        now: Millis,
    ) -> Result<Proof, AccountError> {
        let Some(password) = arrival.password else {
            return Ok(Proof::None);
        };
        match (self.expected(found, &Proof::None), &found.password) {
            (Decision::Create { .. }, _) => Ok(Proof::New(self.hasher.hash(password).await?)),
            (Decision::Refuse(Refusal::NameTaken { .. }), Some(with)) => {
                self.guesses(arrival.name, from, now)?;
                Ok(Proof::Compared {
                    is_right: self.hasher.is_right(password, with).await?,
                    with: with.clone(),
                })
            }
            _ => Ok(Proof::None),
        }
    }

    fn admitted(&self, settled: Settled, device: DeviceId) -> Admission {
        let is_new_user = matches!(settled.decision, Decision::Create { .. });
        let is_new_device = settled.decision != Decision::Welcome;
        if is_new_device {
            self.waits_no_longer(device);
        }
        Admission {
            user: settled.user,
            is_new_user,
            is_new_device,
        }
    }
}

fn refusal(decision: Decision) -> Option<Refusal> {
    match decision {
        Decision::Refuse(refusal) => Some(refusal),
        _ => None,
    }
}
