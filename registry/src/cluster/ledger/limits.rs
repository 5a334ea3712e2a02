//! How much, how often, how long.

use crate::routes::Millis;

/// The longest change, in bytes. A longer one is refused.
pub const CHANGE_MAX: usize = 16 * 1_024;

/// How often a leader says where its log ends, when there is nothing else to say.
pub const HEARTBEAT: Millis = Millis(250);

/// After how long without an answer something is said again.
pub const RETRY: Millis = Millis(200);

/// How often the node that has the highest log is asked for it. If it does not answer, the leader does without it.
pub const FETCHES_MAX: u32 = 5;

/// How long a proposal may wait. Then it is refused: whoever called waits no longer than 5 s.
pub const PROPOSAL_WAIT: Millis = Millis(3_000);

/// The longest state that is taken from another node, in bytes: more fills the memory. A node that needs a longer one stays behind.
pub const STATE_MAX: u64 = 1 << 30;

/// The last index that there can be: a million entries a second take 100,000 years.
pub const INDEX_MAX: u64 = 1 << 62;

/// What a simulation makes smaller, so that it comes to be reached.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Proposals of one node that wait. More are refused.
    pub pending: usize,
    /// Entries that are not committed. A leader takes no more: its own proposals wait, and those of others are handed to it again.
    pub uncommitted: u64,
    /// Entries in one message.
    pub batch: usize,
    /// Bytes of changes in one message.
    pub batch_bytes: usize,
    /// Entries that are sent to a node which has not said that it has stored them. The rest waits for its word.
    pub window: u64,
    /// So many entries are kept, whoever has applied them.
    pub kept: usize,
    /// More are kept for nobody: a node that was away for longer gets the state.
    pub kept_max: usize,
    /// Bytes of one part of a state.
    pub part: usize,
}

impl Limits {
    /// What a registry uses.
    pub const DEFAULT: Self = Self {
        pending: 1_024,
        uncommitted: 4_096,
        batch: 64,
        batch_bytes: 64 * 1_024,
        window: 1_024,
        kept: 4_096,
        kept_max: 65_536,
        part: 64 * 1_024,
    };
}
