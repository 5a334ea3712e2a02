//! How many columns a text takes, and where it is broken. Emoji, accents and Chinese count as a terminal shows them.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// The columns that a text of one line takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// The text with spaces behind it up to `columns`.
pub fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// As much of a text as `columns` hold, with `…` where something is cut off.
pub fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    for cluster in text.graphemes(true) {
        if short.width() + cluster.width() + 1 > columns {
            break;
        }
        short.push_str(cluster);
    }
    if columns > 0 {
        short.push('…');
    }
    short
}

/// The parts of a text that stand on lines of their own: broken at newlines, and where a line is longer than `columns`. A break
/// comes after a space or beside a wide character if there is one, otherwise wherever the line is full. Newlines and the spaces
/// at a break are in no part.
pub fn lines(text: &str, columns: Option<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        let range = start..start + line.len();
        start = range.end + 1;
        match columns {
            Some(columns) if line.width() > columns => wrap(text, range, columns.max(2), &mut parts),
            _ => parts.push(range),
        }
    }
    parts
}

fn wrap(text: &str, line: Range<usize>, columns: usize, parts: &mut Vec<Range<usize>>) {
    let mut start = line.start;
    let mut used = 0;
    // Where the line may be broken at the latest, and how wide the text behind that is.
    let mut chance: Option<usize> = None;
    let mut before_is_wide = false;
    for (at, cluster) in text[line.clone()].grapheme_indices(true) {
        let at = line.start + at;
        let (wide, space) = (cluster.width() > 1, cluster == " ");
        if at > start && !space && (before_is_wide || wide || text[..at].ends_with(' ')) {
            chance = Some(at);
        }
        // Spaces may stand beyond the edge, since they vanish at the break.
        if used + cluster.width() > columns && !space && at > start {
            let end = chance.take().unwrap_or(at);
            parts.push(start..start + text[start..end].trim_end_matches(' ').len());
            start = end;
            used = text[start..at].width();
        }
        used += cluster.width();
        before_is_wide = wide;
    }
    parts.push(start..start + text[start..line.end].trim_end_matches(' ').len());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn broken(text: &str, columns: usize) -> Vec<&str> {
        lines(text, Some(columns))
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn lines_break_where_a_reader_expects_it() {
        assert_eq!(broken("one two three", 8), ["one two", "three"]);
        assert_eq!(broken("one two", 7), ["one two"]);
        assert_eq!(broken("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(broken("你好世界", 5), ["你好", "世界"]);
        assert_eq!(broken("say 你好世界", 7), ["say 你", "好世界"]);
        assert_eq!(broken("👩‍💻👩‍💻👩‍💻", 4), ["👩‍💻👩‍💻", "👩‍💻"]);
        assert_eq!(broken("a\n\nb", 10), ["a", "", "b"]);
        assert_eq!(
            broken("  if x {\n    y\n  }", 20),
            ["  if x {", "    y", "  }"],
            "indents stay"
        );
        assert_eq!(lines("a very long line", None).len(), 1);
    }

    #[test]
    fn texts_are_cut_and_padded_by_columns() {
        assert_eq!(padded("你好", 6), "你好  ");
        assert_eq!(cut("你好世界", 5), "你好…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 0), "");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(text in "[a-z 你好👩‍💻é\n]{0,80}", columns in 2usize..30) {
            let parts = broken(&text, columns);
            for part in &parts {
                let one = part.graphemes(true).count() == 1;
                prop_assert!(one || part.width() <= columns, "{:?}", part);
            }
            let bare = |text: &str| text.replace([' ', '\n'], "");
            prop_assert_eq!(bare(&parts.concat()), bare(&text));
        }
    }
}
