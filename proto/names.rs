//! The rules of names, which peers and registries must share.
//!
//! A name is 1 to 64 characters in Unicode's normal form C, without control characters, white space, invisible characters
//! or any of `# @ / :`. Names are compared case-folded. A user's name keeps the case in which it was typed for the screen; a
//! room's name is its folded form.
//!
//! Two forms of a room's name have a `:`, so nobody can type them as a name. `plans:x7k2…` is a private room between its members:
//! the name that people call it by, and an id that its secret gives it. `:q4me…` is such a room at the registry, which is told
//! neither.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use unicode_normalization::UnicodeNormalization as _;

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
                Ok(Self::new(name)?.private(&id))
            }
            None => Self::new(name),
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

/// Characters that take no room on a screen and would let two different names look alike, or turn the line around.
/// A zero width joiner is part of many emoji, so it may follow a character that is not of a word.
fn is_invisible(c: char, before: Option<char>) -> bool {
    match c {
        '\u{200d}' => before.is_none_or(char::is_alphanumeric),
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' => true,
        '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_keep_the_rules() {
        let longest = ["x".repeat(64), "🦀".repeat(64)];
        let short = ["a", "alice", "Zoë", "小明", "🦀", "👩‍💻", "a.b-c_d", "..."];
        for name in short.into_iter().chain(longest.iter().map(String::as_str)) {
            assert!(UserName::new(name).is_ok(), "{name:?}");
            assert!(RoomName::new(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn names_that_break_a_rule() {
        use NameError::*;
        let cases = [
            ("", Empty),
            (".", Dots(".".into())),
            ("..", Dots("..".into())),
            ("a b", Unprintable(' ')),
            ("a\u{3000}b", Unprintable('\u{3000}')),
            ("a\nb", Unprintable('\n')),
            ("\u{1b}[31m", Unprintable('\u{1b}')),
            ("\u{202e}ecila", Unprintable('\u{202e}')),
            ("ali\u{200d}ce", Unprintable('\u{200d}')),
            ("a/b", Reserved('/')),
            ("#a", Reserved('#')),
            ("@a", Reserved('@')),
            ("a:1", Reserved(':')),
        ];
        for (name, error) in cases {
            assert_eq!(RoomName::new(name), Err(error.clone()), "{name:?}");
            assert_eq!(UserName::new(name), Err(error), "{name:?}");
        }
        assert_eq!(RoomName::new(&"x".repeat(65)).unwrap_err(), TooLong { found: 65 });
        assert!(RoomName::new(&"x".repeat(1 << 20)).is_err());
    }

    #[test]
    fn names_are_compared_folded_and_shown_as_typed() {
        let (typed, other) = (UserName::new("ALICE").unwrap(), UserName::new("alice").unwrap());
        assert_eq!(typed, other);
        assert_eq!(typed.shown(), "ALICE");
        assert_eq!(UserName::new("e\u{301}").unwrap().shown(), "\u{e9}", "normal form C");
        assert_eq!(RoomName::new("Straße").unwrap(), RoomName::new("STRASSE").unwrap());
    }

    #[test]
    fn a_private_room_is_a_name_that_nobody_types() {
        let plans = RoomName::new("Plans").unwrap();
        let private = plans.private(&[0xff; 16]);
        assert_eq!(private.as_str(), "plans:77777777777777777777777774");
        assert_eq!((private.base(), private.label().as_str()), ("plans", "plans:7777…"));
        assert_eq!((plans.id(), plans.label().as_str()), (None, "plans"));
        assert_eq!(RoomName::parse(private.as_str()).unwrap(), private);
        assert_eq!(RoomName::parse("plans").unwrap(), plans);
        let hidden = RoomName::unlisted(&[7; 32]);
        assert!(hidden.is_unlisted() && !private.is_unlisted() && !plans.is_unlisted());
        assert_eq!(RoomName::at_registry(hidden.as_str()).unwrap(), hidden);
        for typed in [private.as_str(), hidden.as_str()] {
            assert!(RoomName::new(typed).is_err(), "{typed}");
        }
        // Neither form is taken for the other one.
        assert!(RoomName::at_registry(private.as_str()).is_err());
        assert!(RoomName::parse(hidden.as_str()).is_err());
        for wrong in ["plans:", "plans:x7k2", "plans:77777777777777777777777777", "plans::"] {
            assert_eq!(RoomName::parse(wrong), Err(NameError::Reserved(MARK)), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_name_of_a_name_is_itself(text in "\\PC{0,70}") {
            if let Ok(room) = RoomName::new(&text) {
                prop_assert_eq!(RoomName::new(room.as_str()).unwrap(), room);
            }
            if let Ok(user) = UserName::new(&text) {
                let again = UserName::new(user.key()).unwrap();
                prop_assert_eq!(again.key(), user.key());
                prop_assert_eq!(UserName::new(user.shown()).unwrap(), user);
            }
        }
    }
}
