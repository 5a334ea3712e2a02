//! The mark beside the authority that says which accounts are the registry's, and how many there were.
//!
//! An authority without its accounts would give every name away again, to whoever comes first, under the fingerprint that everybody trusts. That
//! happens where accounts are missing in a backup, where a copy of SQLite's file lacks the one that is written beside it, where a database was
//! emptied, and where one is another registry's. So the mark names the database and tells how much was in it, at least; a registry whose
//! accounts are none of these, or fewer, says so and does not start, unless its operator says that what is lost is given up.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use data_encoding::HEXLOWER;
use peerchat_identity::secret_file::{self, SecretFileError};
use tokio::task::spawn_blocking;
use tracing::warn;

/// The name of the file, for accounts in a folder and for those in a database elsewhere: whoever goes from one to the other has lost nothing.
pub const FILE: &str = "accounts.begun";
const FILE_ELSEWHERE: &str = "database.begun";

const HEAD: &str = "peerchat accounts 1";

/// Which database one is: a random number that it has had from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreId(pub [u8; 32]);

/// How much is in a database. None of it ever becomes less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Accounts.
    pub accounts: u64,
    /// Devices, those that were revoked among them.
    pub devices: u64,
    /// Those that were revoked.
    pub revoked: u64,
}

impl Extent {
    fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Both together.
    pub fn and(self, more: Self) -> Self {
        Self {
            accounts: self.accounts.saturating_add(more.accounts),
            devices: self.devices.saturating_add(more.devices),
            revoked: self.revoked.saturating_add(more.revoked),
        }
    }

    fn lacks_of(self, other: Self) -> bool {
        self.accounts < other.accounts || self.devices < other.devices || self.revoked < other.revoked
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |n: u64, what: &str| match n {
            0 => format!("no {what}s"),
            1 => format!("1 {what}"),
            n => format!("{n} {what}s"),
        };
        let (accounts, devices) = (counted(self.accounts, "account"), counted(self.devices, "device"));
        match self.revoked {
            0 => write!(f, "{accounts} and {devices}"),
            revoked => write!(f, "{accounts} and {devices}, {revoked} of them revoked"),
        }
    }
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which database.
    pub id: StoreId,
    /// What was in it, at least.
    pub extent: Extent,
}

/// What is wrong with the accounts that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// There are none.
    #[error("has none")]
    Missing,
    /// They are of another registry, or begun anew.
    #[error("has those of another registry")]
    OfAnother,
    /// It is an older copy, or one that is not whole.
    #[error("has an older or incomplete copy, with {0}")]
    Older(Extent),
}

impl Mark {
    /// What is wrong with the accounts that were found, where this is what is known of them.
    pub fn judge(&self, found: &Self) -> Result<(), Wrong> {
        if self.extent.is_nothing() {
            // Nobody has lost anything.
            return Ok(());
        }
        if found.extent.is_nothing() {
            return Err(Wrong::Missing);
        }
        if found.id != self.id {
            return Err(Wrong::OfAnother);
        }
        if found.extent.lacks_of(self.extent) {
            return Err(Wrong::Older(found.extent));
        }
        Ok(())
    }

    fn to_text(self) -> String {
        let (
            id,
            Extent {
                accounts,
                devices,
                revoked,
            },
        ) = (HEXLOWER.encode(&self.id.0), self.extent);
        format!("{HEAD}\nid {id}\naccounts {accounts}\ndevices {devices}\nrevoked {revoked}\n")
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.strip_prefix(HEAD)?.strip_prefix('\n')?.lines();
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let id = HEXLOWER.decode(field("id")?.as_bytes()).ok()?.try_into().ok()?;
        let mut number = |name| field(name)?.parse().ok();
        let extent = Extent {
            accounts: number("accounts")?,
            devices: number("devices")?,
            revoked: number("revoked")?,
        };
        Some(Self {
            id: StoreId(id),
            extent,
        })
    }
}

/// Why a registry does not begin with the accounts that are there.
#[derive(Debug, thiserror::Error)]
pub enum BegunError {
    /// They are not what they were.
    #[error(
        "this registry had {had}, and {place} {wrong}; to go on would give names away that are somebody's. The authority (ca.key, ca.der), \
        {} and the accounts (of a folder: accounts.sqlite with accounts.sqlite-wal) belong together: restore all of them from one backup. \
        To go on without what is lost, so that those names are free, {remedy}", path.display()
    )]
    Lost {
        /// What there was, at least.
        had: Extent,
        /// Where the accounts are.
        place: Box<str>,
        /// What is wrong with them.
        wrong: Wrong,
        /// The mark.
        path: Box<Path>,
        /// How the operator says that what is lost is given up.
        remedy: Box<str>,
    },
    /// The mark cannot be read.
    #[error("{} cannot be read; restore a copy of it, or remove it if you are sure that the accounts are whole", .0.display())]
    Unreadable(PathBuf),
    /// The disk refuses, or others can get at it.
    #[error(transparent)]
    File(#[from] SecretFileError),
}

/// The mark of a registry, and what is known of its accounts.
#[derive(Debug)]
pub struct Begun {
    path: PathBuf,
    /// What was in the database when it was opened.
    opened: Mark,
    /// What the file says.
    kept: Mutex<Option<Mark>>,
}

impl Begun {
    /// The mark in a folder, and the accounts that were found, in that folder too or `elsewhere`.
    ///
    /// # Errors
    /// The mark cannot be read.
    pub fn open(folder: &Path, elsewhere: bool, found: Mark) -> Result<Self, BegunError> {
        let path = folder.join(if elsewhere { FILE_ELSEWHERE } else { FILE });
        let kept = match secret_file::read(&path)? {
            Some(bytes) => {
                let mark = std::str::from_utf8(&bytes).ok().and_then(Mark::from_text);
                Some(mark.ok_or_else(|| BegunError::Unreadable(path.clone()))?)
            }
            None => None,
        };
        Ok(Self {
            path,
            opened: found,
            kept: Mutex::new(kept),
        })
    }

    /// Whether the accounts are those that the mark knows.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn judge(&self) -> Result<(), Wrong> {
        self.last().map_or(Ok(()), |mark| mark.judge(&self.opened))
    }

    /// The same, as the operator is told it, who then may say `remedy`.
    ///
    /// # Errors
    /// [`BegunError::Lost`].
    pub fn check(&self, place: &str, remedy: &str) -> Result<(), BegunError> {
        self.judge().map_err(|wrong| BegunError::Lost {
            had: self.last().map(|mark| mark.extent).unwrap_or_default(),
            place: place.into(),
            wrong,
            path: self.path.as_path().into(),
            remedy: remedy.into(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says.
    fn last(&self) -> Option<Mark> {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the file knows of nothing yet that could be lost, and there is something.
    pub fn is_first(&self, written: Extent) -> bool {
        self.last().is_none_or(|mark| mark.extent.is_nothing()) && !written.is_nothing()
    }

    /// Keeps what there is by now, where the file does not say it yet.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep(&self, written: Extent) -> Result<(), SecretFileError> {
        let mark = Mark {
            id: self.opened.id,
            extent: self.opened.extent.and(written),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if *kept != Some(mark) {
            secret_file::write(&self.path, mark.to_text().as_bytes())?;
            *kept = Some(mark);
        }
        Ok(())
    }
}

/// Keeps it without holding up anybody else. That it could not be kept is no reason to refuse anybody.
pub(super) async fn keep(begun: &Arc<Begun>, written: Extent) {
    let begun = Arc::clone(begun);
    let kept = spawn_blocking(move || begun.keep(written)).await;
    if let Ok(Err(error)) = kept {
        warn!(%error, "cannot keep how many accounts there are");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(id: u8, accounts: u64, devices: u64, revoked: u64) -> Mark {
        Mark {
            id: StoreId([id; 32]),
            extent: Extent {
                accounts,
                devices,
                revoked,
            },
        }
    }

    #[test]
    fn accounts_are_those_that_the_mark_knows_or_more() {
        let known = mark(1, 3, 4, 1);
        assert_eq!(known.judge(&known), Ok(()));
        assert_eq!(known.judge(&mark(1, 5, 9, 2)), Ok(()));
        for (found, wrong) in [
            (mark(1, 0, 0, 0), Wrong::Missing),
            (mark(2, 0, 0, 0), Wrong::Missing),
            (mark(2, 3, 4, 1), Wrong::OfAnother),
            (mark(1, 2, 4, 1), Wrong::Older(mark(1, 2, 4, 1).extent)),
            (mark(1, 3, 3, 1), Wrong::Older(mark(1, 3, 3, 1).extent)),
            (mark(1, 9, 9, 0), Wrong::Older(mark(1, 9, 9, 0).extent)),
        ] {
            assert_eq!(known.judge(&found), Err(wrong), "{found:?}");
        }
        // Where nobody had a name, nobody loses one.
        assert_eq!(mark(1, 0, 0, 0).judge(&mark(2, 0, 0, 0)), Ok(()));
        assert_eq!(mark(1, 0, 0, 0).judge(&mark(2, 3, 4, 0)), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let begun = Begun::open(folder.path(), false, mark(1, 2, 3, 0)).unwrap();
        assert!(begun.judge().is_ok() && begun.is_first(mark(1, 2, 3, 0).extent));
        begun.keep(mark(1, 1, 1, 0).extent).unwrap();
        assert!(!begun.is_first(Extent::default()));
        drop(begun);
        let older = Begun::open(folder.path(), false, mark(1, 2, 3, 0)).unwrap();
        let told = older
            .check("accounts.sqlite", "start with --flag")
            .unwrap_err()
            .to_string();
        for part in [
            "had 3 accounts and 4 devices",
            "an older or incomplete copy, with 2 accounts and 3 devices",
            "ca.key",
            "accounts.sqlite-wal",
            "start with --flag",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains("  ") && !told.contains('\n'), "{told}");
        std::fs::write(folder.path().join(FILE), "what").unwrap();
        assert!(matches!(
            Begun::open(folder.path(), false, mark(1, 0, 0, 0)),
            Err(BegunError::Unreadable(_))
        ));
    }

    proptest! {
        #[test]
        fn a_mark_is_read_as_it_was_written(id: u8, accounts: u64, devices: u64, revoked: u64) {
            let mark = mark(id, accounts, devices, revoked);
            prop_assert_eq!(Mark::from_text(&mark.to_text()), Some(mark));
        }

        #[test]
        fn no_text_is_too_odd_to_be_read(text in "\\PC{0,40}|peerchat accounts 1\nid \\PC{0,70}\naccounts 1\n") {
            let _read = Mark::from_text(&text);
        }
    }
}
