//! Text of others made harmless: what could drive a terminal, turn a line around or hide something becomes visible.

use std::borrow::Cow;

/// The most characters without width that may follow one another, as accents on a letter do; further ones are shown as such,
/// or a heap of accents would cover the lines around it.
const ZERO_WIDTH_RUN_MAX: usize = 8;

/// How many columns a tabulator is shown as.
const TAB: &str = "    ";

/// The text without any control character but the newline. What is made visible looks like `␛` or `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut run = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let width = unicode_width::UnicodeWidthChar::width(c);
        run = if width == Some(0) { run + 1 } else { 0 };
        match c {
            '\n' => safe.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\t' => safe.push_str(TAB),
            '\0'..='\u{1f}' => safe.extend(char::from_u32(0x2400 + c as u32)),
            '\u{7f}' => safe.push('␡'),
            _ if is_deceptive(c) || run > ZERO_WIDTH_RUN_MAX => safe.extend(c.escape_unicode()),
            _ => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// The text in one line.
pub fn visible_line(text: &str) -> String {
    visible(text).replace('\n', "␤")
}

/// Characters that take no room, or turn the text around, and that no script needs where they are. The zero width joiner and
/// non-joiner are needed: by emoji, by Persian, by Indian scripts.
fn is_deceptive(c: char) -> bool {
    match c {
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => {
            true
        }
        '\u{180b}'..='\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' => true,
        '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in ["hi", "Zoë", "你好", "👩‍💻 👍🏽 ❤️", "می‌خواهم", "a\nb", "नमस्ते"]
        {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn what_is_not_becomes_visible() {
        let cases = [
            ("\u{1b}[2Jgone", "␛[2Jgone"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\rb", "a␍b"),
            ("a\r\nb", "a\nb"),
            ("a\tb", "a    b"),
            ("bell\u{7}\u{7f}", "bell␇␡"),
            ("\u{202e}evil", "\\u{202e}evil"),
            ("a\u{2028}b", "a\\u{2028}b"),
            ("a\u{200b}b", "a\\u{200b}b"),
        ];
        for (text, shown) in cases {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_line("a\nb"), "a␤b");
        let heap = format!("a{}", "\u{301}".repeat(20));
        assert_eq!(visible(&heap).matches("\\u{301}").count(), 20 - ZERO_WIDTH_RUN_MAX);
    }

    proptest! {
        #[test]
        fn no_control_character_is_left(text in any::<String>(), raw in prop::collection::vec(0u32..0x2100, 0..50)) {
            let raw: String = raw.into_iter().filter_map(char::from_u32).collect();
            for text in [text, raw] {
                let safe = visible(&text);
                prop_assert!(safe.chars().all(|c| c == '\n' || !(c.is_control() || is_deceptive(c))), "{:?}", safe);
                prop_assert_eq!(visible(&safe), safe.as_ref(), "once is enough");
            }
        }
    }
}
