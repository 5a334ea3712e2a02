//! The small files that a peer keeps for its next start: each is put in place as a whole, on another thread.
//!
//! The loop waits for no disk. Of each file the newest content is written, one write at a time, and what is there already is not written again. What
//! must be kept before it is told waits for that: the user is told of trust only when it is kept, so that nobody relies on what a loss of power takes
//! back. Nothing that others are told depends on these files: in which rooms the user is, is a comfort for the next start, and of two devices of his
//! the one that forgot is told by the other.

use std::{collections::BTreeMap, path::PathBuf};

use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::Driver;
use crate::{
    log::{self, Disk, IoError},
    node::{
        event::{Code, Event},
        private::Invitation,
        types::Conversation,
    },
};

/// One write is under way at a time.
const DONE_MAX: usize = 1;

/// So much is told late at most. What comes on top, while a disk does not answer, is told at once.
const TOLD_THEN_MAX: usize = 128;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    State,
    People,
    /// The invitation to a private room, in the room's folder, which may be as new.
    Invitation(Conversation),
}

/// What came of a write.
pub(super) type Done = (Kept, Result<(), IoError>);

/// What is to be written, and what is being written.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) done: (mpsc::Sender<Done>, mpsc::Receiver<Done>),
    under_way: Option<Kept>,
    next: BTreeMap<Kept, (PathBuf, Zeroizing<Vec<u8>>)>,
    /// What was written last, or is being written, but for secrets.
    written: BTreeMap<Kept, Vec<u8>>,
    /// What is told once everything is written.
    told_then: Vec<Event>,
}

impl Keeping {
    /// Nothing is to be written.
    pub(super) fn new() -> Self {
        Self {
            done: mpsc::channel(DONE_MAX),
            under_way: None,
            next: BTreeMap::new(),
            written: BTreeMap::new(),
            told_then: Vec::new(),
        }
    }

    fn is_busy(&self) -> bool {
        self.under_way.is_some() || !self.next.is_empty()
    }

    /// Keeps an event that must not be told before what it says of people is kept; gives back any other one.
    pub(super) fn hold(&mut self, event: Event) -> Option<Event> {
        let people = Some(Kept::People);
        let waits = self.under_way == people || self.next.contains_key(&Kept::People);
        let has_room = self.told_then.len() < TOLD_THEN_MAX;
        if waits && has_room && matches!(event, Event::People(_)) {
            self.told_then.push(event);
            return None;
        }
        Some(event)
    }
}

impl<D: Disk> Driver<D> {
    /// Has a file written, unless it has that content.
    pub(super) fn keep(&mut self, what: Kept, path: PathBuf, bytes: Vec<u8>) {
        let last = self.keeping.next.get(&what).map(|(_, bytes)| &**bytes);
        if last.or(self.keeping.written.get(&what)) == Some(&bytes) {
            return;
        }
        self.keeping.next.insert(what, (path, Zeroizing::new(bytes)));
        self.keep_next();
    }

    /// Has the invitation to a private room written.
    pub(super) async fn keep_invitation(&mut self, invitation: &Invitation) {
        let what = Kept::Invitation(Conversation::Room(invitation.room()));
        match self.core.place_of_invitation(invitation) {
            Ok((path, bytes)) => {
                self.keeping.next.insert(what, (path, bytes));
                self.keep_next();
            }
            Err(error) => self.not_kept(&what, &error).await,
        }
    }

    fn keep_next(&mut self) {
        if self.keeping.under_way.is_some() {
            return;
        }
        let Some((what, (path, bytes))) = self.keeping.next.pop_first() else {
            return;
        };
        let is_in_room = matches!(what, Kept::Invitation(_));
        if !is_in_room {
            self.keeping.written.insert(what.clone(), bytes.to_vec());
        }
        self.keeping.under_way = Some(what.clone());
        let (disk, done) = (self.disk.clone(), self.keeping.done.0.clone());
        tokio::task::spawn_blocking(move || {
            let folder = path.parent().filter(|_| is_in_room);
            let kept = disk.replace(&path, &bytes);
            let kept = kept.and_then(|()| folder.map_or(Ok(()), |folder| log::sync_place(&disk, folder)));
            // The driver waits for the end of each.
            let _ended = done.blocking_send((what, kept));
        });
    }

    /// A write has ended.
    pub(super) async fn kept(&mut self, (what, result): Done) {
        self.keeping.under_way = None;
        if let Err(error) = result {
            self.keeping.written.remove(&what);
            self.not_kept(&what, &error).await;
        }
        self.keep_next();
        if self.keeping.under_way != Some(Kept::People) && !self.keeping.next.contains_key(&Kept::People) {
            for event in std::mem::take(&mut self.keeping.told_then) {
                self.tell(event).await;
            }
        }
    }

    async fn not_kept(&mut self, what: &Kept, error: &IoError) {
        let lost = match what {
            Kept::State => "your rooms".to_owned(),
            Kept::People => "whom you have met and trusted since this one".to_owned(),
            Kept::Invitation(room) => format!("the invitation to {}", room.label(&self.core.node().me().user)),
        };
        let message = format!("the next start will not know {lost}: {error}");
        self.notice(Code::DiskFailed, message).await;
    }

    /// Waits until everything is kept.
    pub(super) async fn keep_all(&mut self) {
        while self.keeping.is_busy()
            && let Some(done) = self.keeping.done.1.recv().await
        {
            self.kept(done).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        driver::{testing::run, turn::Turn},
        node::{people::News, types::UserName},
    };

    #[test]
    fn trust_is_told_when_it_is_kept_and_not_before() {
        run(async |mut driver, mut ends| {
            let path = driver.folder.join("people.json");
            let trusted = || Event::People(News::Trusted(UserName::new("bob").unwrap(), Vec::new()));
            driver.keep(Kept::People, path.clone(), b"trusted".to_vec());
            driver.tell(trusted()).await;
            driver.notice(Code::Refused, "something else".to_owned()).await;
            assert!(matches!(ends.events.try_recv(), Ok(Event::Notice(_))));
            assert!(ends.events.try_recv().is_err());
            for _ in 0..TOLD_THEN_MAX {
                driver.tell(trusted()).await;
            }
            assert!(matches!(ends.events.try_recv(), Ok(Event::People(_))), "one too many");
            assert!(ends.events.try_recv().is_err());
            driver.turns_until(|turn| matches!(turn, Turn::Kept(_))).await;
            assert!(matches!(ends.events.try_recv(), Ok(Event::People(_))));
            let left = driver.disk.power_loss();
            assert_eq!(left.read_small(&path, 100).unwrap().unwrap(), b"trusted");
            driver.tell(trusted()).await;
            assert!(matches!(ends.events.try_recv(), Ok(Event::People(_))));
        });
    }

    #[test]
    fn what_is_there_already_is_not_written_again_and_the_newest_stays() {
        run(async |mut driver, _ends| {
            let path = driver.folder.join("state.json");
            let keep = |driver: &mut Driver<_>, bytes: &[u8]| {
                driver.keep(Kept::State, path.clone(), bytes.to_vec());
            };
            for bytes in ["one", "two", "three"] {
                keep(&mut driver, bytes.as_bytes());
            }
            driver.keep_all().await;
            assert_eq!(driver.disk.bytes_of(&path).unwrap(), b"three");
            let syncs = driver.disk.syncs();
            assert_eq!(syncs, 2 * 2, "the first and the last, each with its folder");
            keep(&mut driver, b"three");
            driver.keep_all().await;
            assert_eq!(driver.disk.syncs(), syncs);
        });
    }
}
