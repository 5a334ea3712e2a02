//! Where a word or a searched text stands in a text, whatever case, width or form of accents it is written in.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;

/// The longest text that is looked for in bytes, when folded: finding takes the product of both lengths at worst, and this only
/// highlights. A longer one is found nowhere.
const NEEDLE_BYTES_MAX: usize = 256;

/// The text as it is compared: compatibility form (full width equals half width), case-folded.
pub fn folded(text: &str) -> String {
    let folded = caseless::default_case_fold_str(&text.nfkc().collect::<String>());
    folded.nfkc().collect()
}

/// Where `needle` stands in `text`, without overlaps; as a whole word only, if wanted.
pub fn spans(text: &str, needle: &str, whole_words: bool) -> Vec<Range<usize>> {
    let needle = folded(needle);
    let Some(first) = needle.chars().next().filter(|_| needle.len() <= NEEDLE_BYTES_MAX) else {
        return Vec::new();
    };
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut before = None;
    for (start, c) in text.char_indices() {
        let free = spans.last().is_none_or(|last| last.end <= start);
        let at_word = !whole_words || !before.is_some_and(is_of_word);
        // Most places are ruled out by the first character, without folding more.
        if free && at_word && folded(c.encode_utf8(&mut [0; 4])).starts_with(first) {
            spans.extend(match_at(text, start, &needle, whole_words));
        }
        before = Some(c);
    }
    spans
}

fn match_at(text: &str, start: usize, needle: &str, whole_word: bool) -> Option<Range<usize>> {
    let rest = &text[start..];
    let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8());
    let mut found = None;
    for end in ends {
        let folded = folded(&rest[..end]);
        if folded == needle {
            // An accent that follows still belongs to it, if it changes nothing.
            found = Some(end);
        } else if found.is_some() || !agrees(&folded, needle) {
            break;
        }
    }
    let end = found?;
    let follows = rest[end..].chars().next();
    (!whole_word || !follows.is_some_and(is_of_word)).then(|| start..start + end)
}

/// Whether `start` can become `needle` when more follows. What follows may still change the last character: an accent on it.
fn agrees(start: &str, needle: &str) -> bool {
    let sure = start.char_indices().next_back().map_or(0, |(last, _)| last);
    needle.starts_with(&start[..sure]) && start.len() <= needle.len() + 8
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'t>(text: &'t str, needle: &str, words: bool) -> Vec<&'t str> {
        spans(text, needle, words)
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn texts_are_found_in_any_case_and_width() {
        assert_eq!(
            found("Plan, PLAN and ｐｌａｎ", "plan", false),
            ["Plan", "PLAN", "ｐｌａｎ"]
        );
        assert_eq!(found("今天天气很好", "天气", false), ["天气"]);
        assert_eq!(found("Straße", "STRASSE", false), ["Straße"]);
        assert_eq!(found("cafe\u{301}", "café", false), ["cafe\u{301}"]);
        assert_eq!(found("aaaa", "aa", false), ["aa", "aa"]);
        assert!(found("abc", "", false).is_empty());
    }

    #[test]
    fn names_are_found_as_whole_words() {
        assert_eq!(found("Bob, ask bob2 or bobby (@BOB)", "bob", true), ["Bob", "BOB"]);
        assert!(found("kebob", "bob", true).is_empty());
    }
}
