//! Fresh secrets for private rooms, from the system's random numbers: nobody may be able to compute one.

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::node::{
    event::{Code, Notice},
    private::Secret,
};

/// A secret that was never used.
///
/// # Errors
/// The system has no random numbers.
pub(super) fn fresh() -> Result<Secret, Notice> {
    let mut secret = Secret::default();
    match SystemRandom::new().fill(&mut *secret) {
        Ok(()) => Ok(secret),
        Err(_) => Err(Notice {
            code: Code::Refused,
            message: "the system has no random numbers for the secret of a private room".to_owned(),
        }),
    }
}
