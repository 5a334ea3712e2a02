//! Wall times as text. An entry may claim any time, so what no calendar has is moved to the nearest that it has.

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};

use crate::node::types::WallTime;

/// 0001-01-02T00:00:00Z and 9999-12-30T23:59:59.999Z: years of four digits in every time zone.
const MS_MIN: i64 = -62_135_510_400_000;
const MS_MAX: i64 = 253_402_214_399_999;

/// The time in a time zone.
pub fn local<Tz: TimeZone>(time: WallTime, zone: &Tz) -> DateTime<Tz> {
    utc(time).with_timezone(zone)
}

/// RFC 3339 in UTC with milliseconds.
pub fn rfc3339(time: WallTime) -> String {
    utc(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn utc(time: WallTime) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(time.0.clamp(MS_MIN, MS_MAX)).expect("the bounds are within the calendar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_has_four_digits_of_a_year() {
        assert_eq!(rfc3339(WallTime(1_769_868_127_042)), "2026-01-31T14:02:07.042Z");
        assert_eq!(rfc3339(WallTime(i64::MIN)), "0001-01-02T00:00:00.000Z");
        assert_eq!(rfc3339(WallTime(i64::MAX)), "9999-12-30T23:59:59.999Z");
    }
}
