//! What is shown while it runs: on stderr, and moving only at a terminal.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::Mutex,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::settings::Settings;

/// A bar at a terminal, a short line for each scenario elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    last: Mutex<String>,
}

impl Progress {
    /// Nothing is done yet.
    pub fn new(settings: &Settings) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(settings.scenarios.len() as u64);
            // No colours, so NO_COLOR is respected.
            if let Ok(style) = ProgressStyle::with_template("[{bar:20}] {pos}/{len} {wide_msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self {
            bar,
            last: Mutex::default(),
        }
    }

    /// A scenario is at this step.
    pub fn step(&self, scenario: &str, step: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{scenario}: {step}"));
            bar.tick();
            return;
        }
        let Ok(mut last) = self.last.lock() else { return };
        if *last != scenario {
            scenario.clone_into(&mut last);
            // Nobody needs it where stderr is closed.
            let _closed = writeln!(io::stderr(), "bench: {scenario}");
        }
    }

    /// One scenario more is done.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
