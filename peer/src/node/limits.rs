//! Every limit of a peer, with what happens when it is reached.

/// The longest text of a message in bytes of UTF-8. A longer one is refused with an error that names the limit.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// The most authors that an entry names as newly seen. Where there are more, those of the greatest Lamport times are named, and
/// the others by the author's next entry.
pub const SEEN_MAX: usize = 1_024;

/// The longest entry in bytes: a full text, [`SEEN_MAX`] authors, names and hashes. A longer one is refused.
pub const ENTRY_BYTES_MAX: usize = 160 * 1024;

/// The most entries of one frame, and of one part of a history.
pub const BATCH_ENTRIES_MAX: usize = 256;

/// The most bytes of entries in one frame or part of a history, unless a single entry is longer.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;

/// The most entries that wait for one link. When it is reached, the peer behind the link is left to pull from the log.
pub const LINK_QUEUE_MAX: usize = 1_024;

/// The most entries of a conversation that are held back for what they depend on. When it is reached, what is held back is
/// dropped and pulled again in order.
pub const HOLD_BACK_MAX: usize = 65_536;

/// The most live links. A further one is refused with a reason.
pub const LINKS_MAX: usize = 1_024;

/// The most authors of a conversation. Heights and hold-back of more are refused as misbehaviour.
pub const AUTHORS_MAX: usize = 65_536;

/// The most conversations of which one link may tell heights. More are ignored.
pub const CONVERSATIONS_MAX: usize = 4_096;

/// The deadline of every call that is answered once, in milliseconds.
pub const CALL_MS_MAX: u64 = 5_000;
