//! When a text contains what is searched for. Pure.
//!
//! Both sides are folded first: compatibility forms (full width, half width, ligatures) to the usual ones, upper case to lower
//! case, and what cannot be seen goes. What remains is compared as a substring, which is right for Chinese and Japanese, where
//! nothing separates words, and for emoji.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// Folding twice is enough for all but a few characters, whose folded form composes to one that folds again.
const ROUNDS_MAX: usize = 4;

/// What is searched for.
#[derive(Debug, Clone)]
pub struct Needle {
    folded: String,
}

impl Needle {
    /// What to look for. An empty text is in every text.
    pub fn new(text: &str) -> Self {
        Self {
            folded: fold(text).into_owned(),
        }
    }

    /// Whether `text` contains it.
    pub fn is_in(&self, text: &str) -> bool {
        if text.is_ascii() {
            // Folding makes no other character of one that is ASCII.
            return self.folded.is_ascii() && text.to_ascii_lowercase().contains(&self.folded);
        }
        fold(text).contains(&self.folded)
    }
}

/// A text as it is compared: NFKC, case folded, without invisible characters. Folding what is folded changes nothing.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    let mut folded = fold_once(text);
    for _ in 1..ROUNDS_MAX {
        let again = fold_once(&folded);
        if again == folded {
            break;
        }
        folded = again;
    }
    Cow::Owned(folded)
}

fn fold_once(text: &str) -> String {
    let seen: String = text.nfkc().filter(|c| !is_ignorable(*c)).collect();
    caseless::default_case_fold_str(&seen).nfkc().collect()
}

/// Characters that change nothing of what is meant: soft hyphen, zero width space, word joiner, byte order mark, and the
/// selectors that make an emoji coloured or plain. The joiner of emoji stays: it makes one of several.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{00ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_found() {
        let cases = [
            ("Hello World", "WORLD"),
            ("Straße", "STRASSE"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("ＡＢＣ１２３", "abc123"),
            ("abc", "ＡＢＣ"),
            ("ｶﾞｷﾞ", "ガギ"),
            ("我们明天在上海见面", "上海"),
            ("我们明天在上海见面", "海"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("I ❤️ it", "❤"),
            ("I ❤ it", "❤️"),
            ("the 👩‍💻 works", "👩‍💻"),
            ("so\u{ad}ft", "soft"),
            ("ﬁne", "FINE"),
            ("anything", ""),
            ("K", "k"),
        ];
        for (text, needle) in cases {
            assert!(Needle::new(needle).is_in(text), "{needle:?} in {text:?}");
        }
    }

    #[test]
    fn what_is_not_found() {
        let cases = [
            ("hello", "world"),
            ("caf\u{e9}", "cafe"),
            ("上海", "北京"),
            ("", "a"),
            ("abc", "ä"),
        ];
        for (text, needle) in cases {
            assert!(!Needle::new(needle).is_in(text), "{needle:?} in {text:?}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,20}") {
            let folded = fold(&text).into_owned();
            prop_assert_eq!(fold(&folded).into_owned(), folded);
        }

        #[test]
        fn a_text_contains_itself_in_any_case(text in "\\PC{0,20}") {
            prop_assert!(Needle::new(&text).is_in(&text));
            prop_assert!(Needle::new(&caseless::default_case_fold_str(&text)).is_in(&text));
        }

        #[test]
        fn ascii_is_found_as_the_slow_way_finds_it(text in "[ -~]{0,9}", needle in "[ -~é]{0,2}") {
            let slow = fold_once(&text).contains(&fold_once(&needle));
            prop_assert_eq!(Needle::new(&needle).is_in(&text), slow);
        }
    }
}
