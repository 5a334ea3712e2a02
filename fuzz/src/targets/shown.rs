//! Texts of others on their way to a screen, and searching in them.

use peerchat::{
    log::{Needle, fold},
    ui::{
        safe::{visible, visible_line},
        width,
    },
};

use crate::within;

/// Shows a text, breaks it into lines, and finds a part of it.
pub fn check(data: &[u8]) {
    let Some((columns, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    within(64 * 1024, 200, data.len(), || {
        let safe = visible(&text);
        let is_harmless = |c: char| !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(safe.chars().all(|c| c == '\n' || is_harmless(c)), "{safe:?}");
        assert_eq!(visible(&safe), safe, "what is harmless stays as it is");
        let line = visible_line(&text);
        assert!(line.chars().all(is_harmless), "{line:?}");
        let columns = usize::from(*columns);
        let cut = width::cut(&line, columns);
        assert!(width::columns(&cut) <= columns.max(1), "{cut:?} is wider than {columns}");
        let mut end = 0;
        for part in width::lines(&line, Some(columns.max(2))) {
            assert!(part.start >= end && part.end >= part.start && part.end <= line.len());
            assert!(line.get(part.clone()).is_some(), "a character is broken");
            end = part.end;
        }
        assert_eq!(fold(&fold(&text)), fold(&text), "folding twice is folding once");
        assert!(Needle::new(&text).is_in(&text));
    });
}

/// Texts of many kinds.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "hi there",
        "Zoë 你好 👩‍💻 👍🏽 ❤️",
        "\u{1b}[2J\u{202e}txt\u{7}\r\n\t|",
        "e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a}",
        "Straße İstanbul ΑΙΣ ǰ",
    ];
    texts.map(|text| [&[20], text.as_bytes()].concat()).to_vec()
}
