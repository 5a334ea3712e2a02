//! Spans of time as they are typed: `30s`, `90m`, `12h`, `7d`.

use std::time::Duration;

use crate::authority::LIFETIME_MAX;

/// The units, and their seconds.
const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];

/// The shortest lifetime that a certificate may have. Below it peers would be busy renewing.
const CERTIFICATE_MIN: Duration = Duration::from_secs(5);

/// The lifetimes that an invite may have.
const INVITE_MIN: Duration = Duration::from_secs(1);
const INVITE_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The lifetime of a certificate, for the command line.
pub(super) fn certificate_lifetime(text: &str) -> Result<Duration, String> {
    let span = span(text)?;
    if (CERTIFICATE_MIN..=LIFETIME_MAX).contains(&span) {
        Ok(span)
    } else {
        Err("expected 5s to 7d".to_owned())
    }
}

/// The lifetime of an invite, for the command line.
pub(super) fn invite_lifetime(text: &str) -> Result<Duration, String> {
    let span = span(text)?;
    if (INVITE_MIN..=INVITE_MAX).contains(&span) {
        Ok(span)
    } else {
        Err("expected 1s to 366d".to_owned())
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number and s, m, h or d, such as 30s, 90m, 12h or 7d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let (_, seconds) = UNITS
        .into_iter()
        .find(|(letter, _)| *letter == unit)
        .ok_or_else(wrong)?;
    let number = &text[..text.len() - unit.len_utf8()];
    // `parse` alone would take "+1".
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_as_they_are_typed() {
        for (text, seconds) in [("5s", 5), ("90m", 5_400), ("12h", 43_200), ("7d", 604_800), ("007s", 7)] {
            assert_eq!(certificate_lifetime(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "12",
            "12 h",
            "+5s",
            "-5s",
            "1.5h",
            "5H",
            "5é",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
        for text in ["4s", "0s", "8d", "169h"] {
            assert!(certificate_lifetime(text).is_err(), "{text}");
        }
        assert!(invite_lifetime("366d").is_ok() && invite_lifetime("1s").is_ok());
        assert!(invite_lifetime("0d").is_err() && invite_lifetime("367d").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_fall(text in any::<String>()) {
            let _ = span(&text);
        }
    }
}
