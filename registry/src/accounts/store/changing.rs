//! Changes in the database: one by itself, or those that a cluster has decided, each in its place.

use sqlx::Row as _;

use super::{Store, StoreError, Value, Work};
use crate::accounts::change::{Change, Done, What};

/// Where in the order of a cluster's changes one is: the number of the term under which it was put there, and its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The term.
    pub term: u64,
    /// The number. The first one is 1; before it is 0.
    pub index: u64,
}

/// What has become of a change: what it has done, or why the rules were against it. Other errors are none of these.
pub type Outcome = Result<Done, StoreError>;

impl Store {
    /// Makes a change, or nothing of it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the rules are against it; [`StoreError::Raced`] where something has changed since it was looked up.
    pub async fn decide(&self, change: &Change) -> Outcome {
        let mut work = self.write().await?;
        let done = work.carry_out(change).await?;
        work.commit().await?;
        self.written.count(&done);
        Ok(done)
    }

    /// The position of the last change that [`apply`](Self::apply) or [`install`](Self::install) has brought.
    ///
    /// # Errors
    /// The database fails.
    pub async fn position(&self) -> Result<Position, StoreError> {
        self.read().await?.position().await
    }

    /// Whether nobody has an account or an invite.
    ///
    /// # Errors
    /// The database fails.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let mut work = self.read().await?;
        for sql in [
            "SELECT name FROM accounts LIMIT 1",
            "SELECT created FROM invites LIMIT 1",
        ] {
            if work.one(sql, &[]).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes changes in their places, all in one transaction with the position of the last one. One that was made before is passed over. A place
    /// without a change is one too. Answers what became of each that was not passed over, in their order: one that is refused changes nothing, and
    /// has its place all the same.
    ///
    /// # Errors
    /// The database fails; then none of them was made.
    pub async fn apply(&self, changes: &[(Position, Option<Change>)]) -> Result<Vec<(Position, Outcome)>, StoreError> {
        let mut work = self.write_decided().await?;
        let mut last = work.position().await?;
        let mut outcomes = Vec::new();
        for (at, change) in changes.iter().filter(|(at, _)| at.index > last.index) {
            let outcome = match change {
                Some(change) => match work.carry_out(change).await {
                    Err(error) if !error.is_of_the_change() => return Err(error),
                    outcome => outcome,
                },
                None => Ok(Done::Plainly),
            };
            outcomes.push((*at, outcome));
        }
        if let Some((at, _)) = outcomes.last() {
            last = *at;
            work.set_position(last).await?;
        }
        work.commit().await?;
        for done in outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()) {
            self.written.count(done);
        }
        Ok(outcomes)
    }
}

impl StoreError {
    /// It follows from the change and from what is stored, so it is the same wherever both are.
    fn is_of_the_change(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::LooksLike(_) | Self::Raced | Self::TooManyInvites(_)
        )
    }
}

impl Work {
    async fn carry_out(&mut self, change: &Change) -> Outcome {
        let now = change.at;
        Ok(match &change.what {
            What::Claim(claim) => Done::LetIn(self.settle(claim, now).await?),
            What::Approve {
                name,
                by,
                device,
                label,
            } => {
                self.approve(name, *by, *device, label, now).await?;
                Done::Plainly
            }
            What::Revoke { name, by, device } => {
                let is_new = self.revoke(name, *by, *device, now).await?;
                Done::Revoked { is_new }
            }
            What::SetPassword { name, by, password } => {
                self.set_password(name, *by, password, now).await?;
                Done::Plainly
            }
            What::AddInvite { invite, expires } => {
                self.add_invite(*invite, *expires, now).await?;
                Done::Plainly
            }
            What::Import(part) => Done::Imported(self.import(part, now).await?),
        })
    }

    pub(super) async fn position(&mut self) -> Result<Position, StoreError> {
        let Some(row) = self.one("SELECT term, place FROM ledger_position", &[]).await? else {
            return Ok(Position::default());
        };
        let number = |column| u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Damaged);
        Ok(Position {
            term: number(0)?,
            index: number(1)?,
        })
    }

    pub(super) async fn set_position(&mut self, position: Position) -> Result<(), StoreError> {
        self.run("DELETE FROM ledger_position", &[]).await?;
        let sql = "INSERT INTO ledger_position (term, place) VALUES (?, ?)";
        let values = [Value::Large(position.term), Value::Large(position.index)];
        self.run(sql, &values).await.map(drop)
    }
}
