//! How far this machine's clock is from the registry's, for the user to read.

use super::limits::CLOCKS_APART_MS_MAX;

/// `3 h 2 min behind` or `ahead of`, where a clock is so many milliseconds ahead of another one; none where that is too little to be worth a word.
pub fn apart(ahead_ms: i64) -> Option<String> {
    let apart_ms = ahead_ms.unsigned_abs();
    if apart_ms < CLOCKS_APART_MS_MAX {
        return None;
    }
    let minutes = apart_ms / 60_000;
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    let way = if ahead_ms < 0 { "behind" } else { "ahead of" };
    Some(match (days, hours) {
        (0, 0) => format!("{minutes} min {way}"),
        (0, hours) => format!("{hours} h {minutes} min {way}"),
        (days, hours) => format!("{days} d {hours} h {way}"),
    })
}

/// What the user is to be told of his clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockNews {
    /// It is wrong, or wrong by another time than he was told of.
    Apart,
    /// It is right again.
    Right,
}

/// What is to be told now, where a clock is so far ahead, and was when the user was last told that it is wrong.
pub fn news(told_ms: Option<i64>, ahead_ms: i64) -> Option<ClockNews> {
    let is_apart = |ms: i64| ms.unsigned_abs() >= CLOCKS_APART_MS_MAX;
    match told_ms {
        None => is_apart(ahead_ms).then_some(ClockNews::Apart),
        Some(_) if !is_apart(ahead_ms) => Some(ClockNews::Right),
        Some(told) => is_apart(ahead_ms.saturating_sub(told)).then_some(ClockNews::Apart),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: i64 = 60_000;

    #[test]
    fn a_difference_is_said_as_people_say_it() {
        for (ahead_ms, said) in [
            (0, None),
            (4 * MIN, None),
            (-4 * MIN, None),
            (12 * MIN, Some("12 min ahead of")),
            (-358 * MIN, Some("5 h 58 min behind")),
            (2_885 * MIN, Some("2 d 0 h ahead of")),
            (i64::MIN, Some("106751991167 d 7 h behind")),
        ] {
            assert_eq!(apart(ahead_ms).as_deref(), said, "{ahead_ms}");
        }
    }

    #[test]
    fn the_user_is_told_once_of_each_jump() {
        assert_eq!(news(None, MIN), None);
        assert_eq!(news(None, -60 * MIN), Some(ClockNews::Apart));
        assert_eq!(news(Some(-60 * MIN), -61 * MIN), None);
        assert_eq!(news(Some(-60 * MIN), 60 * MIN), Some(ClockNews::Apart));
        assert_eq!(news(Some(60 * MIN), -MIN), Some(ClockNews::Right));
    }
}
