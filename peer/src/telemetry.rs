//! The log of the program for those who look for a fault: silent unless `PEERCHAT_LOG` asks for it, as in
//! `PEERCHAT_LOG=peerchat=debug`, and on stderr, so that it never mixes with what a script reads.

use std::io;

use tracing_subscriber::EnvFilter;

/// The variable that says what is logged.
const VARIABLE: &str = "PEERCHAT_LOG";

/// Starts logging, if it is asked for.
pub fn init() {
    let Ok(filter) = EnvFilter::try_from_env(VARIABLE) else {
        return;
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(io::stderr)
        .try_init();
    // A second subscriber is refused; the first one goes on.
    let _ = started;
}
