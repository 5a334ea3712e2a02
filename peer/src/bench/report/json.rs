//! One object, for programs. All times are in nanoseconds.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::bench::{Findings, machine::Machine, outcome::Outcome, samples::Latency, settings::Settings};

#[derive(Serialize)]
struct Object<'f> {
    version: &'static str,
    machine: &'f Machine,
    settings: &'f Settings,
    scenarios: Vec<Scenario<'f>>,
}

#[derive(Serialize)]
struct Scenario<'f> {
    name: &'f str,
    members: usize,
    senders: usize,
    messages: u64,
    sampled: &'static str,
    latency: Option<Latency>,
    floor: Option<Value>,
    ratio: Option<f64>,
    seed_ns: Option<u64>,
    figures: Map<String, Value>,
}

/// The object, on one line.
pub fn render(found: &Findings) -> String {
    let object = Object {
        version: env!("CARGO_PKG_VERSION"),
        machine: &found.machine,
        settings: &found.settings,
        scenarios: found.outcomes.iter().map(scenario).collect(),
    };
    let text = serde_json::to_string(&object).expect("strings and numbers can be written");
    text + "\n"
}

fn scenario(outcome: &Outcome) -> Scenario<'_> {
    let floor = outcome.floor.as_ref();
    Scenario {
        name: &outcome.name,
        members: outcome.members,
        senders: outcome.senders,
        messages: outcome.messages,
        sampled: outcome.sampled,
        latency: outcome.samples.latency(),
        floor: floor.map(|floor| json!({"name": floor.name, "latency": floor.samples.latency()})),
        ratio: outcome.ratio(),
        seed_ns: outcome.seed_ms.map(|ms| (ms * 1e6) as u64),
        figures: outcome
            .figures
            .iter()
            .map(|figure| (key(figure.name, figure.unit), json!(figure.value)))
            .collect(),
    }
}

/// A name says of what it is so many.
fn key(name: &str, unit: &str) -> String {
    let unit = match unit {
        "ns" => "_ns",
        "ns/min" => "_ns_per_minute",
        "B" => "_bytes",
        "B/min" => "_bytes_per_minute",
        "/s" => "_per_second",
        _ => "",
    };
    format!("{name}{unit}")
}

#[cfg(test)]
mod tests {
    use super::{super::testing::findings, *};

    #[test]
    fn programs_find_what_they_look_for() {
        let text = render(&findings(&["--payload", "7"]));
        assert_eq!(text.lines().count(), 1);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["settings"]["payload"], 7);
        assert!(value["machine"]["cores"].as_u64().unwrap() > 0);
        let pair = &value["scenarios"][0];
        assert_eq!(pair["latency"]["max_ns"], 30_000);
        assert_eq!(pair["latency"]["count"], 3);
        assert_eq!(pair["seed_ns"], 4_000_000);
        assert!((pair["ratio"].as_f64().unwrap() - 2.0).abs() < 0.01);
        assert_eq!(value["scenarios"][1]["figures"]["lost"], 0.0);
        assert_eq!(value["scenarios"][1]["figures"]["entries_per_second"], 12_345.6);
    }
}
