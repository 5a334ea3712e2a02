//! Which characters of a name can be seen, so that two names that differ look different, as far as that is a matter of one name. What is said
//! here is asked where a name is taken; a name that was taken before is read whatever is in it.
//!
//! The properties are those of Unicode. A sign that nobody sees is none of a name, but in emoji: there a zero width joiner binds two of
//! them to one picture, and a variation selector asks for colours.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, ExtendedPictographic, GeneralCategory, NoncharacterCodePoint},
};

use super::NameError;

/// The most marks without a width of their own on one letter. Hebrew with points and Vietnamese need fewer; Unicode's technical standard 39
/// names the same number.
pub const MARKS_MAX: usize = 4;

const JOINER: char = '\u{200d}';

/// Asks for the colours of an emoji.
const IN_COLOURS: char = '\u{fe0f}';

/// Signs that are blank although their properties do not say so: the null notehead, two blanks of Egyptian hieroglyphs, the filler of the
/// Khitan script, Braille without a dot, and what stands for an object that is not there.
const BLANK: [char; 6] = [
    '\u{2800}',
    '\u{fffc}',
    '\u{13441}',
    '\u{13442}',
    '\u{16fe4}',
    '\u{1d159}',
];

/// Whether all of a name can be seen.
pub(super) fn check(name: &str) -> Result<(), NameError> {
    if name.is_ascii() {
        return Ok(());
    }
    let mut marks = 0;
    let mut before = None;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        match kind(c) {
            Kind::Invisible => {
                let is_of_emoji = match c {
                    IN_COLOURS => before.is_some_and(is_picture),
                    JOINER => {
                        before.is_some_and(|c| is_picture(c) || c == IN_COLOURS)
                            && chars.peek().is_some_and(|c| is_picture(*c))
                    }
                    _ => false,
                };
                if !is_of_emoji {
                    return Err(NameError::Unprintable(c));
                }
            }
            Kind::Mark => {
                marks += 1;
                if before.is_none() || before == Some(c) || marks > MARKS_MAX {
                    return Err(NameError::Marks(c));
                }
            }
            Kind::Spacing if before.is_none() => return Err(NameError::Marks(c)),
            Kind::Spacing | Kind::Base => marks = 0,
        }
        before = Some(c);
    }
    Ok(())
}

/// Characters that take no room on a screen and would let two different names look alike, or turn the line around.
/// A zero width joiner is part of many emoji, so it may follow a character that is not of a word.
pub(super) fn is_invisible(c: char, before: Option<char>) -> bool {
    match c {
        '\u{200d}' => before.is_none_or(char::is_alphanumeric),
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' => true,
        '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

enum Kind {
    /// Stands by itself.
    Base,
    /// Belongs to the letter before it, and has a place of its own beside it.
    Spacing,
    /// Stands over, under or around the letter before it.
    Mark,
    /// Takes no room, or is nothing that everybody sees alike.
    Invisible,
}

fn kind(c: char) -> Kind {
    let is_invisible = BLANK.contains(&c)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointSetData::new::<NoncharacterCodePoint>().contains(c);
    if is_invisible {
        return Kind::Invisible;
    }
    match CodePointMapData::<GeneralCategory>::new().get(c) {
        GeneralCategory::Format | GeneralCategory::PrivateUse | GeneralCategory::Control => Kind::Invisible,
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark => Kind::Mark,
        GeneralCategory::SpacingMark => Kind::Spacing,
        _ => Kind::Base,
    }
}

/// Whether it can be part of an emoji: a picture, or the colour of a skin.
fn is_picture(c: char) -> bool {
    let is_skin = ('\u{1f3fb}'..='\u{1f3ff}').contains(&c);
    !c.is_ascii() && (is_skin || CodePointSetData::new::<ExtendedPictographic>().contains(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::names::{RoomName, UserName};

    fn is_fit(name: &str) -> bool {
        UserName::new(name).is_ok_and(|name| name.check_new().is_ok())
    }

    #[test]
    fn names_of_people_in_all_scripts_can_be_taken() {
        for name in [
            "alice",
            "Zoë",
            "Ngô_Thị_Hường",
            "Nguye\u{302}\u{303}n",
            "Привет",
            "Άλκηστη",
            "小明",
            "はなこ",
            "김철수",
            "ธนกฤต์",
            "น้ำผึ้ง",
            "שָׁלוֹם",
            "שִׂמְחָה",
            "محمّد",
            "अदिति",
            "தமிழ்",
            "မျှော်လင့်",
            "ភាសាខ្មែរ",
            "བཀྲ་ཤིས",
            "ස්රී",
            "🦀",
            "❤\u{fe0f}",
            "👩\u{200d}💻",
            "👩🏽\u{200d}💻",
            "❤\u{fe0f}\u{200d}🔥",
            "🏴",
        ] {
            assert!(is_fit(name), "{name}");
            assert!(RoomName::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_no_name() {
        let hidden = [
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180b}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2060}',
            '\u{2064}',
            '\u{206a}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe00}',
            '\u{fe0e}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffc}',
            '\u{fdd0}',
            '\u{fffe}',
            '\u{e000}',
            '\u{f8ff}',
            '\u{13441}',
            '\u{16fe4}',
            '\u{1bca0}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0061}',
            '\u{e0100}',
            '\u{e01ef}',
            '\u{f0000}',
            '\u{10fffd}',
            '\u{10ffff}',
        ];
        for c in hidden {
            for name in [
                format!("alice{c}"),
                format!("{c}alice"),
                format!("al{c}ice"),
                c.to_string(),
            ] {
                assert!(!is_fit(&name), "U+{:04X} in {name:?}", c as u32);
                assert!(RoomName::new(&name).is_err(), "U+{:04X} in {name:?}", c as u32);
            }
        }
        // What binds emoji binds nothing else, and nothing twice.
        for name in [
            "🦀\u{200d}",
            "\u{200d}🦀",
            "🦀\u{200d}a",
            "a\u{200d}🦀",
            "❤\u{fe0f}\u{fe0f}",
            "❤\u{200d}\u{200d}🔥",
            "1\u{fe0f}",
        ] {
            assert!(!is_fit(name), "{name:?}");
        }
    }

    #[test]
    fn marks_stand_on_a_letter_and_are_few() {
        assert!(!is_fit("\u{301}alice"));
        assert!(!is_fit("x\u{323}\u{323}"), "the same one twice");
        let marks = ['\u{323}', '\u{324}', '\u{325}', '\u{32d}', '\u{330}'];
        let with = |count: usize| {
            marks[..count]
                .iter()
                .fold("aliceq".to_owned(), |name, mark| name + &mark.to_string())
        };
        assert!(is_fit(&with(MARKS_MAX)));
        assert!(!is_fit(&with(MARKS_MAX + 1)));
        let forty: String = (0..40).map(|n| char::from_u32(0x300 + n).unwrap()).collect();
        assert!(!is_fit(&format!("alic{forty}e")));
    }

    /// Another library's list, so that neither was forgotten at an update.
    #[test]
    fn the_libraries_agree_about_what_is_ignorable() {
        for c in '\0'..=char::MAX {
            let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
            if ignorable {
                assert!(
                    unicode_security::skeleton(&c.to_string()).next().is_none(),
                    "U+{:04X}",
                    c as u32
                );
            }
        }
    }

    proptest! {
        #[test]
        fn what_can_be_taken_is_read_again(text in "\\PC{0,70}") {
            if let Ok(user) = UserName::new(&text) && user.check_new().is_ok() {
                prop_assert!(UserName::new(user.key()).unwrap().check_new().is_ok(), "its key can be taken too");
            }
            if let Ok(room) = RoomName::new(&text) {
                prop_assert_eq!(RoomName::parse(room.as_str()).unwrap(), room);
            }
        }
    }
}
