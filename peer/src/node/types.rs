//! The values that a peer decides about. Each is valid by construction: what comes from the wire, the disk or the keyboard is
//! checked where it becomes one of these.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, sync::Arc};

use bytes::Bytes;
use data_encoding::BASE64_NOPAD;
pub use peerchat_proto::names::{NameError, RoomName, UserName};

/// Who asks another peer for what it holds, as the certificate of the connection says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Whose device it is.
    pub user: UserName,
    /// Which one.
    pub device: DeviceId,
}

/// One installation of a user: the public half of its Ed25519 key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub [u8; 32]);

impl DeviceId {
    /// The device that is displayed as these 64 hexadecimal digits.
    pub fn from_hex(digits: &str) -> Option<Self> {
        let digits = digits.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut id = [0; 32];
        for (byte, two) in id.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..4])
    }
}

/// Who gives users their names and certifies their devices: the SHA-256 of its certificate. A name means something only under the
/// authority that gave it, so each has conversations of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority(pub [u8; 32]);

impl Authority {
    /// What the first entry of each author in a conversation under this authority names as the one before it: by the chain of hashes
    /// none of them is an entry of a conversation of the same name under another one.
    pub fn origin(self) -> EntryId {
        EntryId(self.0)
    }

    /// The one that is written like this, as it is displayed.
    pub fn parse(text: &str) -> Option<Self> {
        let hash = BASE64_NOPAD.decode(text.strip_prefix("SHA256:")?.as_bytes()).ok()?;
        Some(Self(hash.try_into().ok()?))
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", BASE64_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who wrote an entry: a device with one incarnation of its log of the conversation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Author {
    /// The device.
    pub device: DeviceId,
    /// Made anew when the log starts empty or was not closed in order, so no seq is ever used twice.
    pub incarnation: u64,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.device, self.incarnation)
    }
}

impl fmt::Debug for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}-{:x}", self.device, self.incarnation)
    }
}

/// The number of an entry among its author's entries of a conversation: 1, 2, 3 …. As a height, 0 means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// The first entry of an author.
    pub const FIRST: Self = Self(1);

    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Lamport time of an entry: 1 + the greatest among what its author had seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lamport(pub u64);

/// Milliseconds since 1970-01-01T00:00:00Z by some wall clock. For display only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallTime(pub i64);

/// The identity of an entry: the BLAKE3 hash of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 32]);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..4])
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A room, or the direct conversation of two users. The same value at every peer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conversation {
    /// `#name`
    Room(RoomName),
    /// `@name`, where the name is the one of the two that is not the reader's.
    Direct(Pair),
}

impl Conversation {
    /// The direct conversation of two users; of a user with himself, his notes.
    pub fn direct(a: &UserName, b: &UserName) -> Self {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        Self::Direct(Pair {
            low: low.folded(),
            high: high.folded(),
        })
    }

    /// What `reader` calls the conversation, in full: `#lobby`, `#plans:` and an id, `@bob`.
    pub fn title(&self, reader: &UserName) -> String {
        match self {
            Self::Room(room) => format!("#{room}"),
            Self::Direct(pair) => format!("@{}", pair.other(reader)),
        }
    }

    /// What `reader` is shown as its name: of a private room's id only the beginning.
    pub fn label(&self, reader: &UserName) -> String {
        match self {
            Self::Room(room) => format!("#{}", room.label()),
            Self::Direct(_) => self.title(reader),
        }
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room(room) => write!(f, "{room:?}"),
            Self::Direct(pair) => write!(f, "{:?}+{:?}", pair.low, pair.high),
        }
    }
}

/// The two users of a direct conversation, by their folded names, the lower one first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    low: UserName,
    high: UserName,
}

impl Pair {
    /// The user who sorts first.
    pub fn low(&self) -> &UserName {
        &self.low
    }

    /// The user who sorts last.
    pub fn high(&self) -> &UserName {
        &self.high
    }

    /// Whether `user` is one of the two.
    pub fn has(&self, user: &UserName) -> bool {
        self.low == *user || self.high == *user
    }

    /// The one of the two who is not `reader`.
    pub fn other(&self, reader: &UserName) -> &UserName {
        if self.low == *reader { &self.high } else { &self.low }
    }
}

/// Of each author the entries from one seq to another.
pub type Stretches = BTreeMap<Author, RangeInclusive<Seq>>;

/// The map author → highest contiguous seq held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heights(pub BTreeMap<Author, Seq>);

impl Heights {
    /// The highest contiguous seq of `author`; 0 where none is held.
    pub fn of(&self, author: &Author) -> Seq {
        self.0.get(author).copied().unwrap_or_default()
    }

    /// Raises every height to that of `other`, where that is greater.
    pub fn raise(&mut self, other: Self) {
        for (author, seq) in other.0 {
            let held = self.0.entry(author).or_default();
            *held = seq.max(*held);
        }
    }

    /// The number of entries that these heights stand for.
    pub fn version(&self) -> u64 {
        self.0.values().fold(0, |sum, seq| sum.saturating_add(seq.0))
    }

    /// How many entries `self` has that `other` lacks.
    pub fn ahead_of(&self, other: &Self) -> u64 {
        self.0.iter().fold(0, |sum, (author, seq)| {
            sum.saturating_add(seq.0.saturating_sub(other.of(author).0))
        })
    }
}

/// An entry that its author had seen, with all of that author's entries before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seen {
    /// The author of the entry that was seen.
    pub author: Author,
    /// Its seq.
    pub seq: Seq,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A message of at most [`TEXT_BYTES_MAX`](super::limits::TEXT_BYTES_MAX) bytes.
    Text(String),
    /// A kind that this version does not know: kept, passed on, and shown as such.
    Unknown,
}

/// An entry before it is encoded: all that its author decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The conversation that it belongs to.
    pub conversation: Conversation,
    /// Who writes it.
    pub author: Author,
    /// Its number among the author's.
    pub seq: Seq,
    /// The author's user, as shown. Set at seq 1 and nowhere else.
    pub user: Option<UserName>,
    /// The author's previous entry; at seq 1 the [`Authority::origin`] of the conversation.
    pub previous: EntryId,
    /// What the author had newly seen, reduced to what nothing else in it implies; sorted by author.
    pub seen: Vec<Seen>,
    /// Its Lamport time.
    pub lamport: Lamport,
    /// The author's wall clock.
    pub sent_at: WallTime,
    /// What it says.
    pub body: Body,
}

/// An item of a conversation's log: a draft with the exact bytes that disk and wire carry, and their hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The hash of `bytes`.
    pub id: EntryId,
    /// What the bytes say.
    pub draft: Draft,
    /// What was hashed.
    pub bytes: Bytes,
}

impl std::ops::Deref for Entry {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.draft
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Draft {
            conversation,
            author,
            seq,
            lamport,
            ..
        } = &self.draft;
        write!(f, "{conversation:?} {author:?}:{} @{} {:?}", seq.0, lamport.0, self.id)
    }
}

/// Turns a draft into the entry that disk and wire carry. Given to the node, which knows no encoding and no key.
#[derive(Clone)]
pub struct Encode(pub Arc<dyn Fn(Draft) -> Arc<Entry> + Send + Sync>);

impl fmt::Debug for Encode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encode")
    }
}

/// Turns bytes from wire or disk into an entry, if they keep every rule that can be checked on an entry alone. Given to the log,
/// which knows no encoding.
pub type Decode = fn(Bytes) -> Result<Entry, EntryError>;

/// Bytes that are no entry: what rule they break, with what was expected and found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not the encoding of an entry.
    #[error("these {len} bytes are no entry: {reason}")]
    Malformed {
        /// How many bytes there are.
        len: usize,
        /// What the decoder says.
        reason: String,
    },
    /// A field that every entry has is missing.
    #[error("the entry has no {0}")]
    Missing(&'static str),
    /// A field has a length or a value that it cannot have.
    #[error("the entry's {field} is {found}; it must be {expected}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A name breaks a rule.
    #[error("the entry's {field}: {error}")]
    Name {
        /// Which name.
        field: &'static str,
        /// The rule.
        error: NameError,
    },
    /// Longer than an entry can be.
    #[error("the entry has {found} bytes; the limit is {limit}")]
    TooLong {
        /// How long it is.
        found: usize,
        /// How long it may be.
        limit: usize,
    },
}
