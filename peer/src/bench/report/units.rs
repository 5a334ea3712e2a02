//! Numbers as people read them.

/// A time: three digits and its unit.
pub fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// An amount of something: as a time, as bytes, or with its thousands apart.
pub fn amount(value: f64, unit: &str) -> String {
    match unit {
        "ns" => time(value),
        "ns/min" => format!("{} a minute", time(value)),
        "B" if value < 1e5 => format!("{} kB", digits(value / 1e3)),
        "B" => format!("{} MB", digits(value / 1e6)),
        "B/min" => format!("{} kB a minute", digits(value / 1e3)),
        "/s" => format!("{} a second", thousands(value)),
        "" if value != 0.0 && value < 10.0 && value.fract() != 0.0 => format!("{value:.4}"),
        _ => thousands(value),
    }
}

/// How many times as much.
pub fn ratio(ratio: f64) -> String {
    format!("{} ×", digits(ratio))
}

fn digits(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn thousands(value: f64) -> String {
    let plain = format!("{value:.0}");
    let mut spaced = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            spaced.push(',');
        }
        spaced.push(digit);
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(time(812.0), "812 ns");
        assert_eq!(time(48_230.0), "48.2 µs");
        assert_eq!(time(6_880_000.0), "6.88 ms");
        assert_eq!(time(12e9), "12.0 s");
        assert_eq!(amount(1_234_567.0, "/s"), "1,234,567 a second");
        assert_eq!(amount(3_336.0, "B"), "3.34 kB");
        assert_eq!(amount(18.5e6, "B"), "18.5 MB");
        assert_eq!(amount(0.0, ""), "0");
        assert_eq!(amount(0.0012, ""), "0.0012");
        assert_eq!(ratio(1.5), "1.50 ×");
    }
}
