//! A conversation's log on disk.
//!
//! `docs/log-format.md` has the bytes and what is done about damage. Two files make a log: `log` holds the entries, one frame
//! after the other, and is only ever appended to; `index` says where each entry is and how it sorts, and can be rebuilt from
//! `log` at any time. An entry in `log` is *stored*: it survives the end of the process. An entry before the last sync is
//! *durable*: it survives a loss of power. Only of durable entries does `index` speak, so an index that knows more than its log
//! proves that something is gone.
//!
//! # Never the same seq twice
//!
//! An author is a device with one *incarnation* of its log. Others refuse a second, different entry of the same author and
//! seq; so a peer whose log may have lost own entries that others hold must not go on where its log ends. It makes a new
//! incarnation, and nothing can collide. It may keep its incarnation only if nothing can be missing, and the file `resume`, the
//! *permit*, says so:
//!
//! - It is written by [`Log::close`] after the last entry was synced, and names the incarnation, the length of `log`, and what
//!   tells that very file from a copy or from itself before or after a change.
//! - It holds only if all of that fits and no damage is found, and only for one run: it is removed, and its removal synced, before
//!   the next entry is written. So whoever wrote own entries and did not close has no permit.
//! - A backup that is restored is other files than those that were closed (another inode, or a later time of change), so its permit,
//!   though it is there, does not fit. The same holds for a copied folder.
//! - What cannot be seen from within is a whole file system that goes back in time, such as a snapshot of a virtual machine.
//!   The caller must give up its incarnation when another peer holds more of its own entries than it has itself.
//!
//! # Rules inside the module
//!
//! `disk` is all that is known of a disk; `real` and `memory` are two of them. `format`, `order`, `search` and `folders` are
//! pure. `recovery` makes a [`Log`] of whatever the disk holds, `writer` and `reader` are what can be done with it.

mod birth;
mod blocks;
mod contradictions;
mod disk;
mod earlier;
mod error;
mod file_pool;
mod folders;
mod forked;
mod format;
mod history;
mod index;
mod index_file;
mod introductions;
mod lock;
mod memory;
mod memory_state;
mod opened;
mod order;
mod place;
mod reader;
mod real;
mod recovery;
mod resume;
mod salvage;
mod scan;
mod seals;
mod search;
mod search_scan;
mod shelf;
mod survey;
mod verify;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod testing;

use std::path::{Path, PathBuf};

pub use birth::sync_place;
pub use contradictions::{contradiction_file, read_contradictions};
pub use disk::{Disk, DiskFile, IoError, Stamp};
pub use earlier::{EARLIER_FILE, EARLIER_MAX, Earlier, Told, is_earlier, read_earlier, write_earlier};
pub use error::{Damage, DamageKind, LogError, Rule};
pub use folders::{NAME_FILE, folder_name, folder_of};
pub use forked::read_forked;
pub use format::VERSION;
pub use history::{Batch, History, Tail};
pub use index::LOG_ENTRIES_MAX;
pub use introductions::{INTRODUCTIONS_FILE, Introductions, is_introductions, read_introductions};
pub use lock::{DataLock, LockError};
pub use memory::{Fault, MemoryDisk, MemoryFile};
pub use opened::{Opened, OpenedAuthor};
pub use place::{Misplaced, MisplacedKind, files_at_fault, misplaced, put_in_place};
pub use reader::Canonical;
pub use real::{RealDisk, RealFile};
pub use resume::{RESUME_STATE_BYTES_MAX, Resume};
pub use salvage::{SALVAGE_BYTES_MAX, SetAside, look_aside};
pub use seals::{SEALS_FILE, Seals, read_seals};
pub use search::{Needle, fold};
pub use search_scan::{Found, Scan};
pub use shelf::{Shelved, prepare, shelved};
pub use verify::{Verified, verify};
pub use writer::{ReleaseTask, SyncOutcome, SyncTask};

use crate::node::{
    limits::{BATCH_BYTES_MAX, ENTRY_BYTES_MAX},
    types::{Author, Conversation, Decode, Entry, Heights, Seq},
};
use format::Life;
use index::Index;

// A batch must have room for the longest entry, or that entry could never be served.
const _: () = assert!(BATCH_BYTES_MAX >= ENTRY_BYTES_MAX);

/// The place of an entry in log order: how many entries come before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u32);

/// A conversation's log.
///
/// It blocks on the disk, and it is for one owner: nobody else may write to the folder meanwhile, see [`DataLock`].
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    folder: PathBuf,
    decode: Decode,
    life: Life,
    file: D::File,
    index_file: D::File,
    index: Index,
    /// Where the last frame ends: where the next one goes.
    length: u64,
    /// Where what is appended is put together.
    frames: Vec<u8>,
    /// How many entries are synced. The file `index` has exactly their records.
    durable: u32,
    /// A sync of so many entries is under way.
    syncing: Option<u32>,
    /// It was never synced: what else the first sync is to make durable.
    birth: Option<birth::Birth<D>>,
    /// There may be a permit, which must go before anything is appended.
    permit: bool,
    /// Why nothing more is taken.
    failed: Option<String>,
}

impl<D: Disk> Log<D> {
    /// Opens the log in `folder`, which is made if it is not there; its parent must be. What a crash left is put in order, what
    /// is damaged is set aside and reported, and everything in the log is durable afterwards. Reads all of the log once.
    ///
    /// # Errors
    /// The disk refuses, or a newer version wrote the log. Damage is no error: it is in [`Opened`].
    pub fn open(disk: D, folder: &Path, decode: Decode) -> Result<(Self, Opened), LogError> {
        recovery::open(disk, folder, Reading { decode, of: None })
    }

    /// The same, of a conversation. A log that was put here and has entries of another one is damaged.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_of(
        disk: D,
        folder: &Path,
        decode: Decode,
        conversation: &Conversation,
    ) -> Result<(Self, Opened), LogError> {
        let of = Some(conversation);
        recovery::open(disk, folder, Reading { decode, of })
    }

    /// How many entries there are: the version of the conversation.
    pub fn version(&self) -> u64 {
        u64::from(self.index.len())
    }

    /// How many entries of every author there are.
    pub fn heights(&self) -> Heights {
        self.index.heights()
    }

    /// How many entries of an author there are.
    pub fn height(&self, author: &Author) -> Seq {
        self.index.height(author)
    }

    /// How many entries of every author are synced.
    pub fn durable_heights(&self) -> Heights {
        let mut heights = self.index.heights();
        for position in self.durable..self.index.len() {
            let number = index::AuthorNo(self.index.record(Position(position)).author);
            if let Some(height) = heights.0.get_mut(self.index.author(number)) {
                height.0 -= 1;
            }
        }
        heights.0.retain(|_, height| *height > Seq(0));
        heights
    }

    /// The length of `log` in bytes.
    pub fn bytes(&self) -> u64 {
        self.length
    }

    /// The folder of the log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self) -> PathBuf {
        self.folder.join(LOG_FILE)
    }
}

/// How the frames of a log are read.
#[derive(Debug, Clone, Copy)]
struct Reading<'c> {
    decode: Decode,
    /// The conversation of which all entries must be.
    of: Option<&'c Conversation>,
}

impl Reading<'_> {
    fn is_misplaced(&self, entry: &Entry) -> bool {
        self.of.is_some_and(|conversation| *conversation != entry.conversation)
    }
}

/// The name of the file with the entries.
pub const LOG_FILE: &str = "log";
/// The name of the file that says where they are.
const INDEX_FILE: &str = "index";
