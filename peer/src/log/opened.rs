//! What the caller is told when a log was opened.

use super::{
    Damage, Log, LogError, Position,
    disk::Disk,
    index::AuthorNo,
    reader::{READ_AHEAD_BYTES, Window},
    resume::Resume,
    salvage::SetAside,
};
use crate::node::types::{Author, Entry, EntryId, Heights, Lamport, Seen, Seq, UserName};

/// Of so many of the last entries [`Opened::recently_seen`] tells what they had seen.
const RECENT_ENTRIES: u32 = 256;

/// What was found when a log was opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// Everybody who has an entry here, in the order of their first entries.
    pub authors: Vec<OpenedAuthor>,
    /// The highest seqs that the last entries of the log had seen of other authors. An author's head is no part of the causal
    /// frontier if it is not above this; older entries may have seen it too, so the frontier may come out too large, which
    /// makes the next entry longer and nothing else.
    pub recently_seen: Heights,
    /// The permit to go on with an incarnation and what the last run left, if it holds.
    pub resume: Option<Resume>,
    /// What was damaged, put right or set aside.
    pub damage: Vec<Damage>,
    /// Files of earlier damage that hold whole frames that are not in the log.
    pub set_aside: Vec<SetAside>,
    /// Entries of these files, the first ones, at most `HOLD_BACK_MAX` and [`SALVAGE_BYTES_MAX`](super::SALVAGE_BYTES_MAX): to be held
    /// back until what comes before them was pulled from others. They are offered at every open until they are in the log.
    pub salvaged: Vec<Entry>,
    /// How many bytes without a whole frame were cut off the end: what a crash left of the last write.
    pub bytes_cut: u64,
}

/// An author as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedAuthor {
    /// Who.
    pub author: Author,
    /// Whose device it is, by its first entry.
    pub user: Option<UserName>,
    /// The Lamport times of its entries of seq 1, 2, 3 ….
    pub lamports: Vec<Lamport>,
    /// Its last entry.
    pub head: EntryId,
    /// What that had newly seen.
    pub head_seen: Vec<Seen>,
}

impl Opened {
    /// Tells what the log holds.
    pub(super) fn describe<D: Disk>(&mut self, log: &Log<D>) -> Result<(), LogError> {
        for number in (0..log.index.authors()).map(AuthorNo) {
            let author = *log.index.author(number);
            let head = log.read(&author, log.index.height(&author))?;
            self.authors.push(OpenedAuthor {
                author,
                user: log.read(&author, Seq::FIRST)?.draft.user,
                lamports: log.index.lamports_of(number),
                head: head.id,
                head_seen: head.draft.seen,
            });
        }
        let recent = log.index.len().saturating_sub(RECENT_ENTRIES)..log.index.len();
        let mut window = Window::default();
        for position in recent.map(Position) {
            for seen in log.entry(position, &mut window, READ_AHEAD_BYTES)?.draft.seen {
                let height = self.recently_seen.0.entry(seen.author).or_default();
                *height = seen.seq.max(*height);
            }
        }
        Ok(())
    }
}
