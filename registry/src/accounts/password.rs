//! Passwords: what may be one, and how one is kept.
//!
//! A password reaches the registry inside TLS and is in memory for as long as it is hashed. What is stored is its argon2id
//! hash (RFC 9106) with OWASP's least parameters, in the PHC format, which names them: they can be raised later, and what
//! is stored is still understood.

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{self, phc},
};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// The fewest characters of a password.
pub const CHARS_MIN: usize = 8;

/// The most characters of a password: a sentence, and no book.
pub const CHARS_MAX: usize = 128;

/// Longer input is not worth normalising.
const BYTES_MAX: usize = 4 * CHARS_MAX;

/// The memory, passes and lanes of a hash: 19 MiB, 2, 1.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes that are computed at the same time, which bounds their memory to 38 MiB.
const RUNNING_MAX: usize = 2;

/// Hashes that are computed or wait for it; over it the caller is told to come back. At about 30 ms each nobody waits longer
/// than a second.
const WAITING_MAX: usize = 64;

/// A password as somebody typed it, in normal form KC: the same on every keyboard. Wiped from memory at its end.
pub struct Password(Zeroizing<String>);

/// A text that may not be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPassword {
    /// Guessed too easily.
    #[error("a password has at least {CHARS_MIN} characters")]
    TooShort,
    /// Too much to hash.
    #[error("a password has at most {CHARS_MAX} characters")]
    TooLong,
    /// Nobody can type it again for sure.
    #[error("a password has no control characters")]
    Control,
}

impl Password {
    /// Checks and normalises a password.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn new(typed: &str) -> Result<Self, NoPassword> {
        if typed.len() > BYTES_MAX {
            return Err(NoPassword::TooLong);
        }
        // Measured before it is written: a string that grows leaves copies behind.
        let (mut chars, mut bytes) = (0, 0);
        for c in typed.nfkc() {
            if c.is_control() {
                return Err(NoPassword::Control);
            }
            chars += 1;
            bytes += c.len_utf8();
        }
        if chars < CHARS_MIN {
            return Err(NoPassword::TooShort);
        }
        if chars > CHARS_MAX {
            return Err(NoPassword::TooLong);
        }
        let mut password = Zeroizing::new(String::with_capacity(bytes));
        password.extend(typed.nfkc());
        Ok(Self(password))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("password …")
    }
}

/// What is stored of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Arc<str>);

impl PasswordHash {
    /// As it was stored.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// To be stored.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    /// Whoever has it can guess without being counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hash …")
    }
}

/// Why a password could not be hashed or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// As many wait as may.
    #[error("too many people give their passwords at once; try again in a moment")]
    Busy,
    /// The system failed.
    #[error("the registry's system has no random numbers or no memory; its operator must look into it")]
    System,
    /// What is stored is no hash.
    #[error("the stored password of this user is damaged; a device that is logged in can set a new one")]
    Damaged,
}

/// Hashes passwords on threads of their own, a few at a time.
#[derive(Debug)]
pub struct Hasher {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    params: Params,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            params: Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's bounds"),
        }
    }
}

impl Hasher {
    /// The hash of a password, with a new salt.
    ///
    /// # Errors
    /// [`HashError::Busy`] or [`HashError::System`].
    pub async fn hash(&self, password: &Arc<Password>) -> Result<PasswordHash, HashError> {
        let password = Arc::clone(password);
        self.run(move |argon2| {
            let mut salt = [0; 16];
            SystemRandom::new().fill(&mut salt).map_err(|_| HashError::System)?;
            let hash: Result<phc::PasswordHash, _> = argon2.hash_password_with_salt(password.0.as_bytes(), &salt);
            hash.map(|hash| PasswordHash(hash.to_string().into()))
                .map_err(|_| HashError::System)
        })
        .await
    }

    /// Whether a password is the one with this hash.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn is_right(&self, password: &Arc<Password>, hash: &PasswordHash) -> Result<bool, HashError> {
        let (password, hash) = (Arc::clone(password), hash.clone());
        self.run(move |argon2| {
            let hash = phc::PasswordHash::new(&hash.0).map_err(|_| HashError::Damaged)?;
            match argon2.verify_password(password.0.as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::PasswordInvalid) => Ok(false),
                Err(_) => Err(HashError::Damaged),
            }
        })
        .await
    }

    /// Runs one computation when its turn comes. A caller who goes away meanwhile does not give up the place of a thread
    /// that is still at work.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Argon2<'static>) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Arc::clone(&self.waiting)
            .try_acquire_owned()
            .map_err(|_| HashError::Busy)?;
        let turn = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_| HashError::Busy)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let thread = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work(argon2)
        });
        thread.await.map_err(|_| HashError::System)?
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn password(text: &str) -> Arc<Password> {
        Arc::new(Password::new(text).unwrap())
    }

    #[tokio::test]
    async fn a_password_is_known_again_however_it_is_typed() {
        let hasher = Hasher::default();
        let hash = hasher.hash(&password("Ångström 9")).await.unwrap();
        assert!(
            hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            hash.as_str()
        );
        for (typed, is_right) in [
            ("A\u{30a}ngstro\u{308}m 9", true),
            ("Ångström ９", true),
            ("ångström 9", false),
        ] {
            assert_eq!(hasher.is_right(&password(typed), &hash).await, Ok(is_right), "{typed}");
        }
        let again = hasher.hash(&password("Ångström 9")).await.unwrap();
        assert_ne!(hash, again, "each has a salt of its own");
        for damaged in ["", "plain text", "$argon2id$v=19$m=1,t=2", "$scrypt$ln=1$AAAA$AAAA"] {
            let compared = hasher
                .is_right(&password("Ångström 9"), &PasswordHash::stored(damaged))
                .await;
            assert_ne!(compared, Ok(true), "{damaged}");
        }
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded() {
        let hasher = Hasher {
            running: Arc::new(Semaphore::new(0)),
            ..Hasher::default()
        };
        let secret = password("correct horse");
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(hasher.hash(&secret))).collect();
        let mut waiting = tokio_stream::StreamExt::fuse(tokio_stream::iter(waiting));
        let mut begun = Vec::new();
        while let Some(mut one) = tokio_stream::StreamExt::next(&mut waiting).await {
            tokio::select! {
                biased;
                _ = &mut one => panic!("nothing can run"),
                () = std::future::ready(()) => begun.push(one),
            }
        }
        assert_eq!(hasher.hash(&secret).await, Err(HashError::Busy));
        drop(begun);
        hasher.running.add_permits(1);
        hasher.hash(&secret).await.unwrap();
    }

    #[test]
    fn what_may_be_a_password() {
        assert!(Password::new("12345678").is_ok());
        assert!(Password::new(&"ü".repeat(CHARS_MAX)).is_ok());
        assert_eq!(Password::new("1234567").unwrap_err(), NoPassword::TooShort);
        assert_eq!(
            Password::new(&"x".repeat(CHARS_MAX + 1)).unwrap_err(),
            NoPassword::TooLong
        );
        assert_eq!(Password::new(&"x".repeat(1 << 20)).unwrap_err(), NoPassword::TooLong);
        assert_eq!(Password::new("12345678\n").unwrap_err(), NoPassword::Control);
        // One character that normalises to eighteen.
        assert_eq!(
            Password::new(&"\u{fdfa}".repeat(CHARS_MAX)).unwrap_err(),
            NoPassword::TooLong
        );
    }

    #[test]
    fn a_password_never_shows_itself() {
        let secret = Password::new("open sesame").unwrap();
        assert!(!format!("{secret:?} {secret:#?}").contains("sesame"));
        assert!(!format!("{:?}", PasswordHash::stored("$argon2id$")).contains("argon2id"));
    }

    proptest! {
        #[test]
        fn a_password_fits_what_was_measured(typed in "\\PC{0,150}") {
            if let Ok(password) = Password::new(&typed) {
                prop_assert_eq!(password.0.len(), password.0.capacity());
                prop_assert!((CHARS_MIN..=CHARS_MAX).contains(&password.0.chars().count()));
            }
        }
    }
}
