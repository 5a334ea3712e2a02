//! What is measured: a file for each family of scenarios.

mod find;
mod idle;
mod join;
mod login;
mod open;
mod stream;
mod talk;

use clap::ValueEnum as _;

use super::{Bench, BenchError, outcome::Outcome};
use crate::cli::bench::Scenario;

/// Measures all that is wanted, one after the other.
///
/// # Errors
/// One cannot be measured, or is wrong.
pub async fn run_all(bench: &Bench) -> Result<Vec<Outcome>, BenchError> {
    let mut outcomes = Vec::new();
    for &scenario in &bench.settings.scenarios {
        bench.progress.step(&name(scenario), "starting");
        // Anew for each, and gone before the next: what one leaves would be in the way of another.
        let part = bench.folder.part(&format!("{}-{}", outcomes.len(), name(scenario)))?;
        match scenario {
            Scenario::Pair
            | Scenario::Mutual
            | Scenario::Room3
            | Scenario::Room3Two
            | Scenario::Room20
            | Scenario::Room => outcomes.push(talk::run(bench, scenario, &part).await?),
            Scenario::Stream => outcomes.extend(stream::run(bench, &part).await?),
            Scenario::Join => outcomes.push(join::run(bench, &part).await?),
            Scenario::Find => outcomes.push(find::run(bench, &part).await?),
            Scenario::Login => outcomes.push(login::run(bench, &part).await?),
            Scenario::Idle => outcomes.push(idle::run(bench, &part).await?),
            Scenario::Open => outcomes.push(open::run(bench, &part).await?),
        }
        bench.folder.clear(&part)?;
        bench.progress.done();
    }
    Ok(outcomes)
}

/// As it is typed.
pub fn name(scenario: Scenario) -> String {
    let value = scenario.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}
