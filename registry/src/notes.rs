//! What registries of one site say to each other by way of the table that they share: sealed, so that whoever can write to the table and
//! is none of them says nothing of his own, and whoever can read it learns no code. He could say again what one of them has said: that lets
//! nobody in, but tries can so be counted or forgiven once more. And the questions to which an answer is awaited.
//!
//! Registries of one site have one authority, whose key nobody else has; the keys used here follow from it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ring::{
    hmac::{self, HMAC_SHA256},
    rand::{SecureRandom as _, SystemRandom},
};
use tokio::sync::oneshot;

use crate::{
    accounts::linking::Code,
    authority::{Authority, AuthorityError},
    routes::{Note, limits::NOTE_BYTES_MAX},
};

/// What the keys are for.
const NOTES: &str = "peerchat: what registries of one site say to each other";
const CODES: &str = "peerchat: approval codes between registries of one site";

/// How many bytes a tag has.
const TAG_BYTES: usize = 32;

/// Questions that wait at the same time. They end within seconds.
const ASKED_MAX: usize = 1_024;

/// The keys of a site, and what was asked of it. `A` is what an answer is.
pub(crate) struct Notes<A> {
    /// Which registry this is, in what it says: it hears that too.
    pub(crate) own: u64,
    notes: hmac::Key,
    codes: hmac::Key,
    asked: Mutex<BTreeMap<u64, oneshot::Sender<A>>>,
    random: SystemRandom,
}

/// A question. With its end no answer is awaited.
pub(crate) struct Asked<'n, A> {
    of: &'n Notes<A>,
    /// Its number.
    pub(crate) number: u64,
    /// Gets the answer.
    pub(crate) answer: oneshot::Receiver<A>,
}

impl<A> Notes<A> {
    /// Those of the site that has this authority.
    ///
    /// # Errors
    /// The authority's key cannot be used, or the system has no random numbers.
    pub(crate) fn new(authority: &Authority) -> Result<Self, AuthorityError> {
        let key = |purpose| Ok::<_, AuthorityError>(hmac::Key::new(HMAC_SHA256, &authority.secret(purpose)?));
        let random = SystemRandom::new();
        Ok(Self {
            own: number(&random).ok_or(AuthorityError::NoRandomness)?,
            notes: key(NOTES)?,
            codes: key(CODES)?,
            asked: Mutex::default(),
            random,
        })
    }

    /// What is said, as it goes through the table; none where it is too long.
    pub(crate) fn seal(&self, said: &[u8]) -> Option<Note> {
        if said.len() > NOTE_BYTES_MAX - TAG_BYTES {
            return None;
        }
        let tag = hmac::sign(&self.notes, said);
        Note::new([tag.as_ref(), said].concat())
    }

    /// What another one said; none where it is not of this site.
    pub(crate) fn open<'b>(&self, note: &'b Note) -> Option<&'b [u8]> {
        let (tag, said) = note.bytes().split_at_checked(TAG_BYTES)?;
        hmac::verify(&self.notes, said, tag).ok()?;
        Some(said)
    }

    /// A code of an account, as it is said to others: whoever has both can tell that it is this one, and nobody learns it.
    pub(crate) fn seal_code(&self, account: &str, code: Code) -> [u8; TAG_BYTES] {
        // No code has a zero byte, so the two have one place where they meet.
        let text = [account.as_bytes(), b"\0", code.to_string().as_bytes()].concat();
        let mut sealed = [0; TAG_BYTES];
        sealed.copy_from_slice(hmac::sign(&self.codes, &text).as_ref());
        sealed
    }

    /// A question; none where too many wait, or the system has no random numbers.
    pub(crate) fn ask(&self) -> Option<Asked<'_, A>> {
        let number = number(&self.random)?;
        let (sender, answer) = oneshot::channel();
        let mut asked = self.lock();
        if asked.len() >= ASKED_MAX {
            return None;
        }
        asked.insert(number, sender);
        Some(Asked {
            of: self,
            number,
            answer,
        })
    }

    /// Answers a question, if it is one of this registry's and still waits.
    pub(crate) fn settle(&self, number: u64, answer: A) {
        let asked = self.lock().remove(&number);
        if let Some(asked) = asked {
            // Who asked may have gone.
            let _ = asked.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<A>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(random: &SystemRandom) -> Option<u64> {
    let mut number = [0; 8];
    random.fill(&mut number).ok()?;
    Some(u64::from_be_bytes(number))
}

impl<A> Drop for Asked<'_, A> {
    fn drop(&mut self) {
        self.of.lock().remove(&self.number);
    }
}

impl<A> fmt::Debug for Notes<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(authority: &Authority) -> Notes<u8> {
        Notes::new(authority).unwrap()
    }

    #[test]
    fn only_registries_of_the_same_authority_understand_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(&folder.path().join("ca")).unwrap();
        let copy = Authority::find(&folder.path().join("ca")).unwrap().unwrap();
        let (one, other) = (of(&authority), of(&copy));
        let foreign = of(&Authority::in_memory().unwrap());
        let note = one.seal(b"hello").unwrap();
        assert_eq!(other.open(&note), Some(&b"hello"[..]));
        assert_eq!(foreign.open(&note), None);
        for at in 0..note.bytes().len() {
            let mut altered = note.bytes().to_vec();
            altered[at] ^= 1;
            assert_eq!(other.open(&Note::new(altered).unwrap()), None, "byte {at}");
        }
        for len in 0..TAG_BYTES {
            assert_eq!(other.open(&Note::new(&note.bytes()[..len]).unwrap()), None);
        }
        assert!(one.seal(&[0; NOTE_BYTES_MAX]).is_none());
        let longest = one.seal(&[7; NOTE_BYTES_MAX - TAG_BYTES]).unwrap();
        assert!(other.open(&longest).is_some());

        let code: Code = "ABCD-EFGH".parse().unwrap();
        let sealed = one.seal_code("alice", code);
        assert_eq!(sealed, other.seal_code("alice", code));
        for unlike in [
            one.seal_code("alicf", code),
            one.seal_code("alice", "ABCD-EFGJ".parse().unwrap()),
            foreign.seal_code("alice", code),
        ] {
            assert_ne!(sealed, unlike);
        }
    }

    #[tokio::test]
    async fn a_question_has_one_answer_and_waits_no_longer_than_who_asked() {
        let notes = of(&Authority::in_memory().unwrap());
        let mut asked = notes.ask().unwrap();
        notes.settle(asked.number.wrapping_add(1), 1);
        notes.settle(asked.number, 2);
        notes.settle(asked.number, 3);
        assert_eq!((&mut asked.answer).await, Ok(2));
        let many: Vec<_> = (0..ASKED_MAX).map(|_| notes.ask().unwrap()).collect();
        assert!(notes.ask().is_none());
        drop(many);
        assert!(notes.ask().is_some());
        assert!(notes.lock().is_empty());
    }
}
