//! The table.

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use super::units::{amount, ratio, time};
use crate::bench::{Findings, outcome::Outcome};

/// The whole output.
pub fn render(found: &Findings) -> String {
    let machine = &found.machine;
    let mut text = format!(
        "peerchat {} · {} × {} · {}\n",
        env!("CARGO_PKG_VERSION"),
        machine.cores,
        machine.cpu,
        machine.system
    );
    if !machine.optimised {
        text.push_str("This is a debug build: its figures say nothing. Build with --release.\n");
    }
    let timed: Vec<_> = found
        .outcomes
        .iter()
        .filter(|outcome| !outcome.samples.0.is_empty())
        .collect();
    if !timed.is_empty() {
        text.push_str(&format!("\n{}\n", latencies(&timed)));
        for outcome in &timed {
            text.push_str(&format!("{}: {}\n", outcome.name, outcome.sampled));
        }
        if timed.iter().any(|outcome| outcome.floor.is_some()) {
            let sync = if found.settings.durable { ", and one sync" } else { "" };
            text.push_str(&format!(
                "ratio: p50 to that of bare gRPC over mutual TLS that does as much{sync}, in the same run\n"
            ));
        }
        if timed.iter().any(|outcome| outcome.seed_ms.is_some()) {
            text.push_str("seed: what the gRPC seed published; see --seed-figures\n");
        }
    }
    let counted: Vec<_> = found
        .outcomes
        .iter()
        .filter(|outcome| !outcome.figures.is_empty())
        .collect();
    if !counted.is_empty() {
        text.push_str(&format!("\n{}\n", figures(&counted)));
    }
    // Peers that say nothing have no logs.
    if found
        .outcomes
        .iter()
        .any(|outcome| outcome.value("entries_checked").is_some())
    {
        text.push_str("All logs were complete and equal.\n");
    }
    text
}

fn latencies(outcomes: &[&Outcome]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let head = [
        "scenario",
        "samples",
        "mean",
        "p50",
        "p90",
        "p99",
        "max",
        "floor p50",
        "ratio",
        "seed",
    ];
    table.set_header(head);
    for outcome in outcomes {
        let Some(latency) = outcome.samples.latency() else {
            continue;
        };
        let shown = |ns: u64| time(ns as f64);
        let absent = || "-".to_owned();
        table.add_row([
            outcome.name.clone(),
            latency.count.to_string(),
            shown(latency.mean_ns),
            shown(latency.p50_ns),
            shown(latency.p90_ns),
            shown(latency.p99_ns),
            shown(latency.max_ns),
            outcome.floor_latency().map_or_else(absent, |floor| shown(floor.p50_ns)),
            outcome.ratio().map_or_else(absent, ratio),
            outcome.seed_ms.map_or_else(absent, |ms| time(ms * 1e6)),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn figures(outcomes: &[&Outcome]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["scenario", "figure", "value"]);
    for outcome in outcomes {
        for (number, figure) in outcome.figures.iter().enumerate() {
            let name = if number == 0 { outcome.name.as_str() } else { "" };
            let what = figure.name.replace('_', " ");
            table.add_row([name.to_owned(), what, amount(figure.value, figure.unit)]);
        }
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{super::testing::findings, *};

    #[test]
    fn every_scenario_has_a_row() {
        let text = render(&findings(&[]));
        let row = text.lines().find(|line| line.contains(" pair ")).unwrap();
        for part in ["20.0 µs", "30.0 µs", "10.0 µs", "2.00 ×", "4.00 ms"] {
            assert!(row.contains(part), "{part} in {row}");
        }
        assert!(text.contains("12,346 a second"), "{text}");
    }
}
