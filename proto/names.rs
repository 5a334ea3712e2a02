//! The rules of names, which peers and registries must share.
//!
//! A name is 1 to 64 characters in Unicode's normal form C, without control characters, white space, invisible characters
//! or any of `# @ / :`. Names are compared case-folded. A user's name keeps the case in which it was typed for the screen; a
//! room's name is its folded form.
//!
//! What is taken anew must be more than that: all of it can be seen, and no letter has a heap of marks ([`UserName::check_new`]).
//!
//! Two forms of a room's name have a `:`, so nobody can type them as a name. `plans:x7k2…` is a private room between its members:
//! the name that people call it by, and an id that its secret gives it. `:q4me…` is such a room at the registry, which is told
//! neither.

mod visible;

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use unicode_normalization::UnicodeNormalization as _;

pub use self::visible::MARKS_MAX;
use self::visible::is_invisible;
use crate::base32;

/// The most characters (Unicode scalar values, after normalisation) of a name.
pub const NAME_CHARS_MAX: usize = 64;

/// Characters that have a meaning of their own in front of or between names.
const RESERVED: [char; 4] = ['#', '@', '/', ':'];

/// Stands before the id of a private room.
const MARK: char = ':';

/// How many characters of a private room's id people are shown, and must type at least.
pub const ID_SHOWN: usize = 4;

/// The id of a private room among its members.
pub type RoomId = [u8; 16];

/// What the registry calls a private room by.
pub type UnlistedId = [u8; 32];

/// A name that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name has at least one character")]
    Empty,
    /// Longer than [`NAME_CHARS_MAX`].
    #[error("a name has at most {NAME_CHARS_MAX} characters; this one has {found}")]
    TooLong {
        /// How many characters it has.
        found: usize,
    },
    /// A control character, white space, or a character that cannot be seen.
    #[error(
        "a name has no white space, control or invisible characters; this one has U+{:04X}",
        *.0 as u32
    )]
    Unprintable(char),
    /// A mark without a letter, or too many on one.
    #[error("a mark stands on a letter, {MARKS_MAX} on one at most, and none twice; this name has U+{:04X}", *.0 as u32)]
    Marks(char),
    /// One of `# @ / :`.
    #[error("a name has none of # @ / : in it; this one has {0}")]
    Reserved(char),
    /// `.` or `..`.
    #[error("a name cannot be {0:?}, which means a folder")]
    Dots(String),
}

/// The name of a user. Shown as typed, compared case-folded. It is as small as a pointer: registries hold very many.
#[derive(Clone)]
pub struct UserName(Arc<Spelled>);

struct Spelled {
    key: Box<str>,
    /// Where it is not the key.
    shown: Option<Box<str>>,
}

impl UserName {
    /// Checks and normalises a name as a person typed it.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let shown = checked(name)?;
        let key = fold(&shown);
        // Folding can lengthen a name (ß becomes ss), and the key must be a name of its own: it names folders and travels alone.
        let key = checked(&key)?;
        let shown = (shown != key).then(|| shown.into());
        let key = key.into();
        Ok(Self(Arc::new(Spelled { key, shown })))
    }

    /// Makes sure that the name may be taken by somebody who does not have it yet.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_new(&self) -> Result<(), NameError> {
        visible::check(self.shown()).and_then(|()| visible::check(self.key()))
    }

    /// The name as its owner wrote it.
    pub fn shown(&self) -> &str {
        self.0.shown.as_ref().unwrap_or(&self.0.key)
    }

    /// The case-folded name, by which names are compared.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The same name with its folded form for the screen too.
    pub fn folded(&self) -> Self {
        if self.0.shown.is_none() {
            return self.clone();
        }
        let (key, shown) = (self.0.key.clone(), None);
        Self(Arc::new(Spelled { key, shown }))
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.shown())
    }
}

impl PartialEq for UserName {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for UserName {}

impl PartialOrd for UserName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UserName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}

impl Hash for UserName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// The name of a room: always the case-folded form, without `#`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Checks, normalises and folds a name as a person typed it, without `#`.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let name = Self::known(name)?;
        visible::check(name.as_str()).map(|()| name)
    }

    /// The same of a name that is there, whatever can be seen of it.
    fn known(name: &str) -> Result<Self, NameError> {
        let folded = fold(&checked(name)?);
        Ok(Self(checked(&folded)?.into()))
    }

    /// Reads the name of a room, private or not, in the form in which disks and peers have it.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        match name.split_once(MARK) {
            Some((name, id)) => {
                let id = base32::decode(id).ok_or(NameError::Reserved(MARK))?;
                Ok(Self::known(name)?.private(&id))
            }
            None => Self::known(name),
        }
    }

    /// Reads the name of a room in the form in which the registry has it.
    ///
    /// # Errors
    /// The first rule that the name breaks.
    pub fn at_registry(name: &str) -> Result<Self, NameError> {
        match name.strip_prefix(MARK) {
            Some(id) => base32::decode(id)
                .map(|id| Self::unlisted(&id))
                .ok_or(NameError::Reserved(MARK)),
            None => Self::new(name),
        }
    }

    /// The private room of this name that has an id.
    #[must_use]
    pub fn private(&self, id: &RoomId) -> Self {
        Self(format!("{}{MARK}{}", self.base(), base32::encode(id)).into())
    }

    /// What the registry calls a private room: it lists none of these.
    pub fn unlisted(id: &UnlistedId) -> Self {
        Self(format!("{MARK}{}", base32::encode(id)).into())
    }

    /// Whether it is what the registry calls a private room.
    pub fn is_unlisted(&self) -> bool {
        self.0.starts_with(MARK)
    }

    /// The folded name without `#`; with the id, where the room is private.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What people call it.
    pub fn base(&self) -> &str {
        self.0.split(MARK).next().unwrap_or_default()
    }

    /// The id, where the room is private.
    pub fn id(&self) -> Option<&str> {
        self.0.split_once(MARK).map(|(_, id)| id)
    }

    /// How people are shown the name: of an id they see the beginning.
    pub fn label(&self) -> String {
        match self.id() {
            Some(id) => format!("{}{MARK}{}…", self.base(), id.get(..ID_SHOWN).unwrap_or(id)),
            None => self.0.to_string(),
        }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The name in normal form C, if it keeps every rule.
fn checked(name: &str) -> Result<String, NameError> {
    // Normalisation grows a text threefold at most: a longer input cannot become a name, and is not worth normalising.
    if name.len() > NAME_CHARS_MAX * 4 * 3 {
        return Err(NameError::TooLong {
            found: name.chars().count(),
        });
    }
    // ASCII is in normal form. Every entry that comes in has a name in it, and most names are ASCII.
    let name: String = match name.is_ascii() {
        true => name.to_owned(),
        false => name.nfc().collect(),
    };
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let found = name.chars().count();
    if found > NAME_CHARS_MAX {
        return Err(NameError::TooLong { found });
    }
    if name == "." || name == ".." {
        return Err(NameError::Dots(name));
    }
    let mut before = None;
    for c in name.chars() {
        if RESERVED.contains(&c) {
            return Err(NameError::Reserved(c));
        }
        if c.is_control() || c.is_whitespace() || is_invisible(c, before) {
            return Err(NameError::Unprintable(c));
        }
        before = Some(c);
    }
    Ok(name)
}

/// Full case folding in normal form C. Folding what is folded changes nothing.
fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let mut folded: String = caseless::default_case_fold_str(name).nfc().collect();
    // One round is enough for all but a few characters whose composed form folds again.
    for _ in 0..3 {
        let again: String = caseless::default_case_fold_str(&folded).nfc().collect();
        if again == folded {
            break;
        }
        folded = again;
    }
    folded
}

#[cfg(test)]
mod tests;
