//! What was found, as it is shown.

mod json;
pub mod page;
pub mod page_file;
mod picture;
mod table;
mod units;

use super::{Findings, outcome::Outcome};
use crate::cli::bench::Format;

/// What is printed.
pub fn render(found: &Findings) -> String {
    match found.settings.format {
        Format::Table => table::render(found),
        Format::Json => json::render(found),
        Format::Samples => found.outcomes.iter().map(samples).collect(),
    }
}

/// Nothing but numbers, for other programs.
fn samples(outcome: &Outcome) -> String {
    match (outcome.value("entries"), outcome.value("lost")) {
        (Some(rate), Some(lost)) => format!("{rate:.0} {lost:.0}\n"),
        _ => outcome.samples.0.iter().map(|ns| format!("{ns}\n")).collect(),
    }
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::{
        bench::{machine::Machine, outcome::Floor, samples::Samples, settings::Settings},
        cli,
    };

    /// A pair and a stream.
    pub fn findings(args: &[&str]) -> Findings {
        use clap::Parser as _;
        let typed = cli::Cli::try_parse_from([&["peerchat", "bench"], args].concat()).unwrap();
        let cli::Command::Bench(typed) = typed.command else {
            panic!("{typed:?}")
        };
        let mut pair = Outcome::new("pair", 2, 1, 3);
        pair.samples = Samples(vec![30_000, 10_000, 20_000]);
        pair.floor = Some(Floor {
            name: "bare gRPC",
            samples: Samples(vec![10_000]),
        });
        pair.seed_ms = Some(4.0);
        let mut stream = Outcome::new("stream-2", 3, 1, 2);
        stream.samples = Samples(vec![1_000, 2_000]);
        stream.figure("entries", 12_345.6, "/s");
        stream.figure("lost", 0.0, "");
        Findings {
            machine: Machine {
                cpu: "<Some & CPU>".into(),
                ..Machine::this()
            },
            settings: Settings::new(&typed).unwrap(),
            outcomes: vec![pair, stream],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_numbers_and_nothing_else() {
        let found = testing::findings(&[]);
        assert_eq!(samples(&found.outcomes[0]), "30000\n10000\n20000\n");
        assert_eq!(samples(&found.outcomes[1]), "12346 0\n");
    }
}
